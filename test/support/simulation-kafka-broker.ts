/** Kafka's brokers as far as a log needs them: topics, partitions, and the coordinator of transactions. */
import { RowcallError } from '../../src/errors.ts';
import type { LowWaterMark, StoredRecord, TopicPartition } from '../../src/log/change-log.ts';
import { type CheckpointRecord, decodeCheckpoint } from '../../src/log/kafka/checkpoint-record.ts';
import type { ClusterTopic } from '../../src/log/kafka/cluster.ts';
import type { RawRecord } from '../../src/log/kafka/decode-batch.ts';
import { readRecords } from '../../src/log/kafka/decode-batch.ts';
import { BrokerRefusal, KAFKA } from '../../src/log/kafka/kafka-error.ts';
import type { ProduceOutcome, ProduceTopic } from '../../src/log/kafka/produce.ts';
import {
  INVALID_PRODUCER_EPOCH,
  KafkaPartition,
  type ProducerEpoch,
  toStored,
} from './simulation-kafka-partition.ts';

const BROKERS = 2;
const INVALID_TXN_STATE = 48;
const CHECKPOINTS = '.checkpoint';

/** What the brokers do by themselves, and when. */
export interface BrokerWork {
  /** Something that comes soon. */
  soon(what: string, fire: () => void): void;
  /** Something that comes at a time. Returns what takes it back. */
  after(ms: number, what: string, fire: () => void): () => void;
  /** Until readers see what is stable. */
  lag(what: string, fire: () => void): void;
}

/** Told of what became durable, at the moment from which nothing can undo it. */
export interface CommitWatcher {
  records(at: TopicPartition, records: readonly StoredRecord[]): void;
  checkpoint(checkpoint: string): void;
}

export interface BrokerTraits {
  /** How long a transaction may be open. */
  readonly transactionTimeoutMs: number;
  /** false: a batch that comes again is taken again. */
  readonly recognizes: boolean;
  /** Whether the coordinator passes over a partition now, as if it were deleted, when it ends a transaction. */
  readonly forgets: () => boolean;
}

interface Transactional {
  producer: ProducerEpoch;
  state: 'empty' | 'ongoing' | 'committing' | 'aborting';
  /** How the last one ended, if any has since the id was taken over. */
  committed: boolean;
  ended: boolean;
  /** Decided, and made up for: readers were told when it was decided. */
  madeUp: boolean;
  partitions: Set<KafkaPartition>;
  cancelTimeout: () => void;
}

interface DescribedTransaction {
  readonly transactionState: string;
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly topics: readonly { readonly topic: string }[];
}

interface Topic extends ClusterTopic {
  readonly partitions: readonly KafkaPartition[];
}

/**
 * Each method is one request that arrived. Invariants, as Kafka's: once an end is decided nothing changes it, while
 * its markers reach the partitions one by one; and who takes a transactional id over is told so only when whatever
 * was open has ended in every partition.
 */
export class KafkaBrokers {
  readonly marks = new Map<string, { stateId: string; marks: readonly LowWaterMark[] }>();
  readonly listeners = new Set<() => void>();
  watcher: CommitWatcher | null = null;
  readonly #work: BrokerWork;
  readonly #traits: BrokerTraits;
  readonly #topics = new Map<string, Topic>();
  readonly #transactional = new Map<string, Transactional>();
  /** Ends that no partition has: what a person who knows better would write. */
  readonly #forgotten = new Map<KafkaPartition, () => void>();

  constructor(work: BrokerWork, traits: BrokerTraits) {
    this.#work = work;
    this.#traits = traits;
  }

