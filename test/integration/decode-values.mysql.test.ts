import { readFileSync } from 'node:fs';
import type { RowDataPacket } from 'mysql2/promise';
import { describe, expect, it } from 'vitest';
import { charsetOf } from '../../src/capture/decode/charset.ts';
import { decodeRows } from '../../src/capture/decode/rows.ts';
import { freshDatabase, mysqlUrl, withConnection } from '../support/mysql.ts';
import { readRows, rowEventsOf } from './support/read-rows.ts';
import type { ReadImage } from './support/read-rows.ts';

/** Everything that a column can hold shall be tried: zero dates, invalid dates, refused ENUM values. */
const SESSION = "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00', NAMES utf8mb4";

interface Value {
  readonly type: string;
  readonly literal: string;
  readonly json: string;
}

/** The lines of the table in docs/VALUES.md. */
const documented: Value[] = readFileSync(new URL('../../docs/VALUES.md', import.meta.url), 'utf8')
  .split('\n')
  .flatMap((line) => {
    const cells = /^\| `(.*)` +\| `(.*)` +\| `(.*)` +\|$/.exec(line);
    return cells === null
      ? []
      : [{ type: cells[1] ?? '', literal: cells[2] ?? '', json: cells[3] ?? '' }];
  });

const nines = (count: number): string => '9'.repeat(count);
const HARD: Value[] = [
  ['BIGINT', '9007199254740993', '9007199254740993'],
  ['BIGINT', '-9223372036854775808', '-9223372036854775808'],
  ['MEDIUMINT UNSIGNED', '16777215', '16777215'],
  ['SMALLINT', '-32768', '-32768'],
  ['BIT(10)', "b'1000000001'", '513'],
  ['YEAR', '1901', '1901'],
  ['DECIMAL(65,30)', `-${nines(35)}.${nines(30)}`, `"-${nines(35)}.${nines(30)}"`],
  ['DECIMAL(2,2)', '-0.99', '"-0.99"'],
  ['DECIMAL(30,30)', '0', `"0.${'0'.repeat(30)}"`],
  ['DECIMAL(9,0)', '-999999999', '"-999999999"'],
  ['DECIMAL(20,0)', '10000000001', '"10000000001"'],
  ['DECIMAL(5,2)', "'-0.0'", '"0.00"'],
  ['FLOAT', '3.402823466e38', '3.4028235e+38'],
  ['FLOAT', '16777216', '16777216'],
  ['FLOAT(7,3)', '1.1', '1.1'],
  ['FLOAT UNSIGNED', '0.1', '0.1'],
  ['DOUBLE', '5e-324', '5e-324'],
  ['DOUBLE', '1.7976931348623157e308', '1.7976931348623157e+308'],
  ['DATE', "'1950-00-00'", '"1950-00-00"'],
  ['DATE', "'9999-12-31'", '"9999-12-31"'],
  ['DATETIME(6)', "'9999-12-31 23:59:59.999999'", '"9999-12-31 23:59:59.999999"'],
  ['DATETIME(1)', "'2026-02-31 00:00:00.9'", '"2026-02-31 00:00:00.9"'],
  ['DATETIME(5)', "'0000-00-00 00:00:00'", '"0000-00-00 00:00:00.00000"'],
  ['TIMESTAMP', "'1970-01-01 00:00:01'", '"1970-01-01T00:00:01Z"'],
  ['TIMESTAMP(5)', "'2024-02-29 23:59:59.12345'", '"2024-02-29T23:59:59.12345Z"'],
  ['TIME', "'-10:20:00'", '"-10:20:00"'],
  ['TIME', "'-00:00:01'", '"-00:00:01"'],
  ['TIME', "'-838:59:59'", '"-838:59:59"'],
  ['TIME(6)', "'-00:59:59.000001'", '"-00:59:59.000001"'],
  ['TIME(3)', "'-12:00:00'", '"-12:00:00.000"'],
  ['TIME(1)', "'-00:00:00.1'", '"-00:00:00.1"'],
  ['TIME(4)', "'100:00:00.0001'", '"100:00:00.0001"'],
  ['CHAR(255)', `REPEAT('😀', 255)`, `"${'😀'.repeat(255)}"`],
  ['CHAR(200)', "''", '""'],
  ['VARCHAR(300)', "'a'", '"a"'],
  ['VARCHAR(63)', "REPEAT('é', 63)", `"${'é'.repeat(63)}"`],
  ['VARCHAR(64)', "REPEAT('é', 64)", `"${'é'.repeat(64)}"`],
  ['CHAR(10) CHARACTER SET latin1', "_latin1 x'818D8F909D'", '"\u0081\u008d\u008f\u0090\u009d"'],
  ['NCHAR(10)', "'ß'", '"ß"'],
  ['LONGTEXT', "'\\0\\b\\t\\\\'", '"\\u0000\\b\\t\\\\"'],
  ['TINYTEXT', "''", '""'],
  ['BINARY(3)', "x'000000'", '"AAAA"'],
  ['BINARY(255)', "''", `"${Buffer.alloc(255).toString('base64')}"`],
  ['LONGBLOB', "REPEAT('x', 100000)", `"${Buffer.alloc(100_000, 'x').toString('base64')}"`],
  ['MEDIUMTEXT', "REPEAT('\"ü', 50000)", `"${'\\"ü'.repeat(50_000)}"`],
  ["ENUM('b,c','it''s','')", '2', '"it\'s"'],
  ["ENUM('b,c','it''s','')", '3', '""'],
  ["ENUM('ü','€') CHARACTER SET latin1", "'€'", '"€"'],
  [`ENUM(${Array.from({ length: 300 }, (_, i) => `'e${i}'`).join(',')})`, "'e299'", '"e299"'],
  [
    `SET(${Array.from({ length: 64 }, (_, i) => `'v${i}'`).join(',')})`,
    "'v63,v0,v31,v32'",
    '"v0,v31,v32,v63"',
  ],
  [
    'JSON',
    "'[70000, 4294967295, -2147483648, -1, 65535]'",
    '[70000,4294967295,-2147483648,-1,65535]',
  ],
  [
    'JSON',
    "'[18446744073709551615, 9223372036854775807]'",
    '[18446744073709551615,9223372036854775807]',
  ],
  ['JSON', `'{"__proto__": 1, "10": 2, "9": 3, "": 4}'`, '{"":4,"9":3,"10":2,"__proto__":1}'],
  ['JSON', `'"\\\\ud83d\\\\ude00\\\\u0000"'`, '"😀\\u0000"'],
  ['JSON', "'[1.0, -0.0, 1e100, 1.5e-7]'", '[1.0,-0.0,1e100,0.00000015]'],
  [
    'JSON',
    "JSON_ARRAY(CAST('2020-01-02' AS DATE), TIMESTAMP'2020-01-02 03:04:05.1', b'101')",
    '["2020-01-02","2020-01-02 03:04:05.100000","base64:type15:BQ=="]',
  ],
  ['JSON', "'{}'", '{}'],
  ['JSON', "'[]'", '[]'],
  ['JSON', "'true'", 'true'],
].map(([type = '', literal = '', json = '']) => ({ type, literal, json }));

