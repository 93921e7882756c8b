import { cp, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import type { RowcallError } from '../../src/errors.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryLogStore } from '../support/memory-change-log.ts';
import { startOwnMysql, withConnection } from '../support/mysql.ts';
import { run } from '../support/replication.ts';
import { tempDir } from '../support/temp-dir.ts';
import { runCapture } from './support/capture-run.ts';

const SHOP = ['CREATE DATABASE shop', 'CREATE TABLE shop.orders (id INT PRIMARY KEY)'];
const insert = (id: number): string => `INSERT INTO shop.orders VALUES (${id})`;

/** Captures up to that many records and stops. The log remembers the place. */
async function capture(server: MysqlServer, store: MemoryLogStore, records: number): Promise<void> {
  const running = runCapture({ url: server.url, tables: ['shop.*'], store });
  await eventually(() => {
    const { state, recordsAppended } = running.capture.snapshot();
    expect([state, recordsAppended]).toEqual(['streaming', records]);
  });
  expect(await running.stop()).toBeNull();
}

/** What stops the next capture. */
function refusal(server: MysqlServer, store: MemoryLogStore): Promise<RowcallError | null> {
  return runCapture({ url: server.url, tables: ['shop.*'], store }).ended;
}

async function endOfLog(server: MysqlServer): Promise<{ File: string; Position: number }> {
  return withConnection(server.url, async (connection) => {
    const [rows] = await connection.query('SHOW BINARY LOG STATUS');
    return (rows as [{ File: string; Position: number }])[0];
  });
}

const LOST = { code: 'GTID_NOT_SUBSET', message: expect.stringContaining('lost them') as string };
const UNPROVEN = { code: 'POSITION_UNPROVEN' };

it('finds that a source lost its last transactions in a crash, and that it gave their numbers to others', async () => {
  const server = await startOwnMysql({ fast: true });
  const store = new MemoryLogStore();
  await run(server, ...SHOP);
  await capture(server, store, 0);
  await run(server, insert(1));
  const { File: file, Position: durable } = await endOfLog(server);
  await run(server, insert(2), insert(3));
  await capture(server, store, 3);
  await server.kill();
  // What a power cut leaves of a file that was not synchronised.
  await truncate(join(folderOf(server), file), durable);
  await server.start();
  // The server may count them as executed still, by a table of its own, and they are in no file.
  const first = await refusal(server, store);
  expect([LOST.code, UNPROVEN.code]).toContain(first?.code);
  await run(server, insert(12), insert(13), insert(14));
  expect(await refusal(server, store)).toMatchObject(UNPROVEN);
});

it('finds RESET BINARY LOGS AND GTIDS, before and after the numbers are used again', async () => {
  const server = await startOwnMysql({ fast: true });
  const store = new MemoryLogStore();
  await run(server, 'RESET BINARY LOGS AND GTIDS', ...SHOP);
  await capture(server, store, 0);
  await run(server, insert(1), insert(2));
  await capture(server, store, 2);
  await run(server, 'RESET BINARY LOGS AND GTIDS');
  expect(await refusal(server, store)).toMatchObject(LOST);
  await run(server, ...[3, 4, 5, 6, 7, 8].map(insert));
  expect(await refusal(server, store)).toMatchObject(UNPROVEN);
});

it('finds that the numbers were used again where the file of the last transaction is purged too', async () => {
  const server = await startOwnMysql({ fast: true });
  const store = new MemoryLogStore();
  await run(server, 'RESET BINARY LOGS AND GTIDS', ...SHOP);
  await capture(server, store, 0);
  await run(server, insert(1), insert(2));
  await capture(server, store, 2);
  await run(server, 'RESET BINARY LOGS AND GTIDS TO 7', ...[3, 4, 5, 6, 7, 8].map(insert));
  expect(await refusal(server, store)).toMatchObject(UNPROVEN);
});

it('finds a restore from a backup, before and after the numbers are used again', async () => {
  const server = await startOwnMysql({ fast: true });
  const store = new MemoryLogStore();
  await run(server, ...SHOP);
  const folder = folderOf(server);
  const backup = join(tempDir('rowcall-backup-'), 'data');
  await server.stop();
  await cp(folder, backup, { recursive: true });
  await server.start();
  await capture(server, store, 0);
  await run(server, insert(1), insert(2));
  await capture(server, store, 2);

  await server.stop();
  await rm(folder, { recursive: true });
  await cp(backup, folder, { recursive: true });
  await server.start();
  expect(await refusal(server, store)).toMatchObject(LOST);
  await run(server, insert(3), insert(4), insert(5));
  expect(await refusal(server, store)).toMatchObject(UNPROVEN);
});

function folderOf(server: MysqlServer): string {
  if (server.dataDir === undefined) throw new Error('The data folder is not on this machine');
  return server.dataDir;
}
