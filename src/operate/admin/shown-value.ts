/** Values of rows, and who sees them. */

import { type Caller, mayActAs } from './tokens.ts';

/** Rows may hold what is nobody's business who only watches: values are for those who act on events. */
export function maySeeValues(caller: Caller | null): boolean {
  return caller !== null && mayActAs(caller, 'operator');
}

export function shownValue(value: Uint8Array | null, caller: Caller | null): string | null {
  return value === null || !maySeeValues(caller) ? null : Buffer.from(value).toString();
}
