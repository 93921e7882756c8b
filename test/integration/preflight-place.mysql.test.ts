import { describe, expect, it } from 'vitest';
import type { BinlogEvent } from '../../src/capture/binlog/binlog-event.ts';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import type { SourceConnection } from '../../src/capture/binlog/source-connection.ts';
import { provePlace } from '../../src/capture/preflight/prove-place.ts';
import type { ProvenPlace } from '../../src/capture/preflight/prove-place.ts';
import { readEvents } from '../../src/capture/preflight/read-place.ts';
import type { DumpAccess } from '../../src/capture/preflight/read-place.ts';
import { startPlace } from '../../src/capture/preflight/start-place.ts';
import type { Start } from '../../src/capture/preflight/start-place.ts';
import { GtidSet, formatGtid, parseGtid } from '../../src/gtid-set.ts';
import type { Checkpoint } from '../../src/position.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { startOwnMysql, withConnection } from '../support/mysql.ts';

const OTHER_UUID = '00000000-0000-0000-0000-0000000000ff';

function accessTo(url: string): DumpAccess {
  return {
    connection: { uri: url },
    serverId: 4_000_000 + Math.floor(Math.random() * 1_000_000),
    heartbeatMs: 1000,
    clock: systemClock,
  };
}

async function ask<T>(url: string, work: (source: SourceConnection) => Promise<T>): Promise<T> {
  return withSource({ uri: url }, AbortSignal.timeout(60_000), work);
}

function begin(url: string, start: Start): Promise<Checkpoint> {
  const signal = AbortSignal.timeout(60_000);
  return ask(url, (source) => startPlace(start, 'r', { source, access: accessTo(url) }, signal));
}

function prove(url: string, checkpoint: Checkpoint): Promise<ProvenPlace> {
  const signal = AbortSignal.timeout(60_000);
  return ask(url, (source) => provePlace(source, checkpoint, accessTo(url), signal));
}

async function run(url: string, ...statements: string[]): Promise<void> {
  await withConnection(url, async (connection) => {
    for (const sql of statements) await connection.query(sql);
  });
}

/** Reads on to the end of the log, as a capture would, and returns the checkpoint there. */
async function readOn(url: string, from: Checkpoint): Promise<Checkpoint> {
  const start =
    from.gtidSet === null
      ? { file: from.file, position: from.position }
      : { gtidSet: GtidSet.parse(from.gtidSet) };
  let { file, position, fileCreated, last } = from;
  const set = from.gtidSet === null ? null : GtidSet.parse(from.gtidSet);
  for await (const event of readEvents(accessTo(url), start, AbortSignal.timeout(60_000))) {
    ({ file, endPosition: position } = event);
    if (event.type === 'format-description') fileCreated = event.created;
    if (event.type !== 'gtid') continue;
    if (event.gtid !== null) set?.add(event.gtid);
    last = lastOf(event);
  }
  return { ...from, gtidSet: set?.toString() ?? null, file, position, fileCreated, last };
}

function lastOf(event: Extract<BinlogEvent, { type: 'gtid' }>): Checkpoint['last'] {
  return {
    gtid: event.gtid === null ? null : formatGtid(event.gtid),
    file: event.file,
    position: event.position,
    timestamp: event.timestamp,
    commitUs: event.commitUs,
  };
}

const CHANGES = [
  'CREATE DATABASE IF NOT EXISTS d',
  'CREATE TABLE IF NOT EXISTS d.t (id INT AUTO_INCREMENT PRIMARY KEY)',
  'INSERT INTO d.t VALUES ()',
  'INSERT INTO d.t VALUES ()',
];

