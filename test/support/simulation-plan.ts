/** What a seed makes of a run: how large, how troubled, who listens. */
import type { Operation } from '../../src/change-event.ts';
import type { BreakerOptions } from '../../src/deliver/lane/breaker.ts';
import { BREAKER } from './engine-options.ts';
import type { CallbackSelection } from './simulation-books.ts';
import type { FaultShape } from './simulation-faults.ts';
import { formOf, type RecordForm } from './simulation-forms.ts';
import type { HistoryShape } from './simulation-history.ts';
import { type BatchPlan, batchPlan } from './simulation-batches.ts';
import type { AsyncPlan } from './simulation-completions.ts';
import type { ReceiverShape } from './simulation-receiver.ts';
import { Dice, seededRandom } from './workload-random.ts';

export interface CallbackPlan extends CallbackSelection {
  readonly operations: readonly Operation[];
  readonly from: 'earliest' | 'latest';
  readonly concurrency: number;
  readonly lanes: { readonly maxEvents: number; readonly maxBytes: number };
  readonly receiver: ReceiverShape;
  /** Several events in a request. */
  readonly batch: BatchPlan | null;
  readonly onExhausted: 'park-key' | 'dead-letter';
  readonly breaker: Pick<BreakerOptions, 'minimumKeys' | 'openForMs'>;
}

export interface SimulationPlan {
  readonly history: Omit<HistoryShape, 'xa'>;
  readonly faults: FaultShape;
  readonly form: RecordForm;
  readonly callbacks: readonly CallbackPlan[];
  readonly capture: { readonly partitions: number; readonly maxBufferedBytes: number };
  /** Both legs in one process. */
  readonly together: boolean;
  /** Virtual ms: from here on nothing goes wrong any more. */
  readonly calmFrom: number;
  /** There are XA transactions, too. */
  readonly xa: boolean;
}

const TABLES = ['shop.orders', 'shop.items', 'shop.audit.log'];
const ROWS: readonly Operation[] = ['insert', 'update', 'delete'];
const ALL: readonly Operation[] = [...ROWS, 'truncate'];

/** Streams beyond the sixteen of each seed. */
export function moreDice(seed: number, stream: number): Dice {
  return new Dice(seededRandom((seed + 1_000_000) * 16 + stream));
}

/**
 * @param ends of what events can come to, by dice of their own: the rest of a seed's plan does not depend on them
 * @param wishes of how callbacks want to be called, likewise
 * @param forms of how records are written, likewise; `waits` of who answers with 202; `batches` of who gets several events
 * in a request; `deaths` of who gives up early, so that there are dead letters to be sent again
 */
export function planOf(
  dice: Dice,
  ends: Dice,
  wishes: Dice,
  {
    forms,
    waits,
    batches,
    deaths,
  }: Readonly<Record<'forms' | 'waits' | 'batches' | 'deaths', Dice>>,
): SimulationPlan {
  const history = {
    gtids: dice.chance(0.7),
    transactions: dice.between(6, 20),
    largest: dice.pick([4, 12, 30]),
  };
  const faults = {
    crash: dice.pick([0, 0.005, 0.02, 0.05]),
    failure: dice.pick([0, 0.005, 0.02]),
    budget: dice.pick([0, 6, 15, 30]),
    delayMs: dice.pick([0, 5, 50, 300]),
  };
  const form = formOf(forms);
  const callbacks = Array.from({ length: dice.between(1, 3) }, (_, n) => ({
    ...callback(dice, ends, n),
    coalesceMs: wishes.pick([0, 0, 50, 1_000, 5_000]),
    ...{ fallback: undefined, compensate: undefined },
  }))
    .map((one) => ({ ...one, receiver: { ...one.receiver, async: asyncPlan(waits) } }))
    .map((one) => (deaths.chance(0.25) ? givingUp(one, deaths) : one))
    .map((one) => ({ ...one, batch: batchOf(one, batches) }))
    .map((one, n, all) => handingOver(one, all.slice(n + 1), forms))
    .map((one) => (form.format === 'flat' ? withoutUpdates(one) : one));
  const partitions = dice.between(1, 3);
  return {
    history: { ...history, partitions, outbox: form.outbox },
    faults,
    form,
    callbacks,
    capture: { partitions, maxBufferedBytes: dice.pick([400, 1_500, 6_000, 4_000_000]) },
    together: dice.chance(0.6),
    calmFrom: dice.between(2_000, 15_000),
    xa: dice.chance(0.4),
  };
}

