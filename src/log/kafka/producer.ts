/** Writes batches into partitions as one producer: in a transaction, or each by itself. */
import {
  addOffsetsToTxnV3,
  addPartitionsToTxnV3,
  crc32c,
  describeTransactionsV0,
  endTxnV3,
  initProducerIdV4,
  type API,
} from '@platformatic/kafka';

import { present } from '../../shared/assert.ts';
import type { TopicPartition } from '../change-log.ts';
import type { Cluster } from './cluster.ts';
import type { Connections } from './connections.ts';
import type { EncodedBatch } from './encode-batch.ts';
import { BrokerRefusal, isPassing, KAFKA, kafkaCodes } from './kafka-error.ts';
import { PRODUCE_BYTES, TRANSACTION_TIMEOUT_MS } from './kafka-options.ts';
import type { Patience } from './patience.ts';
import { produceApi } from './produce.ts';
import type { ProduceOutcome, ProduceTopic } from './produce.ts';
import { sealBatch } from './record-batch.ts';
import {
  isMadeUp,
  ONGOING,
  type Outcome,
  outcomeOf,
  transactionState,
  type TransactionState,
} from './transaction-state.ts';

export interface PartitionBatches extends TopicPartition {
  readonly batches: readonly EncodedBatch[];
}

export interface ProducerParts {
  readonly cluster: Pick<Cluster, 'forget' | 'leader' | 'request' | 'requestCoordinator'>;
  /** Its own: what it waits for must not stand behind a reader's requests. */
  readonly connections: Connections;
  readonly patience: Patience;
  readonly transactionalId: string;
  /** A consumer group of ours, whose offsets mark an end that is made up. */
  readonly group: string;
  /** Those of the partitions in which the producer has a transaction open. */
  readonly stillOpen: (
    producerId: bigint,
    partitions: readonly TopicPartition[],
  ) => Promise<readonly TopicPartition[]>;
}

/** A batch with its place, sent again as it is until the broker has it. */
interface Sending extends TopicPartition {
  readonly bytes: Buffer;
}

/** A sequence is below 2^31 and begins again behind it. */
const SEQUENCES = 2 ** 31;
const NO_PRODUCER = { id: -1n, epoch: -1 };

/**
 * The epoch that `begin` is given fences every producer of this transactional id before it, and ends what they left
 * open. Invariant: a batch keeps its sequence, whatever happens on the way; so a broker that has it already says
 * so, and nothing is there twice. After any rejection the outcome is unknown and the producer is of no more use:
 * its sequences may be ahead of the broker's.
 */
export class Producer {
  readonly #parts: ProducerParts;
  readonly #sequences = new Map<string, number>();
  #producer = NO_PRODUCER;

  constructor(parts: ProducerParts) {
    this.#parts = parts;
  }

  get id(): bigint {
    return this.#producer.id;
  }

  /**
   * Takes the transactional id over. Waits for the end of what the one before left open, and gives how its last
   * transaction was ended; null where nobody knows.
   */
  async begin(): Promise<Outcome | null> {
    const { patience } = this.#parts;
    let last: Outcome | null = null;
    return patience.attempt(
      { doing: 'Taking over the log as its writer', code: 'LOG_WRITE_FAILED' },
      async () => {
        // Asked each time: what the one before had on its way may have arrived since.
        const found = await this.#finishMadeUp();
        last = outcomeOf(found) ?? last;
        await this.#init();
        // It was open when asked and not when it was taken over: who ended it, and how, is not known.
        return found?.state === ONGOING ? null : last;
      },
    );
  }

