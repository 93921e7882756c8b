/** UTF-16 and UTF-32 as the server stores them: most significant byte first, but for utf16le. Half a pair is no character. */

import { character, LAST_POINT, NO_CHARACTER } from './next-character.ts';
import type { NextCharacter } from './next-character.ts';

/** Reads the unit of two bytes at `at`. */
type Unit = (bytes: Uint8Array, at: number) => number;

const bigEndian: Unit = (bytes, at) => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
const littleEndian: Unit = (bytes, at) => (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

function utf16(unit: Unit): NextCharacter {
  return (bytes, at, to) => {
    if (at + 2 > to) return NO_CHARACTER;
    const first = unit(bytes, at);
    if (!isSurrogate(first)) return character(first, 2);
    if (first >= 0xdc00 || at + 4 > to) return NO_CHARACTER;
    const second = unit(bytes, at + 2);
    if (second < 0xdc00 || second > 0xdfff) return NO_CHARACTER;
    return character(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), 4);
  };
}

export const nextUtf16 = utf16(bigEndian);
export const nextUtf16le = utf16(littleEndian);

export const nextUcs2: NextCharacter = (bytes, at, to) => {
  const point = bigEndian(bytes, at);
  return at + 2 > to || isSurrogate(point) ? NO_CHARACTER : character(point, 2);
};

export const nextUtf32: NextCharacter = (bytes, at, to) => {
  if (at + 4 > to) return NO_CHARACTER;
  const point = bigEndian(bytes, at) * 0x1_0000 + bigEndian(bytes, at + 2);
  return point > LAST_POINT || isSurrogate(point) ? NO_CHARACTER : character(point, 4);
};
