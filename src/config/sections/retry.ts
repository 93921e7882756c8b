/** `callbacks[].retry`: when a failed event is tried again, and when it is given up. In Temporal's words. */

import { z } from 'zod';
import { count, duration, expecting } from '../scalars.ts';

export const retrySchema = z
  .strictObject({
    backoff: z
      .enum(['exponential', 'linear', 'fixed'])
      .default('exponential')
      .describe('How the waits grow: times the coefficient, by the first wait, or not at all.'),
    initial_interval: duration(['1ms', '1d'])
      .prefault('1s')
      .describe('Wait after the first failure.'),
    backoff_coefficient: z
      .number({ error: expecting('a number from 1 to 100', '2') })
      .min(1)
      .max(100)
      .default(2)
      .describe('Factor from one wait to the next; with backoff: exponential.'),
    maximum_interval: duration(['1ms', '30d']).prefault('1h').describe('Longest wait.'),
    schedule: z
      .array(duration(['0ms', '30d']), { error: expecting('a list of waits', '[5s, 5m, 30m, 2h]') })
      .min(1)
      .max(100)
      .optional()
      .describe('The waits one after another, the last one again and again; instead of the above.'),
    maximum_attempts: count(0, 1_000_000).default(0).describe('Attempts of an event; 0: no limit.'),
    expires_after: duration(['0ms', '3650d'])
      .prefault('3d')
      .describe('After the first attempt; the last one is then made. 0s: no limit.'),
    jitter: z
      .number({ error: expecting('a number from 0 to 1', '0.2') })
      .min(0)
      .max(1)
      .default(0.2)
      .describe('Random part added to each wait, as a share of it.'),
    non_retryable_statuses: z
      .array(count(300, 599), { error: expecting('a list of statuses', '[400, 422]') })
      .max(300)
      .default([])
      .describe('HTTP statuses that exhaust an event at once.'),
  })
  .prefault({})
  .transform((retry) => ({
    backoff: retry.backoff,
    initialIntervalMs: retry.initial_interval,
    backoffCoefficient: retry.backoff_coefficient,
    maximumIntervalMs: retry.maximum_interval,
    scheduleMs: retry.schedule ?? [],
    maximumAttempts: retry.maximum_attempts,
    expiresAfterMs: retry.expires_after,
    jitter: retry.jitter,
    nonRetryableStatuses: retry.non_retryable_statuses,
  }))
  .describe('When a failed event is tried again, and when it is exhausted.');
