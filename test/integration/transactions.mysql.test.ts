import { Readable } from 'node:stream';
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { parseCheckpoint } from '../../src/checkpoint.ts';
import { GtidSet } from '../../src/gtid-set.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryChangeLog, MemoryLogStore } from '../support/memory-change-log.ts';
import { freshDatabase, startOwnMysql, withConnection } from '../support/mysql.ts';
import { type CaptureRun, runCapture } from './support/capture-run.ts';

const MIB = 1024 * 1024;

/** Of this file alone: its log, its GTIDs and its settings are what the tests are about. */
let server: MysqlServer;

beforeAll(async () => {
  server = await startOwnMysql({ fast: true, args: ['--local-infile=ON'] });
});

interface Scene {
  readonly name: string;
  readonly store: MemoryLogStore;
  readonly run: CaptureRun;
  /** Statements one after another in one session. */
  readonly sql: (...statements: string[]) => Promise<void>;
  /** Waits for so many rows, and gives each as operation, table and image, with its transaction's number. */
  readonly rows: (count: number) => Promise<string[]>;
}

async function streaming(run: CaptureRun): Promise<void> {
  await eventually(() => {
    expect(run.capture.snapshot().state).toBe('streaming');
  });
}

async function open(tables: readonly string[], on = server): Promise<Scene> {
  const { name, url } = await freshDatabase('tx', on.url);
  const sql = async (...statements: string[]): Promise<void> => {
    await withConnection(url, async (connection) => {
      for (const statement of statements) await connection.query(statement);
    });
  };
  await sql(...tables);
  const store = new MemoryLogStore();
  const run = runCapture({ url: on.url, tables: [`${name}.*`], store });
  await streaming(run);
  const rows = async (count: number): Promise<string[]> => {
    await eventually(() => {
      expect(run.capture.snapshot().recordsAppended).toBe(count);
    });
    return (await recordsOf(store)).map(({ text }) => text);
  };
  return { name, store, run, sql, rows };
}

interface Told {
  readonly text: string;
  readonly transaction: string;
}

/** All records in the order of their transactions and of their rows in these. */
async function recordsOf(store: MemoryLogStore): Promise<Told[]> {
  const log = new MemoryChangeLog(store, systemClock);
  const found: (Told & { readonly order: number; readonly at: number })[] = [];
  for (const { name } of await log.topics()) {
    const { records } = await log.read({ topic: name, partition: 0 }, 0, 64 * MIB);
    for (const { operation, table, value, timestampMs } of records) {
      const { before, after, transaction, source } = JSON.parse(
        Buffer.from(value ?? []).toString('utf8'),
      ) as Record<'before' | 'after', unknown> & {
        readonly transaction: { readonly id: string; readonly total_order: number };
        readonly source: { readonly pos: number };
      };
      const image = JSON.stringify(operation === 'd' ? before : after);
      found.push({
        text: `${operation} ${table.slice(table.indexOf('.') + 1)} ${image}`,
        transaction: transaction.id,
        order: transaction.total_order,
        at: timestampMs * 1e6 + source.pos,
      });
    }
  }
  return found.sort((a, b) => (a.transaction === b.transaction ? a.order - b.order : a.at - b.at));
}

const gno = ({ transaction }: Told): string => transaction.slice(transaction.lastIndexOf(':') + 1);

