import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { BinlogEvent } from '../../src/capture/binlog/binlog-event.ts';
import { openBinlogStream } from '../../src/capture/binlog/binlog-stream.ts';
import type { DumpStart } from '../../src/capture/binlog/dump-request.ts';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import type { SourceConnection } from '../../src/capture/binlog/source-connection.ts';
import { provePlace } from '../../src/capture/preflight/prove-place.ts';
import type { ProvenPlace } from '../../src/capture/preflight/prove-place.ts';
import { readEvents } from '../../src/capture/preflight/read-place.ts';
import type { DumpAccess } from '../../src/capture/preflight/read-place.ts';
import { readEndOfLog } from '../../src/capture/preflight/server-place.ts';
import { startPlace } from '../../src/capture/preflight/start-place.ts';
import type { Start } from '../../src/capture/preflight/start-place.ts';
import { RowcallError } from '../../src/errors.ts';
import { GtidSet, formatGtid, parseGtid } from '../../src/gtid-set.ts';
import type { Checkpoint } from '../../src/position.ts';
import { type Clock, systemClock } from '../../src/shared/clock.ts';
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

/** `onWait`: what happens on the server while the proof waits; the waiting itself takes no time. */
function prove(
  url: string,
  checkpoint: Checkpoint,
  onWait: () => Promise<void> = () => Promise.resolve(),
): Promise<ProvenPlace> {
  const signal = AbortSignal.timeout(60_000);
  let now = 0;
  const clock: Clock = {
    ...systemClock,
    monotonic: () => now,
    sleep: async (ms) => {
      now += ms;
      await onWait();
    },
  };
  const access = { ...accessTo(url), clock };
  return ask(url, (source) => provePlace(source, checkpoint, access, signal));
}