describe.each(['ON', 'OFF'])('with gtid_mode %s', (mode) => {
  const server = startOwnMysql({
    fast: true,
    args: [`--gtid-mode=${mode}`, `--enforce-gtid-consistency=${mode}`],
  });

  it('begins at the end, and the place is proven', async () => {
    const { url } = await server;
    await run(url, ...CHANGES);
    const first = await begin(url, 'latest');
    expect(first.gtidSet === null).toBe(mode === 'OFF');
    expect(first.fileCreated).toBeGreaterThan(Date.now() / 1000 - 600);
    const proven = await prove(url, first);
    expect(proven.serverUuid).toBe(first.serverUuid);
    expect(Object.keys(proven.start)).toEqual(mode === 'ON' ? ['gtidSet'] : ['file', 'position']);
    const events: string[] = [];
    for await (const event of readEvents(
      accessTo(url),
      proven.start,
      AbortSignal.timeout(60_000),
    )) {
      if (event.type === 'gtid') events.push(event.type);
    }
    expect(events).toEqual([]);
  });

  it('goes on from a place where something was read, also after a restart', async () => {
    const { url, restart } = await server.then((own) => ({
      url: own.url,
      restart: () => own.restart(),
    }));
    const first = await begin(url, 'latest');
    await run(url, ...CHANGES);
    const read = await readOn(url, first);
    expect(read.last).not.toBeNull();
    await prove(url, read);
    await restart();
    await prove(url, read);
  });

  it('begins at the oldest file, or at a place that is given', async () => {
    const { url } = await server;
    const earliest = await begin(url, 'earliest');
    expect(earliest).toMatchObject({ position: 4, last: null, open: [], topics: {}, routing: 'r' });
    const read = await readOn(url, earliest);
    await prove(url, read);
    const { last } = read;
    if (last === null) throw new Error('Nothing was read');
    const middle = await begin(url, { file: last.file, position: last.position });
    if (last.file === read.file) expect(middle.fileCreated).toBe(read.fileCreated);
    else expect(middle.fileCreated).toBeLessThanOrEqual(read.fileCreated);
    if (mode === 'ON') {
      const set = GtidSet.parse(middle.gtidSet ?? '');
      set.add(parseGtid(last.gtid ?? ''));
      expect(set.toString()).toBe(read.gtidSet);
    } else expect(middle.gtidSet).toBeNull();
    await expect(
      begin(url, { file: last.file, position: last.position + 1 }),
    ).rejects.toMatchObject({ code: 'POSITION_UNPROVEN' });
    await expect(begin(url, { file: 'binlog.999999', position: 4 })).rejects.toMatchObject({
      code: 'POSITION_UNPROVEN',
    });
  });

  it('stops where something else stands than what we read', async () => {
    const { url } = await server;
    const first = await begin(url, 'latest');
    await run(url, ...CHANGES);
    const read = await readOn(url, first);
    const { last } = read;
    if (last === null) throw new Error('Nothing was read');
    const unproven = expect.objectContaining({ code: 'POSITION_UNPROVEN' }) as Error;
    for (const changed of [
      { ...last, commitUs: (last.commitUs ?? 0) + 1 },
      { ...last, timestamp: last.timestamp - 1 },
      { ...last, position: last.position + 1 },
      { ...last, position: 2 ** 31 },
      { ...last, file: 'binlog.999999' },
    ]) {
      await expect(prove(url, { ...read, last: changed })).rejects.toEqual(unproven);
    }
    await expect(prove(url, { ...read, fileCreated: 1 })).rejects.toEqual(unproven);
  });

  it('stops when what we need is purged, not when only what we have read is', async () => {
    const { url } = await server;
    const first = await begin(url, 'latest');
    await run(url, ...CHANGES, 'FLUSH BINARY LOGS');
    const read = await readOn(url, first);
    await run(url, `PURGE BINARY LOGS TO '${read.file}'`);
    await expect(prove(url, first)).rejects.toMatchObject({ code: 'POSITION_PURGED' });
    await prove(url, read);
  });
});

describe('with GTIDs', () => {
  const server = startOwnMysql({ fast: true });

  it('names what this server never executed', async () => {
    const { url } = await server;
    const first = await begin(url, 'latest');
    const foreign = `${OTHER_UUID}:1-3`;
    const gtidSet = [first.gtidSet, foreign].filter((text) => text !== '').join(',');
    await expect(prove(url, { ...first, gtidSet })).rejects.toMatchObject({
      code: 'GTID_NOT_SUBSET',
      message: expect.stringContaining(foreign) as string,
    });
    await expect(begin(url, { gtid: foreign })).rejects.toMatchObject({ code: 'GTID_NOT_SUBSET' });
  });

  it('begins behind a set that was seen elsewhere', async () => {
    const { url } = await server;
    const seen = await begin(url, 'latest');
    await run(url, ...CHANGES);
    const first = await begin(url, { gtid: seen.gtidSet ?? '' });
    const read = await readOn(url, first);
    expect(GtidSet.parse(seen.gtidSet ?? '').isSubsetOf(GtidSet.parse(read.gtidSet ?? ''))).toBe(
      true,
    );
    expect(read.last).not.toBeNull();
    await prove(url, read);
  });

  it('follows another server, but not within a table that has no key', async () => {
    const { url } = await server;
    const elsewhere = { ...(await begin(url, 'latest')), serverUuid: OTHER_UUID };
    const open = (keyed: boolean): Checkpoint['open'] => [
      { transaction: `${OTHER_UUID}:9`, tables: { 'd.t': { ordinal: 3, keyed } } },
    ];
    await prove(url, { ...elsewhere, open: open(true) });
    await expect(prove(url, { ...elsewhere, open: open(false) })).rejects.toMatchObject({
      code: 'KEYLESS_TABLE_CUT',
    });
  });

  it('does not follow another server by file and position', async () => {
    const { url } = await server;
    const elsewhere = { ...(await begin(url, 'latest')), serverUuid: OTHER_UUID, gtidSet: null };
    await expect(prove(url, elsewhere)).rejects.toMatchObject({ code: 'SERVER_CHANGED' });
  });

  it('agrees with the server about subsets and differences', async () => {
    const { url } = await server;
    const texts = [
      '',
      `${OTHER_UUID}:1-5:8`,
      `${OTHER_UUID}:2-3`,
      `${OTHER_UUID}:1-9:b:4:tag_a:1-3`,
      `${OTHER_UUID}:b:4-5:tag_a:2,${OTHER_UUID.replace('ff', 'aa')}:7`,
      `${OTHER_UUID}:9223372036854775805-9223372036854775806`,
    ];
    await ask(url, async (source) => {
      for (const left of texts) {
        for (const right of texts) {
          const [row] = await source.query(
            'SELECT GTID_SUBSET(?, ?) AS subset, GTID_SUBTRACT(?, ?) AS rest',
            [left, right, left, right],
          );
          const [a, b] = [GtidSet.parse(left), GtidSet.parse(right)];
          expect(a.isSubsetOf(b) ? '1' : '0').toBe(row?.['subset']);
          expect(a.subtract(b).toString()).toBe(row?.['rest']?.replaceAll('\n', ''));
        }
      }
    });
  });
});
