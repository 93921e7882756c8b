/** When a failed event is tried again, and when it is given up. Pure: the store keeps what it says, so a restart changes nothing. */

import { assert } from '../../shared/assert.ts';
import type { Random } from '../../shared/clock.ts';
import type { Failure } from '../../state/state-store.ts';
import type { Failed, Throttled } from '../callback/sender.ts';

/** How the waits grow. `exponential`: times the coefficient. `linear`: by the first wait. `fixed`: not at all. */
export type Backoff = 'exponential' | 'linear' | 'fixed';

export interface RetryPolicy {
  readonly backoff: Backoff;
  /** Milliseconds, at least 1. */
  readonly initialIntervalMs: number;
  /** Factor from one wait to the next, at least 1. */
  readonly backoffCoefficient: number;
  /** Milliseconds: the longest wait before jitter. */
  readonly maximumIntervalMs: number;
  /** The waits one after another, in ms, the last one for all that follow; instead of all the above where not empty. */
  readonly scheduleMs: readonly number[];
  /** Up to this share of the wait is added, never taken away: 0 to 1. */
  readonly jitter: number;
  /** Attempts that an event has; 0: no limit. */
  readonly maximumAttempts: number;
  /** Milliseconds after the first attempt, at which the last one is made; 0: no limit. */
  readonly expiresAfterMs: number;
  /** Answers that exhaust an event at once. */
  readonly nonRetryableStatuses: readonly number[];
}

/** What is known of an event's attempts before the one that is judged. */
export interface AttemptsSoFar {
  readonly attempts: number;
  readonly usedAttempts: number;
  /** Null before the first. */
  readonly firstAttemptAt: number | null;
}

export interface Verdict {
  readonly failure: Failure;
  /** The event is given up: `failure.nextAttemptAt` is the time of that. */
  readonly exhausted: boolean;
}

/**
 * What follows from an attempt that failed or was throttled. A throttled one uses up no attempt, but time runs: at
 * `expiresAfterMs` the last attempt is made (later only where the endpoint asked for it), whatever the waits are.
 *
 * @param nowMs wall time of the answer
 */
export function judge(
  policy: RetryPolicy,
  before: AttemptsSoFar,
  outcome: Failed | Throttled,
  at: { readonly nowMs: number; readonly random: Random },
): Verdict {
  const { nowMs, random } = at;
  const throttled = outcome.kind === 'throttled';
  const attempts = before.attempts + 1;
  const usedAttempts = before.usedAttempts + (throttled ? 0 : 1);
  const firstAttemptAt = before.firstAttemptAt ?? nowMs;
  const expiresAt = policy.expiresAfterMs === 0 ? Infinity : firstAttemptAt + policy.expiresAfterMs;
  const exhausted = nowMs >= expiresAt || isLast(policy, usedAttempts, outcome);
  const retryAfterMs = throttled ? (outcome.retryAfterMs ?? 0) : 0;
  const delayMs = nextDelayMs(policy, attempts, random, retryAfterMs);
  const dueAt = Math.max(Math.min(nowMs + delayMs, expiresAt), nowMs + retryAfterMs);
  const failure = {
    attempts,
    usedAttempts,
    firstAttemptAt,
    nextAttemptAt: exhausted ? nowMs : Math.ceil(dueAt),
    error: outcome.error,
    cause: throttled ? 'endpoint' : (outcome.cause ?? 'endpoint'),
    ...(retryAfterMs > 0 ? { notBefore: Math.ceil(nowMs + retryAfterMs) } : {}),
  } as const;
  return { failure, exhausted };
}

function isLast(policy: RetryPolicy, usedAttempts: number, outcome: Failed | Throttled): boolean {
  const { maximumAttempts, nonRetryableStatuses } = policy;
  if (outcome.status !== undefined && nonRetryableStatuses.includes(outcome.status)) return true;
  if (outcome.kind === 'throttled') return false;
  if (outcome.final === true) return true;
  return maximumAttempts > 0 && usedAttempts >= maximumAttempts;
}

/**
 * Milliseconds to wait after the `attempts`-th attempt. The schedule's wait, or one that grows up to the maximum; what
 * the receiver asked for is a floor above even that; jitter comes last and only adds, so that no attempt is earlier
 * than asked and those that failed together come back spread out.
 *
 * @param attempts made so far, from 1
 * @param retryAfterMs the receiver's Retry-After (RFC 9110, 10.2.3), bounded by who read it
 */
export function nextDelayMs(
  policy: Omit<RetryPolicy, 'maximumAttempts' | 'expiresAfterMs' | 'nonRetryableStatuses'>,
  attempts: number,
  random: Random,
  retryAfterMs = 0,
): number {
  assert(Number.isSafeInteger(attempts) && attempts >= 1, 'attempts count from 1');
  const wait = Math.max(intervalMs(policy, attempts), retryAfterMs);
  return wait * (1 + policy.jitter * random());
}

type Intervals = Pick<
  RetryPolicy,
  'backoff' | 'initialIntervalMs' | 'backoffCoefficient' | 'maximumIntervalMs' | 'scheduleMs'
>;

function intervalMs(policy: Intervals, attempts: number): number {
  const { backoff, initialIntervalMs, backoffCoefficient, maximumIntervalMs, scheduleMs } = policy;
  const last = scheduleMs.at(-1);
  if (last !== undefined) return scheduleMs[attempts - 1] ?? last;
  const growth = {
    // The power overflows to Infinity after enough attempts; the maximum then holds all the same.
    exponential: backoffCoefficient ** (attempts - 1),
    linear: attempts,
    fixed: 1,
  };
  return Math.min(initialIntervalMs * growth[backoff], maximumIntervalMs);
}
