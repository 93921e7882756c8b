/** What is to be written back of settled events, of the port src/state/settlement-store.ts: part of the suite. */
import { describe, expect, test } from 'vitest';

import type { SettlementChange, SettlementMade } from '../../src/state/settlement-store.ts';
import type { StateStore } from '../../src/state/state-store.ts';
import {
  asked,
  CALLBACK,
  code,
  eachWithStore,
  newCursor,
  progress,
  type StateTraits,
  type StateUnderTest,
  TOPIC,
} from './state-store-samples.ts';

function made(key: string, n: number, over: Partial<SettlementMade> = {}): SettlementMade {
  return {
    ...{ type: 'settlement-made', callback: CALLBACK, topic: TOPIC, key, eventId: `event-${n}` },
    ...{ status: 'delivered', atMs: 1_000 + n, parameters: `{"n":${n}}`, error: null },
    ...over,
  };
}

/** As it is found again. */
function without({ type, ...one }: SettlementMade): Omit<SettlementMade, 'type'> {
  expect(type).toBe('settlement-made');
  return one;
}

const ran = (id: number): SettlementChange => ({ type: 'settlement-ran', callback: CALLBACK, id });
const failed = (id: number, nextAt: number, error = 'no'): SettlementChange => ({
  ...{ type: 'settlement-failed', callback: CALLBACK, id, error, nextAt },
});

