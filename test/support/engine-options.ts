/** How persistent a callback of a test is, unless the test says otherwise. */
import type { CallbackOptions } from '../../src/deliver/callback-options.ts';
import type { BreakerOptions } from '../../src/deliver/lane/breaker.ts';
import type { RetryPolicy } from '../../src/deliver/retry/policy.ts';

export const RETRY: RetryPolicy = {
  backoff: 'exponential',
  initialIntervalMs: 1_000,
  backoffCoefficient: 2,
  maximumIntervalMs: 60_000,
  scheduleMs: [],
  jitter: 0,
  maximumAttempts: 0,
  expiresAfterMs: 0,
  nonRetryableStatuses: [],
};

export const BREAKER: BreakerOptions = {
  failureRatio: 0.5,
  minimumKeys: 20,
  windowMs: 30_000,
  openForMs: 30_000,
};

export const PERSISTENCE: Pick<CallbackOptions, 'retry' | 'breaker' | 'onExhausted'> = {
  retry: RETRY,
  breaker: BREAKER,
  onExhausted: 'park-key',
};
