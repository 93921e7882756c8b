/** What the tests of the state store share: changes of one callback's orders, and reading back. */
import { afterEach, beforeEach } from 'vitest';

import type { ErrorCode } from '../../src/errors.ts';
import { RowcallError } from '../../src/errors.ts';
import type {
  Asked,
  Cursor,
  Failure,
  LaneEvent,
  LaneKey,
  LedgerCounts,
  OffsetRun,
  StateChange,
  StateStore,
} from '../../src/state/state-store.ts';
import { LEDGER_FIELDS } from '../../src/state/state-store.ts';

export interface StateUnderTest {
  /** Opens the same store again and again, as several processes would. */
  open(): Promise<StateStore>;
  destroy(): Promise<void>;
}

/**
 * Gives each test of the suite around it a new store with these cursors, closed and removed after it; `reopen`
 * closes it and opens the same again.
 */
export function eachWithStore(
  make: () => Promise<StateUnderTest>,
  cursors: readonly OpenedCursor[],
  use: (state: StateStore, reopen: () => Promise<StateStore>) => void,
): void {
  let under: StateUnderTest;
  let state: StateStore;
  beforeEach(async () => {
    under = await make();
    state = await under.open();
    await state.openCursors(cursors);
    use(state, async () => {
      await state.close();
      state = await under.open();
      return state;
    });
  });
  afterEach(async () => {
    await state.close();
    await under.destroy();
  });
}

export interface StateTraits {
  /** Whether `open` finds again what was committed before: false for a store in memory. */
  readonly shared: boolean;
}

export const CALLBACK = 'supply-chain';
export const TOPIC = 'shop.orders';
export const FAILURE: Failure = {
  attempts: 1,
  usedAttempts: 1,
  firstAttemptAt: 1_000,
  nextAttemptAt: 2_000.5,
  error: 'HTTP 500',
  cause: 'endpoint',
};

/** What a person is recorded with. */
export function asked(atMs: number): Asked {
  return { actor: 'ann', reason: 'because', atMs };
}

export type OpenedCursor = Omit<Cursor, 'ledger' | 'beyond'>;

export function newCursor(partition = 0, over: Partial<OpenedCursor> = {}): OpenedCursor {
  return {
    callback: CALLBACK,
    topic: TOPIC,
    partition,
    topicId: 'topic-1',
    startOffset: 0,
    next: 0,
    ...over,
  };
}

export function laneKey(key: string): LaneKey {
  return { callback: CALLBACK, topic: TOPIC, key: `{"id":${JSON.stringify(key)}}` };
}

export function event(offset: number, over: Partial<LaneEvent> = {}): LaneEvent {
  return {
    partition: 0,
    offset,
    id: `3e11fa47-71ca-11e1-9e33-c80aa9429562:${offset}:shop/orders:1`,
    table: 'shop.orders',
    operation: 'u',
    timestampMs: 1_700_000_000_000 + offset,
    value: Buffer.from(`{"before":null,"n":${offset}}`),
    ...over,
  };
}

export function progress(
  next: number,
  counts: Partial<LedgerCounts> = {},
  beyond: readonly OffsetRun[] = [],
): StateChange {
  return { type: 'progress', callback: CALLBACK, topic: TOPIC, partition: 0, next, beyond, counts };
}

/** One event was read and matched, and the cursor moved over it. */
export function matched(offset: number): StateChange {
  return progress(offset + 1, { read: 1, matched: 1 });
}

export function append(key: string, offset: number, failure?: Failure): StateChange {
  const change = { type: 'lane-append', ...laneKey(key), event: event(offset) } as const;
  return failure === undefined ? change : { ...change, failure };
}

/** An event that gives way to a newer one, and takes the place of such a one. */
export function coalescing(key: string, offset: number): StateChange[] {
  const change = { type: 'lane-append', ...laneKey(key), event: event(offset) } as const;
  return [{ ...change, coalesces: true }, matched(offset)];
}

/** An event of a key fails, or stands behind one that did: with it the cursor moves. */
export function intoLane(key: string, offset: number, failure?: Failure): StateChange[] {
  return [append(key, offset, failure), matched(offset)];
}

export function failedAgain(key: string, offset: number, failure: Failure): StateChange {
  return { type: 'lane-failed', ...laneKey(key), offset, failure };
}

/** The head fails for the last time: its lane is parked. */
export function exhaustedHead(key: string, offset: number, failure = FAILURE): StateChange {
  return { type: 'lane-failed', ...laneKey(key), offset, failure, exhausted: true };
}

export function deadHead(key: string, offset: number, failure = FAILURE): StateChange {
  return { type: 'lane-dead', ...laneKey(key), offset, failure };
}

export function skippedHead(key: string, offset: number): StateChange {
  return { type: 'lane-skipped', ...laneKey(key), offset };
}

/** An event of a key in no lane is given up. */
export function deadAtOnce(key: string, offset: number, failure = FAILURE): StateChange {
  return { type: 'dead', ...laneKey(key), event: event(offset), failure };
}

export function deliveredHead(key: string, offset: number): StateChange {
  return { type: 'lane-delivered', ...laneKey(key), offset };
}

export function filteredHead(key: string, offset: number): StateChange {
  return { type: 'lane-filtered', ...laneKey(key), offset };
}

export function counts(some: Partial<LedgerCounts>): LedgerCounts {
  const all = Object.fromEntries(LEDGER_FIELDS.map((field) => [field, 0])) as Record<
    keyof LedgerCounts,
    number
  >;
  return { ...all, ...some };
}

/** Whether both identities of the ledger hold. */
export function balanced(ledger: LedgerCounts): boolean {
  const { read, filtered, matched: all, ...ends } = ledger;
  return read === all + filtered && all === Object.values(ends).reduce((sum, n) => sum + n, 0);
}

/** Everything there is to see of a store, to tell whether a refused call left something behind. */
export async function everything(state: StateStore): Promise<unknown> {
  const lanes = await state.lanes({ limit: 1_000 });
  const events = await Promise.all(lanes.map(async ({ id }) => (await state.lane(id)).events));
  const deadLetters = await state.deadLetters({ limit: 1_000 });
  const audit = await state.audit({ limit: 1_000 });
  return { cursors: await state.cursors(), lanes, events, deadLetters, audit };
}

/** The code that a call was refused with; undefined when it was not. */
export async function code(call: Promise<unknown>): Promise<ErrorCode | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (error instanceof RowcallError) return error.code;
    throw error;
  }
}

/** Dead letters 1 to 3: of the keys `a`, `b` and `a` again. */
export async function threeDeadLetters(state: StateStore): Promise<void> {
  await state.openCursors([newCursor(0)]);
  for (const [offset, key] of ['a', 'b', 'a'].entries()) {
    await state.commit([deadAtOnce(key, offset), matched(offset)]);
  }
}
