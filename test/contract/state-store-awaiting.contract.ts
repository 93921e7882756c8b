/** Events that were answered with 202: their clocks, their ends and the books, on every adapter. */
import { describe, expect, test } from 'vitest';

import type { Accepted, AttemptKey, Completion, Ending } from '../../src/state/completion.ts';
import type { LaneSummary, StateChange, StateStore } from '../../src/state/state-store.ts';
import type { StateUnderTest } from './state-store-samples.ts';
import {
  asked,
  CALLBACK,
  code,
  counts,
  deadHead,
  deliveredHead,
  event,
  everything,
  exhaustedHead,
  FAILURE,
  laneKey,
  newCursor,
  progress,
  TOPIC,
  eachWithStore,
} from './state-store-samples.ts';

const NONE: ReadonlySet<number> = new Set();
const SUCCEEDED: Ending = {
  status: 'succeeded',
  reason: null,
  retryable: true,
  result: '{"n":1.0}',
};
const FAILED: Ending = { status: 'failed', reason: 'no stock', retryable: false, result: null };
const OVERDUE: Ending = { status: 'overdue', reason: 'too late', retryable: true, result: null };

function accepted(some: Partial<Accepted> = {}): Accepted {
  const at = { attempt: 1, atMs: 1_000, deadlineMs: 500, heartbeatMs: null, statusUrl: null };
  return { ...at, ...some };
}

function attemptKey(offset: number, attempt = 1): AttemptKey {
  return { callback: CALLBACK, topic: TOPIC, partition: 0, offset, eventId: `e${offset}`, attempt };
}

/** The fast path's event `offset`, answered with 202. */
function intoAwaiting(key: string, offset: number, some: Partial<Accepted> = {}): StateChange[] {
  return [
    progress(offset + 1, { read: 1, matched: 1 }),
    { type: 'lane-append', ...laneKey(key), event: event(offset), accepted: accepted(some) },
  ];
}

function behind(key: string, offset: number): StateChange[] {
  return [
    progress(offset + 1, { read: 1, matched: 1 }),
    { type: 'lane-append', ...laneKey(key), event: event(offset) },
  ];
}

