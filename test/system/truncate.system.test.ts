import { join } from 'node:path';

import { test } from 'vitest';

import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { killAroundTruncates, type Logged, PARTITIONS } from '../support/truncate-run.ts';
import { runSeed } from '../support/workload-random.ts';

async function readLog({ folder }: { readonly folder: string }): Promise<readonly Logged[]> {
  const log = await openEmbeddedLog({
    path: join(folder, 'data/events.db'),
    maxBytes: Infinity,
    retention: { ageMs: Infinity, sizeBytes: Infinity },
    clock: systemClock,
    logger: silentLogger,
    create: false,
  });
  try {
    const found: Logged[] = [];
    for (const { name: topic, partitions } of await log.topics()) {
      for (let partition = 0; partition < partitions; partition += 1) {
        const { records } = await log.read({ topic, partition }, 0, 64 * 1024 * 1024);
        for (const { id, value } of records) {
          found.push({ topic, partition, id, value: Buffer.from(value ?? []).toString('utf8') });
        }
      }
    }
    return found;
  } finally {
    await log.close();
  }
}

test(
  'rows stay on their side of TRUNCATE and DROP, and none is lost, when connector and dispatcher are killed and receivers fail',
  () =>
    killAroundTruncates({
      name: 'truncate',
      seed: runSeed(),
      kills: 12,
      log: { path: './data/events.db', topics: { partitions: PARTITIONS } },
      readLog,
    }),
  240_000,
);
