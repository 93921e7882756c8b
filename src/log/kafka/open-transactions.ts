/** Transactions that Kafka forgot to end, in some or all of their partitions. */
import { describeProducersV0 } from '@platformatic/kafka';

import { RowcallError } from '../../errors.ts';
import type { Logger } from '../../shared/logger.ts';
import type { TopicPartition } from '../change-log.ts';
import type { Patience } from './patience.ts';
import { LATEST, listOffsets, type Reading } from './positioned-fetch.ts';
import type { Producer } from './producer.ts';
import type { Outcome } from './transaction-state.ts';

/** No transaction of the producer is open in the partition. */
const NOTHING_OPEN = 0n;

/**
 * A coordinator that finds no leader for a partition takes it for deleted, passes over it, and says that the
 * transaction has ended ("Couldn't find leader endpoint … hence can be skipped", seen in Kafka 4.3 after a broker
 * was killed). What was committed is then not seen there, nor anything behind it; the next end of the same
 * producer's, commit or abort, would decide over it as well. So each end is looked for where it must stand.
 */
export class OpenTransactions {
  readonly #reading: Reading;
  readonly #patience: Patience;

  constructor(reading: Reading, patience: Patience) {
    this.#reading = reading;
    this.#patience = patience;
  }

  /** Those of `partitions` in which this producer has a transaction open; what others have open there is theirs. */
  of(
    producerId: bigint,
    partitions: readonly TopicPartition[],
  ): Promise<readonly TopicPartition[]> {
    const { cluster } = this.#reading;
    return this.#patience.attempt(
      {
        doing: 'Looking for the end of a transaction',
        code: 'LOG_WRITE_FAILED',
        again: () => {
          for (const { topic } of partitions) cluster.forget(topic);
        },
      },
      async () => {
        const open = await this.#byBroker(partitions, (broker, those) =>
          this.#undecided(broker, those),
        );
        if (open.length === 0) return open;
        return this.#byBroker(open, (broker, those) => this.#opened(broker, those, producerId));
      },
    );
  }

  async #byBroker(
    partitions: readonly TopicPartition[],
    ask: (broker: number, those: readonly TopicPartition[]) => Promise<readonly TopicPartition[]>,
  ): Promise<readonly TopicPartition[]> {
    const byBroker = new Map<number, TopicPartition[]>();
    for (const at of partitions) {
      const { broker } = await this.#reading.cluster.leader(at);
      const those = byBroker.get(broker);
      if (those === undefined) byBroker.set(broker, [at]);
      else those.push(at);
    }
    const found = await Promise.all(Array.from(byBroker, ([broker, those]) => ask(broker, those)));
    return found.flat();
  }

  /** Where something is written that no reader sees yet. */
  async #undecided(
    broker: number,
    those: readonly TopicPartition[],
  ): Promise<readonly TopicPartition[]> {
    const [written, stable] = await Promise.all(
      (['read-uncommitted', 'read-committed'] as const).map((isolation) =>
        listOffsets(this.#reading, broker, those, { timestamp: LATEST, isolation }),
      ),
    );
    return those.filter((_, index) => (stable?.[index] ?? 0) < (written?.[index] ?? 0));
  }

  async #opened(
    broker: number,
    those: readonly TopicPartition[],
    producerId: bigint,
  ): Promise<readonly TopicPartition[]> {
    const { cluster, connections } = this.#reading;
    const topics = Map.groupBy(those, ({ topic }) => topic);
    const answer = await cluster.request(
      { broker, connections },
      describeProducersV0.api,
      Array.from(topics, ([name, of]) => ({
        name,
        partitionIndexes: of.map(({ partition }) => partition),
      })),
    );
    return answer.topics.flatMap(({ name, partitions }) =>
      partitions
        .filter(({ activeProducers }) =>
          activeProducers.some(
            (one) => one.producerId === producerId && one.currentTxnStartOffset >= NOTHING_OPEN,
          ),
        )
        .map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex })),
    );
  }
}

export interface Forgotten {
  /** The successor of the one that left them open. */
  readonly producer: Producer;
  /** How the last transaction was to end; null where the coordinator does not know any more. */
  readonly outcome: Outcome | null;
  /** Those of all that it may have written to in which a transaction is open. */
  readonly left: readonly TopicPartition[];
  readonly logger: Logger;
}

/**
 * Ends in every partition what was decided, before anything else is written there.
 *
 * @throws RowcallError LOG_UNUSABLE where the decision is not known
 */
export async function endForgotten(parts: Forgotten): Promise<void> {
  const { producer, outcome, left, logger } = parts;
  if (left.length === 0) return;
  const places = left.map(({ topic, partition }) => `${topic}/${partition}`).join(', ');
  if (outcome === null) {
    throw new RowcallError(
      'LOG_UNUSABLE',
      `Kafka has not ended a transaction in ${places}, and does not know any more how it was to end`,
      {
        place: places,
        cure: 'Read what is open there with isolation.level=read_uncommitted, and look by rowcall position show whether the checkpoint covers it. If not: kafka-transactions.sh abort for each partition. If it does: rowcall position set before it, then abort, and receivers may see it twice.',
      },
    );
  }
  logger.warn({ partitions: places, outcome }, 'Kafka did not end a transaction; it is ended now');
  await producer.makeUpAll(left, outcome);
}
