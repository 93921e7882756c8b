import { appendFileSync } from 'node:fs';
import { join } from 'node:path';

import { createConnection } from 'mysql2/promise';
import type { ResultSetHeader } from 'mysql2/promise';
import { afterEach, beforeAll, expect, test } from 'vitest';

import { freePort } from '../../services/free-port.ts';
import { parseCheckpoint } from '../../src/checkpoint.ts';
import { GtidSet, parseGtid } from '../../src/gtid-set.ts';
import type { ChangeLog } from '../../src/log/change-log.ts';
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import type { Checkpoint } from '../../src/position.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { buildProgram } from '../support/built-program.ts';
import { eventually } from '../support/eventually.ts';
import { freshAccount, freshDatabase, startOwnMysql } from '../support/mysql.ts';
import { writeConfig } from '../support/rowcall-process-config.ts';
import { RowcallProcess } from '../support/rowcall-process.ts';
import { tempDir } from '../support/temp-dir.ts';
import { committedGtid } from '../support/workload-expected.ts';
import { SOURCE_GRANTS } from '../support/workload-scene.ts';

/** Rows of the transaction; half of them in each table. Ten million take some ten minutes, by hand. */
const ROWS = Number(process.env['ROWCALL_TEST_ROWS'] ?? 300_000);
/** Of each table in turn, so that every cut stands in both. */
const BLOCKS = 10;
const BLOCK_ROWS = Math.ceil(ROWS / BLOCKS / 2);
const TABLE_ROWS = BLOCKS * BLOCK_ROWS;
/** Shares of the rows at which the process is killed, the last one far from the end: it runs on meanwhile. */
const KILLS = [0.05, 0.15, 0.3, 0.4, 0.5];
const LIMIT_MIB = 300;
const TIMEOUT_MS = 240_000 + ROWS / 5;

const NAME = 'cut';
/** With a key, and without one. */
const TABLES = { readings: '{"id":', samples: null } as const;

let program: string;
let log: ChangeLog | undefined;
let daemon: RowcallProcess | undefined;

beforeAll(() => {
  program = buildProgram('cut-transaction');
});

afterEach(async () => {
  await daemon?.kill();
  await log?.close();
});

/** The figures, for whoever asks: tests print nothing. */
function report(line: string): void {
  const file = process.env['ROWCALL_TEST_FIGURES'];
  if (file !== undefined) appendFileSync(file, `${line}\n`);
}

/** One transaction that fills both tables, block by block. Returns its GTID. */
async function commitRows(url: string, compression: 'ON' | 'OFF'): Promise<string> {
  const connection = await createConnection({ uri: url });
  try {
    await connection.query('CREATE TABLE readings (id INT PRIMARY KEY, v INT NOT NULL)');
    await connection.query('CREATE TABLE samples (v INT NOT NULL)');
    await connection.query(
      `SET SESSION session_track_gtids = OWN_GTID, cte_max_recursion_depth = ${BLOCK_ROWS},
         binlog_transaction_compression = ${compression}`,
    );
    await connection.query('BEGIN');
    for (let block = 0; block < BLOCKS; block += 1) {
      const first = block * BLOCK_ROWS + 1;
      const numbers =
        `WITH RECURSIVE n AS (SELECT ${first} AS id UNION ALL` +
        ` SELECT id + 1 FROM n WHERE id < ${first + BLOCK_ROWS - 1})`;
      await connection.query(`INSERT INTO readings ${numbers} SELECT id, id % 1000 FROM n`);
      await connection.query(`INSERT INTO samples ${numbers} SELECT id FROM n`);
    }
    const [result] = await connection.query<ResultSetHeader>('COMMIT');
    return committedGtid(result) ?? '';
  } finally {
    await connection.end();
  }
}

async function checkpointIn(beside: ChangeLog): Promise<Checkpoint> {
  return parseCheckpoint((await beside.readCheckpoint(NAME)) ?? '');
}

/** Records in the log, by `schema.table`. */
async function recordsIn(beside: ChangeLog): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { name } of await beside.topics()) {
    const { start, end } = await beside.bounds({ topic: name, partition: 0 });
    counts.set(name.slice(`${NAME}.`.length), end - start);
  }
  return counts;
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((all, count) => all + count, 0);
}

