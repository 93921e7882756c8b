import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { findByTime, type FoundPlace } from '../../src/capture/preflight/find-by-time.ts';
import { readEvents } from '../../src/capture/preflight/read-place.ts';
import { readServerPlace } from '../../src/capture/preflight/server-place.ts';
import { type Start, startPlace } from '../../src/capture/preflight/start-place.ts';
import { GtidSet, formatGtid } from '../../src/gtid-set.ts';
import type { Checkpoint } from '../../src/position.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnMysql } from '../support/mysql.ts';
import { asked, run } from '../support/replication.ts';

const signal = AbortSignal.timeout(120_000);

function accessTo(server: MysqlServer): Parameters<typeof startPlace>[2]['access'] {
  const connection = { uri: server.url };
  return { connection, serverId: 4_200_001, heartbeatMs: 1000, clock: systemClock };
}

function begin(server: MysqlServer, start: Start): Promise<Checkpoint> {
  return withSource({ uri: server.url }, signal, (source) =>
    startPlace(start, 'r', { source, access: accessTo(server) }, signal),
  );
}

/** As the start does, with another allowance for clocks. */
function find(
  server: MysqlServer,
  timestampMs: number,
  clocksApartMs: number | undefined,
): Promise<FoundPlace> {
  if (clocksApartMs === undefined) return begin(server, { timestampMs });
  return withSource({ uri: server.url }, signal, async (source) => {
    const at = { source, access: accessTo(server), clocksApartMs };
    return findByTime(timestampMs, await readServerPlace(source), at, signal);
  });
}

/** The GTIDs that the server executed and the set has not, in the order of the binlog; null without GTIDs. */
async function missing(server: MysqlServer, set: string | null): Promise<string[] | null> {
  if (set === null) return null;
  const executed = await asked(server, 'SELECT @@GLOBAL.gtid_executed AS value');
  const rest = GtidSet.parse(executed).subtract(GtidSet.parse(set));
  return rest
    .entries()
    .flatMap(([source, [start = 0n, end = 0n]]) =>
      Array.from({ length: Number(end - start) }, (_, n) => `${source}:${start + BigInt(n)}`),
    );
}

interface Seen {
  readonly gtid: string | null;
  readonly place: string;
  readonly committedMs: number;
}

async function transactions(server: MysqlServer): Promise<Seen[]> {
  const [first = ''] = await files(server);
  const seen: Seen[] = [];
  for await (const event of readEvents(accessTo(server), { file: first, position: 4 }, signal)) {
    if (event.type !== 'gtid') continue;
    seen.push({
      gtid: event.gtid === null ? null : formatGtid(event.gtid),
      place: `${event.file}:${event.position}`,
      committedMs: (event.commitUs ?? 0) / 1000,
    });
  }
  return seen;
}

function files(server: MysqlServer): Promise<string[]> {
  return withSource({ uri: server.url }, signal, async (source) =>
    (await readServerPlace(source)).files.map(({ name }) => name),
  );
}

/** Milliseconds, by the server's clock. */
async function serverTime(server: MysqlServer): Promise<number> {
  return Math.ceil(Number(await asked(server, 'SELECT UNIX_TIMESTAMP(NOW(6)) AS value')) * 1000);
}

describe.each(['ON', 'OFF'])('a time to begin at, with gtid_mode %s', (mode) => {
  const starting = startOwnMysql({
    fast: true,
    args: [`--gtid-mode=${mode}`, `--enforce-gtid-consistency=${mode}`],
  });
  let server: MysqlServer;
  let seen: Seen[];

  beforeAll(async () => {
    server = await starting;
    await run(server, 'CREATE DATABASE d', 'CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY)');
    for (let file = 0; file < 3; file += 1) {
      // Files are dated by the second: each of them must have one of its own.
      const since = await serverTime(server);
      await eventually(async () => {
        expect(await serverTime(server)).toBeGreaterThan(since + 1000);
      });
      await run(server, 'FLUSH BINARY LOGS', ...Array<string>(4).fill('INSERT INTO d.t VALUES ()'));
    }
    seen = await transactions(server);
  }, 60_000);

  it('finds the first transaction committed then or later, from whichever file the scan begins', async () => {
    // The template's own transactions are dated before the file they were copied into.
    for (const { committedMs } of seen.slice(-12)) {
      const timestampMs = Math.ceil(committedMs);
      const index = seen.findIndex((one) => one.committedMs >= timestampMs);
      const after = index === -1 ? [] : seen.slice(index);
      const last = seen.at(-after.length - 1)?.gtid;
      for (const clocksApartMs of [undefined, 0]) {
        const found = await find(server, timestampMs, clocksApartMs);
        expect(found.last?.gtid).toBe(last);
        // The end of a file and the beginning of the next one are the same place in two words.
        const { place = '' } = after[0] ?? {};
        if (place.startsWith(found.file)) expect(`${found.file}:${found.position}`).toBe(place);
        expect(await missing(server, found.gtidSet)).toEqual(
          mode === 'ON' ? after.map(({ gtid }) => gtid) : null,
        );
      }
    }
  });

  it('is the end of the log where nothing was committed since', async () => {
    const since = await serverTime(server);
    await eventually(async () => {
      expect(await serverTime(server)).toBeGreaterThan(since);
    });
    const found = await begin(server, { timestampMs: since });
    const latest = await begin(server, 'latest');
    expect(found).toEqual(latest);
  });

  it('is refused where it has not come yet, and where the binlog begins later', async () => {
    const now = await serverTime(server);
    await expect(begin(server, { timestampMs: now + 60_000 })).rejects.toMatchObject({
      code: 'POSITION_UNPROVEN',
      message: expect.stringContaining('has not come yet') as string,
    });
    const [, , third = ''] = await files(server);
    await run(server, `PURGE BINARY LOGS TO '${third}'`);
    const { committedMs } = seen.find(({ place }) => !place.startsWith('binlog.000001')) ?? {
      committedMs: 0,
    };
    await expect(
      begin(server, { timestampMs: Math.floor(committedMs) - 2000 }),
    ).rejects.toMatchObject({
      code: 'POSITION_PURGED',
      message: expect.stringMatching(
        /keeps its binlog since \d{4}-\d\d-\d\dT.*where binlog\./,
      ) as string,
    });
  });
});
