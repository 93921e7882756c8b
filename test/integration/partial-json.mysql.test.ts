import fc from 'fast-check';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeRows } from '../../src/capture/decode/rows.ts';
import { freshDatabase, mysqlUrl, withConnection } from '../support/mysql.ts';
import { type ReadRow, readRows, rowEventsOf } from './support/read-rows.ts';

const SESSION = "SET SESSION binlog_row_value_options = 'PARTIAL_JSON', NAMES utf8mb4";

let database: { readonly name: string; readonly url: string };

beforeAll(async () => {
  database = await freshDatabase('partial_json');
});

/** What the updates of `t` left, as SELECT prints it, beside what was read of each. */
async function update(
  work: (connection: Connection) => Promise<void>,
): Promise<{ readonly rows: ReadRow[]; readonly partial: number }> {
  let partial = 0;
  const rows = await readRows(
    mysqlUrl(),
    database.name,
    () => withConnection(database.url, work),
    (event) => {
      if (event.partialJson === true) partial += 1;
    },
  );
  return { rows: rows.filter(({ operation }) => operation === 'update'), partial };
}

async function select(connection: Connection, column = 'd'): Promise<string> {
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT CAST(${column} AS CHAR) AS d FROM t`,
  );
  return compact(String(rows[0]?.['d']));
}

/** Without the blanks between members, and each string in JSON.stringify's escapes. */
function compact(text: string): string {
  return text.replace(/("(?:[^"\\]|\\.)*")|([,:]) /g, (_match, string?: string, mark?: string) =>
    string === undefined ? (mark ?? '') : JSON.stringify(JSON.parse(string)),
  );
}

function quoted(text: string): string {
  return `CONVERT(x'${Buffer.from(text, 'utf8').toString('hex')}' USING utf8mb4)`;
}

const jsonOf = (row: ReadRow | undefined, image: 'before' | 'after', column = 'd'): string =>
  row?.[image]?.find(([name]) => name === column)?.[1] ?? 'absent';

/** Changes of a document one after another, each by an UPDATE of its own; what was read and what SELECT printed. */
async function changes(
  document: string,
  expressions: readonly string[],
): Promise<{ read: string[]; selected: string[]; partial: number }> {
  const selected: string[] = [];
  const { rows, partial } = await update(async (connection) => {
    await connection.query(SESSION);
    await connection.query('DROP TABLE IF EXISTS t');
    await connection.query('CREATE TABLE t (id INT PRIMARY KEY, n INT, d JSON)');
    await connection.query(`INSERT INTO t VALUES (1, 0, ${document})`);
    for (const expression of expressions) {
      // The number changes with each, so that there is a row event also where the document stays as it was.
      await connection.query(`UPDATE t SET n = n + 1, d = ${expression}`);
      selected.push(await select(connection));
    }
  });
  return { read: rows.map((row) => jsonOf(row, 'after')), selected, partial };
}

/** Long enough that the server finds a change cheaper than the document. */
const LONG = 'x'.repeat(200);

describe('a JSON document that was changed in part', () => {
  it.each<[what: string, document: string, expressions: string[]]>([
    ['a member', '{"a": 1, "b": "L"}', ["JSON_SET(d, '$.a', 2)", "JSON_SET(d, '$.new', 1.0)"]],
    [
      'a member and its key order',
      '{"bb": 1, "L": 2}',
      ["JSON_SET(d, '$.c', 3, '$.aa', 4, '$.\"\"', 5)"],
    ],
    ['removed members', '{"a": 1, "b": [1, 2, "L"]}', ["JSON_REMOVE(d, '$.a', '$.b[0]')"]],
    ['cells', '[1, [2, 3], "L"]', ["JSON_SET(d, '$[1][0]', 7)", "JSON_REPLACE(d, '$[last]', 1)"]],
    ['a cell beyond the end', '["L", 1]', ["JSON_SET(d, '$[9]', 7)", "JSON_SET(d, '$[last]', 8)"]],
    ['a scalar that becomes an array', '{"a": 1, "b": "L"}', ["JSON_SET(d, '$.a[3]', 2)"]],
    ['the only cell of a scalar', '{"a": 1, "b": "L"}', ["JSON_REPLACE(d, '$.a[0]', 2)"]],
    ['a cell that others move behind', '[1, 2, "L"]', ["JSON_ARRAY_INSERT(d, '$[1]', 9)"]],
    [
      'the root',
      '{"a": "L"}',
      ["JSON_SET(d, '$', 5)", "JSON_REPLACE(d, '$', CAST('[1]' AS JSON))"],
    ],
    [
      'several at once',
      '{"a": [1], "b": "L"}',
      ["JSON_REMOVE(JSON_SET(d, '$.a[1]', 2), '$.a[0]')"],
    ],
    [
      'names of any characters',
      '{"a b": 1, "q\\"uote": 2, "back\\\\slash": 3, "π": 4, "a.b": 5, "[0]": 6, "L": 7, "\\u0001": 8}',
      [
        `JSON_SET(d, '$."a b"', 10, '$."q\\\\"uote"', 11, '$."back\\\\\\\\slash"', 12)`,
        `JSON_REPLACE(d, '$."π"', 13, '$."a.b"', 14, '$."[0]"', 15)`,
        `JSON_SET(d, '$.ünï', 16, '$."😀"', 17, '$."\\\\u0001"', 18, '$."last"', 19, '$."$"', 20)`,
      ],
    ],
    [
      'values of every kind',
      '{"a": "L", "b": 0}',
      [
        "JSON_SET(d, '$.b', CAST(1.10 AS DECIMAL(5,2)))",
        "JSON_SET(d, '$.b', TIMESTAMP'2020-01-02 03:04:05.1', '$.c', x'00ff', '$.d', 18446744073709551615)",
        "JSON_SET(d, '$.b', NULL, '$.c', TRUE, '$.d', -0e0, '$.e', CAST('{\"z\": [], \"y\": {}}' AS JSON))",
      ],
    ],
  ])('is whole: %s', async (_what, document, expressions) => {
    const { read, selected, partial } = await changes(
      quoted(document.replaceAll('L', LONG)),
      expressions,
    );
    expect(read).toEqual(selected);
    expect(read).toHaveLength(expressions.length);
    expect(partial).toBe(expressions.length);
  });

  it('stays as it was where the update changed something else, or nothing', async () => {
    const { read, selected } = await changes(quoted(`{"a": 1, "b": "${LONG}"}`), [
      'd',
      "JSON_SET(d, '$.a', 1)",
      "JSON_REMOVE(d, '$.none')",
      'NULL',
      "JSON_SET(d, '$.a', 1)",
    ]);
    expect(read.slice(0, 3)).toEqual(selected.slice(0, 3));
    expect(read.slice(3)).toEqual(['null', 'null']);
  });

  it('of many megabytes is whole, and any place in it can change', async () => {
    const cells = Array.from({ length: 60_000 }, (_, i) => `{"i":${i},"text":"${'y'.repeat(40)}"}`);
    const { read, selected, partial } = await changes(quoted(`{"rows": [${cells.join(',')}]}`), [
      "JSON_SET(d, '$.rows[30000].i', 'changed', '$.rows[59999].text', 1)",
      "JSON_REMOVE(d, '$.rows[0]')",
    ]);
    expect(partial).toBe(2);
    expect(read[0] === selected[0] && read[1] === selected[1]).toBe(true);
    expect(read[0]?.length).toBeGreaterThan(3_000_000);
  });

  it('stands beside other JSON columns, each marked by itself', async () => {
    const selected: string[] = [];
    const { rows, partial } = await update(async (connection) => {
      await connection.query(SESSION);
      await connection.query('DROP TABLE IF EXISTS t');
      const columns = Array.from({ length: 10 }, (_, i) => `d${i} JSON, v${i} INT AS (${i})`);
      await connection.query(`CREATE TABLE t (id INT PRIMARY KEY, ${columns.join(', ')})`);
      const documents = columns.map((_, i) => quoted(`{"k${i}": ${i}, "l": "${LONG}"}`));
      const names = columns.map((_, i) => `d${i}`);
      await connection.query(
        `INSERT INTO t (id, ${names.join(', ')}) VALUES (1, ${documents.join(', ')})`,
      );
      await connection.query(
        `UPDATE t SET d0 = JSON_SET(d0, '$.k0', 'x'), d3 = '[1]', d8 = NULL, d9 = JSON_REMOVE(d9, '$.k9')`,
      );
      for (const name of names) selected.push(await select(connection, name));
    });
    expect(partial).toBe(1);
    expect(selected.map((_, i) => jsonOf(rows[0], 'after', `d${i}`))).toEqual(selected);
    expect(selected[3]).toBe('[1]');
    expect(jsonOf(rows[0], 'before', 'd0')).toContain('"k0":0');
  });

  const changedUnder =
    (image: string) =>
    async (connection: Connection): Promise<void> => {
      await connection.query(SESSION);
      await connection.query(`SET SESSION binlog_row_image = '${image}'`);
      await connection.query('DROP TABLE IF EXISTS t');
      await connection.query('CREATE TABLE t (id INT PRIMARY KEY, n INT, d JSON)');
      await connection.query(`INSERT INTO t VALUES (1, 0, '{"a": 1, "b": "${LONG}"}')`);
      await connection.query("UPDATE t SET d = JSON_SET(d, '$.a', 2)");
    };

  it('whose document before is not in the binlog stops, with the setting to change', async () => {
    await expect(update(changedUnder('MINIMAL'))).rejects.toMatchObject({
      code: 'ROW_IMAGE_PARTIAL',
      place: expect.stringContaining(`${database.name}.t, row 1, column d`) as string,
      cure: expect.stringContaining('binlog_row_value_options') as string,
    });
  });

  it('is whole under NOBLOB, where the server writes the document before', async () => {
    const { rows, partial } = await update(changedUnder('NOBLOB'));
    expect(partial).toBe(1);
    expect(jsonOf(rows[0], 'after')).toBe(`{"a":2,"b":"${LONG}"}`);
  });

  it('is passed over where the column is excluded', async () => {
    const events = await rowEventsOf(mysqlUrl(), database.name, () =>
      withConnection(database.url, async (connection) => {
        await connection.query(SESSION);
        await connection.query("SET SESSION binlog_row_image = 'MINIMAL'");
        await connection.query('DROP TABLE IF EXISTS t');
        await connection.query('CREATE TABLE t (id INT PRIMARY KEY, d JSON, n INT)');
        await connection.query(`INSERT INTO t VALUES (1, '{"a": 1, "b": "${LONG}"}', 0)`);
        await connection.query("UPDATE t SET n = 7, d = JSON_SET(d, '$.a', 2)");
      }),
    );
    const { event, table } = events.at(-1) ?? { event: undefined, table: undefined };
    if (event === undefined) throw new Error('No rows were written');
    const wanted = table.columns.filter(({ name }) => name !== 'd');
    expect(event.partialJson).toBe(true);
    expect([...decodeRows(event, table, wanted)]).toEqual([
      { before: ['1', undefined, undefined], after: [undefined, undefined, '7'] },
    ]);
  });
});

const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'cc', 'dd', 'e1', 'key with blanks', 'ü') },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }) },
);

const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.oneof(
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.constantFrom(true, false, null, LONG),
    ),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(name, tie('value'), { maxKeys: 5 }),
  ),
}));

const leg = fc.oneof(
  name.map((text) => `.${JSON.stringify(text)}`),
  fc.constantFrom('.a', '.b', '.cc', '[0]', '[1]', '[2]', '[7]', '[last]', '[last-1]'),
);
const path = fc.array(leg, { maxLength: 3 }).map((legs) => quoted(`$${legs.join('')}`));
const operand = value.map((json) => `CAST(${quoted(JSON.stringify(json))} AS JSON)`);

/** A chain of functions over the column; those that the server may write as changes are the most of them. */
const chain = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.tuple(fc.constant('JSON_SET'), path, operand) },
      { weight: 3, arbitrary: fc.tuple(fc.constant('JSON_REPLACE'), path, operand) },
      { weight: 3, arbitrary: fc.tuple(fc.constant('JSON_REMOVE'), path) },
      { weight: 1, arbitrary: fc.tuple(fc.constant('JSON_ARRAY_INSERT'), path, operand) },
    ),
    { minLength: 1, maxLength: 3 },
  )
  .map((calls) =>
    calls.reduce((inner, [name, ...args]) => `${name}(${[inner, ...args].join(', ')})`, 'd'),
  );

describe('random documents and random changes', () => {
  it('come to what SELECT prints', async () => {
    let partialUpdates = 0;
    await withConnection(database.url, async (connection) => {
      await connection.query(SESSION);
      const documents = fc.tuple(value, fc.array(chain, { minLength: 8, maxLength: 20 }));
      await fc.assert(
        fc.asyncProperty(documents, async ([document, chains]) => {
          const selected: string[] = [];
          const { rows, partial } = await update(async () => {
            await connection.query('DROP TABLE IF EXISTS t');
            await connection.query('CREATE TABLE t (id INT PRIMARY KEY, n INT, d JSON, fill JSON)');
            const stored = quoted(JSON.stringify({ a: document, b: [document], L: LONG }));
            await connection.query(`INSERT INTO t VALUES (1, 0, ${stored}, '[]')`);
            for (const expression of chains) {
              try {
                await connection.query(`UPDATE t SET n = n + 1, d = ${expression}`);
              } catch (error) {
                // Some paths are refused: of the root, of no cell. Whatever is refused was not written.
                if (!REFUSED.has((error as { errno: number }).errno)) throw error;
                continue;
              }
              selected.push(await select(connection));
            }
          });
          partialUpdates += partial;
          expect(rows.map((row) => jsonOf(row, 'after'))).toEqual(selected);
        }),
        { numRuns: 120 },
      );
    });
    expect(partialUpdates).toBeGreaterThan(300);
  }, 180_000);
});

/** ER_INVALID_JSON_PATH_ARRAY_CELL, ER_JSON_VACUOUS_PATH. */
const REFUSED: ReadonlySet<number> = new Set([3165, 3153]);
