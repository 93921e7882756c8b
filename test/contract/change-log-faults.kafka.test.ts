import { afterEach, beforeAll, describe, expect, test } from 'vitest';

import type { KafkaServer } from '../../services/kafka.ts';
import { RowcallError } from '../../src/errors.ts';
import type { ChangeLog } from '../../src/log/change-log.ts';
import type { Logger } from '../../src/shared/logger.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnKafka } from '../support/kafka.ts';
import { openKafka, removeAll } from './change-log-kafka-home.ts';
import { code, ids, idsOf, record, records } from './change-log-samples.ts';

let kafka: KafkaServer;
const opened: ChangeLog[] = [];

beforeAll(async () => {
  kafka = await startOwnKafka();
});
afterEach(async () => {
  for (const log of opened.splice(0)) await log.close();
});

/** What was said, by its level. */
function listen(): { readonly logger: Logger; readonly said: string[] } {
  const said: string[] = [];
  const at =
    (level: string) =>
    (_fields: object, message: string): void => {
      said.push(`${level}: ${message}`);
    };
  const logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return { logger, said };
}

const PARTITIONS = 4;
const topicOf = (name: string): string => `${name}.orders`;

/** Appends one record at a time, to each partition in turn, opening a new writer where one died, as the capture does. */
async function capture(log: ChangeLog, name: string, signal: AbortSignal): Promise<number> {
  const topic = topicOf(name);
  for (;;) {
    const writer = await log.openWriter(name);
    let next = Number(writer.checkpoint ?? 0);
    try {
      await writer.createTopics([{ name: topic, partitions: PARTITIONS }]);
      while (!signal.aborted) {
        const at = { topic, partition: next % PARTITIONS };
        await writer.append([{ ...at, records: records(next, 1) }], String(next + 1));
        next += 1;
      }
      await writer.close();
      return next;
    } catch (error) {
      if (!(error instanceof RowcallError) || !error.retriable) throw error;
      await writer.close();
    }
  }
}

/** Reads as the callbacks do: each partition to its end, then again at each call of the listener. */
function follow(
  log: ChangeLog,
  name: string,
): { readonly seen: string[]; readonly end: () => void } {
  const seen: string[] = [];
  const next = Array.from({ length: PARTITIONS }, () => 0);
  let reading = Promise.resolve();
  const readOn = async (partition: number): Promise<void> => {
    const at = { topic: topicOf(name), partition };
    for (;;) {
      const offset = next[partition] ?? 0;
      const fetched = await log.read(at, offset, 100_000);
      seen.push(...fetched.records.map(({ id }) => id));
      next[partition] = fetched.nextOffset;
      if (fetched.nextOffset === offset) return;
    }
  };
  const readAll = async (): Promise<void> => {
    if ((await log.topics()).length === 0) return;
    await Promise.all(next.map((_, partition) => readOn(partition)));
  };
  const end = log.onAppend(() => {
    reading = reading.then(readAll);
  });
  return { seen, end };
}

describe('Kafka log and a broker that is away', () => {
  /** Kills the broker while one appends and another follows, and starts it after `meanwhile`. */
  const survive = async (
    name: string,
    cluster: { readonly brokers: readonly string[]; readonly copies: number },
    broker: KafkaServer['brokers'][number] | undefined,
    meanwhile: (said: readonly string[], grown: () => Promise<void>) => Promise<void>,
  ): Promise<readonly string[]> => {
    const { logger, said } = listen();
    const topics = {
      create: true,
      replicationFactor: cluster.copies,
      config: { 'retention.ms': '-1' },
    };
    const log = await openKafka(cluster.brokers, name, { logger, topics });
    const reader = await openKafka(cluster.brokers, name, { topics });
    opened.push(log, reader);
    const { seen, end } = follow(reader, name);
    const stop = new AbortController();
    const capturing = capture(log, name, stop.signal);
    const grown = async (): Promise<void> => {
      const before = seen.length;
      await eventually(
        () => {
          expect(seen.length).toBeGreaterThan(before + 20);
        },
        { timeoutMs: 60_000 },
      );
    };
    await grown();
    await broker?.kill();
    await meanwhile(said, grown);
    await broker?.start();
    await grown();
    stop.abort();
    const count = await capturing;
    await eventually(() => {
      expect(seen.length).toBe(count);
    });
    end();
    expect(seen.toSorted()).toEqual(ids(0, count).toSorted());
    for (let partition = 0; partition < PARTITIONS; partition += 1) {
      const own = ids(0, count).filter((_, n) => n % PARTITIONS === partition);
      expect(await idsOf(reader, { topic: topicOf(name), partition })).toEqual(own);
    }
    expect(await reader.readCheckpoint(name)).toBe(String(count));
    return said;
  };

  test('the only broker is waited for, louder with time; nothing is lost or repeated', async () => {
    const cluster = { brokers: kafka.bootstrap, copies: 1 };
    const said = await survive('away', cluster, kafka.brokers[0], async (soFar) => {
      await eventually(() => {
        expect(soFar).toContain('warn: Kafka is being waited for');
      });
    });
    expect(said).toContain('info: Kafka answers again');
  });

  test('where others have copies they take over, for writer and readers', async () => {
    const two = await startOwnKafka({ brokers: 2 });
    const cluster = { brokers: two.bootstrap, copies: 2 };
    await survive('moved', cluster, two.brokers[1], async (_said, grown) => {
      await grown();
    });
  });

  test('a command gives up after its patience, and closing never waits', async () => {
    const hurried = await openKafka(['127.0.0.1:1'], 'nobody', { patienceMs: 300 });
    opened.push(hurried);
    await expect(hurried.readCheckpoint('nobody')).rejects.toEqual(code('LOG_UNREACHABLE'));
    const patient = await openKafka(['127.0.0.1:1'], 'nobody');
    const reading = patient.readCheckpoint('nobody');
    const told = expect(reading).rejects.toEqual(code('LOG_UNREACHABLE'));
    await patient.close();
    await told;
  });
});

