import { readFileSync, writeFileSync } from 'node:fs';
import type { RowDataPacket } from 'mysql2/promise';
import { describe, expect, it } from 'vitest';
import { decodeRows } from '../../src/capture/decode/rows.ts';
import { freshDatabase, mysqlUrl, withConnection } from '../support/mysql.ts';
import { readRows, rowEventsOf } from './support/read-rows.ts';
import { oracleOf } from './support/select-oracle.ts';
import { hasVectorType } from './support/server-types.ts';
import { EXAMPLES, HARD } from './support/value-examples.ts';
import type { Example } from './support/value-examples.ts';

/** Everything that a column can hold shall be tried: zero dates, invalid dates, refused ENUM values. */
const SESSION = "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00', NAMES utf8mb4";

/** Columns of one table; more would make its rows too long. */
const TABLE_COLUMNS = 30;

interface Seen extends Example {
  /** What we read. */
  readonly json: string | undefined;
  /** What SELECT prints, as JSON. */
  readonly selected: string;
}

/** The values as the only row of one table or more, a column each. */
async function writeAndRead(examples: readonly Example[]): Promise<Seen[]> {
  if (examples.length > TABLE_COLUMNS) {
    const first = await writeAndRead(examples.slice(0, TABLE_COLUMNS));
    return [...first, ...(await writeAndRead(examples.slice(TABLE_COLUMNS)))];
  }
  const { name, url } = await freshDatabase('values');
  const columns = examples.map(({ type }, i) => `c${i} ${type} NULL`).join(', ');
  const literals = examples.map(({ literal }) => literal).join(', ');
  const selected: (string | null)[] = [];
  const [row] = await readRows(mysqlUrl(), name, () =>
    withConnection(url, async (connection) => {
      await connection.query(SESSION);
      await connection.query(`CREATE TABLE v (${columns}) CHARACTER SET utf8mb4`);
      await connection.query(`INSERT IGNORE INTO v VALUES (${literals})`);
      const texts = examples.map(({ type }, i) => oracleOf(type).select(`c${i}`)).join(', ');
      const [rows] = await connection.query<RowDataPacket[][]>({
        sql: `SELECT ${texts} FROM v`,
        rowsAsArray: true,
      });
      selected.push(...((rows[0] ?? []) as unknown as (string | null)[]));
    }),
  );
  return examples.map(({ type, literal }, i) => {
    const text = selected[i] ?? null;
    return {
      type,
      literal,
      json: row?.after?.[i]?.[1],
      selected: text === null ? 'null' : oracleOf(type).json(text),
    };
  });
}

const PAGE = new URL('../../docs/VALUES.md', import.meta.url);
const ROW = /^\| `(.*)` +\| `(.*)` +\| `(.*)` +\|$/;

interface Line extends Example {
  readonly json: string | undefined;
}

/** The lines of the table in docs/VALUES.md. */
function documented(): Line[] {
  return readFileSync(PAGE, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, type = '', literal = '', json = ''] = ROW.exec(line) ?? [];
      return type === '' ? [] : [{ type, literal, json }];
    });
}

/** Puts the lines in the place of those that stand there. */
function document(lines: readonly Line[]): void {
  const page = readFileSync(PAGE, 'utf8').split('\n');
  const first = page.findIndex((line) => ROW.test(line));
  const rows = lines.map(
    ({ type, literal, json = '' }) => `| \`${type}\` | \`${literal}\` | \`${json}\` |`,
  );
  const rest = page.slice(first).filter((line) => !ROW.test(line));
  writeFileSync(PAGE, [...page.slice(0, first), ...rows, ...rest].join('\n'));
}

/** Those that this server has the type for. */
async function known<T extends Example>(examples: readonly T[]): Promise<readonly T[]> {
  const hasVector = await withConnection(mysqlUrl(), hasVectorType);
  return examples.filter(({ type }) => hasVector || !type.startsWith('VECTOR'));
}

