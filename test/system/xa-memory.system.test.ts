import { appendFileSync } from 'node:fs';

import type { Connection, ResultSetHeader } from 'mysql2/promise';
import { createConnection } from 'mysql2/promise';
import { afterEach, expect, test } from 'vitest';

import { buildProgram } from '../support/built-program.ts';
import { startOwnMysql } from '../support/mysql.ts';
import { committedGtid } from '../support/workload-expected.ts';
import { Scene } from '../support/workload-scene.ts';

const LIMIT_MIB = 300;
const ROWS = 500_000;
/** More than the checkpoint notes. */
const PREPARED = 1_050;

let scene: Scene | undefined;

afterEach(async () => {
  await scene?.close();
});

/** The figures, for whoever asks: tests print nothing. */
function report(what: string, peakMiB: number): void {
  const file = process.env['ROWCALL_TEST_FIGURES'];
  if (file !== undefined) appendFileSync(file, `${what}: peak ${peakMiB} MiB\n`);
}

test('XA transactions pass in under 300 MiB: of half a million rows, compressed ones of text and of noise, and a thousand prepared at once', async ({
  annotate,
}) => {
  // Of its own: what a failed test leaves prepared would keep the shared one from dropping the database.
  const server = await startOwnMysql({ fast: true });
  scene = await Scene.open({
    name: 'xa-memory',
    serverUrl: server.url,
    callbacks: ['audit'],
    tables: [
      'CREATE TABLE readings (id INT PRIMARY KEY, v INT NOT NULL)',
      'CREATE TABLE pages (id INT PRIMARY KEY, body LONGBLOB NOT NULL)',
    ],
    callbackOptions: { operations: ['delete'] },
  });
  const { journal, database, serverUrl } = scene;
  const daemon = scene.start({}, buildProgram('xa-memory'));
  await daemon.ready();

  const session = async <T>(work: (connection: Connection) => Promise<T>): Promise<T> => {
    const connection = await createConnection({ uri: serverUrl, database });
    try {
      await connection.query(
        `SET SESSION session_track_gtids = OWN_GTID, SESSION cte_max_recursion_depth = ${ROWS}`,
      );
      return await work(connection);
    } finally {
      await connection.end();
    }
  };
  const numbers = (first: number, last: number): string =>
    `WITH RECURSIVE n AS (SELECT ${first} AS id UNION ALL SELECT id + 1 FROM n WHERE id < ${last})`;
  /** Prepares one that ends with a delete, and commits it in another session. */
  const pass = async (
    xid: string,
    compression: 'ON' | 'OFF',
    statements: readonly string[],
  ): Promise<void> => {
    await session(async (connection) => {
      await connection.query(`SET SESSION binlog_transaction_compression = ${compression}`);
      await connection.query(`XA START ${xid}`);
      for (const sql of statements) await connection.query(sql);
      await connection.query(`XA END ${xid}`);
      await connection.query(`XA PREPARE ${xid}`);
    });
    const before = journal.taken('audit').size;
    const gtid = await session(async (connection) => {
      const [result] = await connection.query<ResultSetHeader>(`XA COMMIT ${xid}`);
      return committedGtid(result) ?? '';
    });
    await journal.until(
      () => journal.taken('audit').size === before + 1,
      AbortSignal.timeout(180_000),
    );
    expect([...journal.taken('audit').keys()].at(-1)).toMatch(new RegExp(`^${gtid}:`));
  };

  // Many small ones stay prepared all the while; the last of them are not noted.
  await session(async (connection) => {
    for (let n = 0; n < PREPARED; n += 1) {
      await connection.query(`XA START 'small${n}'`);
      await connection.query(`INSERT INTO pages VALUES (${-n - 1}, REPEAT('s', 3000))`);
      await connection.query(`XA END 'small${n}'`);
      await connection.query(`XA PREPARE 'small${n}'`);
    }
  });
  await pass("'rows'", 'OFF', [
    `INSERT INTO readings ${numbers(1, ROWS)} SELECT id, id % 1000 FROM n`,
    'DELETE FROM readings WHERE id = 1',
  ]);
  const ofRows = daemon.samplePeakMiB();
  report('an XA transaction of 500,001 rows', ofRows);

  await pass("'text'", 'ON', [
    `INSERT INTO pages ${numbers(1, 15_000)} SELECT id, REPEAT(CONCAT(id, ' eight '), 700) FROM n`,
    'DELETE FROM pages WHERE id = 15000',
  ]);
  const noise = `CONCAT(${Array.from({ length: 8 }, () => 'RANDOM_BYTES(1024)').join(', ')})`;
  await pass("'noise'", 'ON', [
    `INSERT INTO pages ${numbers(60_001, 63_000)} SELECT id, ${noise} FROM n`,
    'DELETE FROM pages WHERE id = 63000',
  ]);
  report('compressed XA transactions, and a thousand prepared', daemon.samplePeakMiB());
  await session(async (connection) => {
    for (let n = 0; n < PREPARED; n += 1) {
      await connection.query(`XA ${n < PREPARED - 2 ? 'ROLLBACK' : 'COMMIT'} 'small${n}'`);
    }
    await connection.query(`DELETE FROM pages WHERE id = ${-PREPARED}`);
  });
  await journal.until(() => journal.taken('audit').size === 4, AbortSignal.timeout(100_000));
  expect(journal.violations).toEqual([]);
  const peakMiB = daemon.samplePeakMiB();
  report('and searched for at their XA COMMIT', peakMiB);
  await annotate(`peak ${ofRows} MiB, then ${peakMiB} MiB`);
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
  const rows = (await scene.ledger()).reduce((sum, { read }) => sum + read, 0);
  // Of the small ones two were committed, and one of these was deleted.
  expect(rows).toBe(ROWS + 1 + 15_001 + 3_001 + 2 + 1);
  expect(peakMiB).toBeGreaterThan(0);
  expect(peakMiB).toBeLessThan(LIMIT_MIB);
}, 400_000);
