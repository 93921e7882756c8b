import { describe, expect, test } from 'vitest';
import type { Resend } from '../../../../src/state/resend-store.ts';
import { RETRY } from '../../../support/engine-options.ts';
import {
  CALLBACK,
  DELIVERED,
  DispatcherScene,
  FAILED,
  FILTERED,
  UNREACHABLE,
} from './dispatcher-scene.ts';

const ASKED = { actor: 'ann', reason: 'mended', atMs: 1 };

/** Offset 0 of key `a` is a dead letter. */
async function withDeadLetter(options: { concurrency?: number } = {}): Promise<DispatcherScene> {
  const scene = await DispatcherScene.open({
    ...{ onExhausted: 'dead-letter', retry: { ...RETRY, maximumAttempts: 1 } },
    ...options,
  });
  scene.offer('a');
  await scene.answer(0, FAILED);
  return scene;
}

/** Of key `a`, which another callback handed over: offset 0 of that. */
async function withHandedOverDeadLetter(
  options: { concurrency?: number } = { concurrency: 8 },
): Promise<DispatcherScene> {
  const scene = await DispatcherScene.open({
    ...{ onExhausted: 'dead-letter', retry: { ...RETRY, maximumAttempts: 1 } },
    ...options,
  });
  await scene.handOver('a');
  await scene.answer(0, FAILED);
  return scene;
}

/** @param n counted from 1, among those of the callback */
async function resend(scene: DispatcherScene, n = 1): Promise<Resend> {
  const letters = await scene.state.deadLetters({ callback: CALLBACK, limit: 9 });
  const ids = letters.map(({ id }) => id).sort((a, b) => a - b);
  const asked = await scene.state.resendOne(ids[n - 1] ?? -1, null, ASKED);
  await scene.lookAtResends();
  return asked;
}

async function found(scene: DispatcherScene, { id }: Resend): Promise<Resend> {
  return (await scene.state.resend(id)).resend;
}

