import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextDelayMs } from '../../../../src/deliver/retry/policy.ts';

const policy = {
  initialIntervalMs: 1000,
  backoffCoefficient: 2,
  maximumIntervalMs: 60_000,
  jitter: 0.2,
};
const never = (): number => 0;

describe('the wait before the next attempt', () => {
  it('doubles up to the maximum', () => {
    const delays = [1, 2, 3, 6, 7, 8, 5000].map((attempts) => nextDelayMs(policy, attempts, never));
    expect(delays).toEqual([1000, 2000, 4000, 32_000, 60_000, 60_000, 60_000]);
  });

  it('is never shorter than the policy, nor longer than its jitter allows, for any policy', () => {
    fc.assert(
      fc.property(
        fc.record({
          initialIntervalMs: fc.integer({ min: 1, max: 86_400_000 }),
          backoffCoefficient: fc.double({ min: 1, max: 100, noNaN: true }),
          maximumIntervalMs: fc.integer({ min: 1, max: 2_592_000_000 }),
          jitter: fc.double({ min: 0, max: 1, noNaN: true }),
        }),
        fc.integer({ min: 1, max: 1_000_000_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (any, attempts, random) => {
          const plain = nextDelayMs({ ...any, jitter: 0 }, attempts, never);
          const delay = nextDelayMs(any, attempts, () => random);
          expect(plain).toBeLessThanOrEqual(any.maximumIntervalMs);
          expect(delay).toBeGreaterThanOrEqual(plain);
          expect(delay).toBeLessThanOrEqual(plain * (1 + any.jitter));
          expect(Number.isFinite(delay)).toBe(true);
        },
      ),
    );
  });

  it('is never earlier than the endpoint asked, whatever the maximum is', () => {
    expect(nextDelayMs(policy, 1, never, 3_600_000)).toBe(3_600_000);
    expect(nextDelayMs(policy, 3, () => 0.5, 3000)).toBe(4400);
  });
});
