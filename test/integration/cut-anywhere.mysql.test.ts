import type { RowDataPacket } from 'mysql2/promise';
import { expect, it } from 'vitest';
import { Place } from '../../src/capture/append/place.ts';
import { openBinlogStream } from '../../src/capture/binlog/binlog-stream.ts';
import { BinlogFollower } from '../../src/capture/follow-binlog.ts';
import { createRouter } from '../../src/capture/route/router.ts';
import { formatCheckpoint, parseCheckpoint } from '../../src/checkpoint.ts';
import { RowcallError } from '../../src/errors.ts';
import { GtidSet } from '../../src/gtid-set.ts';
import type { ChangeLogWriter } from '../../src/log/change-log.ts';
import type { Checkpoint } from '../../src/position.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { LargeWork } from '../../src/shared/large-work.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { MemoryChangeLog, MemoryLogStore } from '../support/memory-change-log.ts';
import { freshDatabase, startOwnMysql, withConnection } from '../support/mysql.ts';
import { noPrepared } from '../support/no-prepared.ts';

/** Each append has one row: a limit that any row reaches. */
const BY_ROW = 1;

/** Of this test alone: its log has nothing else. */
interface Source {
  readonly url: string;
  readonly schema: string;
  /** Before anything was written. */
  readonly start: Checkpoint;
  /** After everything was. */
  readonly end: GtidSet;
}

/** Tables of one statement, keys that change, and whatever else one transaction may hold. */
const TRANSACTIONS: readonly string[] = [
  'BEGIN; INSERT INTO a VALUES (1, 1), (2, 2), (3, 3); INSERT INTO b SELECT * FROM a; COMMIT',
  'UPDATE a, b SET a.v = 10, b.v = 20 WHERE a.id = b.id',
  'UPDATE a SET id = id + 10 ORDER BY id DESC; DELETE a, b FROM a JOIN b ON a.id = b.id + 10',
  `SET SESSION binlog_transaction_compression = ON;
   BEGIN; INSERT INTO a VALUES (1, 1); SAVEPOINT s; INSERT INTO other VALUES (1); UPDATE a SET id = 2; COMMIT;
   SET SESSION binlog_transaction_compression = OFF`,
  'INSERT INTO other VALUES (2); CREATE TABLE c AS SELECT 7 AS id, 8 AS v UNION SELECT 9, 10',
  'BEGIN; INSERT INTO keyless VALUES (1), (1); UPDATE keyless SET id = 2; COMMIT; DROP TABLE c',
];

async function makeSource(): Promise<Source> {
  const server = await startOwnMysql({ fast: true });
  const { name, url } = await freshDatabase('cut', server.url);
  return withConnection(url, async (connection) => {
    const table = '(id INT PRIMARY KEY, v INT)';
    await connection.query(`CREATE TABLE a ${table}; CREATE TABLE b ${table};
      CREATE TABLE other (id INT PRIMARY KEY); CREATE TABLE keyless (id INT)`);
    const executed = async (): Promise<[uuid: string, set: string]> => {
      const [[row]] = await connection.query<RowDataPacket[]>(
        'SELECT @@GLOBAL.server_uuid AS uuid, @@GLOBAL.gtid_executed AS seen',
      );
      return [String(row?.['uuid']), String(row?.['seen'])];
    };
    const [serverUuid, gtidSet] = await executed();
    const begin = { file: 'binlog.000001', position: 4, fileCreated: 0, last: null };
    const none = { open: [], prepared: [], topics: {}, routing: 'r' };
    for (const sql of TRANSACTIONS) await connection.query(sql);
    const [, end] = await executed();
    return {
      url: server.url,
      schema: name,
      start: { version: 3, serverUuid, gtidSet, ...begin, ...none },
      end: GtidSet.parse(end),
    };
  });
}

/** The writer, failing once: at its n-th append, which the log then has or has not. */
class FailingWriter {
  appends = 0;
  readonly #at: number;
  readonly #durable: boolean;

  constructor(at: number, durable: boolean) {
    this.#at = at;
    this.#durable = durable;
  }

