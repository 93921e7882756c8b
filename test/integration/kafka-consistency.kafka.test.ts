import { afterEach, describe, expect, test } from 'vitest';

import type { ChangeLog } from '../../src/log/change-log.ts';
import { abortable } from '../../src/shared/abort.ts';
import { readAll, record } from '../contract/change-log-samples.ts';
import { openKafka, removeAll } from '../contract/change-log-kafka-home.ts';
import { eventually } from '../support/eventually.ts';
import { seededRandom } from '../support/workload-random.ts';
import { kafkaBrokers, kafkaTools, uniqueKafkaName } from '../support/kafka.ts';
import { PARTITIONS, PartitionReader, Steps, pick } from './support/kafka-consistency.ts';
import type { Consistency, Seen } from './support/kafka-consistency.ts';

const WRITING_MS = 10_000;
/** Bytes a second; a broker gives those of eleven seconds at once. */
const QUOTA = 4_000;
const CONFIG = { 'retention.ms': '-1', 'max.message.bytes': String(3 * 1024 * 1024) };

const opened: ChangeLog[] = [];
let name = '';

afterEach(async () => {
  await Promise.all(opened.splice(0).map((log) => log.close()));
  await removeAll(kafkaBrokers(), (one) => one.startsWith(`${name}.`));
});

function prepare(seed: number): Consistency {
  name = uniqueKafkaName('consistency');
  return {
    name,
    topics: [`${name}.a`, `${name}.b`],
    random: seededRandom(seed),
    open: async (compression) => {
      const topics = { create: true, replicationFactor: 1, config: CONFIG };
      const log = await openKafka(kafkaBrokers(), name, { compression, topics });
      opened.push(log);
      return log;
    },
  };
}

/** What Kafka's own consumer reads, by partition. */
async function referee(topics: readonly string[]): Promise<ReadonlyMap<string, readonly Seen[]>> {
  const tools = await kafkaTools();
  const all = new Map<string, Seen[]>();
  const read = async (topic: string): Promise<void> => {
    const from = { from: 'beginning', isolation: 'read_committed', idleMs: 4_000 } as const;
    await using consumption = await tools.consume({ topic, ...from });
    for (const { partition, offset, headers } of await consumption.rest()) {
      const id = headers.find(([header]) => header === 'rowcall-id')?.[1] ?? '';
      const place = `${topic}/${partition}`;
      const those = all.get(place);
      if (those === undefined) all.set(place, [{ offset, id }]);
      else those.push({ offset, id });
    }
  };
  await Promise.all(topics.map(read));
  return all;
}

const placesOf = ({ topics }: Consistency): readonly string[] =>
  topics.flatMap((topic) =>
    Array.from({ length: PARTITIONS }, (_, partition) => `${topic}/${partition}`),
  );

describe('a log in Kafka, while writers are fenced and cut off in the middle of transactions', () => {
  const seed = Math.floor(Math.random() * 2 ** 32);

  test(`gives every reader what was committed, once and in order (seed ${seed})`, async () => {
    const run = prepare(seed);
    const places = placesOf(run);
    const steps = new Steps(run);
    const first = await run.open('none');
    const writer = await first.openWriter(name);
    await writer.createTopics(run.topics.map((topic) => ({ name: topic, partitions: PARTITIONS })));
    await writer.close();

    const stop = new AbortController();
    const [one, two] = [await run.open('none'), await run.open('none')];
    const tails = places.map((place) => new PartitionReader(one, place, run.random, 0));
    const laggards = places.map(
      (place) => new PartitionReader(pick(run.random, [one, two]), place, run.random, 0),
    );
    const others = places.map((place) => new PartitionReader(two, place, run.random, 0));
    const reading = Promise.all([
      ...[...tails, ...others].map((reader) => reader.follow(stop.signal)),
      ...laggards.map((reader) => reader.lag(steps, stop.signal)),
    ]);
    const failed = new AbortController();
    reading.catch((error: unknown) => {
      failed.abort(error);
    });
    await abortable(steps.run(WRITING_MS), failed.signal);

    const there = await referee(run.topics);
    for (const place of places) {
      expect(
        (there.get(place) ?? []).map(({ id }) => id),
        place,
      ).toEqual(steps.committed.get(place));
    }
    // Nothing is appended any more: whoever waits here was told of everything, or is never told.
    await eventually(() => {
      for (const [index, place] of places.entries()) {
        expect(tails[index]?.seen, place).toEqual(there.get(place));
        expect(others[index]?.seen, place).toEqual(there.get(place));
      }
    });
    stop.abort();
    await reading;
    await Promise.all(laggards.map((reader) => reader.catchUp()));
    for (const [index, place] of places.entries()) {
      expect(laggards[index]?.seen, place).toEqual(there.get(place));
    }
    for (const place of places) {
      const all = there.get(place) ?? [];
      const from = Math.floor(run.random() * ((all.at(-1)?.offset ?? 0) + 1));
      const reader = new PartitionReader(first, place, run.random, from);
      await reader.catchUp();
      expect(reader.seen, `${place} from ${from}`).toEqual(
        all.filter(({ offset }) => offset >= from),
      );
    }
  });
});

describe('a reader whom a quota of the brokers slows down', () => {
  test('reads everything, only later', async () => {
    const { open } = prepare(0);
    const log = await open('none');
    const writer = await log.openWriter(name);
    const at = { topic: `${name}.a`, partition: 0 };
    await writer.createTopics([{ name: at.topic, partitions: 1 }]);
    const value = Buffer.alloc(QUOTA, 'x');
    const all = Array.from({ length: 16 }, (_, index) => record(index, { value }));
    for (const one of all) await writer.append([{ ...at, records: [one] }], one.id);
    const tools = await kafkaTools();
    const client = ['--entity-type', 'clients', '--entity-name', `rowcall-${name}`];
    await tools.configs(['--alter', ...client, '--add-config', `consumer_byte_rate=${QUOTA}`]);
    const read = await readAll(log, at, 5 * QUOTA);
    expect(read.map(({ id }) => id)).toEqual(all.map(({ id }) => id));
    await tools.configs(['--alter', ...client, '--delete-config', 'consumer_byte_rate']);
  });
});
