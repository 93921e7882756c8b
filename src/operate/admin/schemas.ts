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