  around(writer: ChangeLogWriter): ChangeLogWriter {
    return {
      checkpoint: writer.checkpoint,
      createTopics: (topics) => writer.createTopics(topics),
      close: () => writer.close(),
      append: async (batches, checkpoint) => {
        this.appends += 1;
        const fails = this.appends === this.#at;
        if (!fails || this.#durable) await writer.append(batches, checkpoint);
        if (fails) throw new RowcallError('LOG_WRITE_FAILED', 'Injected');
      },
    };
  }
}

/** Reads until everything is in the log or an append fails. */
async function session(
  source: Source,
  store: MemoryLogStore,
  failing: FailingWriter,
  transactions = true,
): Promise<void> {
  const writer = await new MemoryChangeLog(store, systemClock).openWriter('cut');
  if (writer.checkpoint === null) await writer.append([], formatCheckpoint(source.start));
  const checkpoint = parseCheckpoint(writer.checkpoint ?? formatCheckpoint(source.start));
  const signal = new AbortController().signal;
  const stream = await openBinlogStream(
    {
      connection: { uri: source.url },
      serverId: 1_000_000 + Math.floor(Math.random() * 1_000_000_000),
      heartbeatMs: 1000,
      start: { gtidSet: GtidSet.parse(checkpoint.gtidSet ?? '') },
      maxQueueBytes: 2 ** 20,
      clock: systemClock,
      nonBlocking: true,
    },
    signal,
  );
  const rules = [
    {
      ...{ match: [`${source.schema}.*`, '!*.other'], topic: '{table}', key: null },
      ...{ excludeColumns: [], tombstones: true },
    },
  ];
  const place = new Place(checkpoint, { uuid: checkpoint.serverUuid, routing: 'r' });
  const follower = new BinlogFollower({
    ...{ name: 'cut', version: '0', router: createRouter({ name: 'cut', rules }) },
    ...{ place, writer: failing.around(writer), clock: systemClock, signal, logger: silentLogger },
    ...{ partitions: 2, maxBufferedBytes: BY_ROW, transactions, prepared: noPrepared },
    counters: {
      ...{ events: 0, bytes: 0, rows: 0 },
      filteredRowEvents: 0,
      transactions: 0,
      lastCommitMs: 0,
    },
    large: new LargeWork(systemClock),
    listener: { onStreaming: () => undefined, onProgress: () => undefined },
    onFailure: () => undefined,
  });
  const atEnd = new Error('All is read');
  try {
    await follower.run({
      next: async () => {
        const events = await stream.next();
        if (events.length === 0) throw atEnd;
        return events;
      },
    });
  } catch (error) {
    if (error !== atEnd && !(error instanceof RowcallError && error.message === 'Injected')) {
      throw error;
    }
  } finally {
    await stream.close();
    await writer.close();
  }
}

/** What each partition holds, but for what differs by the moment of reading. */
function held(store: MemoryLogStore): unknown {
  return [...store.topics].map(([topic, { partitions }]) => [
    topic,
    partitions.map(({ records }) =>
      records.map(({ id, key, value }) => [
        id,
        key,
        value &&
          Buffer.from(value)
            .toString()
            .replace(/"ts_ms":\d+,"transaction"/, ''),
      ]),
    ),
  ]);
}

function checkpointOf(store: MemoryLogStore): Checkpoint {
  return parseCheckpoint(store.checkpoints.get('cut') ?? '');
}

it('an append that fails at any row, in the log or not, leaves a log as if it had not', async () => {
  const source = await makeSource();
  const whole = new MemoryLogStore();
  const never = new FailingWriter(0, false);
  await session(source, whole, never);
  const wanted = held(whole);
  for (const part of ['/a:1:d', '/a:1:t', '/a:1:c', '/b:2', '/c:2', '/keyless:2']) {
    expect(JSON.stringify(wanted)).toContain(part);
  }
  expect(checkpointOf(whole).gtidSet).toBe(source.end.toString());
  expect(never.appends).toBeGreaterThan(25);
  for (let at = 1; at <= never.appends; at += 1) {
    for (const durable of [false, true]) {
      const store = new MemoryLogStore();
      const failing = new FailingWriter(at, durable);
      await session(source, store, failing);
      await session(source, store, failing);
      expect(held(store), `append ${at}, in the log: ${String(durable)}`).toEqual(wanted);
      expect(checkpointOf(store)).toEqual(checkpointOf(whole));
    }
  }
});

it('a transaction that is cut when transactions begin to be told of is told of from its BEGIN on', async () => {
  const source = await makeSource();
  const plain = new FailingWriter(0, false);
  await session(source, new MemoryLogStore(), plain, false);
  const cutOff = new Set<string>();
  for (let at = 1; at <= plain.appends; at += 1) {
    const store = new MemoryLogStore();
    await session(source, store, new FailingWriter(at, true), false);
    const [open] = checkpointOf(store).open;
    await session(source, store, new FailingWriter(0, false));
    const told = (store.topics.get('cut.transactions')?.partitions ?? [])
      .flatMap(({ records }) => records)
      .map(({ value }) => JSON.parse(String(value && Buffer.from(value))) as Told);
    const begun = told.filter(({ status }) => status === 'BEGIN').map(({ id }) => id);
    expect(told.map(({ status, id }) => `${status} ${id}`)).toEqual(
      begun.flatMap((id) => [`BEGIN ${id}`, `END ${id}`]),
    );
    if (open === undefined) continue;
    cutOff.add(open.transaction);
    expect(begun).toContain(open.transaction);
  }
  expect(cutOff.size).toBeGreaterThan(2);
});

interface Told {
  readonly status: string;
  readonly id: string;
}
