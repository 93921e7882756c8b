import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backoff } from '../../../src/shared/backoff.ts';
import { systemClock } from '../../../src/shared/clock.ts';

const make = (random = 0): Backoff =>
  new Backoff({
    initialMs: 100,
    maximumMs: 1000,
    jitter: 0.2,
    clock: systemClock,
    random: () => random,
  });

describe('backoff', () => {
  it('doubles up to its maximum, and starts anew after progress', () => {
    const backoff = make();
    expect([1, 2, 3, 4, 5, 6].map(() => backoff.failed())).toEqual([
      100, 200, 400, 800, 1000, 1000,
    ]);
    backoff.progress();
    expect(backoff.failed()).toBe(100);
  });

  it('adds jitter and never takes any away', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.nat(40), (random, times) => {
        const [plain, spread] = [make(), make(random)];
        for (let count = 0; count <= times; count += 1) {
          const base = plain.failed();
          const delay = spread.failed();
          expect(delay).toBeGreaterThanOrEqual(base);
          expect(delay).toBeLessThanOrEqual(base * 1.2);
        }
      }),
    );
  });

  it('gets louder when the same thing fails again and again', () => {
    const backoff = make();
    const levels = Array.from({ length: 7 }, () => {
      backoff.failed();
      return backoff.level;
    });
    expect(levels).toEqual(['info', 'warn', 'warn', 'warn', 'warn', 'error', 'error']);
  });

  it('waits on its clock and ends with its signal', async () => {
    const waited: number[] = [];
    const clock = {
      ...systemClock,
      sleep: (ms: number) => {
        waited.push(ms);
        return Promise.resolve();
      },
    };
    const options = { initialMs: 50, maximumMs: 60, jitter: 0, random: () => 0 };
    const backoff = new Backoff({ ...options, clock });
    await backoff.wait(new AbortController().signal);
    await backoff.wait(new AbortController().signal);
    expect(waited).toEqual([50, 60]);
    const stopped = new Backoff({ ...options, clock: systemClock });
    await expect(stopped.wait(AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped');
  });
});
