/** Text of every character set of the server as JSON strings. docs/VALUES.md tells where the tables come from. */

import { RowcallError } from '../../errors.ts';
import { characterQuoter } from './charset/character-quoter.ts';
import { CODE_PAGES } from './charset/code-page-data.ts';
import { codePageReader, serverCodes } from './charset/code-page.ts';
import type { CodePageData } from './charset/code-page.ts';
import { CHARSETS } from './charset/collations.ts';
import type { Charset } from './charset/collations.ts';
import { nextUcs2, nextUtf16, nextUtf16le, nextUtf32 } from './charset/utf.ts';
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

export { charsetOf } from './charset/collations.ts';
export type { Charset } from './charset/collations.ts';

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

/** Makes a JSON string of bytes [from, to). @throws RowcallError VALUE_INVALID, CHARSET_UNSUPPORTED */
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

/** Those with a reader of their own; all others read their code page. */
const OWN: Readonly<Partial<Record<Charset, TextQuoter>>> = {
  utf8mb4: quoteUtf8,
  utf8mb3: quoteUtf8,
  ascii: quoteAscii,
  latin1: quoteLatin1,
  binary: quoteBase64,
  ucs2: characterQuoter('ucs2', () => nextUcs2),
  utf16: characterQuoter('utf16', () => nextUtf16),
  utf16le: characterQuoter('utf16le', () => nextUtf16le),
  utf32: characterQuoter('utf32', () => nextUtf32),
};

const PAGES: Readonly<Record<string, CodePageData>> = CODE_PAGES;

function codePageQuoter(charset: Charset): TextQuoter {
  const page = PAGES[charset];
  if (page === undefined) throw new Error(`${charset} has no code page`);
  return characterQuoter(charset, () => codePageReader(serverCodes(charset, page), page.layout));
}

/** Text as a JSON string; binary strings as one of base64. */
export const QUOTERS: Readonly<Record<Charset, TextQuoter>> = Object.fromEntries(
  CHARSETS.map((charset) => [charset, OWN[charset] ?? codePageQuoter(charset)]),
) as Record<Charset, TextQuoter>;
