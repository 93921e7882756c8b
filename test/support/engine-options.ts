/** How persistent a callback of a test is, unless the test says otherwise. */
import type { CallbackOptions } from '../../src/deliver/callback-options.ts';
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

export const PERSISTENCE: Pick<CallbackOptions, 'retry' | 'onExhausted'> = {
  retry: RETRY,
  onExhausted: 'park-key',
};
