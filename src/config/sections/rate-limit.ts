/** `callbacks[].rate_limit`: how many attempts an endpoint is given. */

import { z } from 'zod';
import { count, expecting } from '../scalars.ts';

export const rateLimitSchema = z
  .strictObject(
    {
      per_second: z
        .number({ error: expecting('a number from 0.001 to 1000000', '200') })
        .min(0.001)
        .max(1_000_000)
        .describe('Attempts per second in the long run, retries included.'),
      burst: count(1, 1_000_000)
        .optional()
        .describe(
          'Attempts at once after a time of rest; unless said otherwise those of one second.',
        ),
    },
    { error: expecting('a mapping', '{ per_second: 200, burst: 400 }') },
  )
  .transform(({ per_second: perSecond, burst }) => ({
    perSecond,
    burst: burst ?? Math.max(1, Math.ceil(perSecond)),
  }))
  .describe('How many attempts are made; none unless said otherwise.');
