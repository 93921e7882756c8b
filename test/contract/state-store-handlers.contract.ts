/** What is stored of handlers in the process, of the port src/state/handler-store.ts: part of the store's suite. */
import { describe, expect, test } from 'vitest';

import type { HandlerChange } from '../../src/state/handler-store.ts';
import type { StateStore } from '../../src/state/state-store.ts';
import {
  asked,
  CALLBACK,
  eachWithStore,
  event,
  FAILURE,
  intoLane,
  laneKey,
  matched,
  newCursor,
  type StateUnderTest,
} from './state-store-samples.ts';

const NONE: ReadonlySet<number> = new Set();
const suspect = (offset: number, level: 1 | 2): HandlerChange => ({
  ...{ type: 'lane-suspect', ...laneKey('k'), offset, level },
});
const alone = (offset: number, deadLetter: number | null = null): HandlerChange => ({
  type: 'handler-alone',
  callback: CALLBACK,
  attempt: { ...laneKey('k'), offset, deadLetter },
});

export function describeHandlers(make: () => Promise<StateUnderTest>): void {
  describe('handlers in the process', () => {
    let state: StateStore;
    eachWithStore(make, [newCursor(0)], (opened) => {
      state = opened;
    });

    const isSuspect = async (): Promise<boolean | undefined> =>
      (await state.dueLanes(CALLBACK, 9e12, 9, NONE))[0]?.suspect;

    test('leave nothing unless they worked', async () => {
      expect(await state.handlers()).toEqual({ runs: [], alone: null });
    });

    test('are at work until that is taken back', async () => {
      const run = { window: 1024, careful: false };
      await state.commit([{ type: 'handler-run', callback: CALLBACK, run }]);
      await state.commit([
        { type: 'handler-run', callback: 'mail', run: { ...run, careful: true } },
      ]);
      expect((await state.handlers()).runs).toEqual([
        { callback: 'mail', ...run, careful: true },
        { callback: CALLBACK, ...run },
      ]);
      await state.commit([{ type: 'handler-run', callback: CALLBACK, run: null }]);
      expect((await state.handlers()).runs.map(({ callback }) => callback)).toEqual(['mail']);
    });

    test('an attempt that is alone under way comes back with its event, until it has ended', async () => {
      await state.commit(intoLane('k', 0, FAILURE));
      await state.commit([alone(0)]);
      const left = (await state.handlers()).alone;
      expect(left).toMatchObject({ ...laneKey('k'), head: { offset: 0, id: event(0).id } });
      await state.commit([{ type: 'handler-alone', callback: CALLBACK, attempt: null }]);
      expect((await state.handlers()).alone).toBe(null);
    });

    test('one whose event has left its lane is not there any more', async () => {
      await state.commit(intoLane('k', 0, FAILURE));
      await state.commit([alone(0), { type: 'lane-delivered', ...laneKey('k'), offset: 0 }]);
      expect((await state.handlers()).alone).toBe(null);
    });

    test('one of a dead letter that goes again comes back as that', async () => {
      const dead = { type: 'dead', ...laneKey('k'), event: event(0), failure: FAILURE } as const;
      await state.commit([matched(0), dead]);
      const { id: resend } = await state.resendOne(1, null, asked(3_000));
      await state.commit([alone(0, 1)]);
      const left = (await state.handlers()).alone;
      expect(left).toMatchObject({ ...laneKey('k'), resend, deadLetter: 1, event: { offset: 0 } });
    });

    test('a head is a suspect until an attempt has an outcome; one that ended the process until it leaves', async () => {
      await state.commit([...intoLane('k', 0, FAILURE), ...intoLane('k', 1)]);
      expect(await isSuspect()).toBe(undefined);
      const failed = { type: 'lane-failed', ...laneKey('k'), offset: 0, failure: FAILURE } as const;
      await state.commit([suspect(0, 1)]);
      expect(await isSuspect()).toBe(true);
      await state.commit([failed]);
      expect(await isSuspect()).toBe(undefined);
      await state.commit([failed, suspect(0, 2)]);
      await state.commit([failed, suspect(0, 1)]);
      await state.commit([failed]);
      expect(await isSuspect()).toBe(true);
      await state.commit([{ type: 'lane-delivered', ...laneKey('k'), offset: 0 }]);
      expect(await isSuspect()).toBe(undefined);
    });

    test('an event that is not the head of its lane is none', async () => {
      await state.commit([...intoLane('k', 0, FAILURE), ...intoLane('k', 1), suspect(1, 1)]);
      expect(await isSuspect()).toBe(undefined);
    });
  });
}
