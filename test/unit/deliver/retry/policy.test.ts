import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judge, nextDelayMs } from '../../../../src/deliver/retry/policy.ts';
import { RETRY } from '../../../support/engine-options.ts';

const policy = { ...RETRY, jitter: 0.2 };
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
          backoff: fc.constantFrom('exponential' as const, 'linear' as const, 'fixed' as const),
          scheduleMs: fc.constant([]),
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

describe('the waits', () => {
  const waits = (over: Partial<typeof policy>): number[] =>
    [1, 2, 3, 4, 100].map((attempts) => nextDelayMs({ ...policy, ...over }, attempts, never));

  it('grow by the first one where linear, and not at all where fixed', () => {
    expect(waits({ backoff: 'linear' })).toEqual([1000, 2000, 3000, 4000, 60_000]);
    expect(waits({ backoff: 'fixed' })).toEqual([1000, 1000, 1000, 1000, 1000]);
  });

  it('follow a schedule, whose last one is used again and again', () => {
    expect(waits({ scheduleMs: [5, 300, 90_000] })).toEqual([5, 300, 90_000, 90_000, 90_000]);
  });

  it('of a schedule are spread out by jitter and held back by Retry-After as well', () => {
    const schedule = { ...policy, scheduleMs: [100] };
    expect(nextDelayMs(schedule, 1, () => 0.5)).toBeCloseTo(110);
    expect(nextDelayMs(schedule, 1, never, 5000)).toBe(5000);
  });
});

describe('an attempt that was not answered well', () => {
  const FAILED = { kind: 'failed', error: 'HTTP 500', status: 500 } as const;
  const THROTTLED = { kind: 'throttled', error: 'HTTP 503', status: 503 } as const;
  const at = { nowMs: 100_000, random: never };
  const before = (usedAttempts: number, attempts = usedAttempts, firstAttemptAt = 50_000) => ({
    attempts,
    usedAttempts,
    firstAttemptAt,
  });

  it('uses one up, and says when the next one is', () => {
    expect(judge(RETRY, before(0, 0), FAILED, at)).toEqual({
      exhausted: false,
      failure: {
        attempts: 1,
        usedAttempts: 1,
        firstAttemptAt: 50_000,
        nextAttemptAt: 101_000,
        error: 'HTTP 500',
        cause: 'endpoint',
      },
    });
  });

  it('begins the clock at the first one', () => {
    const first = { attempts: 0, usedAttempts: 0, firstAttemptAt: null };
    expect(judge(RETRY, first, FAILED, at).failure.firstAttemptAt).toBe(100_000);
  });

  it('exhausts an event at the last attempt that it has, and not before', () => {
    const three = { ...RETRY, maximumAttempts: 3 };
    expect(judge(three, before(1), FAILED, at).exhausted).toBe(false);
    const last = judge(three, before(2), FAILED, at);
    expect(last).toMatchObject({
      exhausted: true,
      failure: { attempts: 3, nextAttemptAt: 100_000 },
    });
    expect(judge(RETRY, before(1_000_000), FAILED, at).exhausted).toBe(false);
  });

  it('uses nothing up where it was throttled, however often', () => {
    const two = { ...RETRY, maximumAttempts: 2 };
    const verdict = judge(two, before(1, 40), THROTTLED, at);
    expect(verdict).toMatchObject({ exhausted: false, failure: { attempts: 41, usedAttempts: 1 } });
    expect(judge(two, before(1, 41), FAILED, at)).toMatchObject({
      exhausted: true,
      failure: { attempts: 42, usedAttempts: 2 },
    });
  });

  it.each([FAILED, THROTTLED])(
    'exhausts an event at once where its status is listed: $error',
    (outcome) => {
      const listed = { ...RETRY, nonRetryableStatuses: [outcome.status] };
      expect(judge(listed, before(0), outcome, at).exhausted).toBe(true);
      expect(
        judge({ ...RETRY, nonRetryableStatuses: [418] }, before(0), outcome, at).exhausted,
      ).toBe(false);
    },
  );

  it('exhausts an event at once where no attempt can succeed', () => {
    expect(judge(RETRY, before(0), { ...FAILED, final: true }, at).exhausted).toBe(true);
  });

  it('keeps whose fault it was', () => {
    const ours = { kind: 'failed', error: 'too large', cause: 'system' } as const;
    expect(judge(RETRY, before(0), ours, at).failure.cause).toBe('system');
  });

  it('has its last attempt when the event expires, even where the waits are longer', () => {
    const expiring = { ...RETRY, initialIntervalMs: 60_000, expiresAfterMs: 70_000 };
    const verdict = judge(expiring, before(1), FAILED, at);
    expect(verdict).toMatchObject({ exhausted: false, failure: { nextAttemptAt: 120_000 } });
    const late = judge(expiring, before(2), FAILED, { ...at, nowMs: 120_000 });
    expect(late.exhausted).toBe(true);
    const throttled = judge(expiring, before(2), THROTTLED, { ...at, nowMs: 120_000 });
    expect(throttled.exhausted).toBe(true);
  });

  it('is not repeated earlier than the endpoint asked, even where the event expires before', () => {
    const expiring = { ...RETRY, expiresAfterMs: 70_000 };
    const verdict = judge(expiring, before(1), { ...THROTTLED, retryAfterMs: 500_000 }, at);
    expect(verdict).toMatchObject({ exhausted: false, failure: { nextAttemptAt: 600_000 } });
  });

  it('never has more attempts than its limit, nor a next one before now, for any policy', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.boolean(), { maxLength: 60 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (maximumAttempts, throttles, random) => {
          let known: Parameters<typeof judge>[1] = {
            attempts: 0,
            usedAttempts: 0,
            firstAttemptAt: null,
          };
          let nowMs = 1_000;
          for (const throttled of throttles) {
            const limited = { ...RETRY, maximumAttempts, jitter: 0.3 };
            const outcome = throttled ? THROTTLED : FAILED;
            const { failure, exhausted } = judge(limited, known, outcome, {
              nowMs,
              random: () => random,
            });
            expect(failure.usedAttempts).toBeLessThanOrEqual(maximumAttempts);
            expect(exhausted).toBe(failure.usedAttempts === maximumAttempts);
            if (exhausted) return;
            expect(failure.nextAttemptAt).toBeGreaterThan(nowMs);
            expect(failure.attempts).toBe(known.attempts + 1);
            nowMs = failure.nextAttemptAt;
            known = failure;
          }
        },
      ),
    );
  });
});
