import { expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { GtidSet } from '../../src/gtid-set.ts';
import { MemoryLogStore } from '../support/memory-change-log.ts';
import { eventually } from '../support/eventually.ts';
import { asked, caughtUp, follow, promote, run, startReplicated } from '../support/replication.ts';
import { type CaptureRun, runCapture } from './support/capture-run.ts';

const TABLE = 'CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY)';

async function captured(capture: CaptureRun, records: number): Promise<void> {
  await eventually(() => {
    expect(capture.capture.snapshot()).toMatchObject({
      state: 'streaming',
      recordsAppended: records,
    });
  });
}

/** The one that the server executed last, of those it wrote itself. */
async function lastGtid(server: MysqlServer): Promise<string> {
  const set = await asked(server, 'SELECT @@GLOBAL.gtid_executed AS value');
  const uuid = await asked(server, 'SELECT @@GLOBAL.server_uuid AS value');
  const [, intervals = []] = GtidSet.parse(set).of(uuid).entries()[0] ?? [];
  return `${uuid}:${(intervals.at(-1) ?? 1n) - 1n}`;
}

/** The replica has it in its relay log. */
async function received(replica: MysqlServer, gtid: string): Promise<void> {
  const sql =
    `SELECT GTID_SUBSET('${gtid}', RECEIVED_TRANSACTION_SET) AS value` +
    ' FROM performance_schema.replication_connection_status';
  await eventually(async () => {
    expect(await asked(replica, sql)).toBe('1');
  });
}

/** A log with the same place in it: what is captured over it leaves the other one alone. */
function copyOf(store: MemoryLogStore): MemoryLogStore {
  const copy = new MemoryLogStore();
  for (const [name, checkpoint] of store.checkpoints) copy.checkpoints.set(name, checkpoint);
  return copy;
}

it('goes to the next server when the first one ends, and back when that has all again', async () => {
  const [a, b] = await startReplicated(1, { fast: true });
  if (b === undefined) throw new Error('No replica');
  await run(a, ...TABLE.split(';'));
  const names = [a, b].map(({ url }) => new URL(url).host);
  const capture = runCapture({ url: [a.url, b.url], tables: ['shop.*'] });
  await captured(capture, 0);
  expect(capture.capture.snapshot().server).toBe(names[0]);
  await run(a, 'INSERT INTO shop.orders VALUES (1)');
  await captured(capture, 1);

  await caughtUp(b, a);
  await a.kill();
  await captured(capture, 1);
  await promote(b);
  await run(b, 'INSERT INTO shop.orders VALUES (2)');
  await captured(capture, 2);
  expect(capture.capture.snapshot().server).toBe(names[1]);
  expect(capture.told).toContainEqual(
    expect.objectContaining({ level: 'warn', message: 'Going on at another server, by GTID' }),
  );

  await a.start();
  await follow(a, b);
  await caughtUp(a, b);
  await b.kill();
  await run(a, 'INSERT INTO shop.orders VALUES (3)');
  await captured(capture, 3);
  expect(capture.capture.snapshot().server).toBe(names[0]);
  expect(await capture.stop()).toBeNull();
});

it('waits for a replica that has not executed what was read, and names what is missing', async () => {
  const [a, b] = await startReplicated(1, { fast: true });
  if (b === undefined) throw new Error('No replica');
  await run(a, ...TABLE.split(';'));
  await caughtUp(b, a);
  await run(b, 'STOP REPLICA SQL_THREAD');
  const capture = runCapture({ url: [a.url, b.url], tables: ['shop.*'] });
  await captured(capture, 0);
  await run(a, 'INSERT INTO shop.orders VALUES (1)');
  await captured(capture, 1);
  const missing = await lastGtid(a);
  await received(b, missing);

  await a.kill();
  await eventually(() => {
    const messages = capture.told.map(({ message }) => message);
    expect(messages).toContainEqual(expect.stringMatching(new RegExp(`SOURCE_BEHIND.*${missing}`)));
  });
  expect(capture.capture.snapshot().state).toBe('waiting');
  await run(b, 'START REPLICA SQL_THREAD');
  await promote(b);
  await run(b, 'INSERT INTO shop.orders VALUES (2)');
  await captured(capture, 2);
  expect(await capture.stop()).toBeNull();
});

it('stops at a server that will never have what was read, and goes on where the source is back', async () => {
  const [a, b] = await startReplicated(1, { fast: true });
  if (b === undefined) throw new Error('No replica');
  await run(a, ...TABLE.split(';'));
  const store = new MemoryLogStore();
  const both = runCapture({ url: [a.url, b.url], tables: ['shop.*'], store });
  await captured(both, 0);
  await caughtUp(b, a);
  await promote(b);
  await run(a, 'INSERT INTO shop.orders VALUES (1)');
  await captured(both, 1);
  const errant = await lastGtid(a);
  await run(b, 'INSERT INTO shop.orders VALUES (2)');

  await a.kill();
  // The dead one may come back with them, so nothing is decided yet.
  await eventually(() => {
    const messages = both.told.map(({ message }) => message);
    expect(messages).toContainEqual(
      expect.stringMatching(new RegExp(`GTID_NOT_SUBSET.*${errant}`)),
    );
  });
  expect(both.capture.snapshot().state).toBe('waiting');
  const alone = runCapture({ url: b.url, tables: ['shop.*'], store: copyOf(store) });
  expect(await alone.ended).toMatchObject({
    code: 'GTID_NOT_SUBSET',
    message: expect.stringMatching(new RegExp(`${errant} \\(errant: written on`)) as string,
  });
  await a.start();
  await run(a, 'INSERT INTO shop.orders VALUES (3)');
  await captured(both, 2);
  expect(await both.stop()).toBeNull();
});

it('passes over a source that came back without what is read by now, and names what it alone has', async () => {
  const [a, b] = await startReplicated(1, { fast: true });
  if (b === undefined) throw new Error('No replica');
  await run(a, ...TABLE.split(';'));
  const store = new MemoryLogStore();
  const first = runCapture({ url: [b.url, a.url], tables: ['shop.*'], store });
  await captured(first, 0);
  await caughtUp(b, a);
  await promote(b);
  await run(a, 'INSERT INTO shop.orders VALUES (1)');
  const errant = await lastGtid(a);
  await run(b, 'INSERT INTO shop.orders VALUES (2)');
  await captured(first, 1);
  expect(await first.stop()).toBeNull();

  const second = runCapture({ url: [a.url, b.url], tables: ['shop.*'], store });
  await captured(second, 0);
  expect(second.capture.snapshot().server).toBe(new URL(b.url).host);
  expect(second.told).toContainEqual(
    expect.objectContaining({
      level: 'error',
      fields: expect.objectContaining({ errant }) as object,
    }),
  );
  expect(await second.stop()).toBeNull();
});
