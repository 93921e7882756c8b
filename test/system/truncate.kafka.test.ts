import { test } from 'vitest';

import { kafkaBrokers, uniqueKafkaName } from '../support/kafka.ts';
import { killAroundTruncates } from '../support/truncate-run.ts';
import { runSeed } from '../support/workload-random.ts';

test(
  'rows stay on their side of TRUNCATE and DROP over Kafka, and none is lost, when connector and dispatcher are killed and receivers fail',
  () =>
    killAroundTruncates({
      name: uniqueKafkaName('truncate'),
      seed: runSeed(),
      kills: 8,
      log: {
        type: 'kafka',
        brokers: [...kafkaBrokers()],
        topics: { partitions: 3, replication_factor: 1 },
      },
    }),
  400_000,
);
