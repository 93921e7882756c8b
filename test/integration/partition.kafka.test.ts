import fc from 'fast-check';
import { expect, test } from 'vitest';
import { partitionOf } from '../../src/log/partition.ts';
import { kafkaTools, uniqueKafkaName } from '../support/kafka.ts';

const KEYS = 400;
/** A prime well above what a weak hash could hit by chance. */
const PARTITIONS = 61;
const SEED = 20_260_101;

/** What the console programs carry: no control characters, and not the empty text either. */
const key = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }).filter(
  // eslint-disable-next-line no-control-regex -- control characters are what it is about
  (text) => !/[\u0000-\u001f]/.test(text) && text.isWellFormed(),
);

test("keys go to the partitions that Kafka's own producer gives them", async () => {
  const tools = await kafkaTools();
  const topic = uniqueKafkaName('partitions');
  await tools.topics(['--create', '--topic', topic, '--partitions', String(PARTITIONS)]);
  try {
    const rows = Array.from({ length: KEYS / 2 }, (_, id) => `{"id":${id * 7_919}}`);
    const keys = [...rows, ...fc.sample(key, { numRuns: KEYS / 2, seed: SEED })];
    await tools.produce(
      topic,
      keys.map((text, index) => ({ key: text, value: String(index) })),
    );
    const consumption = await tools.consume({ topic, from: 'beginning', count: KEYS });
    const records = await consumption.rest();
    const theirs = new Map(records.map(({ value, partition }) => [Number(value), partition]));
    const differing = keys.flatMap((text, index) =>
      theirs.get(index) === partitionOf(text, PARTITIONS) ? [] : [text],
    );
    expect(differing).toEqual([]);
    expect(new Set(theirs.values()).size).toBeGreaterThan(PARTITIONS / 2);
  } finally {
    await tools.topics(['--delete', '--topic', topic]);
  }
});