describe('rows come from', () => {
  it('LOAD DATA, as from any other statement', async () => {
    const { name, run, rows } = await open(['CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))']);
    await withConnection(new URL(`/${name}`, server.url).href, async (connection) => {
      await connection.query({
        sql: "LOAD DATA LOCAL INFILE 'rows' INTO TABLE t FIELDS TERMINATED BY ','",
        infileStreamFactory: () =>
          Readable.from([Buffer.from('1,one\n2,two\n'), Buffer.from('3,three\n')]),
      });
    });
    expect(await rows(3)).toEqual([
      'c t {"id":1,"v":"one"}',
      'c t {"id":2,"v":"two"}',
      'c t {"id":3,"v":"three"}',
    ]);
    expect(await run.stop()).toBeNull();
  });

  it('a transaction with savepoints: what was rolled back to one is not there', async () => {
    const { run, sql, rows } = await open(['CREATE TABLE t (id INT PRIMARY KEY)']);
    await sql(
      ...['BEGIN', 'INSERT INTO t VALUES (1)', 'SAVEPOINT a', 'INSERT INTO t VALUES (2)'],
      ...['SAVEPOINT `b c`', 'INSERT INTO t VALUES (3)', 'ROLLBACK TO SAVEPOINT `b c`'],
      ...['RELEASE SAVEPOINT a', 'INSERT INTO t VALUES (4)', 'COMMIT'],
      ...['BEGIN', 'SAVEPOINT x', 'INSERT INTO t VALUES (8)', 'ROLLBACK TO x', 'COMMIT'],
      'INSERT INTO t VALUES (9)',
    );
    expect(await rows(4)).toEqual(['c t {"id":1}', 'c t {"id":2}', 'c t {"id":4}', 'c t {"id":9}']);
    expect(await run.stop()).toBeNull();
  });

  it('tables without transactions, which end with COMMIT instead of an XID', async () => {
    const { store, run, sql, rows } = await open([
      'CREATE TABLE m (id INT PRIMARY KEY) ENGINE = MyISAM',
      'CREATE TABLE t (id INT PRIMARY KEY)',
    ]);
    await sql(
      'INSERT INTO m VALUES (1), (2)',
      'INSERT INTO t VALUES (1)',
      'UPDATE m SET id = 3 WHERE id = 2',
    );
    await sql('DELETE FROM m WHERE id = 1');
    const expected = [
      'c m {"id":1}',
      'c m {"id":2}',
      'c t {"id":1}',
      'd m {"id":2}',
      'c m {"id":3}',
      'd m {"id":1}',
    ];
    expect(await rows(6)).toEqual(expected);
    expect(new Set((await recordsOf(store)).map(gno)).size).toBe(4);
    expect(await run.stop()).toBeNull();
  });

  it('what an implicit commit ends, and what comes behind it, each under its own GTID', async () => {
    const { store, run, sql, rows } = await open(['CREATE TABLE t (id INT PRIMARY KEY)']);
    await sql(
      ...['BEGIN', 'INSERT INTO t VALUES (1)', 'CREATE TABLE u (id INT PRIMARY KEY)'],
      ...['INSERT INTO u VALUES (1)', 'SET autocommit = 0', 'INSERT INTO t VALUES (2)'],
      ...['ALTER TABLE u ADD COLUMN v INT', 'INSERT INTO u VALUES (2, 2)', 'LOCK TABLES t WRITE'],
      ...['INSERT INTO t VALUES (3)', 'UNLOCK TABLES', 'INSERT INTO t VALUES (4)', 'BEGIN'],
      ...['INSERT INTO t VALUES (5)', 'ROLLBACK'],
    );
    await sql('CREATE TABLE made AS SELECT 7 AS id', 'INSERT INTO made VALUES (8)');
    expect(await rows(8)).toEqual([
      ...['c t {"id":1}', 'c u {"id":1}', 'c t {"id":2}', 'c u {"id":2,"v":2}', 'c t {"id":3}'],
      ...['c t {"id":4}', 'c made {"id":7}', 'c made {"id":8}'],
    ]);
    expect(new Set((await recordsOf(store)).map(gno)).size).toBe(8);
    expect(await run.stop()).toBeNull();
  });

  it('transactions with tagged GTIDs, which are in ids and checkpoint', async () => {
    const { store, run, sql, rows } = await open(['CREATE TABLE t (id INT PRIMARY KEY)']);
    await sql(
      ...[
        "SET gtid_next = 'AUTOMATIC:billing'",
        'INSERT INTO t VALUES (1)',
        'INSERT INTO t VALUES (2)',
      ],
      ...["SET gtid_next = 'AUTOMATIC'", 'INSERT INTO t VALUES (3)'],
    );
    expect(await rows(3)).toEqual(['c t {"id":1}', 'c t {"id":2}', 'c t {"id":3}']);
    const told = await recordsOf(store);
    expect(told.map(({ transaction }) => transaction.includes(':billing:'))).toEqual([
      true,
      true,
      false,
    ]);
    expect(await run.stop()).toBeNull();
    const log = new MemoryChangeLog(store, systemClock);
    const checkpoint = parseCheckpoint((await log.readCheckpoint('capture')) ?? '');
    expect(checkpoint.gtidSet).toContain(':billing:1-2');
    // And it goes on from there.
    const again = runCapture({ url: server.url, tables: ['tx_*.*'], store });
    await streaming(again);
    await sql('INSERT INTO t VALUES (4)');
    await eventually(() => {
      expect(again.capture.snapshot().rows).toBe(1);
    });
    expect(await again.stop()).toBeNull();
    expect((await recordsOf(store)).map(({ text }) => text).at(-1)).toBe('c t {"id":4}');
  });

  it('files with checksums and files without, one behind the other', async () => {
    const { run, sql, rows } = await open(['CREATE TABLE t (a TINYINT)']);
    const expected: string[] = [];
    for (const checksum of ['NONE', 'CRC32', 'NONE', 'CRC32']) {
      await sql(
        `SET GLOBAL binlog_checksum = '${checksum}'`,
        'INSERT INTO t VALUES (1), (2), (3)',
        'SET SESSION binlog_transaction_compression = ON',
        'INSERT INTO t VALUES (4)',
      );
      expected.push(...[1, 2, 3, 4].map((a) => `c t {"a":${a}}`));
    }
    expect(await rows(16)).toEqual(expected);
    expect(await run.stop()).toBeNull();
  });
});

