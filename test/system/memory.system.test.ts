import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { createConnection } from 'mysql2/promise';
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { afterEach, beforeAll, expect, test } from 'vitest';

import { identities } from '../support/ledger.ts';
import type { LedgerRow } from '../support/ledger.ts';
import { committedGtid } from '../support/workload-expected.ts';
import { Scene } from '../support/workload-scene.ts';

const LIMIT_MIB = 300;
const MILLION = 1_000_000;

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** What is measured is what users run: a process from the sources also holds the compiler that strips their types. */
const BUILT_MAIN = `${ROOT}dist-test/main.js`;

let scene: Scene | undefined;

beforeAll(() => {
  const args = ['-p', 'tsconfig.json', '--outDir', 'dist-test'];
  execFileSync(`${ROOT}node_modules/.bin/tsc`, args, { cwd: ROOT });
});

afterEach(async () => {
  await scene?.close();
});

/** The figures, for whoever asks: tests print nothing. */
function report(what: string, peakMiB: number): void {
  const file = process.env['ROWCALL_TEST_FIGURES'];
  if (file !== undefined) appendFileSync(file, `${what}: peak ${peakMiB} MiB\n`);
}

async function connect(scene: Scene): Promise<Connection> {
  const connection = await createConnection({ uri: scene.serverUrl, database: scene.database });
  await connection.query('SET SESSION session_track_gtids = OWN_GTID');
  return connection;
}

function only(rows: readonly LedgerRow[]): LedgerRow {
  const [row, ...others] = rows;
  if (row === undefined || others.length > 0) throw new Error(`${rows.length} rows in the ledger`);
  return row;
}

test('a transaction of a million rows passes in under 300 MiB, and the rows asked for are called back', async ({
  annotate,
}) => {
  scene = await Scene.open({
    name: 'million',
    callbacks: ['audit'],
    tables: ['CREATE TABLE readings (id INT PRIMARY KEY, v INT NOT NULL)'],
    // Most of it is filtered: a receiver in this process would be the slowest part by far.
    callbackOptions: { operations: ['delete'] },
  });
  const daemon = scene.start({}, BUILT_MAIN);
  await daemon.ready();

  const connection = await connect(scene);
  await connection.query(`SET SESSION cte_max_recursion_depth = ${MILLION}`);
  await connection.query('BEGIN');
  await connection.query(
    `INSERT INTO readings WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < ${MILLION})
     SELECT id, id % 1000 FROM n`,
  );
  const [deleted] = await connection.query<ResultSetHeader>('DELETE FROM readings WHERE v = 7');
  const [result] = await connection.query<ResultSetHeader>('COMMIT');
  await connection.end();
  expect(deleted.affectedRows).toBe(1000);

  const { journal } = scene;
  await journal.until(() => journal.taken('audit').size === 1000, AbortSignal.timeout(100_000));
  expect(journal.violations).toEqual([]);
  const ordinals = [...journal.taken('audit').keys()].map((id) => Number(id.split(':').at(-1)));
  expect(Math.min(...ordinals)).toBe(MILLION + 1);
  expect([...journal.taken('audit').keys()][0]?.startsWith(committedGtid(result) ?? '?')).toBe(
    true,
  );

  const peakMiB = daemon.samplePeakMiB();
  report('a transaction of 1,001,000 rows', peakMiB);
  await annotate(`peak ${peakMiB} MiB`);
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
  const row = only(await scene.ledger());
  expect(row).toMatchObject({ read: MILLION + 1000, filtered: MILLION, delivered: 1000 });
  expect(identities(row)).toEqual([]);
  expect(peakMiB).toBeGreaterThan(0);
  expect(peakMiB).toBeLessThan(LIMIT_MIB);
}, 180_000);

