/** What the schemas of several routes share. */

import { z } from 'zod';
import { problemSchema } from './problem.ts';

/** RFC 3339, in UTC. A format without the pattern that zod would add to every place where it stands. */
export const timestamp = z.string().meta({ format: 'date-time' });

export function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}

/** Every answer that is no success. */
export const problems = {
  default: {
    description: 'A problem (RFC 9457), with its code and cure',
    content: { 'application/problem+json': { schema: problemSchema } },
  },
};

/** Something beside blanks: those that trim() takes away, since the description has to say what is refused. */
const NOT_BLANK = /[^\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]/;

/** Why a person does what holds, passes over or lets go events: it stands in the audit log. */
export const reason = z.strictObject({
  reason: z.string().min(1).max(1_000).regex(NOT_BLANK).trim(),
});

const DIGITS = /^\d+$/;

/**
 * A whole number as a query or a path has it: its digits. Coercion would take an empty text, or blanks, for 0, and a list
 * would begin where nobody asked.
 */
export function wholeNumber({
  min = 0,
  max = Number.MAX_SAFE_INTEGER,
}: {
  readonly min?: number;
  readonly max?: number;
} = {}): z.ZodType<number> {
  return z.preprocess(
    (text) => (typeof text === 'string' && DIGITS.test(text) ? Number(text) : text),
    z.number().int().min(min).max(max),
  );
}

export const itemId = z.object({ id: wholeNumber() });
