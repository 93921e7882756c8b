/** JSON strings of text that is read character by character. */

import { RowcallError } from '../../../errors.ts';
import { composeLarge, isPlainAscii, LARGE_BYTES } from '../json-text.ts';
import type { JsonText } from '../json-text.ts';
import { character, lengthOf, pointOf } from './next-character.ts';
import type { NextCharacter } from './next-character.ts';

/** `\u0000` for one byte; no byte becomes more. */
const MAX_TEXT_PER_BYTE = 6;

/** UTF-16 of the step that is being read: a string made of it at once is far cheaper than one grown by characters. */
const units = Buffer.alloc(32 * 1024);
/** The two units of one character more must fit. */
const UNITS_END = units.length - 4;

/** Bytes that are read one step after another. */
interface Text {
  readonly charset: string;
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
  at: number;
}

/**
 * Quotes the text of one character set. `makeNext` is called at the first value: most tables are never needed.
 * What it throws comes out of every value.
 */
export function characterQuoter(
  charset: string,
  makeNext: () => NextCharacter,
): (bytes: Buffer, from: number, to: number) => JsonText {
  let next: NextCharacter | undefined;
  let isAsciiPlain = false;
  return (bytes, from, to) => {
    if (next === undefined) {
      next = makeNext();
      isAsciiPlain = readsAsciiPlain(next);
    }
    const read = next;
    if (to - from >= LARGE_BYTES) {
      return composeLarge(2 + (to - from) * MAX_TEXT_PER_BYTE, (out) => {
        const text = { charset, bytes, from, to, at: from };
        out.push('"');
        while (text.at < to) out.push(JSON.stringify(step(text, read)).slice(1, -1));
        out.push('"');
      });
    }
    if (isAsciiPlain && isPlainAscii(bytes, from, to)) {
      return `"${bytes.toString('latin1', from, to)}"`;
    }
    const text = { charset, bytes, from, to, at: from };
    let whole = step(text, read);
    while (text.at < to) whole += step(text, read);
    return JSON.stringify(whole);
  };
}

/** swe7 has letters in the place of brackets; the bytes of UTF-16 and UTF-32 are no characters. */
function readsAsciiPlain(next: NextCharacter): boolean {
  for (let byte = 0x20; byte < 0x7f; byte += 1) {
    if (next(Uint8Array.of(byte), 0, 1) !== character(byte, 1)) return false;
  }
  return true;
}

/**
 * The characters from `text.at` on, as many as a step takes.
 *
 * @throws RowcallError VALUE_INVALID. The bytes are not told: they are somebody's data.
 */
function step(text: Text, next: NextCharacter): string {
  const { bytes, to } = text;
  let { at } = text;
  let end = 0;
  while (at < to && end <= UNITS_END) {
    const found = next(bytes, at, to);
    if (found < 0) {
      const where = `The text has, at byte ${at - text.from}, no character of ${text.charset}`;
      throw new RowcallError('VALUE_INVALID', where);
    }
    const point = pointOf(found);
    if (point > 0xffff) {
      end = putUnit(0xd7c0 + (point >> 10), end);
      end = putUnit(0xdc00 | (point & 0x3ff), end);
    } else {
      end = putUnit(point, end);
    }
    at += lengthOf(found);
  }
  text.at = at;
  return units.toString('utf16le', 0, end);
}

function putUnit(unit: number, at: number): number {
  units[at] = unit & 0xff;
  units[at + 1] = unit >> 8;
  return at + 2;
}
