import type { RowDataPacket } from 'mysql2/promise';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { MARIADB_VERSIONS } from '../support/mariadb.ts';
import { MemoryChangeLog, MemoryLogStore } from '../support/memory-change-log.ts';
import { withConnection } from '../support/mysql.ts';
import { run, startReplicatedMariadb } from '../support/replication.ts';
import { runCapture } from './support/capture-run.ts';

it.each(MARIADB_VERSIONS)(
  'MariaDB %s: the replica is read where the source was killed',
  async (version) => {
    const [source, replica] = await startReplicatedMariadb({
      version,
      args: ['--log-slave-updates'],
    });
    const store = new MemoryLogStore();
    const capture = runCapture({ url: [source.url, replica.url], tables: ['shop.*'], store });
    await eventually(() => {
      expect(capture.capture.snapshot().state).toBe('streaming');
    });
    const rows = async (): Promise<{ readonly id: string; readonly key: string | null }[]> => {
      const log = new MemoryChangeLog(store, systemClock);
      if ((await log.topics()).length === 0) return [];
      const { records } = await log.read({ topic: 'shop.t', partition: 0 }, 0, 1_000_000);
      return records.map(({ id, key }) => ({ id, key }));
    };
    await run(source, 'INSERT INTO shop.t VALUES (1)', 'INSERT INTO shop.t VALUES (2)');
    await eventually(async () => {
      expect(await rows()).toHaveLength(2);
    });
    await eventually(async () => {
      const [[counted]] = await withConnection(replica.url, (connection) =>
        connection.query<RowDataPacket[]>('SELECT COUNT(*) AS there FROM shop.t'),
      );
      expect(Number(counted?.['there'])).toBe(2);
    });
    await source.kill();
    await run(replica, 'STOP SLAVE', 'INSERT INTO shop.t VALUES (3)');
    await eventually(async () => {
      expect((await rows()).map(({ key }) => key)).toEqual(['{"id":1}', '{"id":2}', '{"id":3}']);
    });
    const ids = (await rows()).map(({ id }) => id);
    expect(ids[0]).toMatch(/^0-1-/);
    expect(ids[2]).toMatch(/^0-2-/);
    expect(await capture.stop()).toBeNull();
  },
);
