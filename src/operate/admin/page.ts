/** Lists in pages: `?limit=&cursor=` → `{"items":[…],"next":…}`. */

import { z } from 'zod';
import { wholeNumber } from './schemas.ts';

const MAX_LIMIT = 1_000;
const USUAL_LIMIT = 100;

const limit = wholeNumber({ min: 1, max: MAX_LIMIT })
  .default(USUAL_LIMIT)
  .describe('Items at most.');
const FROM = '`next` of the page before.';

/** Of a list in the order of texts. */
export const pageQuery = z.object({
  limit,
  cursor: z
    .string()
    .max(2_048)
    .regex(/^[A-Za-z0-9_-]*$/)
    .optional()
    .describe(FROM),
});

/** Of a list in the order of ids. */
export const idPageQuery = z.object({
  limit,
  cursor: wholeNumber().optional().describe(FROM),
});

export function pageOf<T extends z.ZodType>(
  item: T,
): z.ZodObject<{
  items: z.ZodArray<T>;
  next: z.ZodNullable<z.ZodString>;
}> {
  return z.object({
    items: z.array(item),
    next: z.string().nullable().describe('Cursor of the next page; null on the last one.'),
  });
}

/** Any text of a cursor's form is one: it names a place between two items, whether or not anything stands there. */
function encodeCursor(place: string): string {
  return Buffer.from(place).toString('base64url');
}

function decodeCursor(text: string): string {
  return Buffer.from(text, 'base64url').toString('utf8');
}

/** A page of a list that is at hand whole, in the order of `placeOf`'s texts. */
export function pageOfSorted<T>(
  all: readonly T[],
  { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
  placeOf: (item: T) => string,
): { items: T[]; next: string | null } {
  const after = cursor === undefined ? null : decodeCursor(cursor);
  const sorted = all
    .map((item) => ({ item, place: placeOf(item) }))
    .sort((a, b) => (a.place < b.place ? -1 : a.place > b.place ? 1 : 0));
  const rest = after === null ? sorted : sorted.filter(({ place }) => place > after);
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  return {
    items: page.map(({ item }) => item),
    next: last !== undefined && rest.length > limit ? encodeCursor(last.place) : null,
  };
}

/** A page of a list in the order of ids, of which `limit + 1` were asked for from behind the cursor on. */
export function pageOfIds<T extends { readonly id: number }>(
  found: readonly T[],
  limit: number,
): { items: T[]; next: string | null } {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return { items, next: last !== undefined && found.length > limit ? String(last.id) : null };
}
