import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TokenBucket } from '../../../../src/deliver/lane/token-bucket.ts';
import { Scheduler } from '../../../support/simulation-scheduler.ts';
import { DELIVERED, DispatcherScene, FAILED } from './dispatcher-scene.ts';

describe('a token bucket', () => {
  test('lets no more through in any span than the burst and the rate give', async () => {
    const limit = fc.record({
      perSecond: fc.constantFrom(0.5, 1, 7, 200, 1_500),
      burst: fc.integer({ min: 1, max: 20 }),
    });
    const asks = fc.array(fc.nat(700), { maxLength: 80 });
    await fc.assert(
      fc.asyncProperty(limit, asks, async (rate, waits) => {
        const scheduler = new Scheduler(() => 0);
        const clock = scheduler.clockOf({ name: 'bucket', alive: true });
        const bucket = new TokenBucket(rate, clock, () => undefined);
        const taken: number[] = [];
        for (const ms of waits) {
          await scheduler.advance(ms);
          while (bucket.take()) taken.push(clock.monotonic());
        }
        bucket.end();
        taken.forEach((from, first) => {
          taken.slice(first).forEach((to, more) => {
            const allowed = rate.burst + ((to - from) * rate.perSecond) / 1_000;
            expect(more + 1).toBeLessThanOrEqual(allowed + 1e-6);
          });
        });
      }),
      { numRuns: 30 },
    );
  });

  test('tells who found none once there is one, and for how long that took', async () => {
    const scheduler = new Scheduler(() => 0);
    const clock = scheduler.clockOf({ name: 'bucket', alive: true });
    let told = 0;
    const bucket = new TokenBucket({ perSecond: 10, burst: 1 }, clock, () => (told += 1));
    expect([bucket.take(), bucket.take(), bucket.take()]).toEqual([true, false, false]);
    await scheduler.advance(99);
    expect(told).toBe(0);
    await scheduler.advance(2);
    expect([told, bucket.take(), bucket.waitedMs]).toEqual([1, true, 101]);
  });
});

describe('a callback with a rate limit', () => {
  test('makes so many attempts, retries among them, and no more', async () => {
    const scene = await DispatcherScene.open({
      ...{ concurrency: 8, rateLimit: { perSecond: 1, burst: 3 } },
    });
    for (const key of ['a', 'b', 'c', 'd', 'e']) scene.offer(key);
    expect(scene.sending).toEqual([0, 1, 2]);
    await scene.answer(0, FAILED);
    await scene.answer(1, DELIVERED);
    await scene.answer(2, DELIVERED);
    expect(scene.sending).toEqual([]);
    let attempts = 3;
    for (let second = 0; second < 3; second += 1) {
      await scene.pass(1_001);
      expect(scene.sending).toHaveLength(1);
      attempts += 1;
      await scene.answer(scene.sending[0] ?? -1, DELIVERED);
    }
    expect(attempts).toBe(6);
    expect(await scene.ledger()).toEqual({ read: 5, matched: 5, delivered: 5 });
    expect(scene.dispatcher.gate.rateLimitedMs).toBeGreaterThan(2_900);
  });
});