/** What a capture would read from there to the end of the log; it ends with what would stop the capture. */
async function capture(url: string, start: DumpStart): Promise<(string | RowcallError)[]> {
  const stream = await openBinlogStream(
    { ...accessTo(url), start, maxQueueBytes: 2 ** 20, nonBlocking: true },
    AbortSignal.timeout(60_000),
  );
  const read: (string | RowcallError)[] = [];
  try {
    for (;;) {
      const events = await stream.next();
      if (events.length === 0) return read;
      read.push(...events.map(({ type }) => type));
    }
  } catch (error) {
    if (!(error instanceof RowcallError)) throw error;
    return [...read, error];
  } finally {
    await stream.close();
  }
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

function cut(transaction: string, keyed = true): Checkpoint['open'][number] {
  const tables = { 'd.t': { ordinal: 3, keyed } };
  return { transaction, commitUs: 1, timestamp: 1, tables };
}

/** An empty transaction of this number. */
function execute(url: string, gtid: string): Promise<void> {
  return run(url, `SET gtid_next = '${gtid}'`, 'BEGIN', 'COMMIT', "SET gtid_next = 'AUTOMATIC'");
}

/** LOAD DATA that is logged as a statement: its rows stand in the binlog as a file. */
async function loadAsStatement(url: string): Promise<void> {
  await withConnection(url, async (connection) => {
    await connection.query("SET SESSION binlog_format = 'STATEMENT'");
    await connection.query({
      sql: "LOAD DATA LOCAL INFILE 'rows' INTO TABLE d.t",
      infileStreamFactory: () => Readable.from([Buffer.from('1000001\n1000002\n')]),
    });
  });
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
    args: [`--gtid-mode=${mode}`, `--enforce-gtid-consistency=${mode}`, '--local-infile=ON'],
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

  it('knows the last transaction before a place where it begins', async () => {
    const { url } = await server;
    const before = await begin(url, 'latest');
    await run(url, ...CHANGES);
    const { last } = await readOn(url, before);
    const first = await begin(url, 'latest');
    expect(first.last).toEqual(last);
    const { file, position } = first;
    expect((await begin(url, { file, position })).last).toEqual(last);
    const reused = { ...first, last: last && { ...last, commitUs: 1 } };
    await expect(prove(url, reused)).rejects.toMatchObject({ code: 'POSITION_UNPROVEN' });
  });

  it('can begin behind events that stop a capture, in the same file', async () => {
    const { url } = await server;
    await run(url, ...CHANGES);
    const before = await begin(url, 'latest');
    await run(
      url,
      'SET SESSION binlog_transaction_compression = ON',
      `INSERT INTO d.t VALUES ${'(),'.repeat(200)}()`,
    );
    await loadAsStatement(url);
    const { start: stopped } = await prove(url, before);
    expect((await capture(url, stopped)).at(-1)).toMatchObject({
      code: 'BINLOG_EVENT_UNSUPPORTED',
    });
    const { file, position } = await ask(url, readEndOfLog);
    expect(file).toBe(before.file);
    const behind = await begin(url, { file, position });
    await run(url, 'INSERT INTO d.t VALUES ()');
    const { start } = await prove(url, behind);
    const read = await capture(url, start);
    expect(read.slice(-5)).toEqual(['gtid', 'query', 'table-map', 'rows', 'xid']);
    expect(read.filter((type) => type === 'gtid')).toHaveLength(1);
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

  it('follows another server, but not within a table without a key or a transaction without a GTID', async () => {
    const { url } = await server;
    await execute(url, `${OTHER_UUID}:9`);
    const elsewhere = { ...(await begin(url, 'latest')), serverUuid: OTHER_UUID };
    const open = (keyed: boolean): Checkpoint['open'] => [cut(`${OTHER_UUID}:9`, keyed)];
    await prove(url, { ...elsewhere, open: open(true) });
    await expect(prove(url, { ...elsewhere, open: open(false) })).rejects.toMatchObject({
      code: 'KEYLESS_TABLE_CUT',
    });
    const anonymous = cut(`${OTHER_UUID}:binlog%2E000001:100:157`);
    await expect(prove(url, { ...elsewhere, open: [anonymous] })).rejects.toMatchObject({
      code: 'SERVER_CHANGED',
    });
  });

  it('proves the last transaction on another server too, by its commit time', async () => {
    const { url } = await server;
    await run(url, ...CHANGES);
    const here = await begin(url, 'latest');
    const elsewhere = { ...here, serverUuid: OTHER_UUID };
    const { last } = here;
    if (last === null) throw new Error('Nothing was read');
    // Its place there is another server's own.
    const moved = { ...last, file: 'other.000007', position: 4711, timestamp: 1 };
    expect((await prove(url, { ...elsewhere, last: moved })).last).toEqual(last);
    const reused = { ...last, commitUs: (last.commitUs ?? 0) + 1 };
    await expect(prove(url, { ...elsewhere, last: reused })).rejects.toMatchObject({
      code: 'POSITION_UNPROVEN',
      message: expect.stringContaining(last.gtid ?? '') as string,
    });
  });

  it('does not follow a server that never had the transaction that was cut', async () => {
    const { url } = await server;
    const elsewhere = { ...(await begin(url, 'latest')), serverUuid: OTHER_UUID };
    const lost = `${OTHER_UUID}:20`;
    await expect(prove(url, { ...elsewhere, open: [cut(lost)] })).rejects.toMatchObject({
      code: 'GTID_NOT_SUBSET',
      message: expect.stringContaining(lost) as string,
    });
  });

  it('waits for a transaction that was sent before the server has counted it as executed', async () => {
    const { url } = await server;
    const first = await begin(url, 'latest');
    const [whole, open] = [`${OTHER_UUID}:30`, `${OTHER_UUID}:31`];
    const gtidSet = GtidSet.parse([first.gtidSet, whole].filter((text) => text !== '').join(','));
    const ahead = { ...first, gtidSet: gtidSet.toString(), open: [cut(open)] };
    const arriving = [whole, open];
    await prove(url, ahead, async () => {
      const next = arriving.shift();
      if (next !== undefined) await execute(url, next);
    });
    expect(arriving).toEqual([]);
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
