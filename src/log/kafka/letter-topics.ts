/** Topics of dead letters in Kafka: made when they are first written to, written by one process at a time. */

import type { LogRecord } from '../../change-event.ts';
import { RowcallError, toRowcallError, type ErrorCode } from '../../errors.ts';
import { partitionOfRecord } from '../partition.ts';
import { Cluster } from './cluster.ts';
import { Connections } from './connections.ts';
import { encodeBatches } from './encode-batch.ts';
import { isFencing } from './kafka-error.ts';
import type { KafkaLogOptions } from './kafka-options.ts';
import { OpenTransactions } from './open-transactions.ts';
import { Patience } from './patience.ts';
import { Producer } from './producer.ts';
import { TopicAdmin } from './topic-admin.ts';

export interface LetterTopicsOptions extends Omit<KafkaLogOptions, 'patienceMs'> {
  /** Of a topic that is made. */
  readonly partitions: number;
}

/** After so long whoever asked is told, and asks again later: meanwhile others' letters may go. */
const PATIENCE_MS = 30_000;
/** What is set on a topic may be changed by its operator. */
const LOOK_AGAIN_MS = 60_000;
/** Kafka's own default of max.message.bytes. */
export const USUAL_RECORD_BYTES = 1_048_588;
/** What a letter may have beside what its record had in the topic of its table. */
export const REASON_BYTES = 64 * 1024;

/** They show before anything is sent. */
const UNSENT: ReadonlySet<ErrorCode> = new Set([
  'RECORD_TOO_LARGE',
  'TOPIC_COMPACTED',
  'TOPIC_NOT_MADE',
  'TOPIC_INVALID',
]);

interface Topic {
  readonly partitions: number;
  readonly maxBytes: number;
  readonly askedAt: number;
}

/** What is set on a topic of dead letters when it is made. */
export function letterTopicConfig(
  config: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const limit = Number(config['max.message.bytes'] ?? USUAL_RECORD_BYTES);
  return {
    'cleanup.policy': 'delete',
    'message.timestamp.type': 'CreateTime',
    ...config,
    // What the topic of its table took must have room here with its reasons.
    'max.message.bytes': String(limit + REASON_BYTES),
  };
}

/**
 * Invariant: what one session could not send to its end is never followed by more of the same session: the outcome is
 * unknown, and its producer's sequences may be ahead of the broker's. A new one takes the transactional id over, and
 * fences the older one in a topic before it writes there, so that nothing which is still on its way comes behind what is
 * written anew.
 */
export class KafkaLetterTopics {
  readonly #options: LetterTopicsOptions;
  readonly #stopping = new AbortController();
  #session: Session | null = null;
  #closed: Promise<void> | undefined;

  constructor(options: LetterTopicsOptions) {
    this.#options = options;
  }

  async write(topic: string, records: readonly LogRecord[]): Promise<void> {
    this.#session ??= new Session(this.#options, this.#stopping.signal);
    const session = this.#session;
    try {
      await session.write(topic, records);
    } catch (error) {
      const failure = toRowcallError(error, 'LOG_WRITE_FAILED');
      if (UNSENT.has(failure.code)) {
        session.forget(topic);
      } else {
        this.#session = null;
        await session.close();
      }
      if (!isFencing(error)) throw failure;
      const message = `Another process mirrors the dead letters of ${this.#options.name}`;
      throw new RowcallError('WRITER_FENCED', message, { place: topic, cause: error });
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#stopping.abort();
    await this.#session?.close();
  }
}

/** Connections, what is known of the topics, and one producer, from its beginning to its first failure. */
class Session {
  readonly #options: LetterTopicsOptions;
  readonly #connections: Connections;
  readonly #cluster: Cluster;
  readonly #admin: TopicAdmin;
  readonly #producer: Producer;
  readonly #topics = new Map<string, Topic>();
  /** Where no older producer can write any more. */
  readonly #fenced = new Set<string>();
  #begun = false;

  constructor(options: LetterTopicsOptions, signal: AbortSignal) {
    const { name, clock, logger } = options;
    this.#options = options;
    const patience = new Patience(clock, logger, PATIENCE_MS, signal);
    const connections = new Connections(options);
    const cluster = new Cluster(options, patience);
    const open = new OpenTransactions({ cluster, connections }, patience);
    this.#connections = connections;
    this.#cluster = cluster;
    this.#admin = new TopicAdmin(cluster, patience, options.topics);
    this.#producer = new Producer({
      ...{ cluster, connections, patience, group: name },
      transactionalId: `rowcall.${name}.dead-letters`,
      stillOpen: (id, partitions) => open.of(id, partitions),
    });
  }

  async write(topic: string, records: readonly LogRecord[]): Promise<void> {
    const { clock, compression } = this.#options;
    const { partitions, maxBytes } = await this.#topic(topic);
    const batches = Array.from(byPartition(records, partitions), ([partition, those]) => ({
      topic,
      partition,
      batches: encodeBatches(those, topic, { maxBytes, compression }),
    }));
    const until = clock.monotonic() + PATIENCE_MS;
    await this.#fence(topic, partitions, until);
    await this.#producer.send(batches, until);
  }

  /** What was set on it may be mended. */
  forget(topic: string): void {
    this.#topics.delete(topic);
  }

  async close(): Promise<void> {
    await this.#connections.close();
    await this.#cluster.close();
  }

  async #topic(name: string): Promise<Topic> {
    const { clock, topics, partitions } = this.#options;
    const known = this.#topics.get(name);
    if (known !== undefined && clock.monotonic() - known.askedAt < LOOK_AGAIN_MS) return known;
    const settings = letterTopicConfig(topics.config);
    const [made] = await this.#admin.ensure([{ name, partitions }], settings);
    const config = (await this.#admin.configs([name])).get(name);
    if (config?.cleanupPolicy.includes('compact') === true) {
      throw new RowcallError('TOPIC_COMPACTED', `The topic ${name} is compacted`, {
        place: name,
        cure: `A compacted topic forgets all but the last dead letter of a key: set cleanup.policy=delete on ${name}.`,
      });
    }
    const topic = {
      partitions: made?.leaders.length ?? 0,
      maxBytes: config?.maxBytes ?? 0,
      askedAt: clock.monotonic(),
    };
    // Partitions may have been added, in which the older producer has not been fenced.
    if (topic.partitions !== known?.partitions) this.#fenced.delete(name);
    this.#topics.set(name, topic);
    return topic;
  }

  /** The leader of a partition takes an older producer's batches until it has seen the newer epoch. */
  async #fence(topic: string, partitions: number, until: number): Promise<void> {
    if (!this.#begun) await this.#producer.begin();
    this.#begun = true;
    if (this.#fenced.has(topic)) return;
    const all = Array.from({ length: partitions }, (_, partition) => ({
      ...{ topic, partition, batches: [] },
    }));
    await this.#producer.transaction(all, until);
    this.#fenced.add(topic);
  }
}

function byPartition(
  records: readonly LogRecord[],
  partitions: number,
): ReadonlyMap<number, readonly LogRecord[]> {
  const all = new Map<number, LogRecord[]>();
  for (const record of records) {
    const partition = partitionOfRecord(record, partitions);
    const those = all.get(partition);
    if (those === undefined) all.set(partition, [record]);
    else those.push(record);
  }
  return all;
}