describe('Kafka log and a topic made anew under its name', () => {
  test('is refused by readers and told as what it is', async () => {
    const name = 'anew';
    const log = await openKafka(kafka.bootstrap, name);
    opened.push(log);
    const writer = await log.openWriter(name);
    const at = { topic: `${name}.orders`, partition: 0 };
    await writer.createTopics([{ name: at.topic, partitions: 1 }]);
    await writer.append([{ ...at, records: records(0, 3) }], 'c1');
    expect(await idsOf(log, at)).toEqual(ids(0, 3));
    await removeAll(kafka.bootstrap, (topic) => topic === at.topic);
    await kafka.tools.topics(['--create', '--topic', at.topic, '--partitions', '1']);
    await expect(log.read(at, 0, 1_000)).rejects.toEqual(code('TOPIC_RECREATED'));
    await expect(log.bounds(at)).rejects.toEqual(code('TOPIC_RECREATED'));
  });
});

describe('Kafka log and the limits of topics', () => {
  test('an append over max.message.bytes is written in several batches, a record over it is named', async () => {
    const name = 'limits';
    const log = await openKafka(kafka.bootstrap, name, {
      topics: { create: true, replicationFactor: 1, config: { 'max.message.bytes': '20000' } },
    });
    opened.push(log);
    const writer = await log.openWriter(name);
    const topic = `${name}.orders`;
    await writer.createTopics([{ name: topic, partitions: 2 }]);
    const value = Buffer.alloc(1_000, 'v');
    const all = records(0, 100).map((one) => ({ ...one, value, timestampMs: Date.now() }));
    const batches = [0, 1].map((partition) => ({ topic, partition, records: all }));
    await writer.append(batches, 'c1');
    for (const partition of [0, 1]) {
      expect(await idsOf(log, { topic, partition })).toEqual(ids(0, 100));
    }
    const large = record(100, { value: Buffer.alloc(20_000) });
    const refused = writer.append([{ topic, partition: 0, records: [large] }], 'c2');
    await expect(refused).rejects.toMatchObject({
      code: 'RECORD_TOO_LARGE',
      place: expect.stringContaining(large.id) as string,
      message: expect.stringContaining('{"id":100}') as string,
    });
    await writer.append([], 'c2');
  });

  test.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)(
    '%s is read as it was written',
    async (compression) => {
      const log = await openKafka(kafka.bootstrap, compression, { compression });
      opened.push(log);
      const writer = await log.openWriter(compression);
      const topic = `${compression}.orders`;
      await writer.createTopics([{ name: topic, partitions: 1 }]);
      await writer.append([{ topic, partition: 0, records: records(0, 5_000) }], 'c1');
      expect(await idsOf(log, { topic, partition: 0 })).toEqual(ids(0, 5_000));
      const read = await kafka.tools.consume({ topic, from: 'beginning', count: 5_000 });
      const lines = await read.rest();
      expect(lines.map(({ key }) => key)).toEqual(records(0, 5_000).map(({ key }) => key));
    },
  );

  test('a row that was committed by a clock far ahead is written with its time', async () => {
    const log = await openKafka(kafka.bootstrap, 'ahead');
    opened.push(log);
    const writer = await log.openWriter('ahead');
    const at = { topic: 'ahead.orders', partition: 0 };
    await writer.createTopics([{ name: at.topic, partitions: 1 }]);
    const timestampMs = Date.now() + 2 * 86_400_000;
    await writer.append([{ ...at, records: [record(0, { timestampMs })] }], 'c1');
    const { records: read } = await log.read(at, 0, 1_000);
    expect(read).toMatchObject([{ timestampMs }]);
  });

  test('a topic made by hand that refuses such a time is told with its cure', async () => {
    const at = { topic: 'refusing.orders', partition: 0 };
    await kafka.tools.topics(['--create', '--topic', at.topic, '--partitions', '1']);
    const log = await openKafka(kafka.bootstrap, 'refusing');
    opened.push(log);
    const writer = await log.openWriter('refusing');
    await writer.createTopics([{ name: at.topic, partitions: 1 }]);
    const ahead = record(0, { timestampMs: Date.now() + 2 * 86_400_000 });
    await expect(writer.append([{ ...at, records: [ahead] }], 'c1')).rejects.toMatchObject({
      code: 'LOG_WRITE_FAILED',
      cure: expect.stringContaining('message.timestamp.after.max.ms') as string,
    });
  });

  test('a topic that cannot be made as configured is a stop with its reason', async () => {
    const log = await openKafka(kafka.bootstrap, 'copies', {
      topics: { create: true, replicationFactor: 9, config: {} },
    });
    opened.push(log);
    await expect(log.openWriter('copies')).rejects.toEqual(code('TOPIC_NOT_MADE'));
    const handmade = await openKafka(kafka.bootstrap, 'handmade', {
      topics: { create: false, replicationFactor: 1, config: {} },
    });
    opened.push(handmade);
    await expect(handmade.openWriter('handmade')).rejects.toEqual(code('TOPIC_NOT_MADE'));
  });
});
