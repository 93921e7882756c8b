import fc from 'fast-check';
import type { RowDataPacket } from 'mysql2/promise';
import { describe, expect, it } from 'vitest';
import { SOURCES, startOwnSource } from '../support/mariadb.ts';
import { freshDatabase, mysqlUrl, withConnection } from '../support/mysql.ts';
import { anyKind } from './support/random-kinds.ts';
import type { Kind } from './support/random-kinds.ts';
import { hasVectorType } from './support/server-types.ts';
import { readRows } from './support/read-rows.ts';
import { oracleOf } from './support/select-oracle.ts';

const ROWS = 25;
/** More columns could make a row longer than a table takes. */
const COLUMNS = 24;

/** MariaDB's JSON is a text with a check, and it has neither this character set nor columns bound to an SRID. */
const NOT_OF_MARIADB = /^JSON|gb18030|SRID/;

const anyTable = (kind: fc.Arbitrary<Kind>): fc.Arbitrary<[readonly Kind[], readonly string[][]]> =>
  fc
    .array(kind, { minLength: 1, maxLength: COLUMNS })
    .chain((kinds) =>
      fc.tuple(
        fc.constant(kinds),
        fc.array(
          fc.tuple(...kinds.map(({ values }) => fc.option(values, { nil: 'NULL', freq: 8 }))),
          { minLength: ROWS, maxLength: ROWS },
        ),
      ),
    );

const SESSION = "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00', NAMES utf8mb4";

describe('any table', () => {
  it.each(SOURCES)('of a server of kind %s decodes to what SELECT prints', async (kind) => {
    const server = kind === 'MySQL' ? mysqlUrl() : (await startOwnSource(kind)).url;
    const { name, url } = await freshDatabase('random', server);
    await withConnection(url, async (connection) => {
      await connection.query(SESSION);
      const kinds =
        kind === 'MySQL'
          ? anyKind(await hasVectorType(connection))
          : anyKind(false).filter(({ type }) => !NOT_OF_MARIADB.test(type));
      await fc.assert(
        fc.asyncProperty(anyTable(kinds), async ([kinds, rows]) => {
          const columns = kinds.map(({ type }, i) => `c${i} ${type} NULL`);
          const read = await readRows(server, name, async () => {
            await connection.query('DROP TABLE IF EXISTS t');
            await connection.query(`CREATE TABLE t (id INT PRIMARY KEY, ${columns.join(', ')})`);
            const values = rows.map((row, i) => `(${[i, ...row].join(', ')})`).join(', ');
            await connection.query(`INSERT IGNORE INTO t VALUES ${values}`);
            await connection.query('DELETE FROM t WHERE id % 2 = 1 ORDER BY id');
          });
          const inserted = read.filter(({ operation }) => operation === 'insert');
          expect(inserted).toHaveLength(ROWS);
          const deleted = read.filter(({ operation }) => operation === 'delete');
          expect(deleted.map(({ before }) => before)).toEqual(
            inserted.filter((_row, i) => i % 2 === 1).map(({ after }) => after),
          );
          const selected = kinds.map(({ type }, i) => `${oracleOf(type).select(`c${i}`)} AS c${i}`);
          const [texts] = await connection.query<RowDataPacket[]>(
            `SELECT id, ${selected.join(', ')} FROM t ORDER BY id`,
          );
          const expected = texts.map((text) => [
            ['id', String(text['id'])],
            ...kinds.map(({ type }, i) => {
              const value = text[`c${i}`] as string | null;
              return [`c${i}`, value === null ? 'null' : oracleOf(type).json(value)];
            }),
          ]);
          expect(inserted.filter((_row, i) => i % 2 === 0).map(({ after }) => after)).toEqual(
            expected,
          );
        }),
        { numRuns: 40 },
      );
    });
  });
});
