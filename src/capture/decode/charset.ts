/**
 * The character sets whose text is turned into UTF-8 exactly. Collation ids: information_schema.COLLATIONS,
 * which test/integration holds against this table.
 */

import { RowcallError } from '../../errors.ts';
import {
  byteTable,
  isPlainAscii,
  LARGE_BYTES,
  quoteBase64,
  quoteBytes,
  quoteUtf8,
  textOf,
} from './json-text.ts';
import type { JsonText } from './json-text.ts';

export type Charset = 'utf8mb4' | 'utf8mb3' | 'ascii' | 'latin1' | 'binary';

type IdRange = readonly [first: number, last: number];

const COLLATIONS: Readonly<Record<Charset, readonly IdRange[]>> = {
  utf8mb4: [
    [45, 46],
    [224, 247],
    [255, 271],
    [273, 275],
    [277, 294],
    [296, 298],
    [300, 300],
    [303, 323],
  ],
  utf8mb3: [
    [33, 33],
    [76, 76],
    [83, 83],
    [192, 215],
    [223, 223],
  ],
  ascii: [
    [11, 11],
    [65, 65],
  ],
  latin1: [
    [5, 5],
    [8, 8],
    [15, 15],
    [31, 31],
    [47, 49],
    [94, 94],
  ],
  binary: [[63, 63]],
};

const CHARSETS: ReadonlyMap<number, Charset> = new Map(
  (Object.keys(COLLATIONS) as Charset[]).flatMap((charset) =>
    COLLATIONS[charset].flatMap(([first, last]) =>
      Array.from({ length: last - first + 1 }, (_, i): [number, Charset] => [first + i, charset]),
    ),
  ),
);

/** Null for a collation of another character set, or one that is not known. */
export function charsetOf(collation: number): Charset | null {
  return CHARSETS.get(collation) ?? null;
}

/**
 * MySQL's latin1 is cp1252, with the five bytes that cp1252 leaves open standing for the control
 * characters of the same number. Source: `cs_to_uni` of latin1 in mysql's strings/ctype-latin1.cc.
 */
const LATIN1_80_TO_9F =
  '\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f' +
  '\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178';

const LATIN1_TABLE = byteTable((byte) =>
  byte < 0xa0 ? LATIN1_80_TO_9F.charAt(byte - 0x80) : String.fromCharCode(byte),
);

/** Makes a JSON string of bytes [from, to). @throws RowcallError VALUE_INVALID */
export type TextQuoter = (bytes: Buffer, from: number, to: number) => JsonText;

function quoteLatin1(bytes: Buffer, from: number, to: number): JsonText {
  if (to - from >= LARGE_BYTES) return quoteBytes(bytes.subarray(from, to), LATIN1_TABLE);
  if (isPlainAscii(bytes, from, to)) return `"${bytes.toString('latin1', from, to)}"`;
  return textOf(quoteBytes(bytes.subarray(from, to), LATIN1_TABLE));
}

function quoteAscii(bytes: Buffer, from: number, to: number): JsonText {
  for (let at = from; at < to; at += 1) {
    if (bytes.readUInt8(at) > 0x7f) {
      throw new RowcallError('VALUE_INVALID', 'The text has a byte that is not ASCII');
    }
  }
  return quoteUtf8(bytes, from, to);
}

/** Text as a JSON string; binary strings as one of base64. */
export const QUOTERS: Readonly<Record<Charset, TextQuoter>> = {
  utf8mb4: quoteUtf8,
  utf8mb3: quoteUtf8,
  ascii: quoteAscii,
  latin1: quoteLatin1,
  binary: quoteBase64,
};
