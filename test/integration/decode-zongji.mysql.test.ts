import ZongJi from '@vlasky/zongji';
import fc from 'fast-check';
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, describe, expect, it } from 'vitest';
import { freshDatabase, mysqlUrl, withConnection } from '../support/mysql.ts';
import { readRows } from './support/read-rows.ts';

/** Column types that zongji reads right, how to compare, and values for them. */
const COLUMNS: readonly {
  readonly type: string;
  readonly values: fc.Arbitrary<string>;
  readonly json: (value: unknown) => string;
}[] = [
  { type: 'TINYINT UNSIGNED', values: fc.nat(255).map(String), json: String },
  {
    type: 'MEDIUMINT',
    values: fc.integer({ min: -(2 ** 23), max: 2 ** 23 - 1 }).map(String),
    json: String,
  },
  {
    type: 'BIGINT UNSIGNED',
    values: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
    json: String,
  },
  {
    type: 'DECIMAL(30,9)',
    values: fc.bigInt({ min: -(10n ** 30n) + 1n, max: 10n ** 30n - 1n }).map((n) => `'${n}e-9'`),
    json: JSON.stringify,
  },
  { type: 'DOUBLE', values: fc.integer().map((n) => `${n / 7}`), json: String },
  { type: 'DATE', values: fc.constantFrom("'2026-11-21'", "'1000-01-01'"), json: JSON.stringify },
  { type: 'DATETIME', values: fc.constantFrom("'2026-11-21 01:02:03'"), json: JSON.stringify },
  {
    type: 'TIME',
    values: fc.constantFrom("'00:00:00'", "'838:59:59'", "'12:34:56'"),
    json: JSON.stringify,
  },
  { type: "ENUM('a','b,c')", values: fc.constantFrom('1', '2'), json: JSON.stringify },
  {
    type: "SET('a','b','c')",
    values: fc.nat(7).map(String),
    json: (value) => JSON.stringify(Array.isArray(value) ? value.join(',') : value),
  },
  {
    type: 'BINARY(12)',
    values: fc.uint8Array({ maxLength: 12 }).map((b) => `x'${Buffer.from(b).toString('hex')}'`),
    json: (value) => JSON.stringify(Buffer.from(value as Uint8Array).toString('base64')),
  },
  {
    type: 'VARCHAR(50)',
    values: fc
      .string({ maxLength: 50 })
      .map((text) => `_utf8mb4 x'${Buffer.from(text).toString('hex')}'`),
    json: JSON.stringify,
  },
  {
    type: 'JSON',
    values: fc.nat(1000).map((n) => `'{"n": ${n}, "list": [true, null, "x"]}'`),
    json: (value) => (typeof value === 'string' ? value : JSON.stringify(value)),
  },
];

interface ZongJiRows {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

const readers: ZongJi[] = [];

afterAll(() => {
  for (const reader of readers) reader.stop();
});

/** The first `count` rows that zongji reads of the schema's inserts, from now on. */
async function readByZongji(schema: string, count: number): Promise<() => Promise<ZongJiRows>> {
  const { hostname, port, username, password } = new URL(mysqlUrl());
  const reader = new ZongJi({
    host: hostname,
    port: Number(port),
    user: username,
    password,
    dateStrings: true,
  });
  readers.push(reader);
  const rows: Record<string, unknown>[] = [];
  const done = new Promise<ZongJiRows>((resolve, reject) => {
    reader.on('error', reject);
    reader.on('binlog', (event) => {
      if (event.getTypeName() !== 'WriteRows') return;
      rows.push(...(event as unknown as { rows: Record<string, unknown>[] }).rows);
      if (rows.length >= count) resolve({ rows });
    });
  });
  const ready = new Promise<void>((resolve) => reader.on('ready', resolve));
  reader.start({
    startAtEnd: true,
    serverId: 2_000_000_000 + Math.floor(Math.random() * 1_000_000),
    includeEvents: ['tablemap', 'writerows'],
    includeSchema: { [schema]: true },
  });
  await ready;
  return () => done;
}

describe('beside zongji', () => {
  it('every row reads the same where zongji is right', async () => {
    const { name, url } = await freshDatabase('zongji');
    const count = 300;
    const rows = fc.sample(fc.tuple(...COLUMNS.map(({ values }) => values)), count);
    const zongji = await readByZongji(name, count);
    const ours = await readRows(mysqlUrl(), name, () =>
      withConnection(url, async (connection) => {
        const columns = COLUMNS.map(({ type }, i) => `c${i} ${type}`).join(', ');
        await connection.query(`CREATE TABLE t (${columns}) CHARACTER SET utf8mb4`);
        const values = rows.map((row) => `(${row.join(', ')})`).join(', ');
        await connection.query(`INSERT INTO t VALUES ${values}`);
      }),
    );
    const theirs = (await zongji()).rows.map((row) =>
      COLUMNS.map(({ json }, i) => [`c${i}`, json(row[`c${i}`])]),
    );
    expect(ours).toHaveLength(count);
    expect(ours.map(({ after }) => after)).toEqual(theirs);
  });

  it('what zongji reads wrong is what SELECT prints', async () => {
    const { name, url } = await freshDatabase('zongji');
    const selected: string[] = [];
    const ours = await readRows(mysqlUrl(), name, () =>
      withConnection(url, async (connection) => {
        await connection.query("SET SESSION sql_mode = ''");
        await connection.query(
          "CREATE TABLE t (a TIME, b TIME, e ENUM('x'), y YEAR, j JSON, after_all INT)",
        );
        await connection.query(
          `INSERT INTO t VALUES ('-01:00:00', '-10:20:00', 'no member', 0,
             JSON_OBJECT('10', x'00', '9', CAST(1.10 AS DECIMAL(4,2)), '__proto__', TRUE), 777)`,
        );
        const [[row]] = await connection.query<RowDataPacket[]>(
          'SELECT CAST(a AS CHAR) a, CAST(b AS CHAR) b, CAST(e AS CHAR) e, y + 0 y, CAST(j AS CHAR) j FROM t',
        );
        selected.push(...Object.values(row ?? {}).map(String));
      }),
    );
    expect(selected).toEqual([
      '-01:00:00',
      '-10:20:00',
      '',
      '0',
      '{"9": 1.10, "10": "base64:type15:AA==", "__proto__": true}',
    ]);
    expect(ours[0]?.after).toEqual([
      ['a', '"-01:00:00"'],
      ['b', '"-10:20:00"'],
      ['e', '""'],
      ['y', '0'],
      ['j', '{"9":1.10,"10":"base64:type15:AA==","__proto__":true}'],
      ['after_all', '777'],
    ]);
  });
});
