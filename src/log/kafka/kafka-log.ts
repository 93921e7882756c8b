/** The change log in Kafka. */
import { randomUUID } from 'node:crypto';

import { RowcallError, toRowcallError } from '../../errors.ts';
import type {
  ChangeLog,
  ChangeLogWriter,
  Fetched,
  LogUsage,
  LowWaterMark,
  PartitionBounds,
  TopicInfo,
  TopicPartition,
} from '../change-log.ts';
import type { CheckpointRecord } from './checkpoint-record.ts';
import { checkpointTopic } from './checkpoint-record.ts';
import { CheckpointWatch } from './checkpoint-watch.ts';
import { Chunks } from './chunks.ts';
import { Cluster, type ClusterTopic, GONE_AFTER_MS } from './cluster.ts';
import { Connections } from './connections.ts';
import { BrokerRefusal, KAFKA } from './kafka-error.ts';
import type { KafkaLogOptions } from './kafka-options.ts';
import { DELIVERY_TIMEOUT_MS } from './kafka-options.ts';
import { KafkaReader } from './kafka-reader.ts';
import { KafkaWriter } from './kafka-writer.ts';
import type { ConsumerMarks } from './low-water.ts';
import { LowWater } from './low-water.ts';
import { readNewest } from './newest-checkpoint.ts';
import { endForgotten, OpenTransactions } from './open-transactions.ts';
import { Patience } from './patience.ts';
import type { Reading } from './positioned-fetch.ts';
import { Producer } from './producer.ts';
import { Tail } from './tail.ts';
import { TopicAdmin } from './topic-admin.ts';
import { TopicList } from './topic-list.ts';

/** Of a table's topic, unless the operator says otherwise. */
const TABLE_TOPIC = {
  'cleanup.policy': 'delete',
  // A record's time is its row's: what a callback begins from, and what retention counts by.
  'message.timestamp.type': 'CreateTime',
};

/**
 * Of the checkpoint's topic, whatever the operator says of the others. Compacted, not deleted by age: the newest
 * record is needed however long ago it was written. Small segments, since the one being written is never cleaned.
 */
export const CHECKPOINT_TOPIC = {
  'cleanup.policy': 'compact',
  'segment.bytes': String(16 * 1024 * 1024),
  'min.cleanable.dirty.ratio': '0.1',
  'max.message.bytes': String(8 * 1024 * 1024),
  'message.timestamp.type': 'CreateTime',
};

/** Nothing is asked of the brokers yet: one that is not there is waited for by what needs it. */
export function openKafkaLog(options: KafkaLogOptions): Promise<ChangeLog> {
  return Promise.resolve(new KafkaLog(options));
}

/**
 * Invariant: a writer has connections of its own, as has the tail, so that none of writing, reading and waiting for
 * news stands behind another.
 */
export class KafkaLog implements ChangeLog {
  readonly #options: KafkaLogOptions;
  readonly #stopping = new AbortController();
  readonly #patience: Patience;
  readonly #cluster: Cluster;
  readonly #reading: Reading;
  readonly #tailConnections: Connections;
  readonly #tail: Tail;
  readonly #reader: KafkaReader;
  readonly #admin: TopicAdmin;
  readonly #topics: TopicList;
  readonly #lowWater: LowWater;
  readonly #watch: CheckpointWatch;
  readonly #writers = new Set<KafkaWriter>();
  #closed: Promise<void> | undefined;

