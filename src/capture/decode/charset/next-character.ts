/** One character after another, of whatever character set. */

/**
 * Reads the character at `at`: its code point times 8 plus its length in bytes. Negative where the bytes up to
 * `to` begin none.
 */
export type NextCharacter = (bytes: Uint8Array, at: number, to: number) => number;

export const NO_CHARACTER = -1;

export const LAST_POINT = 0x10_ffff;

export function character(point: number, length: number): number {
  return point * 8 + length;
}

export function pointOf(next: number): number {
  return next >> 3;
}

export function lengthOf(next: number): number {
  return next & 7;
}
