/** A log in Kafka over simulated brokers: its writer is the adapter's own, down to the requests. */
import {
  addOffsetsToTxnV3,
  addPartitionsToTxnV3,
  type API,
  describeTransactionsV0,
  endTxnV3,
  initProducerIdV4,
} from '@platformatic/kafka';

import { recordBytes } from '../../src/change-event.ts';
import { RowcallError } from '../../src/errors.ts';
import type {
  ChangeLog,
  ChangeLogWriter,
  Fetched,
  LogUsage,
  LowWaterMark,
  PartitionBounds,
  StoredRecord,
  TopicInfo,
  TopicPartition,
} from '../../src/log/change-log.ts';
import { type CheckpointRecord, checkpointTopic } from '../../src/log/kafka/checkpoint-record.ts';
import { Connections } from '../../src/log/kafka/connections.ts';
import { findTimestamp, readRecords } from '../../src/log/kafka/decode-batch.ts';
import { KafkaWriter } from '../../src/log/kafka/kafka-writer.ts';
import { endForgotten } from '../../src/log/kafka/open-transactions.ts';
import { Patience } from '../../src/log/kafka/patience.ts';
import { produceApi, type ProduceTopic } from '../../src/log/kafka/produce.ts';
import { Producer, type ProducerParts } from '../../src/log/kafka/producer.ts';
import type { Clock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import type { KafkaBrokers } from './simulation-kafka-broker.ts';
import { toStored } from './simulation-kafka-partition.ts';

/** Of a topic as the brokers make it. */
const MAX_BATCH_BYTES = 1_048_588;

/** The way between one process and the brokers. */
export interface KafkaNetwork {
  /** Sends a request and waits for its answer; `effect` is what it does where it arrives. */
  ask<T>(what: string, effect: () => T): Promise<T>;
  /** Tells the process something that it waits for. */
  tell(what: string, fire: () => void): void;
}

/** Mistakes that an adapter could make, for tests of the simulation. */
export interface KafkaMistakes {
  /** Reads what no transaction has committed. */
  readonly readsUncommitted?: boolean;
  /** Each writer has a transactional id of its own, so that it takes nothing over. */
  readonly fencesNobody?: boolean;
  /** Looks for the checkpoint first, and then ends what the older writer left open. */
  readonly readsBeforeTakingOver?: boolean;
  /** At least once: the checkpoint's partition learns of a new epoch with its first record. */
  readonly leavesPartitionUnfenced?: boolean;
  /** Believes a coordinator that says that a transaction has ended. */
  readonly looksForNoEnd?: boolean;
}

export interface KafkaLikeOptions {
  readonly name: string;
  readonly exactlyOnce: boolean;
  readonly clock: Clock;
  readonly network: KafkaNetwork;
  readonly patienceMs: number;
  readonly deliveryTimeoutMs: number;
  /** Another each time. */
  readonly newId: () => string;
  readonly mistakes: KafkaMistakes;
}

/**
 * One handle, as one process has it. Producer, writer, patience and the reading of batches are the product's; what
 * is simulated begins at the requests. Invariant: nothing is learned of the brokers but by asking, save what the
 * real handle is told without asking: its own topics and where partitions end.
 */
export class KafkaLikeLog implements ChangeLog {
  readonly #brokers: KafkaBrokers;
  readonly #options: KafkaLikeOptions;
  readonly #patience: Patience;
  readonly #closing = new AbortController();
  readonly #listeners = new Set<{ readonly call: () => void }>();
  readonly #writers = new Set<KafkaWriter>();
  #told = false;

  constructor(brokers: KafkaBrokers, options: KafkaLikeOptions) {
    this.#brokers = brokers;
    this.#options = options;
    const { clock, patienceMs } = options;
    this.#patience = new Patience(clock, silentLogger, patienceMs, this.#closing.signal);
    brokers.listeners.add(this.#onNews);
  }

  async openWriter(name: string): Promise<ChangeLogWriter> {
    const isNew = (await this.readCheckpoint(name)) === null;
    const holdsRecords = this.#brokers.partitions.some(({ its }) => its.visible > 0);
    // As the adapter does: another connector may have begun between the two looks.
    if (isNew && holdsRecords && (await this.readCheckpoint(name)) === null) {
      throw new RowcallError('CHECKPOINT_LOST', `There are records, but no checkpoint of ${name}`);
    }
    const writer = await this.#open(name);
    await this.#claim(writer, writer.checkpoint);
    return writer;
  }

  async readCheckpoint(name: string): Promise<string | null> {
    return (await this.#newest(name))?.checkpoint ?? null;
  }

  async setCheckpoint(name: string, checkpoint: string): Promise<void> {
    const writer = await this.#open(name);
    await this.#claim(writer, checkpoint);
    await writer.close();
  }

  topics(): Promise<readonly TopicInfo[]> {
    const newest = this.#brokers.newest(checkpointTopic(this.#options.name));
    return Promise.resolve(
      Array.from(newest?.topics ?? [], ([name, partitions]) => {
        return { name, partitions, id: this.#brokers.topic(name)?.id ?? '' };
      }),
    );
  }

  async read(at: TopicPartition, offset: number, maxBytes: number): Promise<Fetched> {
    const committed = this.#options.mistakes.readsUncommitted !== true;
    const place = `${at.topic}/${at.partition}`;
    const came = await this.#ask(`fetch ${place} from ${offset}`, () => {
      const partition = this.#brokers.partition(at);
      const { start, visible } = partition;
      const end = committed ? visible : partition.end;
      if (offset < start || offset > end) {
        throw new RowcallError('OFFSET_OUT_OF_RANGE', `${offset} is not in ${start} to ${end}`);
      }
      return partition.fetch(offset, maxBytes, committed);
    });
    const records: StoredRecord[] = [];
    let bytes = 0;
    const nextOffset = readRecords({ place, from: offset, ...came }, offset, (raw) => {
      const record = toStored(raw, place);
      records.push(record);
      bytes += recordBytes(record);
      return bytes < maxBytes;
    });
    return { records, nextOffset, bytes };
  }

  async bounds(at: TopicPartition): Promise<PartitionBounds> {
    await Promise.resolve();
    const { start, visible, end } = this.#brokers.partition(at);
    return { start, end: this.#options.mistakes.readsUncommitted === true ? end : visible };
  }

  async writtenEnd(at: TopicPartition): Promise<number> {
    await Promise.resolve();
    return this.#brokers.partition(at).end;
  }

  async offsetForTimestamp(at: TopicPartition, timestampMs: number): Promise<number> {
    const { start, end } = await this.bounds(at);
    const place = `${at.topic}/${at.partition}`;
    const came = await this.#ask(`look for ${timestampMs} in ${place}`, () =>
      this.#brokers.partition(at).fetch(start, Infinity, true),
    );
    return findTimestamp({ place, from: start, ...came }, start, timestampMs) ?? end;
  }

  onAppend(listener: () => void): () => void {
    const entry = { call: listener };
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
  }

  setLowWater(consumer: string, stateId: string, marks: readonly LowWaterMark[]): Promise<void> {
    return this.#ask('commit offsets', () => {
      this.#brokers.marks.set(consumer, { stateId, marks });
    });
  }

  lowWater(): ReturnType<ChangeLog['lowWater']> {
    return this.#ask('fetch committed offsets', () =>
      Array.from(this.#brokers.marks, ([consumer, marks]) => ({ consumer, ...marks })),
    );
  }

  applyRetention(): Promise<number> {
    return Promise.resolve(0);
  }

  usage(): Promise<LogUsage> {
    return Promise.resolve({ bytes: 0, maxBytes: Infinity });
  }

  async close(): Promise<void> {
    this.detach();
    this.#closing.abort();
    await Promise.all([...this.#writers].map((writer) => writer.close()));
  }

  /** The process is dead: nothing is told to it any more. */
  detach(): void {
    this.#brokers.listeners.delete(this.#onNews);
    this.#listeners.clear();
  }

  /** Many news on their way are one. */
  readonly #onNews = (): void => {
    if (this.#told) return;
    this.#told = true;
    this.#options.network.tell('news of the log', () => {
      this.#told = false;
      this.#announce();
    });
  };

  #announce(): void {
    for (const { call } of [...this.#listeners]) call();
  }

  #ask<T>(what: string, effect: () => T): Promise<T> {
    return this.#patience.attempt({ doing: what, code: 'LOG_UNREACHABLE' }, () =>
      this.#options.network.ask(what, effect),
    );
  }

  #newest(name: string): Promise<CheckpointRecord | null> {
    return this.#ask('read the checkpoint', () => this.#brokers.newest(checkpointTopic(name)));
  }

  async #claim(writer: KafkaWriter, checkpoint: string | null): Promise<void> {
    try {
      await writer.claim(checkpoint);
    } catch (error) {
      await writer.close();
      throw error;
    }
  }

  async #open(name: string): Promise<KafkaWriter> {
    const { clock, exactlyOnce, deliveryTimeoutMs, newId, mistakes } = this.#options;
    const id = newId();
    const own = checkpointTopic(name);
    await this.#ask(`make ${own}`, () => this.#brokers.ensure(own, 1));
    const connections = new Connections({ name });
    const openOf: ProducerParts['stillOpen'] = (producerId, places) =>
      this.#patience.attempt({ doing: 'look for ends', code: 'LOG_WRITE_FAILED' }, () =>
        this.#ask('look for ends', () => this.#brokers.openOf(producerId, places)),
      );
    const producer = new Producer({
      cluster: this.#cluster(),
      connections,
      patience: this.#patience,
      group: name,
      stillOpen: mistakes.looksForNoEnd === true ? () => Promise.resolve([]) : openOf,
      transactionalId: mistakes.fencesNobody === true ? `rowcall.${name}.${id}` : `rowcall.${name}`,
    });
    const early = mistakes.readsBeforeTakingOver === true ? await this.#newest(name) : undefined;
    const outcome = await producer.begin();
    if (mistakes.looksForNoEnd !== true) {
      const left = await openOf(producer.id, this.#brokers.places);
      // A stop, after which somebody helps.
      if (outcome === null) this.#brokers.repair(left);
      await endForgotten({ producer, outcome, left, logger: silentLogger });
    }
    if (!exactlyOnce && mistakes.leavesPartitionUnfenced !== true) {
      await producer.fence({ topic: own, partition: 0 });
    }
    const found = early === undefined ? await this.#newest(name) : early;
    const names = [own, ...(found?.topics.keys() ?? [])];
    const writer: KafkaWriter = new KafkaWriter({
      ...{ name, id, producer, exactlyOnce, deliveryTimeoutMs, clock, found },
      admin: {
        ensure: (topics) =>
          this.#ask('make topics', () =>
            topics.map((topic) => this.#brokers.ensure(topic.name, topic.partitions)),
          ),
        configs: (of) => Promise.resolve(configsOf(of)),
      },
      compression: 'none',
      topicConfig: {},
      configs: configsOf(names),
      newest: () => this.#newest(name),
      onWritten: () => {
        this.#announce();
      },
      release: async () => {
        this.#writers.delete(writer);
        await connections.close();
      },
    });
    this.#writers.add(writer);
    return writer;
  }

  #cluster(): ProducerParts['cluster'] {
    const brokers = this.#brokers;
    const { network } = this.#options;
    return {
      forget: () => undefined,
      leader: ({ topic, partition }) => {
        const found = brokers.topic(topic);
        const broker = found?.leaders[partition] ?? null;
        if (found === null || broker === null) {
          return Promise.reject(new RowcallError('TOPIC_UNKNOWN', `No ${topic}/${partition}`));
        }
        return Promise.resolve({ broker, topic: found });
      },
      request: (to, api, ...args) =>
        network.ask(`produce to broker ${to.broker}`, () => produced(brokers, api, args)),
      requestCoordinator: (of, api, ...args) => {
        const { what, effect } = coordinated(brokers, of.key, { api, args });
        return network.ask(what, () => effect() as never);
      },
    };
  }
}

