/** Parked lanes, dead letters and what persons do, of the port src/state/state-store.ts: part of its suite. */
import { describe, expect, test } from 'vitest';

import type { LaneAction, LedgerCounts, StateStore } from '../../src/state/state-store.ts';
import { laneEventBytes } from '../../src/state/state-store.ts';
import type { StateUnderTest } from './state-store-samples.ts';
import {
  append,
  asked,
  CALLBACK,
  code,
  counts,
  deadAtOnce,
  deadHead,
  deliveredHead,
  event,
  everything,
  exhaustedHead,
  FAILURE,
  failedAgain,
  intoLane,
  laneKey,
  matched,
  newCursor,
  skippedHead,
  eachWithStore,
} from './state-store-samples.ts';

const NONE: ReadonlySet<number> = new Set();
const AGAIN = { ...FAILURE, attempts: 3, usedAttempts: 2, nextAttemptAt: 8_000, error: 'HTTP 501' };

export function describeExhausted(make: () => Promise<StateUnderTest>): void {
  describe('given up', () => {
    let state: StateStore;
    eachWithStore(make, [newCursor(0)], (opened) => {
      state = opened;
    });

    const ledger = async (): Promise<LedgerCounts | undefined> =>
      (await state.cursors())[0]?.ledger;
    const due = async (now: number): Promise<number[]> =>
      (await state.dueLanes(CALLBACK, now, 10, NONE)).map(({ head }) => head.offset);
    const toSkip = async (limit = 10): Promise<number[]> =>
      (await state.lanesToSkip(CALLBACK, limit, NONE)).map(({ head }) => head.offset);
    const headLane = async (): Promise<{ readonly id: number }> => {
      const [lane] = await state.lanes({ limit: 1 });
      return { id: lane?.id ?? 0 };
    };
    const act = async (action: LaneAction, atMs = 5_000): Promise<void> => {
      const [lane] = await state.lanes({ limit: 1 });
      await state.actOnLane(lane?.id ?? 0, action, asked(atMs), lane?.headId);
    };
    /** Three events of one key, of which the first has failed. */
    const three = async (): Promise<void> => {
      await state.commit(intoLane('a', 0, FAILURE));
      await state.commit([...intoLane('a', 1), ...intoLane('a', 2)]);
    };

    test('the version that made the last attempt is told of a head, and of a dead letter', async () => {
      const version = async (): Promise<unknown> => (await state.lanes({ limit: 1 }))[0]?.version;
      await state.commit(intoLane('a', 0, { ...FAILURE, version: 3 }));
      expect(await version()).toBe(3);
      const again = { ...FAILURE, attempts: 2, version: 4 };
      await state.commit([failedAgain('a', 0, again), ...intoLane('a', 1)]);
      expect(await version()).toBe(4);
      await state.commit([deadHead('a', 0, { ...again, attempts: 3, version: 5 })]);
      expect(await state.deadLetters({ limit: 1 })).toMatchObject([{ version: 5 }]);
      expect(await version(), 'nobody has tried the next one').toBeNull();
    });

    test('a lane is parked with all its events, and is never due', async () => {
      await three();
      await state.commit([exhaustedHead('a', 0, AGAIN)]);
      expect(await state.lanes({ limit: 9 })).toMatchObject([
        { state: 'parked', depth: 3, attempts: 3, nextAttemptAt: null, lastError: 'HTTP 501' },
      ]);
      expect(await due(1e15)).toEqual([]);
      expect(await state.nextDueAt(CALLBACK)).toBe(null);
      expect(await ledger()).toEqual(counts({ read: 3, matched: 3, parked: 3 }));
    });

    test('later events of a parked key are parked as well', async () => {
      await state.commit(intoLane('a', 0, FAILURE));
      await state.commit([exhaustedHead('a', 0), ...intoLane('a', 1)]);
      await state.commit(intoLane('a', 2));
      expect(await ledger()).toEqual(counts({ read: 3, matched: 3, parked: 3 }));
    });

    test('an event may park its key at its first attempt', async () => {
      const put = { ...append('a', 0, FAILURE), exhausted: true } as never;
      await state.commit([put, matched(0)]);
      expect(await state.lanes({ limit: 9 })).toMatchObject([{ state: 'parked', attempts: 1 }]);
      expect(await ledger()).toEqual(counts({ read: 1, matched: 1, parked: 1 }));
    });

    test('a retry of a parked lane makes it due with a new budget and the number of attempts', async () => {
      await three();
      await state.commit([exhaustedHead('a', 0, AGAIN)]);
      await act('retry', 4_000);
      expect(await due(3_999)).toEqual([]);
      expect(await due(4_000)).toEqual([0]);
      expect(await state.lanes({ limit: 9 })).toMatchObject([
        { state: 'retrying', attempts: 3, usedAttempts: 0, firstAttemptAt: null },
      ]);
      expect(await ledger()).toEqual(counts({ read: 3, matched: 3, retrying: 1, pending: 2 }));
    });

    test('a parked lane whose head is delivered all the same holds the rest', async () => {
      await three();
      await act('park');
      await state.commit([deliveredHead('a', 0)]);
      expect(await state.lanes({ limit: 9 })).toMatchObject([{ state: 'parked', depth: 2 }]);
      expect(await ledger()).toEqual(counts({ read: 3, matched: 3, delivered: 1, parked: 2 }));
    });

    test('a lane that a person parked stays so when the attempt in flight fails', async () => {
      await three();
      await act('park');
      await state.commit([failedAgain('a', 0, AGAIN)]);
      expect(await state.lanes({ limit: 9 })).toMatchObject([{ state: 'parked', attempts: 3 }]);
      expect(await ledger()).toMatchObject({ parked: 3 });
    });

    test('a skip makes the lane due, whatever it waits for, and then its head leaves', async () => {
      await three();
      await state.commit([exhaustedHead('a', 0, AGAIN)]);
      await act('skip', 4_000);
      const [lane] = await state.dueLanes(CALLBACK, 4_000, 10, NONE);
      expect(lane).toMatchObject({ skipAsked: true, head: { offset: 0 } });
      await state.commit([skippedHead('a', 0)]);
      expect(await ledger()).toEqual(
        counts({ read: 3, matched: 3, skipped: 1, retrying: 1, pending: 1 }),
      );
      expect(await state.lanes({ limit: 9 })).toMatchObject([
        { state: 'retrying', attempts: 0, usedAttempts: 0, skipAsked: false, cause: null },
      ]);
    });

    test('a skip once asked for stands: no failure postpones it and none parks the lane', async () => {
      await three();
      await act('skip', 1_500);
      await state.commit([exhaustedHead('a', 0, AGAIN)]);
      expect(await due(1_500)).toEqual([0]);
      await act('retry');
      await state.commit([skippedHead('a', 0)]);
      expect(await ledger()).toMatchObject({ skipped: 1, retrying: 1, pending: 1 });
    });

    test('a head that left meanwhile is not skipped in the shape of the next one', async () => {
      await three();
      const [seen] = await state.lanes({ limit: 1 });
      const { id = 0, headId = '' } = seen ?? {};
      expect(headId).toBe(event(0).id);
      await state.commit([deliveredHead('a', 0)]);
      const before = await everything(state);
      for (const action of ['skip', 'park', 'retry'] as const) {
        const acted = state.actOnLane(id, action, asked(5_000), headId);
        expect(await code(acted)).toBe('LANE_HEAD_CHANGED');
      }
      expect(await everything(state)).toEqual(before);
      expect(await code(state.actOnLane(id, 'skip', asked(5_000)))).toBe('INTERNAL');
      expect(await everything(state)).toEqual(before);
    });

    test('a skip asked for twice passes over one event', async () => {
      await three();
      const { id = 0, headId = '' } = (await state.lanes({ limit: 1 }))[0] ?? {};
      await state.actOnLane(id, 'skip', asked(5_000), headId);
      await state.actOnLane(id, 'skip', asked(5_100), headId);
      await state.commit([skippedHead('a', 0)]);
      expect(await toSkip()).toEqual([]);
      const again = state.actOnLane(id, 'skip', asked(5_200), headId);
      expect(await code(again)).toBe('LANE_HEAD_CHANGED');
      expect(await ledger()).toMatchObject({ skipped: 1, retrying: 1, pending: 1 });
    });

    test('what was skipped is told apart from what somebody asked to skip', async () => {
      await three();
      const skipped = async (offset: number): Promise<unknown> => {
        const at = { ...laneKey('a'), partition: 0, offset, eventId: event(offset).id };
        return (await state.whereabouts(at)).skipped;
      };
      await act('skip', 1_500);
      // An attempt was in flight, and delivered it.
      await state.commit([deliveredHead('a', 0)]);
      await act('skip', 1_600);
      expect([await skipped(0), await skipped(1)]).toEqual([null, null]);
      await state.commit([skippedHead('a', 1)]);
      expect([await skipped(0), await skipped(1), await skipped(2)]).toMatchObject([
        null,
        { ...asked(1_600), action: 'lane-skip', eventId: event(1).id },
        null,
      ]);
    });

    test('only lanes whose head is to be skipped are found for that, whenever they are due', async () => {
      await three();
      await state.commit(intoLane('b', 3, FAILURE));
      expect(await toSkip()).toEqual([]);
      await act('skip', 9_000);
      expect(await toSkip()).toEqual([0]);
      expect(await state.lanesToSkip(CALLBACK, 10, new Set([(await headLane()).id]))).toEqual([]);
      expect(await state.lanesToSkip('another', 10, NONE)).toEqual([]);
      await act('park');
      expect(await toSkip(), 'a parked one stays').toEqual([]);
      await act('retry');
      await state.commit([skippedHead('a', 0)]);
      expect(await toSkip()).toEqual([]);
    });

    test('the last event skipped takes the lane with it', async () => {
      await state.commit(intoLane('a', 0, FAILURE));
      await act('skip');
      await state.commit([skippedHead('a', 0)]);
      expect(await state.lanes({ limit: 9 })).toEqual([]);
      expect(await ledger()).toEqual(counts({ read: 1, matched: 1, skipped: 1 }));
    });

    test('a dead head leaves with its value, and the next event is due at once', async () => {
      const value = Buffer.alloc(3 * 1024 * 1024 + 5, 'a large value');
      const [put, ...rest] = intoLane('a', 0, FAILURE);
      await state.commit([{ ...put, event: event(0, { value }) } as never, ...rest]);
      await state.commit(intoLane('a', 1));
      expect(await due(3_000)).toEqual([0]);
      await state.commit([deadHead('a', 0, { ...AGAIN, cause: 'system' })]);
      expect(await due(3_000)).toEqual([1]);
      expect(await ledger()).toEqual(counts({ read: 2, matched: 2, dead: 1, retrying: 1 }));
      expect((await state.lanes({ limit: 1 }))[0]?.bytes).toBe(laneEventBytes(event(1)));
      const [letter] = await state.deadLetters({ limit: 9 });
      expect(letter).toEqual({
        id: letter?.id,
        ...laneKey('a'),
        event: { ...event(0), value: undefined },
        attempts: 3,
        firstAttemptAt: 1_000,
        diedAt: 8_000,
        error: 'HTTP 501',
        cause: 'system',
        version: null,
      });
      const shown = await state.deadLetter(letter?.id ?? 0);
      expect(shown.deadLetter).toEqual(letter);
      expect(value.equals(shown.value ?? Buffer.alloc(0))).toBe(true);
    });

    test('what the endpoint asked to wait for outlasts the event that was told so', async () => {
      await three();
      const told = { ...AGAIN, nextAttemptAt: 3_000, notBefore: 9_000 };
      await state.commit([deadHead('a', 0, told)]);
      expect([await due(8_999), await state.nextDueAt(CALLBACK)]).toEqual([[], 9_000]);
      expect(await due(9_000)).toEqual([1]);
      // Also over a skip; what it was told before counts where that is later.
      await state.commit([
        failedAgain('a', 1, { ...told, nextAttemptAt: 20_000, notBefore: 20_000 }),
      ]);
      await state.commit([failedAgain('a', 1, { ...told, nextAttemptAt: 9_500 })]);
      await act('skip', 9_600);
      expect(await due(9_600)).toEqual([1]);
      await state.commit([skippedHead('a', 1)]);
      expect(await due(19_999)).toEqual([]);
      expect(await due(20_000)).toEqual([2]);
    });

    test('a person who asks for an attempt does not wait for what the endpoint asked for', async () => {
      await three();
      await state.commit([failedAgain('a', 0, { ...AGAIN, notBefore: 9_000 })]);
      await act('retry', 4_000);
      expect(await due(4_000)).toEqual([0]);
      await state.commit([deliveredHead('a', 0)]);
      expect(await due(4_000)).toEqual([1]);
    });

    test('a lane is made without an attempt for a key that is to wait', async () => {
      await due(500);
      const [put, ...rest] = intoLane('a', 0);
      await state.commit([{ ...put, notBefore: 7_000 } as never, ...rest]);
      expect(await state.lanes({ limit: 1 })).toMatchObject([
        { attempts: 0, nextAttemptAt: 7_000 },
      ]);
      expect([await due(6_999), await due(7_000)]).toEqual([[], [0]]);
    });

    test('an event that dies at its first attempt makes no lane', async () => {
      await state.commit([deadAtOnce('a', 0), matched(0)]);
      expect(await state.lanes({ limit: 9 })).toEqual([]);
      expect(await ledger()).toEqual(counts({ read: 1, matched: 1, dead: 1 }));
      const [letter] = await state.deadLetters({ limit: 9 });
      const { value } = await state.deadLetter(letter?.id ?? 0);
      expect(Buffer.from(value ?? []).toString()).toBe('{"before":null,"n":0}');
    });

    test('dead letters of one offset in a later life of its key are kept apart', async () => {
      await state.commit([deadAtOnce('a', 0), matched(0)]);
      await state.commit([deadAtOnce('a', 1), matched(1)]);
      await state.commit(intoLane('b', 2, FAILURE));
      await state.commit([deadHead('b', 2)]);
      const letters = await state.deadLetters({ limit: 9 });
      expect(letters.map(({ event: { offset } }) => offset)).toEqual([0, 1, 2]);
      const page = await state.deadLetters({
        callback: CALLBACK,
        afterId: letters[0]?.id ?? 0,
        limit: 1,
      });
      expect(page).toEqual([letters[1]]);
      expect(await state.deadLetters({ callback: 'nobody', limit: 9 })).toEqual([]);
    });

    test('what persons did is told with who, when, why and of which event', async () => {
      await three();
      await act('park', 100);
      await act('retry', 200);
      await act('skip', 300);
      const entries = await state.audit({ limit: 9 });
      expect(entries.map(({ action, atMs }) => [action, atMs])).toEqual([
        ['lane-park', 100],
        ['lane-retry', 200],
        ['lane-skip', 300],
      ]);
      const about = { ...laneKey('a'), eventId: event(0).id, actor: 'ann', reason: 'because' };
      expect(entries[0]).toMatchObject(about);
      expect(await state.audit({ afterId: entries[0]?.id ?? 0, limit: 1 })).toEqual([entries[1]]);
      expect(await state.audit({ callback: 'nobody', limit: 9 })).toEqual([]);
    });

    test.each([
      ['a skip that nobody asked for', [skippedHead('a', 0)]],
      ['another head skipped', [skippedHead('a', 1)]],
      ['another head dying', [deadHead('a', 1)]],
      ['an unknown lane dying', [deadHead('z', 0)]],
      ['a dead event that was never counted as matched', [deadAtOnce('b', 7)]],
    ])('%s is a defect that leaves nothing of the commit', async (_, wrong) => {
      await three();
      const before = await everything(state);
      const whole = [append('c', 9, FAILURE), matched(9), ...wrong];
      expect(await code(state.commit(whole))).toBe('INTERNAL');
      expect(await everything(state)).toEqual(before);
    });

    test('lanes and letters that are not there cannot be acted on or shown', async () => {
      for (const action of ['retry', 'skip', 'park'] as const) {
        expect(await code(state.actOnLane(77, action, asked(0), 'e'))).toBe('LANE_UNKNOWN');
      }
      expect(await code(state.deadLetter(77))).toBe('DEAD_LETTER_UNKNOWN');
      expect(await state.audit({ limit: 9 })).toEqual([]);
    });
  });
}
