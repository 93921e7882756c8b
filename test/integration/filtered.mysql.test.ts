import { afterEach, expect, it, vi } from 'vitest';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { decodeRows } from '../../src/capture/decode/rows.ts';
import { readEndOfLog } from '../../src/capture/preflight/server-place.ts';
import { GtidSet } from '../../src/gtid-set.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryLogStore } from '../support/memory-change-log.ts';
import { startOwnMysql } from '../support/mysql.ts';
import { asked, run } from '../support/replication.ts';
import { runCapture } from './support/capture-run.ts';

vi.mock('../../src/capture/decode/rows.ts', { spy: true });

afterEach(() => {
  vi.clearAllMocks();
});

/** An id that no server has: the transaction came from somewhere else. */
const ELSEWHERE = '00000000-0000-0000-0000-0000000000ee';

it('moves its place over filtered, empty and rowless transactions, decodes no row of them, and so outlives a purge', async () => {
  const server = await startOwnMysql({ fast: true });
  const store = new MemoryLogStore();
  await run(
    server,
    'CREATE DATABASE shop',
    'CREATE TABLE shop.orders (id INT PRIMARY KEY)',
    'CREATE DATABASE other',
    'CREATE TABLE other.t (id INT PRIMARY KEY, body TEXT)',
  );
  const capture = runCapture({ url: server.url, tables: ['shop.*'], store, decoder: 'plain' });
  await eventually(() => {
    expect(capture.capture.snapshot().state).toBe('streaming');
  });
  const caughtUp = async (): Promise<void> => {
    const executed = await asked(server, 'SELECT @@GLOBAL.gtid_executed AS value');
    await eventually(() => {
      const { gtidSet } = JSON.parse(store.checkpoints.get('capture') ?? '{}') as {
        gtidSet: string;
      };
      expect(GtidSet.parse(gtidSet).equals(GtidSet.parse(executed))).toBe(true);
    });
  };

  for (let id = 0; id < 20; id += 1) await run(server, `INSERT INTO other.t VALUES (${id}, 'x')`);
  await run(server, "UPDATE other.t SET body = 'y'", 'DELETE FROM other.t WHERE id < 5');
  await caughtUp();
  await run(server, `SET gtid_next = '${ELSEWHERE}:5'`, 'BEGIN', 'COMMIT');
  await caughtUp();
  await run(
    server,
    'CREATE TABLE other.u (id INT)',
    'GRANT SELECT ON other.* TO root',
    'FLUSH TABLES',
  );
  await caughtUp();
  expect(capture.capture.snapshot()).toMatchObject({ rows: 0, recordsAppended: 0 });
  expect(capture.capture.snapshot().filteredRowEvents).toBeGreaterThanOrEqual(22);
  expect(vi.mocked(decodeRows)).not.toHaveBeenCalled();
  expect(await capture.stop()).toBeNull();

  await run(server, 'FLUSH BINARY LOGS');
  const { file } = await withSource({ uri: server.url }, AbortSignal.timeout(10_000), readEndOfLog);
  await run(server, `PURGE BINARY LOGS TO '${file}'`);
  const again = runCapture({ url: server.url, tables: ['shop.*'], store, decoder: 'plain' });
  await eventually(() => {
    expect(again.capture.snapshot().state).toBe('streaming');
  });
  await run(server, 'INSERT INTO shop.orders VALUES (1)');
  await eventually(() => {
    expect(again.capture.snapshot().recordsAppended).toBe(1);
  });
  expect(vi.mocked(decodeRows)).toHaveBeenCalledTimes(1);
  expect(await again.stop()).toBeNull();
});
