/** Transactions that a dump by GTID would pass over without a word, as the server chooses a file behind them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { type DumpAccess, readEvents } from '../../src/capture/preflight/read-place.ts';
import { readServerPlace } from '../../src/capture/preflight/server-place.ts';
import { type Start, startPlace } from '../../src/capture/preflight/start-place.ts';
import { surveyMove } from '../../src/capture/preflight/survey-move.ts';
import type { RowcallError } from '../../src/errors.ts';
import { formatGtid, GtidSet } from '../../src/gtid-set.ts';
import { runCli } from '../../src/operate/cli/cli.ts';
import type { Checkpoint } from '../../src/position.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { gather } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryLogStore } from '../support/memory-change-log.ts';
import { startOwnMysql, withConnection } from '../support/mysql.ts';
import { asked, run } from '../support/replication.ts';
import { tempDir } from '../support/temp-dir.ts';
import { runCapture } from './support/capture-run.ts';
import { NOTHING_OPEN } from './support/nothing-open.ts';

let server: MysqlServer;
const signal = AbortSignal.timeout(300_000);
const access = (): DumpAccess => ({
  connection: { uri: server.url },
  ...{ serverId: 4_100_001, heartbeatMs: 1000, clock: systemClock },
});

beforeAll(async () => {
  server = await startOwnMysql({ fast: true });
  await run(
    server,
    "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'",
    'SET GLOBAL rpl_semi_sync_source_timeout = 4294967295',
  );
});

/** A log of nothing but a table and a prepared transaction that inserts row 1 into it. */
async function prepared(): Promise<void> {
  await run(
    server,
    'RESET BINARY LOGS AND GTIDS',
    'DROP DATABASE IF EXISTS d',
    'CREATE DATABASE d',
    'CREATE TABLE d.t (id INT PRIMARY KEY)',
    "XA START 'x'; INSERT INTO d.t VALUES (1); XA END 'x'; XA PREPARE 'x'",
  );
}

const executed = (): Promise<string> => asked(server, 'SELECT @@GLOBAL.gtid_executed AS value');

async function endOfLog(): Promise<{ readonly file: string; readonly position: number }> {
  return withConnection(server.url, async (connection) => {
    const [rows] = await connection.query('SHOW BINARY LOG STATUS');
    const [{ File: file, Position: position }] = rows as [{ File: string; Position: number }];
    return { file, position };
  });
}

async function files(): Promise<string[]> {
  return withConnection(server.url, async (connection) => {
    const [rows] = await connection.query('SHOW BINARY LOGS');
    return (rows as { readonly Log_name: string }[]).map(({ Log_name: name }) => name);
  });
}

/** What a file's PREVIOUS_GTIDS event says. */
async function previousGtids(file: string): Promise<string> {
  return withConnection(server.url, async (connection) => {
    const [rows] = await connection.query(`SHOW BINLOG EVENTS IN '${file}' FROM 4 LIMIT 2`);
    return (rows as [unknown, { readonly Info: string }])[1].Info.replaceAll('\n', '');
  });
}

/**
 * Commits the prepared transaction, which waits for a semi-synchronous replica between binlog and engine, while that
 * many files end. Then row 2 is inserted. Returns the GTID of the XA COMMIT, which no new file names.
 */
async function commitAcross(rotations: number): Promise<string> {
  const before = await executed();
  const { position } = await endOfLog();
  await run(server, 'SET GLOBAL rpl_semi_sync_source_enabled = 1');
  const committed = run(server, "XA COMMIT 'x'");
  await eventually(async () => {
    expect((await endOfLog()).position).toBeGreaterThan(position);
  });
  for (let count = 0; count < rotations; count += 1) {
    await run(server, 'FLUSH BINARY LOGS');
    expect(await previousGtids((await endOfLog()).file)).toBe(before);
  }
  await run(server, 'SET GLOBAL rpl_semi_sync_source_enabled = 0');
  await committed;
  const missed = GtidSet.parse(await executed()).subtract(GtidSet.parse(before));
  await run(server, 'INSERT INTO d.t VALUES (2)');
  return missed.toString();
}

/** The GTIDs that the server sends to whoever has these. */
async function sentTo(gtidSet: string): Promise<string[]> {
  const sent: string[] = [];
  const start = { gtidSet: GtidSet.parse(gtidSet) };
  for await (const event of readEvents(access(), start, AbortSignal.timeout(60_000))) {
    if (event.type === 'gtid' && event.gtid !== null) sent.push(formatGtid(event.gtid));
  }
  return sent;
}