  /** What is known of the transactional id, taken over or not; null where nobody ever used it. */
  describe(): Promise<TransactionState | null> {
    return this.#parts.patience.attempt(
      { doing: 'Asking how the last transaction ended', code: 'LOG_WRITE_FAILED' },
      () => this.#describe(),
    );
  }

  async #describe(): Promise<TransactionState | null> {
    const { transactionalId } = this.#parts;
    try {
      const answer = await this.#coordinator(describeTransactionsV0.api, [transactionalId]);
      return transactionState(answer.transactionStates[0]);
    } catch (error) {
      if (kafkaCodes(error).includes(KAFKA.TRANSACTIONAL_ID_NOT_FOUND)) return null;
      throw error;
    }
  }

  /** An end that was being made up is a commit that was decided: to take the id over now would abort it. */
  async #finishMadeUp(): Promise<TransactionState | null> {
    for (;;) {
      const found = await this.#describe();
      if (found === null || !isMadeUp(found)) return found;
      const { transactionalId } = this.#parts;
      await this.#coordinator(endTxnV3.api, transactionalId, found.id, found.epoch, true);
    }
  }

  async #init(): Promise<void> {
    const { transactionalId } = this.#parts;
    // Without an id and epoch of an earlier producer: with them an id that was fenced stays so for ever.
    const answer = await this.#coordinator(
      initProducerIdV4.api,
      transactionalId,
      TRANSACTION_TIMEOUT_MS,
      NO_PRODUCER.id,
      NO_PRODUCER.epoch,
    );
    this.#producer = { id: answer.producerId, epoch: answer.producerEpoch };
  }

  /**
   * For batches outside of transactions: their partition's leader hears of a new epoch by the first batch that bears
   * it, and takes those of the older producer until then. The marker of an empty transaction tells it now.
   */
  fence(at: TopicPartition): Promise<void> {
    return this.transaction([{ ...at, batches: [] }], Infinity);
  }

  /** All or nothing. When it resolves, readers see it. `until` is on the clock's `monotonic`. */
  async transaction(all: readonly PartitionBatches[], until: number): Promise<void> {
    await this.#addPartitions(all, until);
    for (const round of this.#rounds(all, true)) await this.#send(round, true, until);
    await this.#end('commit', until);
    await this.makeUpAll(all, 'commit');
  }

  /**
   * Ends what is open of this transactional id in these partitions, as was decided. A commit bears the mark of one that
   * is made up from its beginning on: whoever takes over in the middle of it finishes it, where it would end any other
   * open transaction by an abort.
   */
  async makeUp(partitions: readonly TopicPartition[], outcome: Outcome): Promise<void> {
    const { patience, group, transactionalId } = this.#parts;
    if (outcome === 'commit') {
      await patience.attempt(
        { doing: 'Beginning to make up for an end', code: 'LOG_WRITE_FAILED' },
        () => {
          const { id, epoch } = this.#producer;
          return this.#coordinator(addOffsetsToTxnV3.api, transactionalId, id, epoch, group);
        },
      );
    }
    await this.#addPartitions(partitions, Infinity);
    await this.#end(outcome, Infinity);
  }

  /** Until nothing is open there any more. Nothing else may be written before. */
  async makeUpAll(all: readonly TopicPartition[], outcome: Outcome): Promise<void> {
    const { stillOpen } = this.#parts;
    for (let left = await stillOpen(this.id, all); left.length > 0;) {
      await this.makeUp(left, outcome);
      left = await stillOpen(this.id, left);
    }
  }

  /** Each batch by itself; when it resolves, all are in. */
  async send(all: readonly PartitionBatches[], until: number): Promise<void> {
    for (const round of this.#rounds(all, false)) await this.#send(round, false, until);
  }

  async #addPartitions(all: readonly TopicPartition[], until: number): Promise<void> {
    const { patience, transactionalId } = this.#parts;
    const topics = new Map<string, number[]>();
    for (const { topic, partition } of all) {
      const partitions = topics.get(topic);
      if (partitions === undefined) topics.set(topic, [partition]);
      else partitions.push(partition);
    }
    const transaction = {
      transactionalId,
      producerId: this.#producer.id,
      producerEpoch: this.#producer.epoch,
      verifyOnly: false,
      topics: Array.from(topics, ([name, partitions]) => ({ name, partitions })),
    };
    await patience.attempt(
      { doing: 'Beginning a transaction', code: 'LOG_WRITE_FAILED', until },
      () => this.#coordinator(addPartitionsToTxnV3.api, [transaction]),
    );
  }

  /**
   * Twice: the first answer says that the end is decided, the second that it stands in every partition. Between
   * them a reader would not see what was acknowledged, and the next transaction could not begin.
   */
  async #end(outcome: Outcome, until: number): Promise<void> {
    const { patience, transactionalId } = this.#parts;
    const { id, epoch } = this.#producer;
    const end = (): Promise<unknown> =>
      this.#coordinator(endTxnV3.api, transactionalId, id, epoch, outcome === 'commit');
    await patience.attempt({ doing: 'Ending a transaction', code: 'LOG_WRITE_FAILED', until }, end);
    await patience.attempt(
      { doing: 'Waiting for the end of a transaction', code: 'LOG_WRITE_FAILED', until },
      end,
    );
  }

  /** A request carries at most one batch of a partition, and is bounded in bytes. */
  #rounds(all: readonly PartitionBatches[], transactional: boolean): readonly Sending[][] {
    const rounds: Sending[][] = [];
    const deepest = Math.max(0, ...all.map(({ batches }) => batches.length));
    for (let depth = 0; depth < deepest; depth += 1) {
      let round: Sending[] = [];
      let bytes = 0;
      for (const { topic, partition, batches } of all) {
        const batch = batches[depth];
        if (batch === undefined) continue;
        if (round.length > 0 && bytes + batch.bytes.length > PRODUCE_BYTES) {
          rounds.push(round);
          round = [];
          bytes = 0;
        }
        round.push({
          topic,
          partition,
          bytes: this.#seal({ topic, partition }, batch, transactional),
        });
        bytes += batch.bytes.length;
      }
      rounds.push(round);
    }
    return rounds;
  }

  #seal(at: TopicPartition, { bytes, count }: EncodedBatch, transactional: boolean): Buffer {
    const place = `${at.topic}/${at.partition}`;
    const baseSequence = this.#sequences.get(place) ?? 0;
    this.#sequences.set(place, (baseSequence + count) % SEQUENCES);
    sealBatch(bytes, { ...this.#producer, baseSequence, transactional }, crc32c);
    return bytes;
  }

  async #send(round: readonly Sending[], transactional: boolean, until: number): Promise<void> {
    const { cluster, patience } = this.#parts;
    let left = round;
    await patience.attempt(
      {
        doing: 'Writing records',
        code: 'LOG_WRITE_FAILED',
        until,
        again: () => {
          for (const { topic } of left) cluster.forget(topic);
        },
      },
      async () => {
        const { unsent, error } = await this.#sendOnce(left, transactional);
        left = unsent;
        if (error !== null) throw error;
      },
    );
  }

  /** What a broker did not take, and why: an error that stays before one that passes. */
  async #sendOnce(
    round: readonly Sending[],
    transactional: boolean,
  ): Promise<{ readonly unsent: readonly Sending[]; readonly error: Error | null }> {
    const { cluster, connections, transactionalId } = this.#parts;
    const byBroker = new Map<number, Sending[]>();
    for (const sending of round) {
      const { broker } = await cluster.leader(sending);
      const sendings = byBroker.get(broker);
      if (sendings === undefined) byBroker.set(broker, [sending]);
      else sendings.push(sending);
    }
    const unsent: Sending[] = [];
    const errors: Error[] = [];
    await Promise.all(
      Array.from(byBroker, async ([broker, sendings]) => {
        try {
          const outcomes = await cluster.request(
            { broker, connections },
            produceApi,
            transactional ? transactionalId : null,
            byTopic(sendings),
          );
          for (const sending of sendings) {
            const refusal = refusalOf(sending, outcomes);
            if (refusal === null) continue;
            unsent.push(sending);
            errors.push(refusal);
          }
        } catch (error) {
          unsent.push(...sendings);
          errors.push(error as Error);
        }
      }),
    );
    return { unsent, error: errors.find((one) => !isPassing(one)) ?? errors[0] ?? null };
  }

  #coordinator<Args extends unknown[], Answer>(
    api: API<Args, Answer>,
    ...args: Args
  ): Promise<Answer> {
    const { cluster, connections, transactionalId } = this.#parts;
    const of = { type: 'transaction', key: transactionalId, connections } as const;
    return cluster.requestCoordinator(of, api, ...args);
  }
}

function refusalOf(at: TopicPartition, outcomes: readonly ProduceOutcome[]): BrokerRefusal | null {
  const { errorCode, message } = present(
    outcomes.find(({ topic, partition }) => topic === at.topic && partition === at.partition),
    "the broker's word on a partition",
  );
  // It had the batch already: what was lost on the way was its answer.
  if (errorCode === KAFKA.NONE || errorCode === KAFKA.DUPLICATE_SEQUENCE_NUMBER) return null;
  return new BrokerRefusal(errorCode, `${at.topic}/${at.partition}`, message);
}

function byTopic(sendings: readonly Sending[]): readonly ProduceTopic[] {
  const topics = new Map<string, { partition: number; bytes: Buffer }[]>();
  for (const { topic, partition, bytes } of sendings) {
    const partitions = topics.get(topic);
    if (partitions === undefined) topics.set(topic, [{ partition, bytes }]);
    else partitions.push({ partition, bytes });
  }
  return Array.from(topics, ([topic, partitions]) => ({ topic, partitions }));
}
