/** Which dead letters: as lists and resends are asked for them. */

import { z } from 'zod';
import type { DeadLetterFilter } from '../../state/resend-store.ts';

/** RFC 3339. A text that is taken here is a time, and its form stands in the description of the API. */
export const instant = z
  .string()
  .max(40)
  .regex(
    /^[12]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)$/,
  );

export const filterFields = {
  callback: z.string().max(200).optional(),
  topic: z.string().max(300).optional(),
  table: z.string().max(300).optional().describe('schema.table'),
  key: z.string().max(4_096).optional().describe('The order key, as items show it.'),
  cause: z.enum(['endpoint', 'system']).optional(),
  from: instant.optional().describe('Given up then or later (RFC 3339).'),
  to: instant.optional().describe('Given up before (RFC 3339).'),
};

interface Asked {
  readonly callback?: string | undefined;
  readonly topic?: string | undefined;
  readonly table?: string | undefined;
  readonly key?: string | undefined;
  readonly cause?: 'endpoint' | 'system' | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export function filterOf(asked: Asked): DeadLetterFilter {
  const { callback, topic, table, key, cause, from, to } = asked;
  return {
    ...(callback === undefined ? {} : { callback }),
    ...(topic === undefined ? {} : { topic }),
    ...(table === undefined ? {} : { table }),
    ...(key === undefined ? {} : { key }),
    ...(cause === undefined ? {} : { cause }),
    ...(from === undefined ? {} : { fromMs: Date.parse(from) }),
    ...(to === undefined ? {} : { toMs: Date.parse(to) }),
  };
}