/** Captures that many records in all and stops; resolves with their row ids, in order. */
async function captured(store: MemoryLogStore, records: number, start?: Start): Promise<unknown[]> {
  const running = runCapture({
    ...{ url: server.url, tables: ['d.*'], store },
    ...(start === undefined ? {} : { start }),
  });
  await eventually(() => {
    expect([running.capture.snapshot().failure, idsOf(store)]).toEqual([
      null,
      expect.objectContaining({ length: records }),
    ]);
    expect(running.capture.snapshot().state).toBe('streaming');
  });
  expect(await running.stop()).toBeNull();
  return idsOf(store);
}

function idsOf(store: MemoryLogStore): unknown[] {
  return [...store.topics.values()]
    .flatMap(({ partitions }) => partitions.flatMap(({ records }) => records))
    .map(({ value }) => JSON.parse(value?.toString() ?? '') as { after: { id: number } })
    .map(({ after }) => after.id);
}

/** What ends a capture from there on. */
function ending(store: MemoryLogStore, start: Start = 'latest'): Promise<RowcallError | null> {
  return runCapture({ url: server.url, tables: ['d.*'], store, start }).ended;
}

it.each([1, 2])(
  'reads an XA COMMIT that no header of %i new files names, after a restart of ours',
  async (rotations) => {
    await prepared();
    const store = new MemoryLogStore();
    expect(await captured(store, 0)).toEqual([]);
    const before = await executed();
    const missed = await commitAcross(rotations);
    // The server itself leaves it out, as it would for a replica.
    expect(await sentTo(before)).not.toContain(missed);
    expect(await captured(store, 2)).toEqual([1, 2]);
    expect(await captured(store, 2)).toEqual([1, 2]);
  },
);

it('reads it from a GTID set on, and not from a place behind it', async () => {
  await prepared();
  const gtid = await executed();
  const missed = await commitAcross(1);
  expect(await sentTo(gtid)).not.toContain(missed);
  expect(await captured(new MemoryLogStore(), 2, { gtid })).toEqual([1, 2]);
  const { file } = await endOfLog();
  const store = new MemoryLogStore();
  expect(await captured(store, 1, { file, position: 4 })).toEqual([2]);
  await run(server, 'INSERT INTO d.t VALUES (3)', 'FLUSH BINARY LOGS');
  expect(await captured(store, 2)).toEqual([2, 3]);
});

it('is counted and shown by those who only look', async () => {
  await prepared();
  const latest = (): Promise<Checkpoint> =>
    withSource({ uri: server.url }, signal, (source) =>
      startPlace('latest', 'r', { source, access: access() }, signal),
    );
  const now = await latest();
  const missed = await commitAcross(2);
  const next = await latest();
  const survey = await withSource({ uri: server.url }, signal, async (source) =>
    surveyMove(
      now,
      next,
      {
        server: await readServerPlace(source),
        access: access(),
        captured: () => true,
        types: NOTHING_OPEN,
      },
      signal,
    ),
  );
  const skipped = { gone: 0n, transactions: 2, preparedElsewhere: 1, rows: new Map([['d.t', 1]]) };
  expect(survey).toMatchObject({ tallies: { skipped }, stopped: null });
  const config = join(tempDir(), 'rowcall.yaml');
  writeFileSync(
    config,
    `{ name: looking, source: { url: '${server.url}' }, tables: [{ match: d.* }], callbacks: [] }`,
  );
  const shown = await gather((io) =>
    runCli(['binlog', '-c', config, '--gtid', missed, '--json'], io),
  );
  expect([shown.code, shown.err]).toEqual([0, '']);
  expect(shown.out).toContain(`"gtid":"${missed}"`);
});

it('stops where it cannot know the file, says which one it is, and goes on from there', async () => {
  await prepared();
  const gtid = await executed();
  const place = await endOfLog();
  const missed = await commitAcross(2);
  const store = new MemoryLogStore();
  const stopped = await ending(store, { gtid });
  expect(stopped).toMatchObject({
    code: 'GTIDS_NOT_SENT',
    place: `${place.file}:${place.position}`,
    message: expect.stringContaining(missed) as string,
  });
  // Again, and not only where it was seen first.
  expect(await ending(store, { gtid })).toMatchObject({ code: 'GTIDS_NOT_SENT' });
  expect(await captured(new MemoryLogStore(), 2, place)).toEqual([1, 2]);
});

