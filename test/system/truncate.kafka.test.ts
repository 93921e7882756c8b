import { expect, test } from 'vitest';

import { HEADER_ID } from '../../src/change-event.ts';
import { kafkaBrokers, kafkaTools, uniqueKafkaName } from '../support/kafka.ts';
import { killAroundTruncates, type Logged, PARTITIONS } from '../support/truncate-run.ts';
import { runSeed } from '../support/workload-random.ts';

const IDLE_MS = 5_000;

/** As Kafka's own consumer reads what was committed. */
async function readLog(name: string, tables: readonly string[]): Promise<readonly Logged[]> {
  const tools = await kafkaTools();
  const found: Logged[] = [];
  for (const topic of [...tables, 'schema_changes'].map((one) => `${name}.${one}`)) {
    await using consumption = await tools.consume({
      topic,
      from: 'beginning',
      isolation: 'read_committed',
      idleMs: IDLE_MS,
    });
    for (const { partition, headers, value } of await consumption.rest()) {
      const id = headers.find(([header]) => header === HEADER_ID)?.[1] ?? '';
      expect(id).not.toBe('');
      found.push({ topic, partition, id, value: value ?? '' });
    }
  }
  return found;
}

test('rows stay on their side of TRUNCATE and DROP over Kafka, and none is lost, when connector and dispatcher are killed and receivers fail', () => {
  const name = uniqueKafkaName('truncate');
  return killAroundTruncates({
    name,
    seed: runSeed(),
    kills: 8,
    log: {
      type: 'kafka',
      brokers: [...kafkaBrokers()],
      topics: { partitions: PARTITIONS, replication_factor: 1 },
    },
    readLog: ({ tables }) => readLog(name, tables),
  });
}, 400_000);
