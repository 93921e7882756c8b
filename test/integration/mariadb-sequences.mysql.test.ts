import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import type { StoredRecord } from '../../src/log/change-log.ts';
import { MARIADB_VERSIONS, startOwnMariadb } from '../support/mariadb.ts';
import { captured } from './support/captured.ts';

const images = (records: readonly StoredRecord[] = []): unknown[] =>
  records.map(({ key, operation, value }) => {
    const { after } = JSON.parse(String(value && Buffer.from(value))) as { after: unknown };
    return [key, operation, after];
  });

describe.each(MARIADB_VERSIONS)('a sequence of MariaDB %s', (version) => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnMariadb({ version });
  });

  const schema = 'CREATE TABLE t (id INT PRIMARY KEY); CREATE SEQUENCE numbers CACHE 10';
  const work = [
    'INSERT INTO t VALUES (NEXTVAL(numbers)), (NEXTVAL(numbers))',
    'ALTER SEQUENCE numbers RESTART 100',
    'DO SETVAL(numbers, 200)',
    'CREATE SEQUENCE more START 7',
    'INSERT INTO t VALUES (NEXTVAL(numbers)), (NEXTVAL(more))',
    'DROP SEQUENCE more',
    'DROP SEQUENCE numbers',
    'INSERT INTO t VALUES (999)',
  ];
  const ROWS = [1, 2, 201, 7, 999].map((id) => [`{"id":${id}}`, 'c', { id }]);

  it('is left out where the rule says so, and no row of a table with it', async () => {
    const tables = ['captured*.*', '!*.numbers', '!*.more'];
    await captured({ schema, url: server.url, tables }, async ({ connection, records }) => {
      for (const sql of work) await connection.query(sql);
      const topics = await records(5);
      expect(Object.keys(topics)).toEqual(['t']);
      expect(images(topics['t'])).toEqual(ROWS);
    });
  });

  it('is what its binlog has of it where the rule does not: rows without a key', async () => {
    await captured({ schema, url: server.url }, async ({ connection, records }) => {
      for (const sql of work) await connection.query(sql);
      const topics = await records(9);
      expect(images(topics['t'])).toEqual(ROWS);
      const state = (next: number): unknown => [
        null,
        'c',
        expect.objectContaining({ next_not_cached_value: next, cache_size: 10 }),
      ];
      expect(images(topics['numbers'])).toEqual([state(11), state(201), state(211)]);
      expect(images(topics['more'])).toHaveLength(1);
    });
  });
});
