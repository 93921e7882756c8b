import { appendFileSync } from 'node:fs';

import { createConnection } from 'mysql2/promise';
import type { ResultSetHeader } from 'mysql2/promise';
import { afterEach, beforeAll, expect, test } from 'vitest';

import { freePort } from '../../services/free-port.ts';
import type { KafkaConsumption } from '../../services/kafka/consumption.ts';
import { HEADER_ID } from '../../src/change-event.ts';
import { parseCheckpoint } from '../../src/checkpoint.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { ChangeLog } from '../../src/log/change-log.ts';
import type { Checkpoint } from '../../src/position.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { openLog } from '../../src/stores.ts';
import { buildProgram } from '../support/built-program.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnKafka } from '../support/kafka.ts';
import { freshAccount, freshDatabase, startOwnMysql } from '../support/mysql.ts';
import { writeConfig } from '../support/rowcall-process-config.ts';
import { RowcallProcess } from '../support/rowcall-process.ts';
import { tempDir } from '../support/temp-dir.ts';
import { committedGtid } from '../support/workload-expected.ts';
import { SOURCE_GRANTS } from '../support/workload-scene.ts';

/** Rows of the transaction. Ten million take some minutes and 4 GB of disk, by hand. */
const ROWS = Number(process.env['ROWCALL_TEST_ROWS'] ?? 300_000);
const PARTITIONS = 3;
const BLOCK_ROWS = 100_000;
const READ_BYTES = 4 * 1024 * 1024;
const LIMIT_MIB = 300;
const TIMEOUT_MS = 240_000 + ROWS / 5;

const NAME = 'large';

let program: string;
let log: ChangeLog | undefined;
let daemon: RowcallProcess | undefined;
let consumption: KafkaConsumption | undefined;

beforeAll(() => {
  program = buildProgram('large-transaction');
});

afterEach(async () => {
  await consumption?.end();
  await daemon?.kill();
  await log?.close();
});

/** The figures, for whoever asks: tests print nothing. */
function report(line: string): void {
  const file = process.env['ROWCALL_TEST_FIGURES'];
  if (file !== undefined) appendFileSync(file, `${line}\n`);
}

/** One transaction of ROWS rows, ids from 1 on. Returns its GTID. */
async function commitRows(url: string): Promise<string> {
  const connection = await createConnection({ uri: url });
  try {
    await connection.query(
      `SET SESSION session_track_gtids = OWN_GTID, cte_max_recursion_depth = ${BLOCK_ROWS}`,
    );
    await connection.query('BEGIN');
    for (let first = 1; first <= ROWS; first += BLOCK_ROWS) {
      const last = Math.min(first + BLOCK_ROWS - 1, ROWS);
      await connection.query(
        `INSERT INTO readings WITH RECURSIVE n AS (SELECT ${first} AS id UNION ALL` +
          ` SELECT id + 1 FROM n WHERE id < ${last}) SELECT id, id % 1000 FROM n`,
      );
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

/** What stands otherwise in the topic than each row of the transaction once; its first few. */
async function strayRecords(beside: ChangeLog, topic: string, prefix: string): Promise<string[]> {
  const strays: string[] = [];
  const seen = new Uint8Array(ROWS + 1);
  let count = 0;
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const at = { topic, partition };
    const { start, end } = await beside.bounds(at);
    for (let offset = start; offset < end && strays.length < 5;) {
      const { records, nextOffset } = await beside.read(at, offset, READ_BYTES);
      for (const { id, key } of records) {
        // The row that was there before.
        if (key === '{"id":0}') continue;
        const ordinal = Number(id.slice(prefix.length));
        const isRow = id.startsWith(prefix) && key === `{"id":${ordinal}}` && ordinal <= ROWS;
        if (!isRow || seen[ordinal] === 1) strays.push(`${id} with key ${key}`);
        else seen[ordinal] = 1;
        count += 1;
      }
      if (nextOffset === offset) break;
      offset = nextOffset;
    }
  }
  if (count !== ROWS) strays.push(`${count} rows of ${ROWS}`);
  return strays;
}

test(
  'rows of a transaction can be read from Kafka before its last ones are there, in bounded memory',
  async () => {
    const kafka = await startOwnKafka();
    const server = await startOwnMysql({});
    const database = await freshDatabase(NAME, server.url);
    const admin = `127.0.0.1:${await freePort()}`;
    const configFile = writeConfig({
      ...{ folder: tempDir(), name: NAME, admin, callbacks: [] },
      sourceUrl: await freshAccount(SOURCE_GRANTS, server.url),
      tables: [`${database.name}.*`],
      options: {
        log: {
          type: 'kafka',
          brokers: [...kafka.bootstrap],
          topics: { partitions: PARTITIONS, replication_factor: 1 },
        },
      },
    });
    const running = new RowcallProcess({ configFile, admin, command: 'connect', main: program });
    daemon = running;
    await running.ready();

    // One row makes the topic, and shows that the consumer is there before the transaction is.
    const connection = await createConnection({ uri: database.url });
    await connection.query('CREATE TABLE readings (id INT PRIMARY KEY, v INT NOT NULL)');
    await connection.query('INSERT INTO readings VALUES (0, 0)');
    await connection.end();
    const parts = { clock: systemClock, logger: silentLogger, create: false };
    const beside = await openLog(await loadConfig(configFile, {}), parts);
    log = beside;
    await eventually(async () => {
      expect(await beside.topics()).toHaveLength(1);
    });
    const topic = `${NAME}.${database.name}.readings`;
    const consumer = await kafka.tools.consume({
      ...{ topic, from: 'beginning', isolation: 'read_committed' },
    });
    consumption = consumer;
    await consumer.take(1);

    const gtid = await commitRows(database.url);
    const committedAt = performance.now();
    const [first] = await consumer.take(1, TIMEOUT_MS);
    const { open } = await checkpointIn(beside);
    const firstAfterMs = Math.round(performance.now() - committedAt);
    // The consumer has a row, and the transaction goes on being written.
    expect(open.map(({ transaction }) => transaction)).toEqual([gtid]);
    const prefix = `${gtid}:${database.name}/readings:`;
    const [, firstId] = first?.headers.find(([name]) => name === HEADER_ID) ?? [];
    expect(firstId?.startsWith(prefix), String(firstId)).toBe(true);
    await consumer.end();

    await eventually(
      async () => {
        expect(running.running, running.stderr).toBe(true);
        expect(await checkpointIn(beside)).toMatchObject({ open: [], last: { gtid } });
      },
      { timeoutMs: TIMEOUT_MS },
    );
    const seconds = Math.round((performance.now() - committedAt) / 100) / 10;
    const peakMiB = running.samplePeakMiB();
    expect(await running.stop(), running.stderr).toEqual({ code: 0, signal: null });
    report(
      `a transaction of ${ROWS} rows over Kafka: ${seconds} s from its commit to its end in the log,` +
        ` a consumer's first row after ${firstAfterMs} ms, peak ${peakMiB} MiB`,
    );
    expect(await strayRecords(beside, topic, prefix)).toEqual([]);
    expect(peakMiB).toBeGreaterThan(0);
    expect(peakMiB).toBeLessThan(LIMIT_MIB);
  },
  TIMEOUT_MS,
);
