import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Connection } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { openBinlogStream } from '../../src/capture/binlog/binlog-stream.ts';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { readEndOfLog } from '../../src/capture/preflight/server-place.ts';
import type { FilePosition } from '../../src/position.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryChangeLog, MemoryLogStore } from '../support/memory-change-log.ts';
import { freshDatabase, startOwnMysql, withConnection } from '../support/mysql.ts';
import { tempDir } from '../support/temp-dir.ts';
import { runCapture } from './support/capture-run.ts';
import { readRows } from './support/read-rows.ts';

const MIB = 1024 * 1024;
const ON = 'SET SESSION binlog_transaction_compression = ON';
const OFF = 'SET SESSION binlog_transaction_compression = OFF';

/** Of this file alone: its events are counted and its settings changed. */
let server: MysqlServer;

beforeAll(async () => {
  server = await startOwnMysql({ fast: true });
});

/** What the events of a dump from the place to the end of the log are, and how large. */
async function dump(
  start: FilePosition,
  more: { readonly spoolFolder?: string } = {},
): Promise<{ readonly type: string; readonly position: number; readonly bytes: number }[]> {
  const stream = await openBinlogStream(
    {
      connection: { uri: server.url },
      serverId: 81_000 + Math.floor(Math.random() * 1_000_000),
      heartbeatMs: 1000,
      start,
      maxQueueBytes: 8 * MIB,
      clock: systemClock,
      nonBlocking: true,
      ...more,
    },
    AbortSignal.timeout(60_000),
  );
  const read: { type: string; position: number; bytes: number }[] = [];
  try {
    for (;;) {
      const events = await stream.next();
      if (events.length === 0) return read;
      for (const { type, position, bytes } of events) read.push({ type, position, bytes });
    }
  } finally {
    await stream.close();
  }
}

function endOfLog(): Promise<FilePosition> {
  return withSource({ uri: server.url }, AbortSignal.timeout(60_000), readEndOfLog);
}

async function insertNoise(connection: Connection, rows: number, bytes: number): Promise<Buffer[]> {
  const noise = Array.from({ length: rows }, () => randomBytes(bytes));
  await connection.query('BEGIN');
  for (const [id, value] of noise.entries()) {
    await connection.query('INSERT INTO noise VALUES (?, ?)', [id, value]);
  }
  await connection.query('COMMIT');
  return noise;
}

const rowsOf = (records: readonly { readonly id: string }[]): string[] =>
  records.map(({ id }) => id.slice(id.lastIndexOf('/') + 1));

