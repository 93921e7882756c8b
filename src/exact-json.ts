/** JSON of the log, read with the text of each number at hand, so that none is rounded unseen. */

import { RowcallError } from './errors.ts';

/** The third argument of a reviver, which TypeScript's own types do not have yet (ES2026, Node 21). */
export type Reviver = (
  key: string,
  value: unknown,
  context: { readonly source?: string },
) => unknown;

const parseWithSource = JSON.parse as (text: string, reviver: Reviver) => unknown;

/** @throws RowcallError ENVELOPE_INVALID */
export function parseExact(text: string, revive: Reviver): unknown {
  try {
    return parseWithSource(text, revive);
  } catch (error) {
    throw new RowcallError('ENVELOPE_INVALID', 'A record of the log is not JSON', { cause: error });
  }
}

/** ES2026, Node 21: what stringifies as the text that it was made of. */
const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown };

/**
 * JSON whose numbers stand, once stringified again, as they were written: `1.0` and integers beyond 2^53 included.
 *
 * @throws SyntaxError where the text is no JSON
 */
export function parseVerbatim(text: string): unknown {
  return parseWithSource(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined ? rawJSON(source) : value,
  );
}