describe('the decoder', () => {
  it('gives what SELECT prints, and docs/VALUES.md says so', async () => {
    const seen = await writeAndRead(await known(EXAMPLES));
    const differing = seen.filter(({ json, selected }) => json !== selected);
    expect(differing).toEqual([]);
    const lines = seen.map(({ type, literal, json }) => ({ type, literal, json }));
    if (process.env['ROWCALL_WRITE_DOCS'] === '1') document(lines);
    expect(
      await known(documented()),
      'ROWCALL_WRITE_DOCS=1 writes the page; then format it',
    ).toEqual(lines);
  });

  it('has an example of every character set of the server', async () => {
    await withConnection(mysqlUrl(), async (connection) => {
      const [rows] = await connection.query<RowDataPacket[]>('SHOW CHARACTER SET');
      const missing = rows
        .map((row) => String(row['Charset']))
        .filter((name) => !EXAMPLES.some(({ type }) => type.endsWith(`CHARACTER SET ${name}`)));
      expect(missing, 'utf8mb4 is what the table has by default').toEqual(['utf8mb4']);
    });
  });

  it('gives hard values exactly', async () => {
    const hard = await known(HARD);
    const seen = await writeAndRead(hard);
    const differing = seen.filter(
      ({ json, selected }, i) => json !== selected || json !== (hard[i]?.json ?? json),
    );
    // Some values are long: a failure shall show the beginning.
    expect(
      differing.map((one) => ({
        type: one.type.slice(0, 100),
        literal: one.literal.slice(0, 100),
        json: one.json?.slice(0, 200),
        selected: one.selected.slice(0, 200),
      })),
    ).toEqual([]);
  });

  it('reads an empty JSON document, which INSERT IGNORE leaves, as null', async () => {
    const { name, url } = await freshDatabase('empty_json');
    const rows = await readRows(mysqlUrl(), name, () =>
      withConnection(url, async (connection) => {
        await connection.query(SESSION);
        await connection.query('CREATE TABLE t (id INT, j JSON NOT NULL, z INT)');
        await connection.query('INSERT IGNORE INTO t VALUES (1, NULL, 777), (2, NULL, 778)');
        const [selected] = await connection.query<RowDataPacket[]>(
          'SELECT CAST(j AS CHAR) AS j FROM t',
        );
        expect(selected.map(({ j }) => String(j))).toEqual(['null', 'null']);
      }),
    );
    expect(rows.map(({ after }) => after?.map(([, json]) => json))).toEqual([
      ['1', 'null', '777'],
      ['2', 'null', '778'],
    ]);
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

  it('keeps column and table names of any characters', async () => {
    const { name, url } = await freshDatabase('names');
    const names = [
      '__proto__',
      'constructor',
      '10',
      '9',
      '-1',
      'a`b',
      'a"b',
      "a'b",
      'a,b',
      'a.b',
      'a\\b',
      '❤',
      'größe',
      '列',
      ' ',
      '{}',
    ].filter((one) => one.trim() !== '');
    const table = '__proto__`."\'❤ 列%';
    const quote = (text: string): string => `\`${text.replaceAll('`', '``')}\``;
    const [row] = await readRows(mysqlUrl(), name, () =>
      withConnection(url, async (connection) => {
        await connection.query('SET NAMES utf8mb4');
        const columns = names.map((one) => `${quote(one)} INT`).join(', ');
        await connection.query(`CREATE TABLE ${quote(table)} (${columns})`);
        await connection.query(
          `INSERT INTO ${quote(table)} VALUES (${names.map((_one, i) => i).join(', ')})`,
        );
      }),
    );
    expect(row?.table.table).toBe(table);
    expect(row?.after).toEqual(names.map((one, i) => [one, String(i)]));
  });

  it('has up to 4,096 columns', async () => {
    const { name, url } = await freshDatabase('wide');
    const indexes = Array.from({ length: 4096 }, (_, i) => i);
    const values = indexes.map((i) => (i % 7 === 0 ? 'NULL' : String(i % 128)));
    const rows = await readRows(mysqlUrl(), name, () =>
      withConnection(url, async (connection) => {
        const columns = indexes.map((i) => `c${i} TINYINT`).join(', ');
        await connection.query(`CREATE TABLE t (${columns}) ENGINE = MyISAM`);
        await connection.query(`INSERT INTO t VALUES (${values.join(', ')})`);
        await connection.query('UPDATE t SET c4095 = -1');
      }),
    );
    const json = values.map((value) => value.replace('NULL', 'null'));
    expect(rows[0]?.after?.map(([, value]) => value)).toEqual(json);
    expect(rows[1]?.after?.map(([, value]) => value)).toEqual([...json.slice(0, -1), '-1']);
    expect(rows[0]?.after?.at(-1)?.[0]).toBe('c4095');
  });

  it('has no column of a multi-valued index', async () => {
    const { name, url } = await freshDatabase('arrays');
    const [row] = await readRows(mysqlUrl(), name, () =>
      withConnection(url, async (connection) => {
        await connection.query(
          `CREATE TABLE t (tags JSON, z INT,
             INDEX ((CAST(tags->'$.n' AS UNSIGNED ARRAY))),
             INDEX ((CAST(tags->'$.s' AS CHAR(300) ARRAY))),
             INDEX ((CAST(tags->'$.d' AS DECIMAL(10,2) ARRAY))))`,
        );
        await connection.query(`INSERT INTO t VALUES ('{"n": [4], "s": ["ä"], "d": [1.5]}', 777)`);
      }),
    );
    expect(row?.after).toEqual([
      ['tags', '{"d":[1.5],"n":[4],"s":["ä"]}'],
      ['z', '777'],
    ]);
  });

  it('is read beside columns of any type that are excluded', async () => {
    const { name, url } = await freshDatabase('excluded');
    const excluded = await known(EXAMPLES);
    const [rows] = await rowEventsOf(mysqlUrl(), name, () =>
      withConnection(url, async (connection) => {
        await connection.query(SESSION);
        const columns = excluded.map(({ type }, i) => `x${i} ${type}`).join(', ');
        await connection.query(`CREATE TABLE t (id INT PRIMARY KEY, ${columns}, z INT)`);
        const literals = excluded.map(({ literal }) => literal).join(', ');
        await connection.query(`INSERT IGNORE INTO t VALUES (1, ${literals}, 777)`);
      }),
    );
    if (rows === undefined) throw new Error('No rows were written');
    const { event, table } = rows;
    const wanted = table.columns.filter((column) => !column.name.startsWith('x'));
    const read = Array.from(decodeRows(event, table, wanted), ({ after }) => after ?? []);
    expect(read.map((row) => row.filter((value) => value !== undefined))).toEqual([['1', '777']]);
  });

  it('with bytes that its character set has no character for stops', async () => {
    const { name, url } = await freshDatabase('invalid');
    const [rows] = await rowEventsOf(mysqlUrl(), name, () =>
      withConnection(url, async (connection) => {
        await connection.query(
          'CREATE TABLE t (id INT PRIMARY KEY, x VARCHAR(9) CHARACTER SET gb2312)',
        );
        // Well-formed, so that the server takes it, and no character, so that SELECT prints a question mark.
        await connection.query("INSERT INTO t VALUES (1, _gb2312 x'a2a1')");
      }),
    );
    if (rows === undefined) throw new Error('No rows were written');
    expect(() => [...decodeRows(rows.event, rows.table, rows.table.columns)]).toThrow(
      expect.objectContaining({
        code: 'VALUE_INVALID',
        place: expect.stringContaining('row 1, column x') as string,
      }),
    );
  });
});
