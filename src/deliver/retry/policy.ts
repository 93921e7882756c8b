/** When a failed event is tried again. Pure: the store keeps the time it gives, so a restart changes nothing. */

import { assert } from '../../shared/assert.ts';
import type { Random } from '../../shared/clock.ts';

export interface RetryPolicy {
  /** Milliseconds, at least 1. */
  readonly initialIntervalMs: number;
  /** Factor from one wait to the next, at least 1. */
  readonly backoffCoefficient: number;
  /** Milliseconds: the longest wait before jitter. */
  readonly maximumIntervalMs: number;
  /** Up to this share of the wait is added, never taken away: 0 to 1. */
  readonly jitter: number;
}

/**
 * Milliseconds to wait after the `attempts`-th failed attempt. Exponential up to the maximum; what the
 * receiver asked for is a floor above even that; jitter comes last and only adds, so that no attempt is earlier
 * than asked and those that failed together come back spread out.
 *
 * @param attempts made so far, from 1
 * @param retryAfterMs the receiver's Retry-After (RFC 9110, 10.2.3), bounded by who read it
 */
export function nextDelayMs(
  policy: RetryPolicy,
  attempts: number,
  random: Random,
  retryAfterMs = 0,
): number {
  assert(Number.isSafeInteger(attempts) && attempts >= 1, 'attempts count from 1');
  const { initialIntervalMs, backoffCoefficient, maximumIntervalMs, jitter } = policy;
  // The power overflows to Infinity after enough attempts; the maximum then holds all the same.
  const exponential = initialIntervalMs * backoffCoefficient ** (attempts - 1);
  const wait = Math.max(Math.min(exponential, maximumIntervalMs), retryAfterMs);
  return wait * (1 + jitter * random());
}