it('stops where its file was purged meanwhile, which gtid_purged does not tell', async () => {
  await prepared();
  const gtid = await executed();
  const missed = await commitAcross(2);
  const names = await files();
  await run(server, `PURGE BINARY LOGS TO '${names[1] ?? ''}'`);
  expect(await asked(server, 'SELECT @@GLOBAL.gtid_purged AS value')).toBe(gtid);
  expect(await ending(new MemoryLogStore(), { gtid })).toMatchObject({
    code: 'GTIDS_NOT_SENT',
    message: expect.stringContaining(missed) as string,
    cure: expect.stringContaining('--gtid') as string,
  });
  // A server that starts again knows it from its table alone, and calls it purged.
  await server.stop();
  await server.start();
  expect(await ending(new MemoryLogStore(), { gtid })).toMatchObject({
    code: 'POSITION_PURGED',
    message: expect.stringContaining(missed) as string,
  });
});

/** The XA COMMIT is in a file that has ended, and the server has lost it: the transaction is prepared still. */
async function loseCommit(beforeKill = (): Promise<void> => Promise.resolve()): Promise<void> {
  const before = await executed();
  const { position } = await endOfLog();
  await run(server, 'SET GLOBAL rpl_semi_sync_source_enabled = 1');
  const committed = expect(run(server, "XA COMMIT 'x'")).rejects.toThrow();
  await eventually(async () => {
    expect((await endOfLog()).position).toBeGreaterThan(position);
  });
  await run(server, 'FLUSH BINARY LOGS');
  await beforeKill();
  await server.kill();
  await committed;
  await server.start();
  expect(await executed()).toBe(before);
}

it('takes no commit for one that the server lost, nor another one for it under its number', async () => {
  await prepared();
  const store = new MemoryLogStore();
  await captured(store, 0);
  await loseCommit();
  const running = runCapture({ url: server.url, tables: ['d.*'], store });
  await eventually(() => {
    expect(running.capture.snapshot().failure).toBe('SOURCE_BEHIND');
  });
  await run(server, "XA ROLLBACK 'x'");
  expect(await running.ended).toMatchObject({
    code: 'POSITION_UNPROVEN',
    message: expect.stringContaining('twice') as string,
  });
  expect(idsOf(store)).toEqual([]);
});

it('finds that a commit which it has read is lost, also once its number is used again', async () => {
  await prepared();
  const store = new MemoryLogStore();
  const running = runCapture({ url: server.url, tables: ['d.*'], store });
  await eventually(() => {
    expect(running.capture.snapshot().state).toBe('streaming');
  });
  await loseCommit(async () => {
    await eventually(() => {
      expect(idsOf(store)).toEqual([1]);
    });
    await running.stop();
  });
  expect(await ending(store)).toMatchObject({ code: 'GTID_NOT_SUBSET' });
  await run(server, "XA ROLLBACK 'x'", 'INSERT INTO d.t VALUES (2)');
  expect(await ending(store)).toMatchObject({
    code: 'POSITION_UNPROVEN',
    message: expect.stringContaining('twice') as string,
  });
});

it('takes a GTID given by hand, without its rows, for what it is: an empty transaction', async () => {
  await prepared();
  await run(server, "XA ROLLBACK 'x'");
  const store = new MemoryLogStore();
  await captured(store, 0);
  const given = '00000000-0000-0000-0000-0000000000ff:5';
  await run(
    server,
    'SET sql_log_bin = 0',
    `SET gtid_next = '${given}'`,
    ...['BEGIN', 'INSERT INTO d.t VALUES (1)', 'COMMIT'],
    "SET gtid_next = 'AUTOMATIC'",
  );
  expect(await executed()).toContain(given);
  await run(server, 'INSERT INTO d.t VALUES (2)', 'FLUSH BINARY LOGS');
  expect(await captured(store, 1)).toEqual([2]);
  // Another matter: what is called purged was never here to be read.
  const never = '00000000-0000-0000-0000-0000000000ee:1';
  await run(server, `SET GLOBAL gtid_purged = '+${never}'`);
  expect(await ending(store)).toMatchObject({
    code: 'POSITION_PURGED',
    message: expect.stringContaining(never) as string,
  });
});

it('is refused, and passes over nothing, where transactions without a GTID were written meanwhile', async () => {
  await prepared();
  await run(server, "XA ROLLBACK 'x'");
  const store = new MemoryLogStore();
  await captured(store, 0);
  const down = ['ON_PERMISSIVE', 'OFF_PERMISSIVE'];
  const mode = (name: string): string => `SET GLOBAL gtid_mode = ${name}`;
  await run(server, ...down.map(mode), 'INSERT INTO d.t VALUES (1)');
  await run(server, ...['ON_PERMISSIVE', 'ON'].map(mode), 'INSERT INTO d.t VALUES (2)');
  const running = runCapture({ url: server.url, tables: ['d.*'], store });
  await eventually(() => {
    expect(running.capture.snapshot().failure).toBe('BINLOG_DUMP_REFUSED');
  });
  await running.stop();
  expect(idsOf(store)).toEqual([]);
});