test('compressed transactions, of a gigabyte and more and of noise, pass in under 300 MiB', async ({
  annotate,
}) => {
  scene = await Scene.open({
    name: 'payload',
    callbacks: ['audit'],
    tables: ['CREATE TABLE pages (id INT PRIMARY KEY, body LONGBLOB NOT NULL)'],
    callbackOptions: { operations: ['delete'] },
  });
  const daemon = scene.start({}, BUILT_MAIN);
  await daemon.ready();

  const connection = await connect(scene);
  await connection.query(
    'SET SESSION binlog_transaction_compression = ON, SESSION cte_max_recursion_depth = 200000',
  );
  const numbers = (first: number, last: number): string =>
    `WITH RECURSIVE n AS (SELECT ${first} AS id UNION ALL SELECT id + 1 FROM n WHERE id < ${last})`;
  const { journal } = scene;
  /** One transaction, and its last row is a delete that is called back. */
  const pass = async (first: number, rows: number, body: string): Promise<number> => {
    const last = first + rows - 1;
    await connection.query('BEGIN');
    await connection.query(`INSERT INTO pages ${numbers(first, last)} SELECT id, ${body} FROM n`);
    await connection.query(`DELETE FROM pages WHERE id = ${last}`);
    await connection.query('COMMIT');
    const before = journal.taken('audit').size;
    await journal.until(
      () => journal.taken('audit').size === before + 1,
      AbortSignal.timeout(180_000),
    );
    return daemon.samplePeakMiB();
  };
  const gigabyte = await pass(1, 140_000, `REPEAT(CONCAT(id, ' eight '), 700)`);
  report('a compressed transaction of over 1 GB', gigabyte);
  const noise = `CONCAT(${Array.from({ length: 8 }, () => 'RANDOM_BYTES(1024)').join(', ')})`;
  const peakMiB = await pass(140_001, 13_000, noise);
  report('a compressed transaction of 100 MB that compression leaves as large', peakMiB);
  const [sizes] = await connection.query<RowDataPacket[]>(
    'SELECT SUM(LENGTH(body)) AS bytes FROM pages WHERE id <= 140000',
  );
  expect(Number(sizes[0]?.['bytes'])).toBeGreaterThan(1_073_741_824);
  await connection.end();
  expect(journal.violations).toEqual([]);
  const ordinals = [...journal.taken('audit').keys()].map((id) => Number(id.split(':').at(-1)));
  expect(ordinals).toEqual([140_001, 13_001]);
  await annotate(`peak ${gigabyte} MiB, then ${peakMiB} MiB`);
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
  expect(peakMiB).toBeGreaterThan(0);
  expect(peakMiB).toBeLessThan(LIMIT_MIB);
}, 400_000);

test('a row of 30 MB, written, deleted and changed time and again, passes whole and in under 300 MiB', async ({
  annotate,
}) => {
  scene = await Scene.open({
    name: 'wide-row',
    callbacks: ['audit'],
    tables: ['CREATE TABLE documents (id INT PRIMARY KEY, body LONGTEXT NOT NULL)'],
    callbackDeliver: { timeout: '20s', max_body: '80MiB' },
  });
  const daemon = scene.start({}, BUILT_MAIN);
  await daemon.ready();

  const connection = await connect(scene);
  const run = async (statement: string): Promise<void> => {
    const [result] = await connection.query<ResultSetHeader>(statement);
    const gtid = committedGtid(result) ?? '';
    scene?.expected.committed(gtid, new Map([['documents', ['row']]]));
  };
  await run(`INSERT INTO documents VALUES (1, REPEAT('thirty MB ', 3000000))`);
  await run('DELETE FROM documents WHERE id = 1');
  await scene.allTaken(60_000);
  report('a row of 30 MB inserted and deleted', daemon.samplePeakMiB());

  // An update carries the row twice, 60 MB in one event. Nothing is waited for: each finds the one before under way.
  await run(`INSERT INTO documents VALUES (2, REPEAT('thirty MB ', 3000000))`);
  await run(`UPDATE documents SET body = CONCAT('x', body) WHERE id = 2`);
  await run(`UPDATE documents SET body = CONCAT('y', body) WHERE id = 2`);
  await run(`UPDATE documents SET body = CONCAT('z', body) WHERE id = 2`);
  await connection.end();
  await scene.allTaken(60_000);
  const peakMiB = daemon.samplePeakMiB();
  report('a row of 30 MB updated (60 MB in one event), three times', peakMiB);
  await annotate(`peak ${peakMiB} MiB`);
  const lengths = [...scene.journal.taken('audit').values()].map(({ before, after }) =>
    [before, after].map((row) => (typeof row?.['body'] === 'string' ? row['body'].length : 0)),
  );
  expect(lengths).toEqual([
    [0, 30_000_000],
    [30_000_000, 0],
    [0, 30_000_000],
    [30_000_000, 30_000_001],
    [30_000_001, 30_000_002],
    [30_000_002, 30_000_003],
  ]);
  expect(await scene.findings()).toEqual([]);
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
  expect(peakMiB).toBeLessThan(LIMIT_MIB);
}, 120_000);