  /** Those that are not there are made. */
  ensure(name: string, partitions: number): ClusterTopic {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    const leaders = Array.from({ length: partitions }, (_, n) => (n + this.#topics.size) % BROKERS);
    const topic: Topic = {
      name,
      id: `${name}#${this.#topics.size}`,
      leaders,
      partitions: leaders.map((leader, n) => new KafkaPartition(`${name}/${n}`, leader)),
    };
    this.#topics.set(name, topic);
    return topic;
  }

  topic(name: string): ClusterTopic | null {
    return this.#topics.get(name) ?? null;
  }

  /** All that there are, those of checkpoints too. */
  get places(): readonly TopicPartition[] {
    return [...this.#topics.values()].flatMap(({ name, partitions }) =>
      partitions.map((_, partition) => ({ topic: name, partition })),
    );
  }

  get partitions(): readonly (TopicPartition & { readonly its: KafkaPartition })[] {
    return [...this.#topics.values()]
      .filter(({ name }) => !name.endsWith(CHECKPOINTS))
      .flatMap(({ name, partitions }) =>
        partitions.map((its, partition) => ({ topic: name, partition, its })),
      );
  }

  /** @throws RowcallError TOPIC_UNKNOWN */
  partition({ topic, partition }: TopicPartition): KafkaPartition {
    const found = this.#topics.get(topic)?.partitions[partition];
    if (found !== undefined) return found;
    throw new RowcallError('TOPIC_UNKNOWN', `No ${topic}/${partition}`);
  }

  /** The newest committed record of a checkpoint topic. */
  newest(topic: string): CheckpointRecord | null {
    const partition = this.#topics.get(topic)?.partitions[0];
    if (partition === undefined) return null;
    const records: RawRecord[] = [];
    const fetched = partition.fetch(0, Infinity, true);
    readRecords({ place: partition.place, from: 0, ...fetched }, 0, (record) => {
      records.push(record);
      return true;
    });
    const last = records.at(-1);
    return last === undefined ? null : decodeCheckpoint(last, topic);
  }

  /** InitProducerId. @throws BrokerRefusal CONCURRENT_TRANSACTIONS while what was open is being ended */
  takeOver(transactionalId: string): { producerId: bigint; producerEpoch: number } {
    const known = this.#transactional.get(transactionalId);
    if (known === undefined) {
      const producer = { id: BigInt(this.#transactional.size + 1), epoch: 0 };
      this.#transactional.set(transactionalId, {
        ...{ producer, state: 'empty', committed: false, ended: false, madeUp: false },
        partitions: new Set(),
        cancelTimeout: () => undefined,
      });
      return { producerId: producer.id, producerEpoch: producer.epoch };
    }
    if (known.state === 'ongoing') this.#abort(known);
    if (known.state !== 'empty') throw busy(transactionalId);
    known.producer = { id: known.producer.id, epoch: known.producer.epoch + 1 };
    known.committed = false;
    known.ended = false;
    return { producerId: known.producer.id, producerEpoch: known.producer.epoch };
  }

  /** DescribeTransactions. */
  describe(transactionalId: string): DescribedTransaction {
    const its = this.#transactional.get(transactionalId);
    if (its === undefined) {
      throw new BrokerRefusal(KAFKA.TRANSACTIONAL_ID_NOT_FOUND, transactionalId);
    }
    const { producer, madeUp, partitions } = its;
    const topics = [...partitions].map(({ place }) => ({ topic: topicOf(place) }));
    return {
      transactionState: stateOf(its),
      producerId: producer.id,
      producerEpoch: producer.epoch,
      topics: madeUp ? [...topics, { topic: '__consumer_offsets' }] : topics,
    };
  }

  /** AddOffsetsToTxn: what is open is the making up of an end. */
  addOffsets(transactionalId: string, producer: ProducerEpoch): void {
    this.addPartitions(transactionalId, producer, []);
    this.#owned(transactionalId, producer).madeUp = true;
  }

  /** What a person does where nobody knows any more how a transaction was to end. */
  repair(places: readonly TopicPartition[]): void {
    for (const at of places) this.#forgotten.get(this.partition(at))?.();
  }

  /** Those in which the producer has a transaction open. */
  openOf(producerId: bigint, places: readonly TopicPartition[]): readonly TopicPartition[] {
    return places.filter((at) => this.partition(at).hasOpen(producerId));
  }

  /** AddPartitionsToTxn. */
  addPartitions(
    transactionalId: string,
    producer: ProducerEpoch,
    places: readonly TopicPartition[],
  ): void {
    const its = this.#owned(transactionalId, producer);
    if (its.state === 'committing' || its.state === 'aborting') throw busy(transactionalId);
    if (its.state === 'empty') {
      its.state = 'ongoing';
      its.cancelTimeout = this.#work.after(
        this.#traits.transactionTimeoutMs,
        'a transaction takes too long',
        () => {
          // The gap that docs/adr/0009 tells of: a writer that stands still for a minute in these few requests.
          if (!its.madeUp) this.#abort(its);
        },
      );
    }
    for (const at of places) its.partitions.add(this.partition(at));
  }

  /** Produce. */
  produce(transactionalId: string | null, topics: readonly ProduceTopic[]): ProduceOutcome[] {
    return topics.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, bytes }) => {
        const at = { topic, partition };
        const errorCode = this.#produce(transactionalId, at, bytes);
        return { ...at, errorCode, message: null };
      }),
    );
  }

  /** EndTxn: an answer means that it is decided. */
  end(transactionalId: string, producer: ProducerEpoch, commits: boolean): void {
    const its = this.#owned(transactionalId, producer);
    if (its.state === 'committing' || its.state === 'aborting') throw busy(transactionalId);
    if (its.state === 'empty') {
      if (its.ended && its.committed === commits) return;
      throw new BrokerRefusal(INVALID_TXN_STATE, transactionalId);
    }
    for (const partition of commits && !its.madeUp ? its.partitions : []) {
      this.#tell(partition, partition.openOf(its.producer.id));
    }
    this.#end(its, commits ? 'committing' : 'aborting');
  }

  /** Readers are told; what is stable is seen after a while. */
  moved(partition: KafkaPartition): void {
    const { stable } = partition;
    if (stable <= partition.visible) return;
    const isCheckpoint = partition.place.includes(`${CHECKPOINTS}/`);
    const see = (): void => {
      partition.visible = Math.max(partition.visible, stable);
      for (const listener of [...this.listeners]) listener();
    };
    // What the next writer begins with is read from its leader, which knows its own end.
    if (isCheckpoint) see();
    else this.#work.lag(`readers see ${partition.place} up to ${stable}`, see);
  }

  #owned(transactionalId: string, { id, epoch }: ProducerEpoch): Transactional {
    const its = this.#transactional.get(transactionalId);
    if (its?.producer.id !== id || its.producer.epoch !== epoch) {
      throw new BrokerRefusal(INVALID_PRODUCER_EPOCH, transactionalId);
    }
    return its;
  }

  #produce(transactionalId: string | null, at: TopicPartition, bytes: Buffer): number {
    const partition = this.partition(at);
    if (transactionalId !== null) {
      const its = this.#transactional.get(transactionalId);
      const belongs = its?.state === 'ongoing' && its.partitions.has(partition);
      // An old epoch is told as such by the partition; a batch after the end of its transaction opens no other.
      const fenced = (its?.producer.epoch ?? 0) > bytes.readInt16BE(51);
      if (fenced) return INVALID_PRODUCER_EPOCH;
      if (!belongs) return INVALID_TXN_STATE;
    }
    const code = partition.take(bytes, this.#traits.recognizes);
    if (code === KAFKA.NONE && transactionalId === null) {
      this.#tell(partition, partition.newest());
      this.moved(partition);
    }
    return code;
  }

  /** By the coordinator, for another writer or for the time that it took: the epoch is of no more use. */
  #abort(its: Transactional): void {
    its.producer = { id: its.producer.id, epoch: its.producer.epoch + 1 };
    this.#end(its, 'aborting');
  }

  #end(its: Transactional, state: 'committing' | 'aborting'): void {
    its.cancelTimeout();
    its.state = state;
    const { producer } = its;
    const left = new Set(its.partitions);
    const marked = (partition: KafkaPartition | null): void => {
      if (partition !== null) left.delete(partition);
      if (left.size > 0) return;
      its.state = 'empty';
      its.committed = state === 'committing';
      its.ended = true;
      its.madeUp = false;
      its.partitions = new Set();
    };
    marked(null);
    for (const partition of [...left]) {
      if (this.#traits.forgets()) {
        this.#forgotten.set(partition, () => {
          partition.mark(producer, state === 'committing');
          this.moved(partition);
        });
        marked(partition);
        continue;
      }
      this.#work.soon(`${state} in ${partition.place}`, () => {
        this.#forgotten.delete(partition);
        partition.mark(producer, state === 'committing');
        this.moved(partition);
        marked(partition);
      });
    }
  }

  #tell(partition: KafkaPartition, records: readonly RawRecord[]): void {
    const { watcher } = this;
    if (watcher === null) return;
    const topic = topicOf(partition.place);
    const at = { topic, partition: Number(partition.place.slice(topic.length + 1)) };
    if (!at.topic.endsWith(CHECKPOINTS)) {
      watcher.records(
        at,
        records.map((record) => toStored(record, partition.place)),
      );
      return;
    }
    for (const record of records) {
      const { checkpoint } = decodeCheckpoint(record, partition.place);
      if (checkpoint !== null) watcher.checkpoint(checkpoint);
    }
  }
}

function topicOf(place: string): string {
  return place.slice(0, place.lastIndexOf('/'));
}

function stateOf({ state, committed, ended }: Transactional): string {
  if (state === 'ongoing') return 'Ongoing';
  if (state === 'committing') return 'PrepareCommit';
  if (state === 'aborting') return 'PrepareAbort';
  if (!ended) return 'Empty';
  return committed ? 'CompleteCommit' : 'CompleteAbort';
}

function busy(transactionalId: string): BrokerRefusal {
  return new BrokerRefusal(KAFKA.CONCURRENT_TRANSACTIONS, transactionalId);
}