/** One table with a column per value, and its only row. */
async function writeAndRead(values: readonly Value[]): Promise<ReadImage> {
  const { name, url } = await freshDatabase('values');
  const columns = values.map(({ type }, i) => `c${i} ${type} NULL`).join(', ');
  const literals = values.map(({ literal }) => literal).join(', ');
  const rows = await readRows(mysqlUrl(), name, () =>
    withConnection(url, async (connection) => {
      await connection.query(SESSION);
      await connection.query(`CREATE TABLE v (${columns}) CHARACTER SET utf8mb4`);
      await connection.query(`INSERT IGNORE INTO v VALUES (${literals})`);
    }),
  );
  return rows[0]?.after ?? [];
}

function compared(values: readonly Value[], image: ReadImage): unknown {
  return values.map(({ type, literal }, i) => ({ type, literal, json: image[i]?.[1] }));
}

describe('the decoder', () => {
  it('gives what docs/VALUES.md says', async () => {
    expect(documented.length).toBeGreaterThan(40);
    expect(compared(documented, await writeAndRead(documented))).toEqual(documented);
  });

  it('gives hard values exactly', async () => {
    expect(compared(HARD, await writeAndRead(HARD))).toEqual(HARD);
  });

  it('knows the character set of every collation of its four, and of no other', async () => {
    await withConnection(mysqlUrl(), async (connection) => {
      const [rows] = await connection.query<RowDataPacket[]>(
        'SELECT ID AS id, CHARACTER_SET_NAME AS name FROM information_schema.COLLATIONS',
      );
      const known = ['utf8mb4', 'utf8mb3', 'ascii', 'latin1', 'binary'];
      const expected = rows.map(({ id, name }): [unknown, string | null] => [
        id,
        known.includes(String(name)) ? String(name) : null,
      ]);
      expect(rows.map(({ id }): [unknown, string | null] => [id, charsetOf(Number(id))])).toEqual(
        expected,
      );
    });
  });
});

