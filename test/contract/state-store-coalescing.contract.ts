/** Lanes of a callback that coalesces, of the port src/state/state-store.ts: part of its suite. */
import { describe, expect, test } from 'vitest';

import type { LedgerCounts, StateStore } from '../../src/state/state-store.ts';
import { laneEventBytes } from '../../src/state/state-store.ts';
import type { StateUnderTest } from './state-store-samples.ts';
import {
  asked,
  coalescing,
  counts,
  deliveredHead,
  event,
  FAILURE,
  intoLane,
  laneKey,
  newCursor,
  eachWithStore,
} from './state-store-samples.ts';

export function describeCoalescing(make: () => Promise<StateUnderTest>): void {
  describe('an event that coalesces', () => {
    let state: StateStore;
    eachWithStore(make, [newCursor(0)], (opened) => {
      state = opened;
    });

    const ledger = async (): Promise<LedgerCounts | undefined> =>
      (await state.cursors())[0]?.ledger;
    const offsets = async (): Promise<number[]> => {
      const [lane] = await state.lanes({ limit: 1 });
      return (await state.lane(lane?.id ?? 0)).events.map(({ offset }) => offset);
    };

    test('takes the place of the last one of its lane, but not of the head', async () => {
      await state.commit(intoLane('a', 0, FAILURE));
      expect(await state.commit(coalescing('a', 1))).toEqual([]);
      const superseded = await state.commit([...coalescing('a', 2), ...coalescing('a', 3)]);
      expect(superseded).toEqual(
        [1, 2].map((offset) => ({ ...laneKey('a'), bytes: laneEventBytes(event(offset)) })),
      );
      expect(await offsets()).toEqual([0, 3]);
      const [lane] = await state.lanes({ limit: 1 });
      expect(lane).toMatchObject({
        depth: 2,
        bytes: laneEventBytes(event(0)) + laneEventBytes(event(3)),
        attempts: 1,
      });
      expect(await ledger()).toEqual(
        counts({ read: 4, matched: 4, retrying: 1, pending: 1, superseded: 2 }),
      );
    });

    test('leaves the head alone that it has become itself', async () => {
      await state.commit(intoLane('a', 0, FAILURE));
      await state.commit(coalescing('a', 1));
      await state.commit([deliveredHead('a', 0)]);
      expect(await state.commit(coalescing('a', 2))).toEqual([]);
      expect(await offsets()).toEqual([1, 2]);
    });

    test('leaves one alone that does not coalesce, and is left alone by it', async () => {
      await state.commit(intoLane('a', 0, FAILURE));
      for (const changes of [
        intoLane('a', 1),
        coalescing('a', 2),
        intoLane('a', 3),
        coalescing('a', 4),
      ]) {
        expect(await state.commit(changes)).toEqual([]);
      }
      expect(await offsets()).toEqual([0, 1, 2, 3, 4]);
    });

    test('counts in a parked lane as parked', async () => {
      await state.commit(intoLane('a', 0, FAILURE));
      await state.commit(coalescing('a', 1));
      const [lane] = await state.lanes({ limit: 1 });
      await state.actOnLane(lane?.id ?? 0, 'park', asked(1));
      await state.commit(coalescing('a', 2));
      expect(await ledger()).toEqual(counts({ read: 3, matched: 3, parked: 2, superseded: 1 }));
    });
  });
}
