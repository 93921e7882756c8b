import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../../../src/deliver/callback/sender.ts';
import type { LaneAction, LaneSummary } from '../../../../src/state/state-store.ts';
import { RETRY } from '../../../support/engine-options.ts';
import { DELIVERED, DispatcherScene, FAILED, type SceneOptions } from './dispatcher-scene.ts';

const PARK: SceneOptions = { retry: { ...RETRY, maximumAttempts: 2 }, onExhausted: 'park-key' };
const DEAD: SceneOptions = { ...PARK, onExhausted: 'dead-letter' };
const THROTTLED: Outcome = { kind: 'throttled', error: 'HTTP 503', status: 503 };

async function lane(scene: DispatcherScene): Promise<LaneSummary> {
  const [first] = await scene.state.lanes({ limit: 1 });
  if (first === undefined) throw new Error('no lane');
  return first;
}

async function act(scene: DispatcherScene, action: LaneAction): Promise<void> {
  const { id, headId } = await lane(scene);
  const atMs = scene.now() + 1;
  await scene.state.actOnLane(id, action, { actor: 'ann', reason: 'told to', atMs }, headId);
}

/** Two events of `a`, the first of which fails for the last time at its second attempt. */
async function exhausted(options: SceneOptions): Promise<DispatcherScene> {
  const scene = await DispatcherScene.open(options);
  scene.offer('a');
  scene.offer('a');
  await scene.answer(0, FAILED);
  await scene.pass(1_001);
  await scene.answer(0, FAILED);
  return scene;
}

test('each recorded attempt tells the version of the callback that made it', async () => {
  const parked = await exhausted({ ...PARK, version: 4 });
  expect(await lane(parked)).toMatchObject({ state: 'parked', attempts: 2, version: 4 });
  const dead = await exhausted({ ...DEAD, version: 5 });
  expect(await dead.state.deadLetters({ limit: 9 })).toMatchObject([{ attempts: 2, version: 5 }]);
});

describe('an exhausted event that parks its key', () => {
  test('is not sent any more, nor is any later one of its key; other keys go on', async () => {
    const scene = await exhausted(PARK);
    scene.offer('a');
    scene.offer('b');
    await scene.pass(10_000_000);
    expect(scene.sending).toEqual([3]);
    await scene.answer(3, DELIVERED);
    expect(await scene.ledger()).toEqual({ read: 4, matched: 4, delivered: 1, parked: 3 });
    expect(await lane(scene)).toMatchObject({ state: 'parked', depth: 3, nextAttemptAt: null });
  });

  test('at its first attempt parks the key at once', async () => {
    const scene = await DispatcherScene.open(PARK);
    scene.offer('a');
    await scene.answer(0, { ...FAILED, final: true });
    await scene.pass(100_000);
    expect(scene.sending).toEqual([]);
    expect(await scene.ledger()).toEqual({ read: 1, matched: 1, parked: 1 });
  });

  test('has a new budget when a person asks for a retry, and numbers that go on', async () => {
    const scene = await exhausted(PARK);
    await act(scene, 'retry');
    await scene.pass(2_000);
    expect(scene.attempt(0).attempt).toBe(3);
    await scene.answer(0, FAILED);
    expect((await lane(scene)).state).toBe('retrying');
    await scene.pass(10_000);
    expect(scene.attempt(0).attempt).toBe(4);
    await scene.answer(0, FAILED);
    expect((await lane(scene)).state).toBe('parked');
    await act(scene, 'retry');
    await scene.pass(2_000);
    await scene.answer(0, DELIVERED);
    await scene.answer(1, DELIVERED);
    expect(scene.lanes.lanes).toBe(0);
    expect(await scene.ledger()).toEqual({ read: 2, matched: 2, delivered: 2 });
  });

  test('that a person skips lets its key go on, in order, and back to the fast path', async () => {
    const scene = await exhausted(PARK);
    scene.offer('a');
    await act(scene, 'skip');
    await scene.pass(2_000);
    expect(scene.sending).toEqual([1]);
    await scene.answer(1, DELIVERED);
    await scene.answer(2, DELIVERED);
    expect(scene.lanes.lanes).toBe(0);
    expect(scene.lanes.bytes).toBe(0);
    scene.offer('a');
    expect(scene.sending).toEqual([3]);
    const ledger = { read: 3, matched: 3, delivered: 2, skipped: 1 };
    expect(await scene.ledger()).toEqual(ledger);
    expect(await scene.state.audit({ limit: 9 })).toMatchObject([
      { action: 'lane-skip', actor: 'ann', reason: 'told to', eventId: 'uuid:0:shop/orders:1' },
    ]);
  });
});

describe('an exhausted event that becomes a dead letter', () => {
  test('is set aside with its value, and its key goes on with the next one', async () => {
    const scene = await exhausted(DEAD);
    expect(scene.sending).toEqual([1]);
    await scene.answer(1, DELIVERED);
    expect(scene.lanes.lanes).toBe(0);
    expect(await scene.ledger()).toEqual({ read: 2, matched: 2, delivered: 1, dead: 1 });
    const [letter] = await scene.state.deadLetters({ limit: 9 });
    expect(letter).toMatchObject({ event: { offset: 0 }, attempts: 2, cause: 'endpoint' });
    const { value } = await scene.state.deadLetter(letter?.id ?? 0);
    expect(Buffer.from(value ?? []).toString()).toBe('{"before":null,"after":{"text":""}}');
  });

  test('at its first attempt never enters a lane; the next one waits until that is durable', async () => {
    const scene = await DispatcherScene.open(DEAD);
    scene.offer('a');
    scene.offer('a');
    scene.hold();
    await scene.answer(0, { ...FAILED, final: true, cause: 'system' });
    expect(scene.sending).toEqual([]);
    await scene.release();
    expect(scene.sending).toEqual([1]);
    await scene.answer(1, DELIVERED);
    expect(scene.lanes.lanes).toBe(0);
    expect(await scene.ledger()).toEqual({ read: 2, matched: 2, delivered: 1, dead: 1 });
    expect(await scene.state.deadLetters({ limit: 9 })).toMatchObject([
      { attempts: 1, cause: 'system' },
    ]);
    expect(scene.dispatcher.windowEvents).toBe(0);
  });
});