describe('a compressed transaction', () => {
  it('has the rows that it has uncompressed', async () => {
    const { name, url } = await freshDatabase('compressed', server.url);
    const rows = await readRows(server.url, name, () =>
      withConnection(url, async (connection) => {
        await connection.query('CREATE TABLE t (id INT PRIMARY KEY, v TEXT, d JSON)');
        await connection.query("SET SESSION binlog_row_value_options = 'PARTIAL_JSON'");
        for (const setting of [OFF, ON]) {
          await connection.query(setting);
          await connection.query('BEGIN');
          for (let id = 1; id <= 300; id += 1) {
            await connection.query(
              `INSERT INTO t VALUES (${id}, REPEAT('v', ${id}), JSON_OBJECT('n', ${id}, 'l', REPEAT('x', 90)))`,
            );
          }
          await connection.query("UPDATE t SET v = 'w', d = JSON_SET(d, '$.n', 'changed')");
          await connection.query('DELETE FROM t');
          await connection.query('COMMIT');
        }
      }),
    );
    const images = rows.map(({ operation, before, after }) => ({ operation, before, after }));
    expect(images).toHaveLength(1800);
    expect(images.slice(900)).toEqual(images.slice(0, 900));
  });

  it('stands at one place, with its GTID before it and the next transaction behind it', async () => {
    const { url } = await freshDatabase('places', server.url);
    const start = await endOfLog();
    await withConnection(url, async (connection) => {
      await connection.query('CREATE TABLE t (id INT PRIMARY KEY, v TEXT)');
      await connection.query(ON);
      await connection.query("INSERT INTO t VALUES (1, REPEAT('x', 9000)), (2, 'y')");
      await connection.query(OFF);
      await connection.query("INSERT INTO t VALUES (3, 'z')");
    });
    const all = await dump(start);
    const events = all.slice(all.findIndex(({ type }) => type === 'gtid') + 2);
    expect(events.map(({ type }) => type)).toEqual([
      ...['gtid', 'query', 'table-map', 'rows', 'rows', 'xid'],
      ...['gtid', 'query', 'table-map', 'rows', 'xid'],
    ]);
    expect(new Set(events.slice(1, 6).map(({ position }) => position)).size).toBe(1);
    expect(new Set(events.slice(6).map(({ position }) => position)).size).toBe(5);
  });

  it('counts its rows as any other, among others in the same log', async () => {
    const { name, url } = await freshDatabase('mixed', server.url);
    const store = new MemoryLogStore();
    await withConnection(url, (connection) =>
      connection.query('CREATE TABLE a (id INT PRIMARY KEY); CREATE TABLE b (id INT PRIMARY KEY)'),
    );
    const run = runCapture({ url: server.url, tables: [`${name}.*`], store });
    await eventually(() => {
      expect(run.capture.snapshot().state).toBe('streaming');
    });
    await withConnection(url, async (connection) => {
      for (const setting of [ON, OFF, ON]) {
        await connection.query(setting);
        await connection.query('BEGIN; INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (1)');
        await connection.query('UPDATE a SET id = id + 5; DELETE FROM a; DELETE FROM b; COMMIT');
      }
    });
    await eventually(() => {
      expect(run.capture.snapshot()).toMatchObject({ rows: 24, transactions: 3 });
    });
    expect(await run.stop()).toBeNull();
    const log = new MemoryChangeLog(store, systemClock);
    const { records } = await log.read({ topic: `${name}.a`, partition: 0 }, 0, MIB);
    const once = ['a:1', 'a:2', 'a:3:d', 'a:3:c', 'a:4:d', 'a:4:c', 'a:5', 'a:6'];
    expect(rowsOf(records)).toEqual([...once, ...once, ...once]);
    expect(new Set(records.map(({ id }) => id.split(':')[1])).size).toBe(3);
  });

  it('over 16 MiB comes whole, by way of a file that is gone afterwards', async () => {
    const { name, url } = await freshDatabase('spooled', server.url);
    let noise: Buffer[] = [];
    const rows = await readRows(server.url, name, () =>
      withConnection(url, async (connection) => {
        await connection.query('CREATE TABLE noise (id INT PRIMARY KEY, v LONGBLOB)');
        await connection.query(ON);
        noise = await insertNoise(connection, 9, 4 * MIB);
      }),
    );
    expect(rows).toHaveLength(9);
    for (const [id, { after }] of rows.entries()) {
      const value = JSON.parse(after?.[1]?.[1] ?? '""') as string;
      expect(noise[id]?.equals(Buffer.from(value, 'base64'))).toBe(true);
    }
  });

  it('over 16 MiB that no file can take is an error that names the cure, and may be tried again', async () => {
    const { url } = await freshDatabase('no_room', server.url);
    const start = await endOfLog();
    await withConnection(url, async (connection) => {
      await connection.query('CREATE TABLE noise (id INT PRIMARY KEY, v LONGBLOB)');
      await connection.query(ON);
      await insertNoise(connection, 5, 4 * MIB);
    });
    await expect(dump(start, { spoolFolder: join(tempDir(), 'none') })).rejects.toMatchObject({
      code: 'SPOOL_FAILED',
      retriable: true,
      cure: expect.stringContaining('TMPDIR') as string,
    });
  });

  it.each([
    ['by its signal', 'stopped'],
    ['by being closed', 'The stream was closed'],
  ])('can be left in its middle %s, also while its events are waited for', async (_how, reason) => {
    const { url } = await freshDatabase('left', server.url);
    const start = await endOfLog();
    await withConnection(url, async (connection) => {
      await connection.query('CREATE TABLE noise (id INT PRIMARY KEY, v LONGBLOB)');
      await connection.query(ON);
      await insertNoise(connection, 5, 4 * MIB);
    });
    const folder = tempDir();
    const stop = new AbortController();
    const stream = await openBinlogStream(
      {
        connection: { uri: server.url },
        serverId: 81_000 + Math.floor(Math.random() * 1_000_000),
        heartbeatMs: 1000,
        start,
        maxQueueBytes: MIB,
        clock: systemClock,
        spoolFolder: folder,
      },
      stop.signal,
    );
    for (let events = await stream.next(); ; events = await stream.next()) {
      if (events.some(({ type }) => type === 'rows')) break;
    }
    const waiting = stream.next();
    if (reason === 'stopped') stop.abort(new Error('stopped'));
    else await stream.close();
    await expect(waiting).rejects.toThrow(reason);
    await expect(stream.next()).rejects.toThrow(reason);
    await stream.close();
    expect(readdirSync(folder)).toEqual([]);
  });
});
