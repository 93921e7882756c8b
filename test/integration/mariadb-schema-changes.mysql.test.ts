/** The topic of schema changes, from a real MariaDB server's DDL. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { MARIADB_VERSIONS, startOwnMariadb } from '../support/mariadb.ts';
import { MemoryChangeLog, type MemoryLogStore } from '../support/memory-change-log.ts';
import { openScene, startCapture } from './support/ddl-scene.ts';

async function statements(store: MemoryLogStore): Promise<(string | null)[]> {
  const log = new MemoryChangeLog(store, systemClock);
  const { records } = await log.read({ topic: 'capture.schema_changes', partition: 0 }, 0, 1e7);
  return records.map(({ value }) => {
    const text = Buffer.from(value ?? []).toString('utf8');
    return (JSON.parse(text) as { readonly statement: string | null }).statement;
  });
}

describe.each(MARIADB_VERSIONS)('the topic schema_changes of MariaDB %s', (version) => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnMariadb({ version });
  });

  it('has each statement once, also one of two phases, and none that failed', async () => {
    const { name, run, store, sql } = await openScene(
      server.url,
      'CREATE TABLE t (id INT PRIMARY KEY, a INT)',
    );
    expect(await run.stop()).toBeNull();
    const schemaRun = await startCapture(server.url, name, store, true);
    await sql(
      'INSERT INTO t VALUES (1, 1), (2, 1)',
      'ALTER TABLE t ADD b INT',
      'SET SESSION binlog_alter_two_phase = 1',
      'ALTER TABLE t ADD c INT',
    );
    await expect(
      sql('SET SESSION binlog_alter_two_phase = 1', 'ALTER TABLE t ADD UNIQUE (a)'),
    ).rejects.toThrow('Duplicate entry');
    await sql('TRUNCATE TABLE t', 'INSERT INTO t VALUES (3, 3, 3, 3)');
    await eventually(async () => {
      expect(await statements(store)).toEqual([
        null,
        'ALTER TABLE t ADD b INT',
        'ALTER TABLE t ADD c INT',
        'TRUNCATE TABLE t',
        null,
      ]);
    });
    expect(await schemaRun.stop()).toBeNull();
  });
});
