/** A real Kafka, as a test uses it. */
import { afterAll, inject } from 'vitest';
import { givenKafka } from '../../services/kafka/given.ts';
import type { KafkaTools } from '../../services/kafka/tools.ts';
import { startKafka } from '../../services/kafka.ts';
import type { KafkaOptions, KafkaServer } from '../../services/kafka.ts';

/** Undone when the test file has ended, whether its tests passed or not. */
const undo: (() => Promise<void>)[] = [];

afterAll(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** The broker all tests share; for files named `.kafka.test.ts`. */
export function kafkaBrokers(): readonly string[] {
  return inject('kafkaBrokers');
}

/** Kafka's own programs on the shared broker. */
export async function kafkaTools(): Promise<KafkaTools> {
  return (await givenKafka(kafkaBrokers().join(','), {})).tools;
}

/** A name no other test has: for topics, groups and transactional ids on the shared broker. */
export function uniqueKafkaName(prefix: string): string {
  return `${prefix}-${crypto.randomUUID().slice(0, 8)}`;
}

/** A cluster of the test's own, to stop, hold or set up otherwise; it ends with the test file. */
export async function startOwnKafka(options: KafkaOptions = {}): Promise<KafkaServer> {
  const server = await startKafka({ fast: true, ...options, own: true });
  undo.push(() => server.dispose());
  return server;
}