describe('without GTIDs, and on the way to them', () => {
  it.each(['OFF', 'OFF_PERMISSIVE'])('rows come from gtid_mode %s', async (mode) => {
    const own = await startOwnMysql({
      fast: true,
      args: [`--gtid-mode=${mode}`, '--enforce-gtid-consistency=OFF'],
    });
    const { store, run, sql, rows } = await open(
      [
        'CREATE TABLE t (id INT PRIMARY KEY)',
        'CREATE TABLE m (id INT PRIMARY KEY) ENGINE = MyISAM',
      ],
      own,
    );
    await sql(
      'INSERT INTO t VALUES (1)',
      'BEGIN',
      'INSERT INTO t VALUES (2)',
      'INSERT INTO m VALUES (1)',
    );
    // What a rolled back transaction did to a table without transactions stays.
    await sql(
      'BEGIN',
      'INSERT INTO m VALUES (2)',
      'INSERT INTO t VALUES (3)',
      'INSERT INTO m VALUES (3)',
      'ROLLBACK',
    );
    expect(await rows(4)).toEqual(['c t {"id":1}', 'c m {"id":1}', 'c m {"id":2}', 'c m {"id":3}']);
    expect((await recordsOf(store))[0]?.transaction).toMatch(/:binlog%2E\d{6}:\d+:\d+$/);
    expect(await run.stop()).toBeNull();
  });

  it('each step of switching GTIDs on, while it reads, brings its rows once', async () => {
    const own = await startOwnMysql({
      fast: true,
      args: ['--gtid-mode=OFF', '--enforce-gtid-consistency=ON'],
    });
    const scene = await open(['CREATE TABLE t (id INT PRIMARY KEY)'], own);
    const { name, store, sql, rows } = scene;
    let { run } = scene;
    await sql('INSERT INTO t VALUES (1)');
    for (const [step, mode] of ['OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON'].entries()) {
      await sql(`SET GLOBAL gtid_mode = ${mode}`, `INSERT INTO t VALUES (${step + 2})`);
    }
    expect(await rows(4)).toHaveLength(4);
    // From then on the place is kept by GTID, so that it is good on another server too.
    await sql('INSERT INTO t VALUES (5)');
    const executed = await withSource({ uri: own.url }, AbortSignal.timeout(10_000), (source) =>
      source.value('SELECT @@gtid_executed'),
    );
    await eventually(() => {
      expect(run.capture.snapshot().gtidSet).toBe(GtidSet.parse(executed ?? '').toString());
    });
    // And back, with a new connection at each step.
    for (const [step, mode] of ['ON_PERMISSIVE', 'OFF_PERMISSIVE', 'OFF'].entries()) {
      await eventually(async () => {
        expect(await recordsOf(store)).toHaveLength(5 + step);
      });
      expect(await run.stop()).toBeNull();
      await sql(`SET GLOBAL gtid_mode = ${mode}`, `INSERT INTO t VALUES (${step + 6})`);
      run = runCapture({ url: own.url, tables: [`${name}.*`], store });
      await streaming(run);
    }
    await eventually(async () => {
      expect(await recordsOf(store)).toHaveLength(8);
    });
    expect(await run.stop()).toBeNull();
    const records = await recordsOf(store);
    expect(records.map(({ text }) => text)).toEqual(
      [1, 2, 3, 4, 5, 6, 7, 8].map((id) => `c t {"id":${id}}`),
    );
    expect(records.map(({ transaction }) => transaction.includes('binlog%2E'))).toEqual([
      ...[true, true, false, false, false, false, true, true],
    ]);
  });
});

