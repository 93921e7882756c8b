/** The topic of schema changes, from a real server's DDL. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryChangeLog, type MemoryLogStore } from '../support/memory-change-log.ts';
import { startOwnMysql } from '../support/mysql.ts';
import { openScene, startCapture } from './support/ddl-scene.ts';

/** Of this file alone: its grants are changed. */
let server: MysqlServer;

beforeAll(async () => {
  server = await startOwnMysql({ fast: true });
});

interface SchemaChange {
  readonly kind: string | null;
  readonly table: string | null;
  readonly statement: string | null;
  readonly columns_before: readonly { readonly name: string }[] | null;
  readonly columns_after: readonly { readonly name: string; readonly type: string }[] | null;
}

async function schemaChanges(store: MemoryLogStore): Promise<string[]> {
  const log = new MemoryChangeLog(store, systemClock);
  const { records } = await log.read({ topic: 'capture.schema_changes', partition: 0 }, 0, 1e7);
  return records.map(({ value }) => {
    const change = JSON.parse(Buffer.from(value ?? []).toString('utf8')) as SchemaChange;
    const names = (columns: SchemaChange['columns_before']): string =>
      columns?.map(({ name }) => name).join() ?? '?';
    const what = change.statement ?? `(${String(change.kind)})`;
    return `${change.table ?? '*'}: ${what}: ${names(change.columns_before)} > ${names(change.columns_after)}`;
  });
}

describe('the topic schema_changes', () => {
  it('has each statement where it stands, and each new shape with its first row, over restarts', async () => {
    const scene = await openScene(server.url, 'CREATE TABLE t (id INT PRIMARY KEY, a INT)');
    const { name, store, sql } = scene;
    expect(await scene.run.stop()).toBeNull();
    const first = await startCapture(server.url, name, store, true);
    await sql(
      'INSERT INTO t VALUES (1, 1)',
      'UPDATE t SET a = 2',
      'ALTER TABLE t ADD b INT',
      'GRANT SELECT ON *.* TO root@localhost',
      'CREATE VIEW v AS SELECT 1',
      'INSERT INTO t VALUES (2, 2, 2)',
      'ALTER TABLE t DROP b',
      'INSERT INTO t VALUES (3, 3)',
      'CREATE TABLE ignored (id INT)',
      'FLUSH TABLES',
      'INSERT INTO t VALUES (4, 4)',
      `ALTER DATABASE ${name} CHARACTER SET latin1`,
    );
    const seen = [
      't: (null): ? > id,a',
      't: ALTER TABLE t ADD b INT: id,a > ?',
      't: (null): id,a > id,a,b',
      't: ALTER TABLE t DROP b: id,a,b > ?',
      't: (null): id,a,b > id,a',
      `*: ALTER DATABASE ${name} CHARACTER SET latin1: ? > ?`,
    ];
    await eventually(async () => {
      expect(await schemaChanges(store)).toEqual(seen);
    });
    expect(await first.stop()).toBeNull();
    await sql('INSERT INTO t VALUES (5, 5)', 'RENAME TABLE t TO u', 'TRUNCATE TABLE u');
    const second = await startCapture(server.url, name, store, true);
    await sql('INSERT INTO u VALUES (6, 6)');
    await eventually(async () => {
      expect((await schemaChanges(store)).slice(seen.length)).toEqual([
        't: RENAME TABLE t TO u: id,a > ?',
        'u: RENAME TABLE t TO u: ? > ?',
        'u: TRUNCATE TABLE u: ? > ?',
        'u: (null): ? > id,a',
      ]);
    });
    expect(await second.stop()).toBeNull();
  });
});