/** What stands otherwise in the log than row after row of the transaction, once each; its first few. */
async function strayRecords(beside: ChangeLog, database: string, gtid: string): Promise<string[]> {
  const strays: string[] = [];
  for (const [table, keyStart] of Object.entries(TABLES)) {
    const at = { topic: `${NAME}.${database}.${table}`, partition: 0 };
    let ordinal = 0;
    for (;;) {
      const { records } = await beside.read(at, ordinal, 4 * 1024 * 1024);
      if (records.length === 0) break;
      for (const { id, key } of records) {
        ordinal += 1;
        const expected = `${gtid}:${database}/${table}:${ordinal}`;
        const expectedKey = keyStart === null ? null : `${keyStart}${ordinal}}`;
        if (id === expected && key === expectedKey) continue;
        strays.push(`${id} with key ${key} instead of ${expected}`);
        if (strays.length > 5) return strays;
      }
    }
    if (ordinal !== TABLE_ROWS) strays.push(`${ordinal} rows of ${table}`);
  }
  return strays;
}

test.each([
  ['a transaction', 'OFF'],
  ['a compressed transaction', 'ON'],
] as const)(
  '%s goes on at the row where it was cut, however often the process is killed inside it',
  async (what, compression) => {
    const server = await startOwnMysql({});
    const database = await freshDatabase(NAME, server.url);
    const folder = tempDir();
    const admin = `127.0.0.1:${await freePort()}`;
    const configFile = writeConfig({
      ...{ folder, name: NAME, admin, callbacks: [] },
      sourceUrl: await freshAccount(SOURCE_GRANTS, server.url),
      tables: [`${database.name}.*`],
    });
    const start = (): RowcallProcess =>
      (daemon = new RowcallProcess({ configFile, admin, command: 'connect', main: program }));
    let running = start();
    await running.ready();
    const beside = await openEmbeddedLog({
      path: join(folder, 'data/events.db'),
      maxBytes: Infinity,
      retention: { ageMs: Infinity, sizeBytes: Infinity },
      clock: systemClock,
      logger: silentLogger,
      create: false,
    });
    log = beside;

    const gtid = await commitRows(database.url, compression);
    const committedAt = performance.now();
    let peakMiB = 0;
    let before = 0;
    const cuts: number[] = [];
    for (const share of KILLS) {
      const timeoutMs = TIMEOUT_MS;
      await eventually(
        async () => {
          expect(running.running, running.stderr).toBe(true);
          const logged = sum(await recordsIn(beside));
          expect(logged).toBeGreaterThan(Math.max(before, share * ROWS));
        },
        { timeoutMs, intervalMs: 5 },
      );
      peakMiB = Math.max(peakMiB, running.samplePeakMiB());
      await running.kill();

      // The next one begins inside the transaction, at the very row at which the log ends.
      const records = await recordsIn(beside);
      const { open, gtidSet } = await checkpointIn(beside);
      expect(open.map(({ transaction }) => transaction)).toEqual([gtid]);
      const ordinals = Object.entries(open[0]?.tables ?? {}).map(
        ([table, { ordinal }]) => [table, ordinal] as const,
      );
      expect(new Map(ordinals)).toEqual(records);
      expect(GtidSet.parse(gtidSet ?? '').contains(parseGtid(gtid))).toBe(false);
      before = sum(records);
      cuts.push(before);
      running = start();
    }

    await eventually(
      async () => {
        expect(running.running, running.stderr).toBe(true);
        expect(await checkpointIn(beside)).toMatchObject({ open: [], last: { gtid } });
      },
      { timeoutMs: TIMEOUT_MS },
    );
    const seconds = Math.round((performance.now() - committedAt) / 100) / 10;
    peakMiB = Math.max(peakMiB, running.samplePeakMiB());
    expect(await running.stop(), running.stderr).toEqual({ code: 0, signal: null });

    expect(await strayRecords(beside, database.name, gtid)).toEqual([]);
    report(
      `${what} of ${2 * TABLE_ROWS} rows, killed after ${cuts.join(', ')}: all of them once,` +
        ` ${seconds} s, peak ${peakMiB} MiB`,
    );
    expect(peakMiB).toBeGreaterThan(0);
    expect(peakMiB).toBeLessThan(LIMIT_MIB);
  },
  TIMEOUT_MS,
);
