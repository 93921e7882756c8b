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
