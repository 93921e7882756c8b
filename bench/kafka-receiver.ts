/**
 * An independent reader of what stands in Kafka, in a process of its own: it takes committed records
 * only, counts them and their different keys, and notes when which order came.
 */

import { randomUUID } from 'node:crypto';

import { compressionsAlgorithms } from '@platformatic/kafka';
import kafkajs, { Kafka, logLevel } from 'kafkajs';

import type { ReceiverStats } from './raw-receiver.ts';

export interface KafkaReceiverTask {
  readonly brokers: readonly string[];
  readonly topics: readonly string[];
  /** Keep when each record came. */
  readonly times: boolean;
}

const KEY = /"id":(\d+)/;

/** kafkajs reads no lz4 by itself. */
kafkajs.CompressionCodecs[kafkajs.CompressionTypes.LZ4] = () => ({
  compress: () => Promise.reject(new Error('This process only reads')),
  decompress: (bytes: Buffer) => Promise.resolve(compressionsAlgorithms.lz4.decompressSync(bytes)),
});

let count = 0;
let firstMs = 0;
let lastMs = 0;
const times: number[] = [];
const ids = new Set<number>();

async function consume(task: KafkaReceiverTask): Promise<void> {
  const kafka = new Kafka({ brokers: [...task.brokers], logLevel: logLevel.NOTHING });
  // Isolation is read_committed unless readUncommitted is asked for.
  const consumer = kafka.consumer({ groupId: `bench-${randomUUID()}` });
  const joined = new Promise((resolve) => {
    consumer.on(consumer.events.GROUP_JOIN, resolve);
  });
  // It would begin anew for ever: who waits for records would never learn why none come.
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    fail(payload.error);
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [...task.topics], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    partitionsConsumedConcurrently: 8,
    eachBatch: ({ batch }) => {
      lastMs = Number(process.hrtime.bigint()) / 1e6;
      if (count === 0) firstMs = lastMs;
      count += batch.messages.length;
      for (const { key } of batch.messages) {
        const id = Number(KEY.exec(key?.toString('latin1') ?? '')?.[1] ?? -1);
        ids.add(id);
        if (task.times) times.push(id, lastMs);
      }
      return Promise.resolve();
    },
  });
  await joined;
}

function fail(error: unknown): void {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
}

process.once('message', (task: KafkaReceiverTask) => {
  void consume(task).then(() => {
    process.on('message', () => {
      const distinct = ids.size;
      process.send?.({ count, distinct, firstMs, lastMs, times } satisfies ReceiverStats);
    });
    process.send?.('joined');
  }, fail);
});
process.on('disconnect', () => {
  process.exit(0);
});
