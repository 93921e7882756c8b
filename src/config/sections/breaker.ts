/** `callbacks[].breaker`: when an endpoint as a whole is taken for down. */

import { z } from 'zod';
import { count, duration, expecting } from '../scalars.ts';

export const breakerSchema = z
  .strictObject({
    failure_ratio: z
      .number({ error: expecting('a number over 0, up to 1', '0.5') })
      .gt(0)
      .max(1)
      .default(0.5)
      .describe('Share of the keys that fail for the first time at which it opens.'),
    minimum_keys: count(1, 1_000_000)
      .default(20)
      .describe('Distinct keys in the window; with fewer it does not open.'),
    window: duration(['1s', '1h']).prefault('30s').describe('How long an outcome counts.'),
    open_for: duration(['100ms', '1d'])
      .prefault('30s')
      .describe('From opening to the next probe; the longest wait where connections are refused.'),
  })
  .prefault({})
  .transform((breaker) => ({
    failureRatio: breaker.failure_ratio,
    minimumKeys: breaker.minimum_keys,
    windowMs: breaker.window,
    openForMs: breaker.open_for,
  }))
  .describe('When the endpoint as a whole is down: nothing is sent, and the log is the buffer.');