/** Only those behind it get what it gives up, so that nothing goes round. */
function handingOver(
  callback: CallbackPlan,
  behind: readonly CallbackPlan[],
  dice: Dice,
): CallbackPlan {
  const [first, ...others] = behind;
  if (callback.onExhausted === 'park-key' || first === undefined) return callback;
  const pick = (): string | undefined =>
    dice.chance(0.6) ? dice.pick([first, ...others]).name : undefined;
  return { ...callback, fallback: pick(), compensate: pick() };
}

type Without = 'batch' | 'coalesceMs' | 'fallback' | 'compensate';

function callback(
  dice: Dice,
  ends: Dice,
  n: number,
): Omit<CallbackPlan, Without | 'receiver'> & { receiver: Omit<ReceiverShape, 'async'> } {
  // Few keys, or it would never open here.
  const breaker = { minimumKeys: ends.pick([2, 4, 20]), openForMs: ends.pick([200, 2_000]) };
  const everything = dice.chance(0.5);
  return {
    name: `callback-${n}`,
    tables: everything ? TABLES : TABLES.filter(() => dice.chance(0.6)).concat('shop.none'),
    operations: dice.chance(0.7) ? ALL : operationsOf(ROWS.filter(() => dice.chance(0.6))),
    changedName: dice.chance(0.3),
    from: dice.chance(0.8) ? 'earliest' : 'latest',
    concurrency: dice.pick([1, 2, 4, 16]),
    lanes: { maxEvents: dice.pick([2, 10, 1_000_000]), maxBytes: dice.pick([2_000, 2 ** 30]) },
    onExhausted: ends.pick(['park-key', 'dead-letter']),
    breaker,
    receiver: {
      openingKeys: breaker.minimumKeys * BREAKER.failureRatio,
      // The first wait for a door that is shut is a second at most, less its jitter.
      openMs: 0.8 * Math.min(1_000, breaker.openForMs),
      maximumAttempts: ends.pick([0, 0, 0, 1, 2, 4]),
      trouble: dice.pick([0, 0.1, 0.5]),
      worst: dice.between(1, 5),
      unreachable: Array.from({ length: dice.below(3) }, () => {
        const from = dice.below(10_000);
        return [from, from + dice.between(50, 5_000)] as const;
      }),
    },
  };
}

function asyncPlan(dice: Dice): AsyncPlan | null {
  if (dice.chance(0.65)) return null;
  return { deadlineMs: dice.pick([500, 2_000, 4_000]), heartbeatMs: dice.pick([null, null, 400]) };
}

function givingUp<T extends Pick<CallbackPlan, 'onExhausted' | 'receiver'>>(one: T, dice: Dice): T {
  const receiver = {
    ...one.receiver,
    async: null,
    maximumAttempts: dice.pick([1, 1, 2]),
    trouble: dice.pick([0.3, 0.6]),
    worst: dice.between(1, 5),
  };
  return { ...one, onExhausted: 'dead-letter', receiver };
}

/** A request that carries several events has one answer: who answers with 202 gets each by itself. */
function batchOf(
  { concurrency, receiver }: Pick<CallbackPlan, 'concurrency' | 'receiver'>,
  dice: Dice,
): BatchPlan | null {
  return receiver.async === null ? batchPlan(dice, concurrency) : null;
}

/** An update in a flat record does not hold the row as it was: delivery refuses it. */
function withoutUpdates(callback: CallbackPlan): CallbackPlan {
  return { ...callback, operations: callback.operations.filter((one) => one !== 'update') };
}

/** Some ask for truncates as well. */
function operationsOf(rows: readonly Operation[]): readonly Operation[] {
  return rows.length % 2 === 0 ? rows : [...rows, 'truncate'];
}