function produced<Args extends unknown[], Answer>(
  brokers: KafkaBrokers,
  api: API<Args, Answer>,
  args: Args,
): Answer {
  if ((api as unknown) !== produceApi) throw new Error('The simulated brokers do not know this');
  const [transactionalId, topics] = args as unknown as [string | null, readonly ProduceTopic[]];
  return brokers.produce(transactionalId, topics) as Answer;
}

interface Asked {
  readonly api: unknown;
  readonly args: readonly unknown[];
}

function coordinated(
  brokers: KafkaBrokers,
  key: string,
  { api, args }: Asked,
): { readonly what: string; readonly effect: () => unknown } {
  if (api === initProducerIdV4.api) {
    return { what: 'InitProducerId', effect: () => brokers.takeOver(key) };
  }
  if (api === describeTransactionsV0.api) {
    return {
      what: 'DescribeTransactions',
      effect: () => ({ transactionStates: [brokers.describe(key)] }),
    };
  }
  if (api === addOffsetsToTxnV3.api) {
    const [, id, epoch] = args as Parameters<typeof addOffsetsToTxnV3.createRequest>;
    return {
      what: 'AddOffsetsToTxn',
      effect: () => {
        brokers.addOffsets(key, { id, epoch });
      },
    };
  }
  if (api === addPartitionsToTxnV3.api) {
    const [[transaction]] = args as Parameters<typeof addPartitionsToTxnV3.createRequest>;
    if (transaction === undefined) throw new Error('No transaction');
    const places = transaction.topics.flatMap(({ name, partitions }) =>
      partitions.map((partition) => ({ topic: name, partition })),
    );
    const producer = { id: transaction.producerId, epoch: transaction.producerEpoch };
    return {
      what: 'AddPartitionsToTxn',
      effect: () => {
        brokers.addPartitions(key, producer, places);
      },
    };
  }
  if (api === endTxnV3.api) {
    const [, id, epoch, commits] = args as Parameters<typeof endTxnV3.createRequest>;
    return {
      what: 'EndTxn',
      effect: () => {
        brokers.end(key, { id, epoch }, commits);
      },
    };
  }
  throw new Error('The simulated coordinator does not know this');
}

function configsOf(
  names: readonly string[],
): ReadonlyMap<string, { readonly maxBytes: number; readonly cleanupPolicy: string }> {
  return new Map(
    names.map((name) => [name, { maxBytes: MAX_BATCH_BYTES, cleanupPolicy: 'delete' }]),
  );
}
