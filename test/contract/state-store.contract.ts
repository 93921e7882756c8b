/** The port src/state/state-store.ts as a suite: every adapter runs it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { OffsetRun, StateStore } from '../../src/state/state-store.ts';
import { LEDGER_FIELDS } from '../../src/state/state-store.ts';
import { describeAwaiting } from './state-store-awaiting.contract.ts';
import { describeCoalescing } from './state-store-coalescing.contract.ts';
import { describeCallbacks } from './state-store-callbacks.contract.ts';
import { describeExhausted } from './state-store-exhausted.contract.ts';
import { describeHandOvers } from './state-store-hand-over.contract.ts';
import { describeHandlers } from './state-store-handlers.contract.ts';
import { describeHolds } from './state-store-holds.contract.ts';
import { describeReplays } from './state-store-replays.contract.ts';
import { describeResends } from './state-store-resends.contract.ts';
import { describeSettlements } from './state-store-settlements.contract.ts';
import { describeMirror } from './state-store-mirror.contract.ts';
import { describeLanes } from './state-store-lanes.contract.ts';
import { describeStateModel } from './state-store-model.ts';
import type { StateTraits, StateUnderTest } from './state-store-samples.ts';
import {
  asked,
  CALLBACK,
  code,
  counts,
  everything,
  FAILURE,
  intoLane,
  newCursor,
  progress,
  TOPIC,
} from './state-store-samples.ts';

const NONE: ReadonlySet<number> = new Set();

export function describeStateStore(
  name: string,
  make: () => Promise<StateUnderTest>,
  traits: StateTraits = { shared: true },
): void {
  // One suite of its own, so that the stores of other adapters in the same file are not opened for its tests.
  describe(name, () => {
    describeCursors(make, traits);
    describeLanes(make);
    describeCoalescing(make);
    describeExhausted(make);
    describeAwaiting(make);
    describeHandOvers(make);
    describeHandlers(make);
    describeHolds(make);
    describeCallbacks(make);
    describeReplays(make, traits);
    describeResends(make, traits);
    describeSettlements(make, traits);
    describeMirror(make, traits);
    describeStateModel(make, traits);
  });
}

function describeCursors(make: () => Promise<StateUnderTest>, traits: StateTraits): void {
  describe('cursors and books', () => {
    let under: StateUnderTest;
    let state: StateStore;
    const opened: StateStore[] = [];

    const open = async (): Promise<StateStore> => {
      const another = await under.open();
      opened.push(another);
      return another;
    };

    beforeEach(async () => {
      under = await make();
      state = await open();
    });
    afterEach(async () => {
      for (const one of opened.splice(0)) await one.close();
      await under.destroy();
    });

    describe('cursors', () => {
      test('there are none in a new store', async () => {
        expect(await state.cursors()).toEqual([]);
      });

      test('begin where they were opened, with empty books', async () => {
        const cursor = newCursor(3, { startOffset: 40, next: 42, topicId: 'other' });
        await state.openCursors([cursor]);
        expect(await state.cursors()).toEqual([{ ...cursor, beyond: [], ledger: counts({}) }]);
      });

      test('are apart for each callback, topic and partition', async () => {
        const all = [
          newCursor(0),
          newCursor(1),
          newCursor(0, { topic: 'shop.items' }),
          newCursor(0, { callback: 'mail' }),
        ];
        await state.openCursors(all);
        await state.commit([progress(5, { read: 5, filtered: 5 })]);
        const moved = (await state.cursors()).filter(({ next }) => next === 5);
        expect(moved.map(({ callback, topic, partition }) => [callback, topic, partition])).toEqual(
          [[CALLBACK, TOPIC, 0]],
        );
        expect(await state.cursors()).toHaveLength(4);
      });

      test('opened a second time are refused, and with them those named beside them', async () => {
        await state.openCursors([newCursor(0)]);
        expect(await code(state.openCursors([newCursor(1), newCursor(0)]))).toBe('STATE_UNUSABLE');
        expect(await code(state.openCursors([newCursor(2), newCursor(2)]))).toBe('STATE_UNUSABLE');
        expect(await state.cursors()).toHaveLength(1);
        await state.openCursors([newCursor(1), newCursor(2)]);
        expect(await state.cursors()).toHaveLength(3);
      });
    });

    describe('progress', () => {
      beforeEach(() => state.openCursors([newCursor(0, { startOffset: 10, next: 10 })]));

      test('moves the cursor and adds to the books', async () => {
        await state.commit([progress(12, { read: 2, matched: 1, filtered: 1, delivered: 1 })]);
        await state.commit([progress(15, { read: 3, matched: 3, delivered: 3 })]);
        expect(await state.cursors()).toMatchObject([
          {
            next: 15,
            startOffset: 10,
            ledger: counts({ read: 5, matched: 4, filtered: 1, delivered: 4 }),
          },
        ]);
      });

      test('adds each count of the ledger to its own', async () => {
        for (const field of LEDGER_FIELDS.slice(3)) {
          await state.commit([progress(10, { read: 1, matched: 1, [field]: 1 })]);
        }
        const each = Object.fromEntries(LEDGER_FIELDS.slice(3).map((field) => [field, 1]));
        expect((await state.cursors())[0]?.ledger).toEqual(
          counts({ read: 8, matched: 8, ...each }),
        );
      });

      test('keeps what is settled beyond exactly, until it is replaced', async () => {
        const beyond: OffsetRun[] = [
          [12, 13],
          [20, 4_000_000_000],
          [2 ** 52, 2 ** 53 - 1],
        ];
        await state.commit([progress(11, {}, beyond)]);
        expect((await state.cursors())[0]?.beyond).toEqual(beyond);
        await state.commit([progress(13, {}, [[20, 21]])]);
        expect(await state.cursors()).toMatchObject([{ next: 13, beyond: [[20, 21]] }]);
        await state.commit([progress(21)]);
        expect(await state.cursors()).toMatchObject([{ next: 21, beyond: [] }]);
      });

      test('of one cursor several times in a commit counts them all and ends at the last', async () => {
        await state.commit([
          progress(11, { read: 1, filtered: 1 }, [[12, 13]]),
          progress(13, { read: 2, filtered: 2 }),
        ]);
        expect(await state.cursors()).toMatchObject([
          { next: 13, beyond: [], ledger: counts({ read: 3, filtered: 3 }) },
        ]);
      });

      test.each([
        ['a cursor that goes back', [progress(11)]],
        ['a cursor that goes back within the commit', [progress(14), progress(13)]],
        ['books that do not balance in what was read', [progress(13, { read: 1 })]],
        ['books that do not balance in what matched', [progress(13, { read: 1, matched: 1 })]],
        ['a count below zero', [progress(13, { delivered: -3, skipped: 3 })]],
        ['half a count', [progress(13, { read: 0.5, filtered: 0.5 })]],
        ['a cursor never opened', [{ ...progress(13), partition: 7 } as const]],
        ['a run that begins at the cursor', [progress(13, {}, [[13, 14]])]],
        [
          'runs that touch',
          [
            progress(13, {}, [
              [14, 15],
              [15, 16],
            ]),
          ],
        ],
        [
          'runs out of order',
          [
            progress(13, {}, [
              [20, 21],
              [15, 16],
            ]),
          ],
        ],
        ['an empty run', [progress(13, {}, [[15, 15]])]],
      ])('with %s is a defect that leaves nothing of the commit', async (_, wrong) => {
        await state.commit([progress(12, { read: 2, matched: 2, delivered: 2 })]);
        const before = await everything(state);
        const whole = [progress(13, { read: 1, filtered: 1 }), ...wrong];
        expect(await code(state.commit(whole))).toBe('INTERNAL');
        expect(await everything(state)).toEqual(before);
        await state.commit([progress(13, { read: 1, filtered: 1 })]);
        expect(await state.cursors()).toMatchObject([{ next: 13 }]);
      });

      test('of nothing is nothing', async () => {
        await state.commit([]);
        expect(await state.cursors()).toMatchObject([{ next: 10, ledger: counts({}) }]);
      });
    });

    describe('the store', () => {
      test('has an identity of its own', async () => {
        const other = await make();
        const another = await other.open();
        expect(state.id).not.toBe('');
        expect(another.id).not.toBe(state.id);
        await another.close();
        await other.destroy();
      });

      test('closes more than once, and answers nothing afterwards', async () => {
        await state.openCursors([newCursor()]);
        await state.close();
        await state.close();
        await expect(state.cursors()).rejects.toThrow();
        await expect(state.commit([progress(1)])).rejects.toThrow();
      });
    });

    if (traits.shared) describeShared({ state: () => state, open });
  });
}

/** What a second opening of the same store sees. */
function describeShared(store: {
  readonly state: () => StateStore;
  readonly open: () => Promise<StateStore>;
}): void {
  describe('opened again', () => {
    test('is the same store, with all that was committed', async () => {
      const state = store.state();
      await state.openCursors([newCursor()]);
      await state.commit(intoLane('a', 0, FAILURE));
      await state.commit([...intoLane('a', 1), progress(2, {}, [[4, 9]])]);
      const before = await everything(state);
      await state.close();
      const again = await store.open();
      expect(again.id).toBe(state.id);
      expect(await everything(again)).toEqual(before);
      const due = await again.dueLanes(CALLBACK, 10_000, 10, NONE);
      expect(due.map(({ head }) => Buffer.from(head.value ?? []).toString())).toEqual([
        '{"before":null,"n":0}',
      ]);
    });

    test('what an operator asks for in another process is seen at once', async () => {
      const state = store.state();
      await state.openCursors([newCursor()]);
      await state.commit(intoLane('a', 0, FAILURE));
      const operator = await store.open();
      const [lane] = await operator.lanes({ limit: 1 });
      await operator.actOnLane(lane?.id ?? 0, 'retry', asked(5));
      expect(await state.nextDueAt(CALLBACK)).toBe(5);
    });
  });
}
