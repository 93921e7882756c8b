import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../../../src/deliver/callback/sender.ts';
import { RETRY } from '../../../support/engine-options.ts';
import {
  DELIVERED,
  DispatcherScene,
  FAILED,
  SHAPE_FAILED,
  UNREACHABLE,
} from './dispatcher-scene.ts';

const BREAKER = { failureRatio: 0.5, minimumKeys: 4, windowMs: 10_000, openForMs: 5_000 };
const BAD_GATEWAY: Outcome = { kind: 'throttled', error: 'HTTP 502', status: 502 };
const NO_REQUEST: Outcome = { kind: 'failed', error: 'too large', cause: 'system' };
const told = (seconds: number): Outcome => ({
  ...{ kind: 'throttled', error: 'HTTP 429', status: 429, retryAfterMs: seconds * 1_000 },
});

function open(options: Parameters<typeof DispatcherScene.open>[0] = {}): Promise<DispatcherScene> {
  return DispatcherScene.open({ concurrency: 16, breaker: BREAKER, ...options });
}

/** Offers an event of each key and gives each the answer. */
async function each(
  scene: DispatcherScene,
  keys: readonly string[],
  outcome: Outcome,
): Promise<void> {
  for (const key of keys) scene.offer(key);
  for (const offset of [...scene.sending]) await scene.answer(offset, outcome);
}

const KEYS = ['a', 'b', 'c', 'd'] as const;

describe('a breaker', () => {
  test('opens where so large a share of so many distinct keys failed', async () => {
    const scene = await open();
    await each(scene, ['x', 'y'], DELIVERED);
    await each(scene, ['a'], FAILED);
    expect(scene.dispatcher.gate.pause).toBeNull();
    await each(scene, ['b'], FAILED);
    expect(scene.dispatcher.gate.breakerOpen).toBe(true);
    expect(scene.dispatcher.gate.pause?.reason).toBe(
      '50 % of 4 keys failed, the last with: HTTP 500',
    );
    expect(scene.dispatcher.gate.pause?.until).toBe(scene.now() + 5_000);
  });

  test('counts a bad gateway as a failure', async () => {
    const scene = await open();
    await each(scene, KEYS, BAD_GATEWAY);
    expect(scene.dispatcher.gate.breakerOpen).toBe(true);
  });

  test('counts no event for which no request could be made', async () => {
    const scene = await open();
    await each(scene, KEYS, SHAPE_FAILED);
    await each(scene, ['e', 'f', 'g', 'h'], NO_REQUEST);
    expect(scene.dispatcher.gate.breakerOpen).toBe(false);
  });

  test('does not open for fewer keys, however often they fail', async () => {
    const scene = await open();
    await each(scene, ['a', 'b', 'c'], FAILED);
    for (let round = 0; round < 5; round += 1) {
      await scene.pass(1_100 * 2 ** round);
      for (const offset of [...scene.sending]) await scene.answer(offset, FAILED);
    }
    expect(scene.dispatcher.gate.breakerOpen).toBe(false);
  });

  test('does not open for keys that failed before, however many, while the others are well', async () => {
    const scene = await open({ breaker: { ...BREAKER, windowMs: 1_000 } });
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) {
      await each(scene, [`x${key}`, `y${key}`, `z${key}`], DELIVERED);
      await each(scene, [key], FAILED);
    }
    await scene.pass(2_000);
    for (let round = 0; round < 4; round += 1) {
      await each(scene, [`z${round}`], DELIVERED);
      await scene.pass(1_000);
      for (const offset of [...scene.sending]) await scene.answer(offset, FAILED);
    }
    expect(scene.dispatcher.gate.breakerOpen).toBe(false);
  });

  test('forgets what lies before its window', async () => {
    const scene = await open();
    await each(scene, ['a', 'b', 'c'], FAILED);
    await scene.pass(10_001);
    for (const offset of [...scene.sending]) await scene.answer(offset, DELIVERED);
    await each(scene, ['d'], FAILED);
    expect(scene.dispatcher.gate.breakerOpen).toBe(false);
  });

  test('that is open lets nothing begin and takes nothing in, and fills no lane', async () => {
    const scene = await open({ concurrency: 4 });
    for (const key of [...KEYS, 'e', 'f']) scene.offer(key);
    for (const offset of [0, 1, 2, 3]) await scene.answer(offset, FAILED);
    const before = scene.lanes.lanes;
    expect(scene.dispatcher.hasRoom).toBe(false);
    let room = false;
    const waiting = scene.dispatcher.room(new AbortController().signal).then(() => {
      room = true;
    });
    // What had begun before it opened ends as it may.
    for (const offset of [...scene.sending]) await scene.answer(offset, DELIVERED);
    await scene.pass(4_900);
    expect([scene.sending, scene.lanes.lanes, room]).toEqual([[], before, false]);
    expect(scene.dispatcher.laneRoom).toBe(0);
    await scene.pass(200);
    await waiting;
    expect(scene.sending).toHaveLength(1);
  });

  test('is closed by a probe that is delivered, and then begins slowly', async () => {
    const scene = await open({ breaker: { ...BREAKER, openForMs: 900 } });
    await each(scene, KEYS, FAILED);
    for (let n = 0; n < 12; n += 1) scene.offer(`n${n}`);
    await scene.pass(950);
    const most: number[] = [];
    expect(scene.sending).toHaveLength(1);
    for (let n = 0; n < 6; n += 1) {
      await scene.answer(scene.sending[0] ?? -1, DELIVERED);
      most.push(scene.sending.length);
    }
    expect(most).toEqual([2, 3, 4, 5, 6, 6]);
    expect(scene.dispatcher.gate.breakerOpen).toBe(false);
  });

  test('is kept open by a probe that fails, which uses up no attempt and exhausts nothing', async () => {
    const retry = { ...RETRY, maximumAttempts: 1, nonRetryableStatuses: [422] };
    const scene = await open({ retry });
    await each(scene, KEYS, { ...FAILED, status: 422 });
    expect(await scene.ledger()).toMatchObject({ parked: 4 });
    scene.offer('e');
    await scene.pass(5_001);
    expect(scene.sending).toEqual([4]);
    await scene.answer(4, { ...FAILED, status: 422 });
    expect(scene.dispatcher.gate.breakerOpen).toBe(true);
    expect(await scene.ledger()).toMatchObject({ parked: 4, retrying: 1 });
    const [lane] = await scene.state.lanes({ afterId: 4, limit: 1 });
    expect(lane).toMatchObject({ attempts: 1, usedAttempts: 0, state: 'retrying' });
    // The next probe is its second attempt.
    await scene.pass(5_001);
    expect(scene.attempt(4).attempt).toBe(2);
    await scene.answer(4, DELIVERED);
    expect(scene.dispatcher.gate.breakerOpen).toBe(false);
  });

  test('stays half-open where the probe says nothing of the endpoint', async () => {
    const scene = await open();
    await each(scene, KEYS, FAILED);
    for (const key of ['e', 'f']) scene.offer(key);
    await scene.pass(5_001);
    expect(scene.sending).toEqual([4]);
    await scene.answer(4, SHAPE_FAILED);
    expect(scene.dispatcher.gate.breakerOpen).toBe(true);
    // The next one, one of those that failed before.
    expect(scene.sending).toEqual([0]);
  });

  test('is not closed by what had begun before it opened', async () => {
    const scene = await open();
    for (const key of [...KEYS, 'late']) scene.offer(key);
    for (const offset of [0, 1, 2, 3]) await scene.answer(offset, FAILED);
    await scene.answer(4, DELIVERED);
    expect(scene.dispatcher.gate.breakerOpen).toBe(true);
  });

  test('that connections opened waits ever longer, as long as it is told at the most', async () => {
    const scene = await open({ breaker: { ...BREAKER, openForMs: 3_000 } });
    scene.offer('a');
    for (const wait of [1_000, 2_000, 3_000, 3_000]) {
      await scene.answer(0, UNREACHABLE);
      expect(scene.dispatcher.gate.pause?.until).toBe(scene.now() + wait);
      await scene.pass(wait);
    }
    expect(scene.attempt(0).attempt).toBe(1);
  });
});