export function describeAwaiting(make: () => Promise<StateUnderTest>): void {
  let state: StateStore;
  eachWithStore(make, [newCursor()], (opened) => {
    state = opened;
  });

  const ledger = async (): Promise<unknown> => (await state.cursors())[0]?.ledger;
  const onlyLane = async (): Promise<LaneSummary> => {
    const [lane] = await state.lanes({ limit: 1 });
    if (lane === undefined) throw new Error('no lane');
    return lane;
  };
  const act = async (action: 'retry' | 'skip' | 'park', atMs: number): Promise<void> => {
    const { id, headId } = await onlyLane();
    await state.actOnLane(id, action, asked(atMs), headId);
  };
  const complete = (
    completion: Completion,
    some: { offset?: number; attempt?: number; nowMs?: number; early?: boolean } = {},
  ): ReturnType<StateStore['complete']> => {
    const { offset = 0, attempt = 1, nowMs = 1_100, early = false } = some;
    return state.complete(attemptKey(offset, attempt), completion, { nowMs, early });
  };
  const ended = async (nowMs: number): Promise<(Ending | null | undefined)[]> => {
    const { lanes } = await state.awaitedLanes(CALLBACK, nowMs, 10, NONE);
    return lanes.map(({ awaiting }) => awaiting?.ending);
  };

  describe('an event that is awaited', () => {
    test('is its lane’s head, counts as awaiting, and is not due', async () => {
      await state.commit([...intoAwaiting('k', 0, { version: 6 }), ...behind('k', 1)]);
      expect(await ledger()).toEqual(counts({ read: 2, matched: 2, awaiting: 1, pending: 1 }));
      expect(await onlyLane()).toMatchObject({
        state: 'awaiting',
        version: 6,
        attempts: 0,
        firstAttemptAt: 1_000,
        nextAttemptAt: null,
        awaiting: { attempt: 1, deadlineAt: 1_500, wakeAt: 1_500, statusUrl: null, ending: null },
      });
      expect(await state.dueLanes(CALLBACK, 9e9, 10, NONE)).toEqual([]);
      expect(await state.nextDueAt(CALLBACK)).toBeNull();
      expect(await state.awaitedLanes(CALLBACK, 1_499, 10, NONE)).toEqual({
        lanes: [],
        nextAt: 1_500,
      });
      expect(await ended(1_500)).toEqual([null]);
    });

    test('that succeeded is found at once, whole, and makes way for the next one', async () => {
      await state.commit([...intoAwaiting('k', 0), ...behind('k', 1)]);
      expect(await complete(SUCCEEDED)).toBe('taken');
      const { lanes } = await state.awaitedLanes(CALLBACK, 1_100, 10, NONE);
      expect(lanes).toMatchObject([{ awaiting: { ending: SUCCEEDED }, head: { id: event(0).id } }]);
      expect(Buffer.from(lanes[0]?.head.value ?? [])).toEqual(event(0).value);
      expect(
        (await state.awaitedLanes(CALLBACK, 1_100, 10, new Set([lanes[0]?.id ?? 0]))).lanes,
      ).toEqual([]);
      await state.commit([deliveredHead('k', 0)]);
      expect(await ledger()).toEqual(counts({ read: 2, matched: 2, delivered: 1, retrying: 1 }));
      expect(await onlyLane()).toMatchObject({ state: 'retrying', awaiting: null, attempts: 0 });
    });

    test('in a lane of one event takes the lane with it', async () => {
      await state.commit(intoAwaiting('k', 0));
      await complete(SUCCEEDED);
      await state.commit([deliveredHead('k', 0)]);
      expect(await ledger()).toEqual(counts({ read: 1, matched: 1, delivered: 1 }));
      expect(await state.lanes({ limit: 9 })).toEqual([]);
    });

    test('that failed is retried, parked or dead as any other', async () => {
      await state.commit([...intoAwaiting('k', 0), ...behind('k', 1)]);
      expect(await complete(FAILED)).toBe('taken');
      await state.commit([{ type: 'lane-failed', ...laneKey('k'), offset: 0, failure: FAILURE }]);
      expect(await ledger()).toEqual(counts({ read: 2, matched: 2, retrying: 1, pending: 1 }));
      expect(await onlyLane()).toMatchObject({ state: 'retrying', awaiting: null });
      await state.commit([
        { type: 'lane-awaiting', ...laneKey('k'), offset: 0, accepted: accepted({ attempt: 2 }) },
      ]);
      expect(await ledger()).toEqual(counts({ read: 2, matched: 2, awaiting: 1, pending: 1 }));
      await state.commit([exhaustedHead('k', 0)]);
      expect(await ledger()).toEqual(counts({ read: 2, matched: 2, parked: 2 }));
      expect(await onlyLane()).toMatchObject({ state: 'parked', awaiting: null });
      await act('retry', 2_000);
      await state.commit([
        { type: 'lane-awaiting', ...laneKey('k'), offset: 0, accepted: accepted({ attempt: 3 }) },
        deadHead('k', 0),
      ]);
      expect(await ledger()).toEqual(counts({ read: 2, matched: 2, dead: 1, retrying: 1 }));
    });

    test('is heard of: a heartbeat puts its time off, and never behind the deadline', async () => {
      await state.commit(intoAwaiting('k', 0, { heartbeatMs: 200 }));
      expect((await onlyLane()).awaiting).toMatchObject({ wakeAt: 1_200, deadlineAt: 1_500 });
      expect(await complete({ status: 'progress' }, { nowMs: 1_150 })).toBe('taken');
      expect((await onlyLane()).awaiting?.wakeAt).toBe(1_350);
      expect(await complete({ status: 'progress' }, { nowMs: 1_400 })).toBe('taken');
      expect((await onlyLane()).awaiting?.wakeAt).toBe(1_500);
    });

    test('is overdue only once its time has come, and nothing came first', async () => {
      await state.commit(intoAwaiting('k', 0, { heartbeatMs: 200 }));
      expect(await complete(OVERDUE, { nowMs: 1_199 })).toBe('late');
      expect(await ended(1_200)).toEqual([null]);
      await complete({ status: 'progress' }, { nowMs: 1_200 });
      expect(await complete(OVERDUE, { nowMs: 1_200 })).toBe('late');
      expect(await complete(OVERDUE, { nowMs: 1_400 })).toBe('taken');
      expect(await ended(1_400)).toEqual([OVERDUE]);
      expect(await complete(SUCCEEDED, { nowMs: 1_400 })).toBe('late');
      expect(await ended(1_400)).toEqual([OVERDUE]);
    });

    test('ends once: the same told again is repeated, another is late', async () => {
      await state.commit(intoAwaiting('k', 0));
      await complete(SUCCEEDED);
      expect(await complete(SUCCEEDED)).toBe('repeated');
      expect(await complete(FAILED)).toBe('late');
      expect(await complete({ status: 'progress' })).toBe('late');
      expect(await ended(1_100)).toEqual([SUCCEEDED]);
      await state.commit([deliveredHead('k', 0)]);
      expect(await complete(SUCCEEDED)).toBe('repeated');
      expect(await complete(FAILED)).toBe('late');
      expect(await state.completions({ limit: 9 })).toMatchObject([
        { status: 'succeeded', late: false, offset: 0, attempt: 1, eventId: 'e0', atMs: 1_100 },
        { status: 'failed', late: true, reason: 'no stock' },
      ]);
      expect(await state.completions({ callback: 'other', limit: 9 })).toEqual([]);
    });

    test('of an older attempt is late and recorded', async () => {
      await state.commit(intoAwaiting('k', 0));
      await complete(OVERDUE, { nowMs: 1_500 });
      await state.commit([{ type: 'lane-failed', ...laneKey('k'), offset: 0, failure: FAILURE }]);
      await state.commit([
        { type: 'lane-awaiting', ...laneKey('k'), offset: 0, accepted: accepted({ attempt: 2 }) },
      ]);
      expect(await complete(SUCCEEDED)).toBe('late');
      expect(await ended(1_100)).toEqual([]);
      expect(await state.completions({ limit: 9 })).toMatchObject([
        { status: 'overdue', attempt: 1, late: false },
        { status: 'succeeded', attempt: 1, late: true },
      ]);
      expect(await complete(SUCCEEDED, { attempt: 2 })).toBe('taken');
    });

    test('is known by its callback, topic and partition', async () => {
      const of = { ...attemptKey(0), callback: 'nobody' };
      expect(await state.complete(of, SUCCEEDED, { nowMs: 1, early: true })).toBe('unknown');
      expect(await complete(SUCCEEDED)).toBe('late');
    });
  });

  describe('an end that comes before the answer that it ends', () => {
    test('counts as soon as the answer is stored, on the fast path and in a lane', async () => {
      expect(await complete(SUCCEEDED, { early: true })).toBe('taken');
      expect(await complete(SUCCEEDED, { early: true })).toBe('repeated');
      expect(await complete(FAILED, { early: true })).toBe('late');
      expect(await complete({ status: 'progress' }, { early: true })).toBe('late');
      expect(await state.endingOf(attemptKey(0))).toEqual(SUCCEEDED);
      expect(await state.endingOf(attemptKey(0, 2))).toBeNull();
      expect(await state.endingOf({ ...attemptKey(0), callback: 'nobody' })).toBeNull();
      await state.commit(intoAwaiting('k', 0));
      expect(await ended(1_000)).toEqual([SUCCEEDED]);
      await state.commit([deliveredHead('k', 0)]);

      await state.commit([
        progress(2, { read: 1, matched: 1 }),
        { type: 'lane-append', ...laneKey('k'), event: event(1), failure: FAILURE },
      ]);
      expect(await complete(FAILED, { offset: 1, attempt: 2, early: true })).toBe('taken');
      await state.commit([
        { type: 'lane-awaiting', ...laneKey('k'), offset: 1, accepted: accepted({ attempt: 2 }) },
      ]);
      expect(await ended(1_000)).toEqual([FAILED]);
    });

    test('progress before the answer is taken and needs no place', async () => {
      expect(await complete({ status: 'progress' }, { early: true })).toBe('taken');
      expect(await state.completions({ limit: 9 })).toEqual([]);
    });
  });

  describe('a person and an awaited event', () => {
    test('a retry gives the attempt up, and the next one is due now', async () => {
      await state.commit([...intoAwaiting('k', 0), ...behind('k', 1)]);
      await act('retry', 1_200);
      expect(await ledger()).toEqual(counts({ read: 2, matched: 2, retrying: 1, pending: 1 }));
      expect(await onlyLane()).toMatchObject({
        ...{
          state: 'retrying',
          awaiting: null,
          attempts: 1,
          usedAttempts: 0,
          nextAttemptAt: 1_200,
        },
      });
      expect(await complete(SUCCEEDED)).toBe('late');
    });

    test('a retry leaves an end that has come', async () => {
      await state.commit(intoAwaiting('k', 0));
      await complete(SUCCEEDED);
      await act('retry', 1_200);
      expect(await ended(1_200)).toEqual([SUCCEEDED]);
      expect(await ledger()).toEqual(counts({ read: 1, matched: 1, awaiting: 1 }));
    });

    test('a park holds the key, and the awaited attempt may still end', async () => {
      await state.commit([...intoAwaiting('k', 0), ...behind('k', 1)]);
      await act('park', 1_200);
      expect(await ledger()).toEqual(counts({ read: 2, matched: 2, parked: 2 }));
      expect(await onlyLane()).toMatchObject({ state: 'parked', awaiting: { attempt: 1 } });
      expect(await complete(SUCCEEDED)).toBe('taken');
      expect(await ended(1_200)).toEqual([SUCCEEDED]);
      await state.commit([deliveredHead('k', 0)]);
      expect(await ledger()).toEqual(counts({ read: 2, matched: 2, delivered: 1, parked: 1 }));
    });

    test('a park that is taken back by a retry gives the attempt up', async () => {
      await state.commit([...intoAwaiting('k', 0), ...behind('k', 1)]);
      await act('park', 1_200);
      await act('retry', 1_300);
      expect(await ledger()).toEqual(counts({ read: 2, matched: 2, retrying: 1, pending: 1 }));
      expect(await onlyLane()).toMatchObject({ nextAttemptAt: 1_300, attempts: 1, awaiting: null });
    });

    test('an answer of a lane that was parked meanwhile is awaited, and stays parked', async () => {
      await state.commit([
        progress(1, { read: 1, matched: 1 }),
        { type: 'lane-append', ...laneKey('k'), event: event(0), failure: FAILURE },
      ]);
      await act('park', 1_200);
      await state.commit([
        { type: 'lane-awaiting', ...laneKey('k'), offset: 0, accepted: accepted({ attempt: 2 }) },
      ]);
      expect(await ledger()).toEqual(counts({ read: 1, matched: 1, parked: 1 }));
      expect(await complete(SUCCEEDED, { attempt: 2 })).toBe('taken');
      await state.commit([deliveredHead('k', 0)]);
      expect(await ledger()).toEqual(counts({ read: 1, matched: 1, delivered: 1 }));
    });

    test('a skip is found among the awaited ones, also one asked for during the attempt', async () => {
      await state.commit(intoAwaiting('k', 0));
      await act('skip', 1_200);
      const { lanes } = await state.awaitedLanes(CALLBACK, 1_200, 9, NONE);
      expect(lanes).toMatchObject([{ skipAsked: true, state: 'awaiting' }]);
      await state.commit([{ type: 'lane-skipped', ...laneKey('k'), offset: 0 }]);
      expect(await ledger()).toEqual(counts({ read: 1, matched: 1, skipped: 1 }));

      await state.commit([
        progress(2, { read: 1, matched: 1 }),
        { type: 'lane-append', ...laneKey('k'), event: event(1), failure: FAILURE },
      ]);
      await act('skip', 1_300);
      await state.commit([
        {
          type: 'lane-awaiting',
          ...laneKey('k'),
          offset: 1,
          accepted: accepted({ attempt: 2, atMs: 1_400 }),
        },
      ]);
      expect((await state.awaitedLanes(CALLBACK, 1_400, 9, NONE)).lanes).toMatchObject([
        { skipAsked: true },
      ]);
    });
  });

  describe('what is awaited', () => {
    test('is refused for what is none of it', async () => {
      await state.commit(intoAwaiting('k', 0));
      const before = await everything(state);
      const again: StateChange = {
        ...{ type: 'lane-awaiting', ...laneKey('k'), offset: 0, accepted: accepted() },
      };
      expect(await code(state.commit([again]))).toBe('INTERNAL');
      expect(await code(state.commit([{ ...again, offset: 5 }]))).toBe('INTERNAL');
      expect(await code(state.commit(intoAwaiting('k', 1)))).toBe('INTERNAL');
      expect(await everything(state)).toEqual(before);
    });

    test('has a key of the store’s own, the same for ever', async () => {
      const key = await state.completionKey();
      expect(key).toHaveLength(32);
      expect(await state.completionKey()).toEqual(key);
      const other = await make();
      const another = await other.open();
      expect(await another.completionKey()).not.toEqual(key);
      await another.close();
      await other.destroy();
    });
  });
}
