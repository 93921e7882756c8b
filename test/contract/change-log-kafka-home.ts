/** A Kafka log of a test, and what must go when the test is over. */
import { Admin } from '@platformatic/kafka';

import type { ChangeLog } from '../../src/log/change-log.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import type { KafkaLogOptions } from '../../src/log/kafka/kafka-options.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { eventually } from '../support/eventually.ts';

/** Rows of tests are of 1970: no retention by time. */
const TOPICS = { create: true, replicationFactor: 1, config: { 'retention.ms': '-1' } };

export function openKafka(
  brokers: readonly string[],
  name: string,
  more: Partial<KafkaLogOptions> = {},
): Promise<ChangeLog> {
  return openKafkaLog({
    name,
    brokers,
    delivery: 'exactly-once',
    compression: 'none',
    topics: TOPICS,
    clock: systemClock,
    logger: silentLogger,
    ...more,
  });
}

export async function withAdmin<T>(
  brokers: readonly string[],
  work: (admin: Admin) => Promise<T>,
): Promise<T> {
  const admin = new Admin({ clientId: 'rowcall-test', bootstrapBrokers: [...brokers], retries: 0 });
  try {
    return await work(admin);
  } finally {
    await admin.close();
  }
}

/** Deletes every topic and group whose name `isOurs` knows. A broker tells of one for a moment after it was deleted. */
export async function removeAll(
  brokers: readonly string[],
  isOurs: (name: string) => boolean,
): Promise<void> {
  await withAdmin(brokers, (admin) =>
    eventually(async () => {
      const topics = (await admin.listTopics()).filter(isOurs);
      if (topics.length > 0) await admin.deleteTopics({ topics });
      const groups = [...(await admin.listGroups()).keys()].filter(isOurs);
      if (groups.length > 0) await admin.deleteGroups({ groups });
      const left = (await admin.listTopics()).filter(isOurs);
      if (left.length > 0) throw new Error(`Topics are there still: ${left.join(', ')}`);
    }),
  );
}
