/** Times as a person writes them: RFC 3339, with their zone. */

import { z } from 'zod';
import { expecting } from './scalars.ts';

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** Milliseconds since the epoch, or null. `Date.parse` alone would take 31 February for 3 March. */
export function parseTimestamp(text: string): number | null {
  if (!RFC3339.test(text)) return null;
  const ms = Date.parse(text.toUpperCase());
  if (Number.isNaN(ms)) return null;
  const day = Date.parse(`${text.slice(0, 10)}T00:00:00Z`);
  return new Date(day).toISOString().startsWith(text.slice(0, 10)) ? ms : null;
}

/** Milliseconds since the epoch of a text such as `2026-01-31T08:00:00Z`. */
export const timestamp = (): z.ZodType<number, string> =>
  z.string({ error: expecting('a time', '"2026-01-31T08:00:00Z"') }).transform((text, context) => {
    const ms = parseTimestamp(text);
    if (ms !== null) return ms;
    context.addIssue({
      code: 'custom',
      message: 'must be a time of RFC 3339 with its zone, such as 2026-01-31T08:00:00Z',
    });
    return z.NEVER;
  });