describe('a table', () => {
  it('has generated and invisible columns, and no hidden ones', async () => {
    const { name, url } = await freshDatabase('columns');
    const rows = await readRows(mysqlUrl(), name, () =>
      withConnection(url, async (connection) => {
        await connection.query(
          `CREATE TABLE t (a INT, b INT INVISIBLE, v INT AS (a * 2) VIRTUAL, s INT AS (a * 3) STORED,
             tags JSON, UNIQUE ((a + 1)), INDEX ((CAST(tags->'$[*]' AS UNSIGNED ARRAY))))`,
        );
        await connection.query(`INSERT INTO t (a, b, tags) VALUES (1, 9, '[4, 5]')`);
      }),
    );
    expect(rows[0]?.after).toEqual([
      ['a', '1'],
      ['b', '9'],
      ['v', '2'],
      ['s', '3'],
      ['tags', '[4,5]'],
    ]);
    expect(rows[0]?.table.columns.map(({ visible }) => visible)).toEqual([
      true,
      false,
      true,
      true,
      true,
    ]);
  });

  it('has the primary key, a unique key that is not null, or none', async () => {
    const { name, url } = await freshDatabase('keys');
    const rows = await readRows(mysqlUrl(), name, () =>
      withConnection(url, async (connection) => {
        for (const [table, key] of [
          ['p', 'PRIMARY KEY (b, a)'],
          ['x', 'PRIMARY KEY (s(3), a)'],
          ['u', 'UNIQUE (a)'],
          ['n', 'UNIQUE (c)'],
        ]) {
          await connection.query(
            `CREATE TABLE ${table ?? ''} (a INT NOT NULL, b INT NOT NULL, c INT, s VARCHAR(9) NOT NULL, ${key ?? ''})`,
          );
          await connection.query(`INSERT INTO ${table ?? ''} VALUES (1, 2, 3, 'four')`);
        }
      }),
    );
    const keys = rows.map(({ table }) => [
      table.table,
      table.primaryKey?.map(({ column, prefix }) => [column.name, prefix]) ?? null,
    ]);
    expect(keys).toEqual([
      [
        'p',
        [
          ['b', 0],
          ['a', 0],
        ],
      ],
      [
        'x',
        [
          ['s', 3],
          ['a', 0],
        ],
      ],
      ['u', [['a', 0]]],
      ['n', null],
    ]);
  });

  it('is read by the shape that its rows were written with', async () => {
    const { name, url } = await freshDatabase('ddl');
    const rows = await readRows(mysqlUrl(), name, () =>
      withConnection(url, async (connection) => {
        await connection.query('CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10), b INT)');
        await connection.query("INSERT INTO t VALUES (1, 'one', 11)");
        await connection.query('ALTER TABLE t DROP a, ADD z INT, ADD zz INT FIRST');
        await connection.query('UPDATE t SET z = 5');
        await connection.query('DROP TABLE t');
      }),
    );
    expect(rows.map(({ before, after }) => [before, after])).toEqual([
      [
        null,
        [
          ['id', '1'],
          ['a', '"one"'],
          ['b', '11'],
        ],
      ],
      [
        [
          ['zz', 'null'],
          ['id', '1'],
          ['b', '11'],
          ['z', 'null'],
        ],
        [
          ['zz', 'null'],
          ['id', '1'],
          ['b', '11'],
          ['z', '5'],
        ],
      ],
    ]);
  });

  it('written with a partial row image stops where whole rows are asked for', async () => {
    const { name, url } = await freshDatabase('minimal');
    const events = await rowEventsOf(mysqlUrl(), name, () =>
      withConnection(url, async (connection) => {
        await connection.query('CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)');
        await connection.query('INSERT INTO t VALUES (1, 2, 3)');
        await connection.query("SET SESSION binlog_row_image = 'MINIMAL'");
        await connection.query('UPDATE t SET a = 5');
      }),
    );
    const [insert, update] = events.map(({ event, table }) => (): unknown[] => [
      ...decodeRows(event, table, table.columns, { requireFullImage: true }),
    ]);
    expect(insert?.()).toHaveLength(1);
    expect(update).toThrow(expect.objectContaining({ code: 'ROW_IMAGE_PARTIAL' }));
  });

  it.each([
    ['GEOMETRY', "ST_GeomFromText('POINT(1 2)', 4326)", 'COLUMN_TYPE_UNSUPPORTED'],
    ['VECTOR(3)', "STRING_TO_VECTOR('[1,2,3]')", 'COLUMN_TYPE_UNSUPPORTED'],
    ['VARCHAR(9) CHARACTER SET sjis', "'ｱ'", 'CHARSET_UNSUPPORTED'],
    ["ENUM('ä') CHARACTER SET utf16", "'ä'", 'CHARSET_UNSUPPORTED'],
  ])('with a %s stops, or passes over it when it is excluded', async (type, literal, code) => {
    const { name, url } = await freshDatabase('unsupported');
    const [rows] = await rowEventsOf(mysqlUrl(), name, () =>
      withConnection(url, async (connection) => {
        await connection.query(`CREATE TABLE t (id INT PRIMARY KEY, x ${type}, z INT)`);
        await connection.query(`INSERT INTO t VALUES (1, ${literal}, 777)`);
      }),
    );
    const { event, table } = rows ?? { event: undefined, table: undefined };
    if (event === undefined) throw new Error('No rows were written');
    const wanted = table.columns.filter((column) => column.name !== 'x');
    expect([...decodeRows(event, table, wanted)]).toEqual([
      { before: null, after: ['1', undefined, '777'] },
    ]);
    expect(() => [...decodeRows(event, table, table.columns)]).toThrow(
      expect.objectContaining({ code, place: expect.stringContaining('column x') as string }),
    );
  });
});