  constructor(options: KafkaLogOptions) {
    const { name, clock, logger, patienceMs = Infinity } = options;
    this.#options = options;
    const { signal } = this.#stopping;
    const patience = new Patience(clock, logger, patienceMs, signal);
    const cluster = new Cluster(options, patience);
    const chunks = new Chunks((place) => {
      this.#tail.unfollow(place);
    });
    this.#patience = patience;
    this.#cluster = cluster;
    this.#reading = { cluster, connections: new Connections(options) };
    this.#tailConnections = new Connections(options);
    this.#topics = new TopicList({ name, cluster, patience, newest: () => this.#newest(name) });
    this.#tail = new Tail({
      cluster,
      patience,
      chunks,
      connections: this.#tailConnections,
      onNews: () => {
        this.#watch.notify();
      },
      onWatched: (fetched) => {
        this.#watch.came(fetched);
      },
      onWatchLost: () => {
        this.#watch.lost();
      },
    });
    this.#watch = new CheckpointWatch({
      at: { topic: checkpointTopic(name), partition: 0 },
      cluster,
      patience,
      tail: this.#tail,
      topics: this.#topics,
      bounds: (at) => this.#reader.bounds(at),
      onDefect: (error) => {
        const { message } = toRowcallError(error);
        logger.error({ reason: message }, 'The checkpoint topic is not watched any more: a defect');
      },
    });
    this.#reader = new KafkaReader({ ...this.#reading, patience, chunks, tail: this.#tail });
    this.#admin = new TopicAdmin(cluster, patience, options.topics);
    this.#lowWater = new LowWater(name, cluster, patience);
  }

  async openWriter(name: string): Promise<ChangeLogWriter> {
    await this.#refuseLost(name);
    const writer = await this.#open(name);
    await this.#use(writer, () => writer.claim(writer.checkpoint));
    return writer;
  }

  async readCheckpoint(name: string): Promise<string | null> {
    return (await this.#newest(name))?.checkpoint ?? null;
  }

  async setCheckpoint(name: string, checkpoint: string): Promise<void> {
    const writer = await this.#open(name);
    try {
      await this.#use(writer, () => writer.claim(checkpoint));
    } finally {
      await writer.close();
    }
  }

  topics(): Promise<readonly TopicInfo[]> {
    return this.#topics.get(this.#watch.watching);
  }

  read(at: TopicPartition, offset: number, maxBytes: number): Promise<Fetched> {
    return this.#reader.read(at, offset, maxBytes);
  }

  bounds(at: TopicPartition): Promise<PartitionBounds> {
    return this.#reader.bounds(at);
  }

  writtenEnd(at: TopicPartition): Promise<number> {
    return this.#reader.writtenEnd(at);
  }

  offsetForTimestamp(at: TopicPartition, timestampMs: number): Promise<number> {
    return this.#reader.offsetForTimestamp(at, timestampMs);
  }

  onAppend(listener: () => void): () => void {
    return this.#watch.listen(listener);
  }

  setLowWater(consumer: string, stateId: string, marks: readonly LowWaterMark[]): Promise<void> {
    return this.#lowWater.set(consumer, stateId, marks);
  }

  lowWater(): Promise<readonly ConsumerMarks[]> {
    return this.#lowWater.all();
  }

  /** Kafka deletes by the settings of each topic, whatever a consumer holds. */
  applyRetention(): Promise<number> {
    return Promise.resolve(0);
  }

  /** Kafka's disks are not ours to measure, and have no limit that we know. */
  usage(): Promise<LogUsage> {
    return Promise.resolve({ bytes: 0, maxBytes: Infinity });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#watch.close();
    this.#stopping.abort();
    const tailed = this.#tail.ended();
    // A poll stays with its broker for a while; without its connection it ends at once.
    await this.#tailConnections.close();
    await tailed;
    await Promise.all([...this.#writers].map((writer) => writer.close()));
    await this.#reading.connections.close();
    await this.#cluster.close();
  }

  #newest(name: string, decided = false): Promise<CheckpointRecord | null> {
    return readNewest(this.#reading, name, { patience: this.#patience, decided });
  }

  /** Looked at before anything is fenced: whoever is refused here has changed nothing. */
  async #refuseLost(name: string): Promise<void> {
    if ((await this.readCheckpoint(name)) !== null) return;
    const topics = await this.#topics.get(false);
    for (const { name: topic, partitions } of topics) {
      const each = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
      const bounds = await Promise.all(each.map((at) => this.#reader.bounds(at)));
      if (bounds.every(({ end }) => end === 0)) continue;
      // Another connector may have begun since: its first checkpoint is there before its first record.
      if ((await this.readCheckpoint(name)) !== null) return;
      const message = `The topic ${topic} has records, but there is no checkpoint of ${name}`;
      throw new RowcallError('CHECKPOINT_LOST', message, { place: checkpointTopic(name) });
    }
  }

  async #open(name: string): Promise<KafkaWriter> {
    const { topics, compression, delivery, clock, deliveryTimeoutMs } = this.#options;
    const connections = new Connections(this.#options);
    const open = new OpenTransactions({ cluster: this.#cluster, connections }, this.#patience);
    try {
      const own = checkpointTopic(name);
      const settings = { ...topics.config, ...CHECKPOINT_TOPIC };
      await this.#admin.ensure([{ name: own, partitions: 1 }], settings);
      const producer = new Producer({
        cluster: this.#cluster,
        connections,
        patience: this.#patience,
        transactionalId: `rowcall.${name}`,
        group: name,
        stillOpen: (id, partitions) => open.of(id, partitions),
      });
      await this.#begin(name, producer, open);
      if (delivery === 'at-least-once') await producer.fence({ topic: own, partition: 0 });
      // Only now: whatever an older writer had in the air is in the log or will never be.
      const found = await this.#newest(name, true);
      const configs = await this.#configs(own, found);
      const writer: KafkaWriter = new KafkaWriter({
        name,
        id: randomUUID(),
        producer,
        admin: this.#admin,
        exactlyOnce: delivery === 'exactly-once',
        compression,
        topicConfig: { ...TABLE_TOPIC, ...topics.config },
        deliveryTimeoutMs: deliveryTimeoutMs ?? DELIVERY_TIMEOUT_MS,
        clock,
        found,
        configs,
        newest: () => this.#newest(name),
        onWritten: () => {
          this.#watch.notify();
        },
        release: async () => {
          this.#writers.delete(writer);
          await connections.close();
        },
      });
      this.#writers.add(writer);
      return writer;
    } catch (error) {
      await connections.close();
      throw error;
    }
  }

  /**
   * Takes over, and ends what Kafka forgot to end. Every partition is looked at before anything changes: one that is
   * away is waited for while the coordinator still knows how the last transaction was to end.
   */
  async #begin(name: string, producer: Producer, open: OpenTransactions): Promise<void> {
    const { logger } = this.#options;
    const before = await producer.describe();
    const partitions = await this.#partitionsOf(name);
    if (before !== null) await open.of(before.id, partitions);
    const outcome = await producer.begin();
    const left = await open.of(producer.id, partitions);
    await endForgotten({ producer, outcome, left, logger });
  }

  /** All that a writer of this name may have written to: a topic stands in a checkpoint before its first record. */
  async #partitionsOf(name: string): Promise<readonly TopicPartition[]> {
    const found = await this.#newest(name);
    const topics = await this.#topicsThere([
      checkpointTopic(name),
      ...(found?.topics.keys() ?? []),
    ]);
    return topics.flatMap((topic) =>
      topic.leaders.map((_, partition) => ({ topic: topic.name, partition })),
    );
  }

  /** Those of `names` that are there. A broker that has just started may know less than it did, and is asked again. */
  #topicsThere(names: readonly string[]): Promise<readonly ClusterTopic[]> {
    const { clock } = this.#options;
    const until = clock.monotonic() + GONE_AFTER_MS;
    return this.#patience.attempt(
      { doing: 'Looking for topics', code: 'LOG_UNREACHABLE' },
      async () => {
        const there = await this.#cluster.topics(names);
        if (there.length === names.length || clock.monotonic() >= until) return there;
        const known = new Set(there.map((topic) => topic.name));
        const missing = names.filter((name) => !known.has(name)).join(', ');
        throw new BrokerRefusal(KAFKA.UNKNOWN_TOPIC_OR_PARTITION, missing);
      },
    );
  }

  /** @throws RowcallError LOG_UNUSABLE: the checkpoint would not be kept */
  async #configs(own: string, found: CheckpointRecord | null): ReturnType<TopicAdmin['configs']> {
    const there = await this.#topicsThere([...(found?.topics.keys() ?? [])]);
    const configs = await this.#admin.configs([own, ...there.map((topic) => topic.name)]);
    const policy = configs.get(own)?.cleanupPolicy ?? '';
    if (policy !== CHECKPOINT_TOPIC['cleanup.policy']) {
      throw new RowcallError(
        'LOG_UNUSABLE',
        `The topic ${own} has cleanup.policy=${policy}: the checkpoint would be deleted by age or size`,
        { place: own, cure: `Set cleanup.policy=compact on ${own}.` },
      );
    }
    return configs;
  }

  async #use<T>(writer: KafkaWriter, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await writer.close();
      throw error;
    }
  }
}