export function describeSettlements(
  make: () => Promise<StateUnderTest>,
  traits: StateTraits,
): void {
  describe('what is to be written back', () => {
    let state: StateStore;
    let reopen: () => Promise<StateStore>;
    eachWithStore(make, [newCursor(0)], (opened, again) => {
      state = opened;
      reopen = again;
    });
    const heads = async (limit = 9): Promise<string[]> => {
      const found = await state.settlements({ heads: true, callback: CALLBACK, limit });
      return found.map(({ eventId }) => eventId);
    };

    test('is nothing unless an event was settled', async () => {
      expect(await state.countSettlements(CALLBACK)).toEqual({ waiting: 0, failing: 0 });
      expect(await heads()).toEqual([]);
    });

    test('is there with the outcome, or neither is', async () => {
      const bad = [made('a', 1), progress(5, { read: 5 })];
      expect(await code(state.commit(bad))).not.toBeNull();
      expect(await state.settlements({ limit: 9 })).toEqual([]);
      await state.commit([progress(1, { read: 1, matched: 1, delivered: 1 }), made('a', 1)]);
      const waits = { ...without(made('a', 1)), id: 1, failures: 0, nextAt: 1_001 };
      expect(await state.settlements({ limit: 9 })).toEqual([waits]);
      if (!traits.shared) return;
      state = await reopen();
      expect(await state.settlements({ limit: 9 })).toEqual([waits]);
    });

    test('of a key is due one after another, in the order of the commits', async () => {
      await state.commit([made('a', 1), made('b', 2), made('a', 3)]);
      await state.commit([made('a', 4), made('b', 5), made('a', 6, { callback: 'mail' })]);
      expect(await heads()).toEqual(['event-1', 'event-2']);
      await state.commit([ran(1)]);
      expect(await heads()).toEqual(['event-2', 'event-3']);
      await state.commit([ran(2), ran(3)]);
      expect(await heads()).toEqual(['event-4', 'event-5']);
      await state.commit([ran(4), ran(5)]);
      expect(await heads()).toEqual([]);
      expect(await state.countSettlements('mail')).toEqual({ waiting: 1, failing: 0 });
      expect(await state.countSettlements(CALLBACK)).toEqual({ waiting: 0, failing: 0 });
    });

    test('that fails waits with its error, and holds its own key alone', async () => {
      await state.commit([made('a', 1), made('a', 2), made('b', 3)]);
      await state.commit([failed(1, 9_000, 'locked')]);
      expect(await heads()).toEqual(['event-3', 'event-1']);
      const [one] = await state.settlements({ limit: 1 });
      expect(one).toMatchObject({ failures: 1, error: 'locked', nextAt: 9_000 });
      expect(await state.countSettlements(CALLBACK)).toEqual({ waiting: 3, failing: 1 });
      await state.commit([failed(1, 9_500, 'again')]);
      const [again] = await state.settlements({ limit: 1 });
      expect(again).toMatchObject({ failures: 2, error: 'again', nextAt: 9_500 });
    });

    test('that failed is due at once in a new life of its callback, in the order of its keys', async () => {
      await state.commit([made('a', 1), made('a', 2), made('b', 3), made('c', 4)]);
      await state.commit([made('a', 5, { callback: 'mail' })]);
      await state.commit([failed(1, 9_000), failed(3, 8_000)]);
      await state.commit([{ type: 'settlements-due', callback: CALLBACK, atMs: 5_000 }]);
      const all = await state.settlements({ limit: 9 });
      expect(all.map(({ nextAt }) => nextAt)).toEqual([5_000, null, 5_000, 1_004, 1_005]);
      expect(all[0]).toMatchObject({ failures: 1, error: 'no' });
    });

    test('is summed up by callback: how much waits, since when, and why', async () => {
      expect(await state.settlementSummaries()).toEqual([]);
      await state.commit([made('a', 5), made('a', 2), made('b', 3), made('c', 4)]);
      await state.commit([made('a', 9, { callback: 'mail' })]);
      await state.commit([failed(4, 9_000, 'second'), failed(3, 9_000, 'first')]);
      expect(await state.settlementSummaries()).toEqual([
        { callback: 'mail', waiting: 1, failing: 0, oldestAtMs: 1_009, lastError: null },
        { callback: CALLBACK, waiting: 4, failing: 2, oldestAtMs: 1_002, lastError: 'first' },
      ]);
    });

    test('that has no parameters says why, from the beginning', async () => {
      await state.commit([made('a', 1, { parameters: null, error: 'no such column' })]);
      expect(await state.settlements({ limit: 9 })).toMatchObject([
        { parameters: null, error: 'no such column', failures: 0 },
      ]);
    });

    test('is retried or skipped by a person, with a line of audit each', async () => {
      await state.commit([made('a', 1), made('a', 2)]);
      await state.commit([failed(1, 9_000)]);
      await state.actOnSettlement(1, 'retry', asked(50));
      expect(await state.settlements({ limit: 9 })).toMatchObject([
        { nextAt: 50 },
        { nextAt: null },
      ]);
      // Behind its head it is no turn of it.
      await state.actOnSettlement(2, 'retry', asked(60));
      expect((await state.settlements({ limit: 9 }))[1]?.nextAt).toBeNull();
      await state.actOnSettlement(1, 'skip', asked(70));
      expect(await heads()).toEqual(['event-2']);
      // What was under way meanwhile ends, and changes nothing.
      await state.commit([ran(1), failed(1, 80)]);
      expect(await heads()).toEqual(['event-2']);
      expect(await code(state.actOnSettlement(1, 'skip', asked(90)))).toBe('SETTLEMENT_UNKNOWN');
      const about = { callback: CALLBACK, topic: TOPIC, key: 'a' };
      expect(await state.audit({ limit: 9 })).toEqual([
        { ...asked(50), ...about, id: 1, action: 'settlement-retry', eventId: 'event-1' },
        { ...asked(60), ...about, id: 2, action: 'settlement-retry', eventId: 'event-2' },
        { ...asked(70), ...about, id: 3, action: 'settlement-skip', eventId: 'event-1' },
      ]);
    });

    test('of a key with many waits for those of other keys that were settled before', async () => {
      await state.commit([made('hot', 1), made('hot', 2), made('cold', 3), made('hot', 4)]);
      await state.commit([ran(1)]);
      expect(await heads()).toEqual(['event-2', 'event-3']);
      await state.commit([ran(2)]);
      expect(await heads()).toEqual(['event-3', 'event-4']);
      expect((await state.settlements({ limit: 9 }))[1]?.nextAt).toBe(1_004);
    });

    test('is listed without its parameters where nobody wants them', async () => {
      await state.commit([made('a', 1), made('b', 2, { callback: 'mail' })]);
      const whole = await state.settlements({ limit: 9 });
      const brief = await state.settlements({ limit: 9, brief: true });
      expect(brief).toEqual(whole.map((one) => ({ ...one, parameters: null })));
      const page = { callback: 'mail', afterId: 1, limit: 1, brief: true };
      expect(await state.settlements(page)).toEqual(brief.slice(1));
    });

    test('comes in pages, all of it or of one callback', async () => {
      await state.commit([made('a', 1), made('a', 2, { callback: 'mail' }), made('a', 3)]);
      const ids = async (page: Parameters<StateStore['settlements']>[0]): Promise<number[]> =>
        (await state.settlements(page)).map(({ id }) => id);
      expect(await ids({ limit: 2 })).toEqual([1, 2]);
      expect(await ids({ limit: 2, afterId: 2 })).toEqual([3]);
      expect(await ids({ limit: 9, callback: CALLBACK })).toEqual([1, 3]);
    });

    test('goes with its callback when that is removed', async () => {
      await state.commit([made('a', 1), made('a', 2, { callback: 'mail' })]);
      await state.removeCallback(CALLBACK, asked(1));
      while (await state.purgeCallback(CALLBACK, 100));
      expect(await state.settlements({ limit: 9 })).toMatchObject([{ callback: 'mail' }]);
    });
  });
}