describe('a throttled event', () => {
  test('leaves the fast path, is numbered on, and is never exhausted by it', async () => {
    const scene = await DispatcherScene.open(DEAD);
    scene.offer('a');
    for (let attempt = 1; attempt <= 6; attempt += 1) {
      expect(scene.attempt(0).attempt).toBe(attempt);
      await scene.answer(0, THROTTLED);
      await scene.pass(100_000);
    }
    await scene.answer(0, DELIVERED);
    expect(await scene.ledger()).toEqual({ read: 1, matched: 1, delivered: 1 });
  });

  test('is not sent earlier than the endpoint asked', async () => {
    const scene = await DispatcherScene.open(DEAD);
    scene.offer('a');
    await scene.answer(0, { ...THROTTLED, retryAfterMs: 500_000 });
    await scene.pass(499_999);
    expect(scene.sending).toEqual([]);
    await scene.pass(1_001);
    expect(scene.sending).toEqual([0]);
  });
});

describe('Retry-After of a key whose event was given up', () => {
  const told: Outcome = { ...THROTTLED, status: 429, retryAfterMs: 500_000 };
  const GIVEN_UP = { ...DEAD, retry: { ...RETRY, nonRetryableStatuses: [429] } };

  test.each([
    ['behind it', 2],
    ['that comes later', 1],
  ])('is obeyed for the next event %s', async (_, before) => {
    const scene = await DispatcherScene.open(GIVEN_UP);
    for (let n = 0; n < before; n += 1) scene.offer('a');
    await scene.answer(0, told);
    if (before === 1) scene.offer('a');
    await scene.pass(499_000);
    expect(scene.sending).toEqual([]);
    scene.offer('b');
    expect(scene.sending, 'another key').toEqual([2]);
    await scene.pass(2_000);
    expect(scene.sending).toEqual([2, 1]);
    await scene.answer(1, DELIVERED);
    await scene.answer(2, DELIVERED);
    scene.offer('a');
    expect(scene.sending).toEqual([3]);
    expect(await scene.ledger()).toMatchObject({ dead: 1, delivered: 2 });
  });

  test('is obeyed in its lane', async () => {
    const scene = await DispatcherScene.open(GIVEN_UP);
    for (let n = 0; n < 2; n += 1) scene.offer('a');
    await scene.answer(0, FAILED);
    await scene.pass(1_001);
    await scene.answer(0, told);
    await scene.pass(499_000);
    expect(scene.sending).toEqual([]);
    await scene.pass(2_000);
    expect(scene.sending).toEqual([1]);
  });

  test('ends with a delivery that a person asked for', async () => {
    const scene = await DispatcherScene.open(DEAD);
    scene.offer('a');
    await scene.answer(0, told);
    await act(scene, 'retry');
    await scene.pass(1_001);
    await scene.answer(0, DELIVERED);
    scene.offer('a');
    expect(scene.sending).toEqual([1]);
  });
});

describe('what a person asks for in the middle of an attempt', () => {
  async function trying(options: SceneOptions = PARK): Promise<DispatcherScene> {
    const scene = await DispatcherScene.open(options);
    scene.offer('a');
    scene.offer('a');
    await scene.answer(0, FAILED);
    await scene.pass(1_001);
    expect(scene.sending).toEqual([0]);
    return scene;
  }

  test('a skip waits for its end: a delivery is a delivery, and the next event is not skipped', async () => {
    const scene = await trying();
    await act(scene, 'skip');
    await scene.pass(5_000);
    expect(scene.sending).toEqual([0]);
    await scene.answer(0, DELIVERED);
    await scene.answer(1, DELIVERED);
    expect(await scene.ledger()).toEqual({ read: 2, matched: 2, delivered: 2 });
  });

  test('a skip is done when the attempt failed, also for the last time', async () => {
    const scene = await trying();
    await act(scene, 'skip');
    await scene.answer(0, FAILED);
    await scene.pass(1_000);
    expect(scene.sending).toEqual([1]);
    await scene.answer(1, DELIVERED);
    expect(await scene.ledger()).toEqual({ read: 2, matched: 2, delivered: 1, skipped: 1 });
    expect(scene.failures).toEqual([]);
  });

  test('a park holds the rest, whatever the attempt comes to', async () => {
    const scene = await trying();
    await act(scene, 'park');
    await scene.answer(0, DELIVERED);
    await scene.pass(100_000);
    expect(scene.sending).toEqual([]);
    expect(await scene.ledger()).toEqual({ read: 2, matched: 2, delivered: 1, parked: 1 });
    expect(scene.failures).toEqual([]);
  });

  test('a retry after a park that came in between sends the head once', async () => {
    const scene = await trying({ retry: RETRY });
    await act(scene, 'park');
    await act(scene, 'retry');
    await scene.pass(5_000);
    expect(scene.sending).toEqual([0]);
    await scene.answer(0, FAILED);
    await scene.pass(100);
    expect(scene.sending).toEqual([]);
    await scene.pass(5_000);
    expect(scene.sending).toEqual([0]);
    expect(scene.failures).toEqual([]);
  });
});