describe('Retry-After', () => {
  test('of two keys is theirs alone', async () => {
    const scene = await open();
    await each(scene, ['a', 'b'], told(60));
    await scene.pass(59_999);
    expect(scene.sending).toEqual([]);
    scene.offer('c');
    expect(scene.sending).toEqual([2]);
    expect(scene.dispatcher.gate.pause).toBeNull();
  });

  test('of one key again and again is its own', async () => {
    const scene = await open();
    await each(scene, ['a'], told(1));
    for (let n = 0; n < 5; n += 1) {
      await scene.pass(1_100 * 2 ** n);
      await scene.answer(0, told(1));
    }
    expect(scene.dispatcher.gate.pause).toBeNull();
  });

  test('of three keys is that of the whole callback, to the latest of their times and never earlier', async () => {
    const scene = await open();
    for (const key of ['a', 'b', 'c', 'd', 'e']) scene.offer(key);
    await scene.answer(0, told(10));
    await scene.answer(1, told(90));
    expect(scene.dispatcher.gate.pause).toBeNull();
    await scene.answer(2, told(20));
    expect(scene.dispatcher.gate.pause).toEqual({
      until: scene.now() + 90_000,
      reason: 'HTTP 429',
    });
    expect(scene.dispatcher.hasRoom).toBe(false);
    await scene.answer(3, told(120));
    await scene.answer(4, DELIVERED);
    scene.offer('f');
    await scene.pass(119_999);
    expect(scene.sending).toEqual([]);
    await scene.pass(2);
    expect(scene.dispatcher.gate.pause).toBeNull();
    expect(scene.sending).toContain(5);
    // A storm is not answered with one.
    expect(scene.sending.length).toBeLessThanOrEqual(2);
  });

  test('of three keys one after another, none of which waits any more, holds nothing', async () => {
    const scene = await open();
    for (const key of ['a', 'b', 'c']) {
      await each(scene, [key], told(1));
      await scene.pass(1_100);
      for (const offset of [...scene.sending]) await scene.answer(offset, DELIVERED);
    }
    expect(scene.dispatcher.gate.pause).toBeNull();
  });
});

describe('a thousand keys that hang', () => {
  test('leave three quarters of the concurrency to the others, whose events all go through', async () => {
    const scene = await open({
      ...{ concurrency: 16, lanes: { maxEvents: 10_000, maxBytes: 1e9 } },
      // They failed one after another, beside others that were well, and are all due at once.
      breaker: { ...BREAKER, minimumKeys: 1_000_000 },
      retry: { ...RETRY, backoff: 'fixed' },
    });
    for (let n = 0; n < 1_000; n += 1) {
      scene.offer(`hangs ${n}`);
      await scene.answer(n, FAILED);
    }
    await scene.pass(60_000);
    expect(scene.sending).toHaveLength(4);
    for (let n = 0; n < 50; n += 1) {
      scene.offer(`healthy ${n}`);
      await scene.answer(1_000 + n, DELIVERED);
    }
    expect(scene.sending).toHaveLength(4);
    expect(await scene.ledger()).toMatchObject({ delivered: 50, retrying: 1_000 });
  });
});
