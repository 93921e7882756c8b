/** What a coordinator tells of a transactional id, and what follows from it for whoever takes the id over. */

/** How a transaction ended, or will. */
export type Outcome = 'commit' | 'abort';

/** A transaction is open. */
export const ONGOING = 'Ongoing';

export interface TransactionState {
  /** By the names of DescribeTransactions. */
  readonly state: string;
  readonly id: bigint;
  readonly epoch: number;
  /** In the open transaction. */
  readonly topics: readonly string[];
}

/** In all other states nothing is known of what was before. */
const OUTCOMES: ReadonlyMap<string, Outcome> = new Map([
  ['PrepareCommit', 'commit'],
  ['CompleteCommit', 'commit'],
  // Whoever takes the id over ends it so.
  [ONGOING, 'abort'],
  ['PrepareEpochFence', 'abort'],
  ['PrepareAbort', 'abort'],
  ['CompleteAbort', 'abort'],
]);

/** Where Kafka keeps the offsets of groups. Our transactions touch none but to bear this mark. */
const OFFSETS_TOPIC = '__consumer_offsets';

interface Answered {
  readonly transactionState: string;
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly topics: readonly { readonly topic: string }[];
}

export function transactionState(answer: Answered | undefined): TransactionState | null {
  if (answer === undefined) return null;
  return {
    state: answer.transactionState,
    id: answer.producerId,
    epoch: answer.producerEpoch,
    topics: answer.topics.map(({ topic }) => topic),
  };
}

/** Null where nobody knows. */
export function outcomeOf(found: TransactionState | null): Outcome | null {
  return found === null ? null : (OUTCOMES.get(found.state) ?? null);
}

/** An open transaction that makes up for the end of a committed one. */
export function isMadeUp({ state, topics }: TransactionState): boolean {
  return state === ONGOING && topics.includes(OFFSETS_TOPIC);
}
