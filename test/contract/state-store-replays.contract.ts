/** Replays, of the port src/state/replay-store.ts: part of the state store's suite. */
import { beforeEach, describe, expect, test } from 'vitest';

import { type NewReplay, type Replay, replayName } from '../../src/state/replay-store.ts';
import type { StateChange, StateStore } from '../../src/state/state-store.ts';
import {
  asked,
  CALLBACK,
  code,
  eachWithStore,
  event,
  FAILURE,
  laneKey,
  newCursor,
  type StateTraits,
  type StateUnderTest,
  TOPIC,
} from './state-store-samples.ts';

const NEXT: NewReplay = {
  callback: CALLBACK,
  version: 3,
  filter: { key: '{"id":1}', fromMs: 1_000, tables: ['shop.*', '!shop.tmp'] },
  ranges: [
    { topic: TOPIC, topicId: 'topic-1', partition: 0, from: 2, to: 6 },
    { topic: TOPIC, topicId: 'topic-1', partition: 1, from: 0, to: 1 },
  ],
  options: { concurrency: 4, rate: 2.5, newIds: true },
  total: 4,
};

export function describeReplays(
  make: () => Promise<StateUnderTest>,
  { shared }: StateTraits,
): void {
  describe('replays', () => {
    let reopen: () => Promise<StateStore>;
    let state: StateStore;
    let replay: Replay;
    let name: string;
    eachWithStore(make, [newCursor(0, { next: 9 }), newCursor(1, { next: 9 })], (opened, again) => {
      state = opened;
      reopen = again;
    });
    beforeEach(async () => {
      replay = await state.startReplay(NEXT, asked(5));
      name = replayName(replay);
    });

    const at = (partition: number, next: number, counts = {}): StateChange => ({
      ...{ type: 'progress', callback: name, topic: TOPIC, partition, next, beyond: [], counts },
    });
    const laned = (offset: number): StateChange => ({
      ...{ type: 'lane-append', ...laneKey('a'), callback: name },
      ...{ event: event(offset), failure: FAILURE },
    });
    const names = async (): Promise<string[]> => [
      ...new Set((await state.cursors()).map(({ callback }) => callback)),
    ];
    const ledger = async (partition = 0): Promise<object | undefined> => {
      const { books } = await state.replay(replay.id);
      return books.find((book) => book.partition === partition)?.ledger;
    };

    test('one begins with cursors of its own name, where its ranges do', async () => {
      expect(replay).toMatchObject({
        ...NEXT,
        ...{ id: 1, state: 'running', asked: asked(5), why: null, endedAtMs: null },
      });
      expect(name).toBe('supply-chain.replay-1');
      const { books } = await state.replay(1);
      expect(books).toMatchObject([
        { topic: TOPIC, partition: 0, from: 2, to: 6, next: 2, ledger: { read: 0 } },
        { topic: TOPIC, partition: 1, from: 0, to: 1, next: 0, ledger: { read: 0 } },
      ]);
      expect(await names()).toEqual([CALLBACK, name]);
      expect(await state.audit({ limit: 10 })).toMatchObject([
        { action: 'callback-replay', callback: CALLBACK, ...asked(5) },
      ]);
    });

    test('of a callback there is one that has not ended, whatever its state', async () => {
      expect(await code(state.startReplay(NEXT, asked(6)))).toBe('REPLAY_RUNNING');
      await state.actOnReplay(1, 'pause', asked(6));
      expect(await code(state.startReplay(NEXT, asked(6)))).toBe('REPLAY_RUNNING');
      const other = await state.startReplay({ ...NEXT, callback: 'audit' }, asked(6));
      expect(await state.openReplays()).toMatchObject([{ id: 1 }, { id: other.id }]);
      expect(await names()).toEqual(['audit.replay-2', CALLBACK, name]);
    });

    test('it is done when every cursor is at its end and nothing stands in a lane', async () => {
      expect(await state.finishReplay(1, 9)).toBe(false);
      await state.commit([
        at(0, 6, { read: 4, matched: 3, filtered: 1, delivered: 2 }),
        laned(3),
        at(1, 1, { read: 1, filtered: 1 }),
      ]);
      expect(await state.finishReplay(1, 9)).toBe(false);
      expect(await ledger()).toMatchObject({ read: 4, matched: 3, delivered: 2, retrying: 1 });
      await state.commit([{ type: 'lane-delivered', ...laneKey('a'), callback: name, offset: 3 }]);
      expect(await state.finishReplay(1, 9.5)).toBe(true);
      expect(await state.finishReplay(1, 11)).toBe(true);
      const ended = await state.replay(1);
      expect(ended.replay).toMatchObject({ state: 'done', endedAtMs: 9.5, why: null });
      expect(await ledger()).toMatchObject({ read: 4, matched: 3, filtered: 1, delivered: 3 });
      expect(await names()).toEqual([CALLBACK]);
      expect(await state.openReplays()).toEqual([]);
      expect(await code(state.actOnReplay(1, 'cancel', asked(12)))).toBe('REPLAY_ENDED');
      expect((await state.startReplay(NEXT, asked(13))).id).toBe(2);
    });

    test('what stands in lanes of a cancelled one leaves them as skipped, when the dispatcher ends it', async () => {
      await state.commit([at(0, 4, { read: 2, matched: 2, delivered: 1 }), laned(3)]);
      expect(await state.actOnReplay(1, 'cancel', asked(7))).toMatchObject({
        ...{ state: 'cancelling', why: 'because', endedAtMs: null },
      });
      expect(await state.finishReplay(1, 8)).toBe(false);
      expect(await code(state.actOnReplay(1, 'resume', asked(8)))).toBe('REPLAY_ENDED');
      expect(await state.lanes({ callback: name, limit: 9 })).toHaveLength(1);
      await state.endReplay(1, 9);
      await state.endReplay(1, 10);
      expect((await state.replay(1)).replay).toMatchObject({ state: 'cancelled', endedAtMs: 9 });
      expect(await ledger()).toMatchObject({ matched: 2, delivered: 1, skipped: 1, retrying: 0 });
      expect(await state.lanes({ callback: name, limit: 9 })).toEqual([]);
      expect(await names()).toEqual([CALLBACK]);
      const actions = (await state.audit({ limit: 10 })).map(({ action }) => action);
      expect(actions).toEqual(['callback-replay', 'replay-cancel']);
    });

    test('one that runs is not ended by whoever ends cancelled ones', async () => {
      await state.endReplay(1, 9);
      expect((await state.replay(1)).replay).toMatchObject({ state: 'running', endedAtMs: null });
    });

    test('dead letters outlive it, with the books of their partition', async () => {
      await state.commit([
        { type: 'dead', ...laneKey('a'), callback: name, event: event(3), failure: FAILURE },
        at(0, 6, { read: 4, matched: 4, delivered: 3 }),
        at(1, 1, { read: 1, matched: 1, delivered: 1 }),
      ]);
      expect(await state.finishReplay(1, 9)).toBe(true);
      expect(await ledger()).toMatchObject({ matched: 4, delivered: 3, dead: 1 });
      const [letter] = await state.deadLetters({ callback: name, limit: 9 });
      expect(letter).toMatchObject({ callback: name, event: { offset: 3 } });
      expect(await state.deadLetter(letter?.id ?? 0)).toMatchObject({ deadLetter: { id: 1 } });
    });

    test('a paused one goes on, and those that are listed are the newest first', async () => {
      expect(await state.actOnReplay(1, 'pause', asked(6))).toMatchObject({ state: 'paused' });
      expect(await state.actOnReplay(1, 'pause', asked(6))).toMatchObject({ state: 'paused' });
      expect(await state.finishReplay(1, 8)).toBe(false);
      expect(await state.actOnReplay(1, 'resume', asked(7))).toMatchObject({ state: 'running' });
      await state.startReplay({ ...NEXT, callback: 'audit', total: null }, asked(8));
      const ids = async (page: object): Promise<number[]> =>
        (await state.replays({ limit: 9, ...page })).map(({ id }) => id);
      expect(await ids({})).toEqual([2, 1]);
      expect(await ids({ callback: 'audit' })).toEqual([2]);
      expect(await ids({ beforeId: 2 })).toEqual([1]);
      expect(await ids({ limit: 1 })).toEqual([2]);
      expect((await state.replay(2)).replay.total).toBeNull();
    });

    test('there is no other', async () => {
      expect(await code(state.replay(7))).toBe('REPLAY_UNKNOWN');
      expect(await code(state.actOnReplay(7, 'cancel', asked(1)))).toBe('REPLAY_UNKNOWN');
    });

    test.runIf(shared)('all of it is there again after the store was opened anew', async () => {
      await state.commit([at(0, 4, { read: 2, matched: 2, delivered: 1 }), laned(3)]);
      const before = await state.replay(1);
      state = await reopen();
      expect(await state.replay(1)).toEqual(before);
      expect(await state.openReplays()).toEqual([before.replay]);
    });
  });
}