describe('partial row images', () => {
  const TABLE = 'CREATE TABLE t (id INT PRIMARY KEY, a INT DEFAULT 5, b TEXT, c INT)';

  it('lack what is not in the binlog, and have their key all the same', async () => {
    const { store, run, sql, rows } = await open([TABLE]);
    await sql("INSERT INTO t VALUES (1, 1, 'one', 1)");
    await sql(
      "SET SESSION binlog_row_image = 'MINIMAL'",
      ...['INSERT INTO t (id, b) VALUES (2, NULL)', 'UPDATE t SET a = NULL WHERE id = 1'],
      ...['UPDATE t SET id = 3 WHERE id = 2', 'DELETE FROM t WHERE id = 1'],
      "SET SESSION binlog_row_image = 'NOBLOB'",
      ...["INSERT INTO t VALUES (7, 7, 'seven', 7)", 'UPDATE t SET c = 8 WHERE id = 7'],
      ...["UPDATE t SET b = 'eight' WHERE id = 7", 'DELETE FROM t WHERE id = 7'],
    );
    expect(await rows(10)).toEqual([
      'c t {"id":1,"a":1,"b":"one","c":1}',
      'c t {"id":2,"b":null}',
      'u t {"a":null}',
      'd t {"id":2}',
      'c t {"id":3}',
      'd t {"id":1}',
      'c t {"id":7,"a":7,"b":"seven","c":7}',
      'u t {"id":7,"a":7,"c":8}',
      'u t {"id":7,"a":7,"b":"eight","c":8}',
      'd t {"id":7,"a":7,"c":8}',
    ]);
    const log = new MemoryChangeLog(store, systemClock);
    const [{ name } = { name: '' }] = await log.topics();
    const { records } = await log.read({ topic: name, partition: 0 }, 0, MIB);
    expect(records.map(({ key }) => (JSON.parse(key ?? 'null') as { id: number }).id)).toEqual([
      1, 2, 1, 2, 3, 1, 7, 7, 7, 7,
    ]);
    expect(await run.stop()).toBeNull();
  });

  it('have the key that the server counted up', async () => {
    const { run, sql, rows } = await open([
      'CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT, b INT DEFAULT 2)',
    ]);
    await sql("SET SESSION binlog_row_image = 'MINIMAL'", 'INSERT INTO t (a) VALUES (1), (NULL)');
    expect(await rows(2)).toEqual(['c t {"id":1,"a":1}', 'c t {"id":2,"a":null}']);
    expect(await run.stop()).toBeNull();
  });

  it.each([
    [
      'the key got its default',
      'CREATE TABLE t (id INT DEFAULT 4 PRIMARY KEY, a INT)',
      'INSERT INTO t (a) VALUES (1)',
      'The row lacks the key column id',
    ],
    [
      'no column was written',
      'CREATE TABLE t (a INT DEFAULT 4, b INT)',
      'INSERT INTO t () VALUES ()',
      'The rows have no column at all',
    ],
  ])('stop where they cannot make a whole event: %s', async (_what, table, statement, message) => {
    const { run, sql } = await open([table]);
    await sql("SET SESSION binlog_row_image = 'MINIMAL'", statement);
    expect(await run.ended).toMatchObject({ code: 'ROW_IMAGE_PARTIAL', message });
  });

  it('stop with the cure where whole rows are asked for', async () => {
    const { name, sql, run: first } = await open([TABLE]);
    await first.stop();
    const run = runCapture({ url: server.url, tables: [`${name}.*`], requireFullImage: true });
    await streaming(run);
    await sql("INSERT INTO t VALUES (1, 1, 'one', 1)");
    await sql("SET SESSION binlog_row_image = 'NOBLOB'", 'UPDATE t SET a = 2');
    expect(await run.ended).toMatchObject({
      code: 'ROW_IMAGE_PARTIAL',
      message: expect.stringContaining('b') as string,
      place: expect.stringContaining(`table ${name}.t`) as string,
      cure: expect.stringContaining('binlog_row_image') as string,
    });
  });
});
