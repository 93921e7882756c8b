import type { RowDataPacket } from 'mysql2/promise';
import { describe, expect, it } from 'vitest';
import { freshDatabase, mysqlUrl, withConnection } from '../support/mysql.ts';
import { readRows } from './support/read-rows.ts';
import { oracleOf } from './support/select-oracle.ts';

/** A column of each type that a document can take a value from, and a value. */
const COLUMNS: readonly (readonly [type: string, literal: string])[] = [
  ['TINYINT', '-3'],
  ['BIGINT UNSIGNED', '18446744073709551615'],
  ['BIT(9)', "b'101010101'"],
  ['BIT(64)', '~0'],
  ['YEAR', '2026'],
  ['DECIMAL(20,5)', '-12.5'],
  ['DECIMAL(65,30)', '1e-30'],
  ['FLOAT', '1.1'],
  ['DOUBLE', '1e300'],
  ['DATE', "'0000-00-00'"],
  ['DATETIME(3)', "'2026-02-03 04:05:06.789'"],
  ['TIMESTAMP', "'2026-02-03 04:05:06'"],
  ['TIMESTAMP(6)', "'2038-01-19 03:14:07.999999'"],
  ['TIME(6)', "'-100:59:59.000001'"],
  ['CHAR(5)', "'ab'"],
  ['VARCHAR(9) CHARACTER SET sjis', "'漢'"],
  ['TEXT', "'t'"],
  ['BINARY(6)', "x'0102'"],
  ['VARBINARY(300)', "REPEAT(x'00', 299)"],
  ['TINYBLOB', "x'01'"],
  ['BLOB', "REPEAT('b', 57)"],
  ['MEDIUMBLOB', "REPEAT('b', 58)"],
  ['LONGBLOB', "''"],
  ["ENUM('a','b')", "'b'"],
  ["ENUM('a') CHARACTER SET binary", "'a'"],
  ["SET('x','y')", "'x,y'"],
  ["SET('x','y') CHARACTER SET binary", "'x,y'"],
  ['JSON', "'[1.0]'"],
  ['GEOMETRY', "ST_GeomFromText('POINT(1 2)', 4326)"],
];

/** SQL of documents over 2 MB: 54,000 members, an array of them, and one long text of what must be escaped. */
const NUMBERS =
  'WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT';
const PAIRS = 'FROM n a JOIN n b ON b.i <= 60';
const LARGE = [
  `${NUMBERS} JSON_OBJECTAGG(CONCAT(REPEAT('k', a.i % 7), a.i, '_', b.i),
     JSON_ARRAY(a.i * b.i, CONCAT('é', b.i), a.i / b.i, 1e0 / a.i)) ${PAIRS}`,
  `${NUMBERS} JSON_ARRAYAGG(JSON_OBJECT(a.i, b.i, '__proto__', NULL, 'aa', TIME'-01:00:00', 'b', x'00')) ${PAIRS}`,
  `SELECT JSON_OBJECT('z', REPEAT('"\\\\ü😀\\n', 300000), 'a', 1)`,
];

describe('a JSON document', () => {
  it('of several megabytes, or with a value of any column type, is what SELECT prints', async () => {
    const { name, url } = await freshDatabase('json');
    const selected: string[] = [];
    const rows = await readRows(mysqlUrl(), name, () =>
      withConnection(url, async (connection) => {
        await connection.query("SET SESSION sql_mode = '', time_zone = '+00:00', NAMES utf8mb4");
        const columns = COLUMNS.map(([type], i) => `c${i} ${type}`).join(', ');
        // Rows of a temporary table are in no binlog: the documents alone are read.
        await connection.query(`CREATE TEMPORARY TABLE held (${columns})`);
        await connection.query(
          `INSERT INTO held VALUES (${COLUMNS.map(([, literal]) => literal).join(', ')})`,
        );
        await connection.query('CREATE TABLE t (id INT PRIMARY KEY, doc JSON)');
        const documents = [
          ...COLUMNS.map(
            (_column, i) => `SELECT JSON_ARRAY(c${i}, JSON_OBJECT('', c${i})) FROM held`,
          ),
          ...LARGE,
        ];
        for (const [i, document] of documents.entries()) {
          await connection.query(`INSERT INTO t SELECT ${i}, (${document})`);
        }
        const [read] = await connection.query<RowDataPacket[]>(
          'SELECT CAST(doc AS CHAR) AS doc FROM t ORDER BY id',
        );
        selected.push(...read.map(({ doc }) => String(doc)));
      }),
    );
    const { json } = oracleOf('JSON');
    const large = selected.filter((text) => Buffer.byteLength(text) > 2_000_000);
    expect(large).toHaveLength(LARGE.length);
    expect(rows).toHaveLength(COLUMNS.length + LARGE.length);
    const differing = rows.flatMap(({ after }, i) => {
      const [read, wanted] = [after?.[1]?.[1] ?? '', json(selected[i] ?? '')];
      if (read === wanted) return [];
      const from = Array.from(wanted).findIndex((one, at) => one !== read[at]);
      const [seen, meant] = [read, wanted].map((text) => text.slice(from, from + 80));
      return [{ of: COLUMNS[i] ?? LARGE[i - COLUMNS.length], seen, meant }];
    });
    expect(differing).toEqual([]);
  });
});