describe('a dead letter that goes again', () => {
  test('is sent with the number of its next attempt, and moves none of the books', async () => {
    const scene = await withDeadLetter();
    const before = await scene.ledger();
    const asked = await resend(scene);
    expect(scene.sending).toEqual([0]);
    expect(scene.attempt(0).attempt).toBe(2);
    await scene.answer(0, DELIVERED);
    expect(await found(scene, asked)).toMatchObject({ state: 'done', delivered: 1 });
    expect(await scene.ledger()).toEqual(before);
    expect(await scene.state.deadLetters({ limit: 9 })).toEqual([]);
    scene.offer('a');
    expect(scene.sending).toEqual([1]);
  });

  test('waits for the event of its key in flight, and the next one of its key waits for it', async () => {
    const scene = await withDeadLetter();
    for (const key of ['a', 'a', 'b']) scene.offer(key);
    expect(scene.sending).toEqual([1, 3]);
    await resend(scene);
    expect(scene.sending).toEqual([1, 3]);
    await scene.answer(1, DELIVERED);
    expect(scene.sending).toEqual([3, 0]);
    scene.hold();
    await scene.answer(0, DELIVERED);
    expect(scene.sending).toEqual([3]);
    await scene.release();
    expect(scene.sending).toEqual([3, 2]);
  });

  test('an event that comes while it is in flight waits for it', async () => {
    const scene = await withDeadLetter();
    await resend(scene);
    scene.offer('a');
    expect(scene.sending).toEqual([0]);
    await scene.answer(0, FAILED);
    expect(scene.sending).toEqual([1]);
  });

  test('stays a dead letter where it is exhausted again, and its key goes on', async () => {
    const scene = await withDeadLetter();
    const asked = await resend(scene);
    await scene.answer(0, FAILED);
    expect(await found(scene, asked)).toMatchObject({ state: 'done', failed: 1 });
    const [letter] = await scene.state.deadLetters({ limit: 9 });
    expect(letter).toMatchObject({ id: 1, attempts: 2 });
  });

  test('that its callback does not ask for any more is not called delivered', async () => {
    const scene = await withDeadLetter();
    const asked = await resend(scene);
    await scene.answer(0, FILTERED);
    expect(await found(scene, asked)).toMatchObject({ state: 'done', failed: 1 });
    expect(await scene.state.deadLetters({ limit: 9 })).toHaveLength(1);
  });

  test('is delivered by a 202, since no end of it is awaited', async () => {
    const scene = await withDeadLetter();
    const asked = await resend(scene);
    await scene.answer(0, { kind: 'accepted' });
    expect(await found(scene, asked)).toMatchObject({ state: 'done', delivered: 1 });
  });

  test('uses nothing up while the endpoint is down, and a cancelled one is not sent after that', async () => {
    const scene = await withDeadLetter();
    const asked = await resend(scene);
    await scene.answer(0, UNREACHABLE);
    expect(await found(scene, asked)).toMatchObject({ state: 'running', waiting: 1 });
    expect(scene.sending).toEqual([]);
    await scene.state.actOnResend(asked.id, 'cancel', ASKED);
    await scene.pass(120_000);
    expect(scene.sending).toEqual([]);
    expect(scene.failures).toEqual([]);
  });

  test('that comes from the store when nothing is sent any more is let go, so that a person may still cancel it', async () => {
    const scene = await withDeadLetter();
    const asked = await scene.state.resendOne(1, null, ASKED);
    const found = await scene.state.dueResends(CALLBACK, scene.now(), 1, new Set());
    scene.offer('b');
    await scene.answer(1, UNREACHABLE);
    const { resends } = scene.dispatcher;
    expect(found.map((one) => resends.offer(one))).toEqual([false]);
    await scene.state.actOnResend(asked.id, 'cancel', ASKED);
    await scene.pass(120_000);
    await scene.answer(1, DELIVERED);
    expect(scene.sending).toEqual([]);
  });

  test('goes once its key has no lane any more', async () => {
    const scene = await DispatcherScene.open({
      ...{ onExhausted: 'dead-letter', retry: { ...RETRY, maximumAttempts: 2 } },
    });
    scene.offer('a');
    await scene.answer(0, FAILED);
    await scene.pass(1_000);
    await scene.answer(0, FAILED);
    scene.offer('a');
    await scene.answer(1, FAILED);
    await resend(scene);
    expect(scene.sending).toEqual([]);
    await scene.pass(1_000);
    expect(scene.sending).toEqual([1]);
    await scene.answer(1, DELIVERED);
    await scene.pass(6_000);
    expect(scene.sending).toEqual([0]);
    await scene.answer(0, DELIVERED);
    expect(await scene.state.deadLetters({ callback: CALLBACK, limit: 9 })).toEqual([]);
  });

  test('many of one key go one after another', async () => {
    const scene = await withDeadLetter();
    scene.offer('a');
    await scene.answer(1, FAILED);
    const which = { callback: CALLBACK };
    await scene.state.resendMany(which, { upToId: 2, total: 2 }, ASKED);
    await scene.lookAtResends();
    expect(scene.sending).toEqual([0]);
    await scene.answer(0, DELIVERED);
    expect(scene.sending).toEqual([1]);
    await scene.answer(1, DELIVERED);
    expect(await scene.state.resends({ limit: 9 })).toMatchObject([
      { state: 'done', delivered: 2 },
    ]);
  });

  describe('that a person does not want any more', () => {
    /** Of keys `a` and `b`, with one slot for both: that of `a` is in flight. */
    const twoInHand = async (): Promise<{ scene: DispatcherScene; asked: Resend }> => {
      const scene = await withDeadLetter();
      scene.offer('b');
      await scene.answer(1, FAILED);
      const which = { callback: CALLBACK };
      const asked = await scene.state.resendMany(which, { upToId: 2, total: 2 }, ASKED);
      await scene.lookAtResends();
      expect(scene.sending).toEqual([0]);
      expect(scene.dispatcher.resends.busy.size).toBe(2);
      return { scene, asked };
    };

    test('is not sent once it is cancelled, where its attempt has not begun; one in flight ends', async () => {
      const { scene, asked } = await twoInHand();
      await scene.state.actOnResend(asked.id, 'cancel', ASKED);
      await scene.resends.look();
      scene.offer('b');
      expect(scene.sending).toEqual([0, 2]);
      await scene.answer(0, DELIVERED);
      await scene.answer(2, DELIVERED);
      await scene.pass(120_000);
      expect(scene.sending).toEqual([]);
      const { state, delivered, cancelled, taken } = await found(scene, asked);
      expect({ state, delivered, cancelled, taken }).toEqual({
        ...{ state: 'cancelled', delivered: 1, cancelled: 1, taken: 2 },
      });
      expect(await scene.state.deadLetters({ limit: 9 })).toMatchObject([{ id: 2 }]);
      expect(scene.failures).toEqual([]);
    });

    test('waits while it is paused, also before its attempt, and goes once it is resumed', async () => {
      const { scene, asked } = await twoInHand();
      await scene.state.actOnResend(asked.id, 'pause', ASKED);
      await scene.resends.look();
      await scene.answer(0, DELIVERED);
      await scene.pass(120_000);
      expect(scene.sending).toEqual([]);
      expect(await found(scene, asked)).toMatchObject({ state: 'paused', waiting: 1 });
      await scene.state.actOnResend(asked.id, 'resume', ASKED);
      await scene.lookAtResends();
      expect(scene.sending).toEqual([1]);
      await scene.answer(1, DELIVERED);
      expect(await found(scene, asked)).toMatchObject({ state: 'done', delivered: 2 });
    });

    test('does not hold its key, and another one of the key that waits for it goes', async () => {
      const scene = await withDeadLetter();
      scene.offer('a');
      await scene.answer(1, FAILED);
      for (let n = 0; n < 2; n += 1) scene.offer('a');
      const first = await resend(scene, 1);
      const second = await resend(scene, 2);
      expect(scene.sending).toEqual([2]);
      await scene.state.actOnResend(first.id, 'cancel', ASKED);
      await scene.resends.look();
      await scene.answer(2, DELIVERED);
      expect(scene.sending).toEqual([1]);
      await scene.answer(1, DELIVERED);
      expect(scene.sending).toEqual([3]);
      await scene.answer(3, DELIVERED);
      expect(await found(scene, second)).toMatchObject({ state: 'done', delivered: 1 });
      expect(await scene.state.deadLetters({ limit: 9 })).toMatchObject([{ id: 1 }]);
    });
  });

  describe('of what another callback handed over', () => {
    test('waits where its key has a lane', async () => {
      const scene = await withHandedOverDeadLetter();
      await scene.handOver('a');
      expect(scene.sending).toEqual([1]);
      await resend(scene);
      expect(scene.sending).toEqual([1]);
      await scene.answer(1, DELIVERED);
      await scene.pass(6_000);
      expect(scene.sending).toEqual([0]);
      await scene.answer(0, DELIVERED);
      expect(scene.failures).toEqual([]);
    });

    test('holds back a lane of its key that comes meanwhile, which goes before the next resend of the key', async () => {
      const scene = await withHandedOverDeadLetter();
      await scene.handOver('a');
      await scene.answer(1, FAILED);
      await resend(scene, 1);
      await resend(scene, 2);
      expect(scene.sending).toEqual([0]);
      await scene.handOver('a');
      await scene.handOver('b');
      expect(scene.sending).toEqual([0, 3]);
      scene.hold();
      await scene.answer(0, DELIVERED);
      expect(scene.sending).toEqual([3]);
      await scene.release();
      expect(scene.sending).toEqual([3, 2]);
      await scene.answer(2, DELIVERED);
      await scene.pass(6_000);
      expect(scene.sending).toEqual([3, 1]);
      await scene.answer(1, DELIVERED);
      await scene.answer(3, DELIVERED);
      expect(await scene.state.deadLetters({ callback: CALLBACK, limit: 9 })).toEqual([]);
      expect(scene.failures).toEqual([]);
    });

    test('lets a lane of its key go when nothing is sent for a while', async () => {
      const scene = await withHandedOverDeadLetter({ concurrency: 4 });
      await scene.handOver('b');
      await resend(scene);
      await scene.handOver('a');
      expect(scene.sending).toEqual([1]);
      await scene.answer(1, UNREACHABLE);
      expect(scene.sending).toEqual([]);
      await scene.pass(120_000);
      for (let left = 3; left > 0; left -= 1) {
        expect(scene.sending).toHaveLength(1);
        await scene.answer(scene.sending[0] ?? -1, DELIVERED);
        await scene.pass(6_000);
      }
      expect(scene.sending).toEqual([]);
      expect(scene.lanes.lanes).toBe(0);
    });
  });
});
