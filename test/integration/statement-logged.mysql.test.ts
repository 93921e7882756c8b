import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnMysql, withConnection } from '../support/mysql.ts';
import { type CaptureRun, runCapture } from './support/capture-run.ts';

/** Its own: a change logged as a statement stops every reader of its server. */
let server: MysqlServer;

async function sql(...statements: string[]): Promise<void> {
  await withConnection(server.url, async (connection) => {
    for (const statement of statements) await connection.query(statement);
  });
}

async function streaming(): Promise<CaptureRun> {
  const run = runCapture({ url: server.url, tables: ['shop.*'] });
  await eventually(() => {
    expect(run.capture.snapshot().state).toBe('streaming');
  });
  return run;
}

beforeAll(async () => {
  server = await startOwnMysql();
  await sql(
    'CREATE DATABASE shop; CREATE DATABASE other',
    'CREATE TABLE shop.orders (id INT PRIMARY KEY, total INT)',
    'CREATE TABLE other.notes (id INT PRIMARY KEY)',
    'CREATE TABLE mysql.heartbeat (id INT PRIMARY KEY)',
    'CREATE VIEW other.view_on_orders AS SELECT * FROM shop.orders',
    `CREATE TABLE shop.parts (id INT PRIMARY KEY) PARTITION BY RANGE (id)
      (PARTITION low VALUES LESS THAN (10), PARTITION high VALUES LESS THAN MAXVALUE)`,
  );
});

describe('a change logged as a statement', () => {
  it.each([
    ['of a captured table', 'UPDATE shop.orders SET total = 1'],
    ['through a view in another schema', 'UPDATE other.view_on_orders SET total = 2'],
    ['of a table that may have triggers', 'INSERT INTO other.notes VALUES (1)'],
    ['that makes a table with its rows', 'CREATE TABLE shop.copy AS SELECT 1 AS id'],
    ['that makes a table from another', 'CREATE TABLE shop.twin (id INT) TABLE other.notes'],
  ])('%s stops the capture', async (_, statement) => {
    const run = await streaming();
    await sql(`SET SESSION binlog_format = 'STATEMENT'; ${statement}`);
    expect(await run.ended).toMatchObject({
      code: 'STATEMENT_LOGGED',
      cure: expect.stringContaining('have every open session reconnect') as string,
    });
  });

  it("of the server's own tables is passed over", async () => {
    const run = await streaming();
    await sql(
      "SET SESSION binlog_format = 'STATEMENT'; INSERT INTO mysql.heartbeat VALUES (1)",
      "SET SESSION binlog_format = 'ROW'; INSERT INTO shop.orders VALUES (7, 7)",
    );
    await eventually(() => {
      expect(run.capture.snapshot().rows).toBe(1);
    });
    expect(await run.stop()).toBeNull();
  });
});

describe('DDL', () => {
  it('that takes some rows of a captured table without row events is told, with table and place', async () => {
    const run = await streaming();
    await sql(
      'CREATE TABLE shop.gone (id INT PRIMARY KEY)',
      'CREATE TABLE shop.made AS SELECT 1 AS id',
      'TRUNCATE TABLE shop.orders',
      'TRUNCATE TABLE other.notes',
      'ALTER TABLE shop.parts TRUNCATE PARTITION low',
      'ALTER TABLE shop.parts ADD COLUMN note INT',
      'DROP TABLE other.notes, shop.gone',
      'INSERT INTO shop.orders VALUES (8, 8)',
    );
    await eventually(() => {
      expect(run.capture.snapshot().rows).toBe(2);
    });
    expect(await run.stop()).toBeNull();
    const warnings = run.told.filter(({ level }) => level === 'warn');
    const place = expect.stringMatching(/^.+\.\d+:\d+$/) as string;
    expect(warnings.map(({ fields }) => fields)).toEqual([
      { table: 'shop.parts', statement: 'ALTER TABLE … TRUNCATE PARTITION', place },
    ]);
  });
});
