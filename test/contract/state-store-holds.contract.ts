/** What keeps callbacks as a whole from being called, of the port src/state/state-store.ts: part of its suite. */
import { describe, expect, test } from 'vitest';

import type { HoldChange, StateStore } from '../../src/state/state-store.ts';
import {
  CALLBACK,
  counts,
  newCursor,
  progress,
  type StateUnderTest,
  eachWithStore,
} from './state-store-samples.ts';

const ASKED = { actor: 'cli:ops', reason: 'the receiver moves', atMs: 5_000 };
const waits = (untilMs: number): HoldChange => ({
  ...{ type: 'callback-waits', callback: CALLBACK, untilMs, reason: 'HTTP 429' },
});

export function describeHolds(make: () => Promise<StateUnderTest>): void {
  describe('callbacks as a whole', () => {
    let state: StateStore;
    eachWithStore(make, [newCursor(0)], (opened) => {
      state = opened;
    });

    test('are not held unless somebody said so', async () => {
      expect(await state.callbackHolds()).toEqual([]);
    });

    test('are disabled and enabled by a person, with a line of audit each', async () => {
      await state.actOnCallback(CALLBACK, 'disable', ASKED);
      const held = { callback: CALLBACK, wait: null, resumed: 0 };
      expect(await state.callbackHolds()).toEqual([{ ...held, disabled: ASKED }]);
      const later = { ...ASKED, reason: 'it has moved', atMs: 6_000 };
      await state.actOnCallback(CALLBACK, 'enable', later);
      expect(await state.callbackHolds()).toEqual([{ ...held, disabled: null }]);
      expect(await state.audit({ limit: 9 })).toEqual([
        { ...ASKED, id: 1, action: 'callback-disable', callback: CALLBACK, ...NOTHING },
        { ...later, id: 2, action: 'callback-enable', callback: CALLBACK, ...NOTHING },
      ]);
    });

    test('are disabled by their endpoint in the commit of what was delivered before, and touch no books', async () => {
      const gone = { type: 'callback-gone', callback: CALLBACK, atMs: 7_000, reason: 'HTTP 410' };
      await state.commit([progress(1, { read: 1, matched: 1, delivered: 1 }), gone as HoldChange]);
      const disabled = { actor: 'endpoint', reason: 'HTTP 410', atMs: 7_000 };
      expect(await state.callbackHolds()).toMatchObject([{ disabled }]);
      expect((await state.cursors())[0]?.ledger).toEqual(
        counts({ read: 1, matched: 1, delivered: 1 }),
      );
      expect(await state.audit({ limit: 9 })).toMatchObject([disabled]);
    });

    test('wait for the latest time that was asked for, until a person goes on', async () => {
      await state.commit([waits(9_000)]);
      await state.commit([waits(8_000)]);
      const wait = { untilMs: 9_000, reason: 'HTTP 429' };
      expect(await state.callbackHolds()).toMatchObject([{ disabled: null, wait, resumed: 0 }]);
      await state.actOnCallback(CALLBACK, 'resume', ASKED);
      expect(await state.callbackHolds()).toMatchObject([{ wait: null, resumed: 1 }]);
      await state.commit([waits(8_000)]);
      expect(await state.callbackHolds()).toMatchObject([{ wait: { untilMs: 8_000 }, resumed: 1 }]);
    });

    test('that nobody enabled are not enabled by a wait, nor the reverse', async () => {
      await state.actOnCallback(CALLBACK, 'disable', ASKED);
      await state.commit([waits(9_000)]);
      await state.actOnCallback(CALLBACK, 'resume', ASKED);
      expect(await state.callbackHolds()).toMatchObject([{ disabled: ASKED, wait: null }]);
    });
  });
}

const NOTHING = { topic: null, key: null, eventId: null };
