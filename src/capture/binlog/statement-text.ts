/** The text of a statement, out of the bytes that its client sent. */

import { RowcallError } from '../../errors.ts';
import { charsetOf, type Charset, QUOTERS } from '../decode/charset.ts';
import { textOf } from '../decode/json-text.ts';

/**
 * Where the second byte of a character may be that of a backslash, a quote in backticks or a letter: read as UTF-8
 * it would end a name or keep a literal open, and hide the words behind it.
 */
const SECOND_BYTES: Readonly<Partial<Record<Charset, (lead: number, next: number) => boolean>>> = {
  sjis: isSjisPair,
  cp932: isSjisPair,
  gbk: (lead, next) => within(lead, 0x81, 0xfe) && isHighPair(next),
  gb18030: (lead, next) => within(lead, 0x81, 0xfe) && isHighPair(next),
  big5: (lead, next) =>
    within(lead, 0xa1, 0xf9) && (within(next, 0x40, 0x7e) || within(next, 0xa1, 0xfe)),
};

function isSjisPair(lead: number, next: number): boolean {
  return (within(lead, 0x81, 0x9f) || within(lead, 0xe0, 0xfc)) && isHighPair(next, 0xfc);
}

function isHighPair(next: number, last = 0xfe): boolean {
  return within(next, 0x40, 0x7e) || within(next, 0x80, last);
}

function within(byte: number, first: number, last: number): boolean {
  return byte >= first && byte <= last;
}

/**
 * @param collation of character_set_client, as the event tells it; null where it does not: then UTF-8
 * @returns the text. A literal may hold bytes that are none: what cannot be read is U+FFFD, and the words and quotes
 *   around it stand where the server reads them.
 */
export function statementText(bytes: Buffer, collation: number | null): string {
  const charset = collation === null ? null : charsetOf(collation);
  if (charset === null || READ_AS_UTF8.has(charset)) return bytes.toString('utf8');
  if (bytes.every((byte) => byte < 0x80)) return bytes.toString('latin1');
  try {
    return JSON.parse(textOf(QUOTERS[charset](bytes, 0, bytes.length))) as string;
  } catch (error) {
    if (!(error instanceof RowcallError)) throw error;
    return readMarks(bytes, charset);
  }
}

/**
 * What the text may be besides, where its character set is not told: all of it is ASCII, or one of these may hold other
 * words, or other names. Of characters beyond ASCII only the places are known.
 */
export function otherTexts(bytes: Buffer, collation: number | null): readonly string[] {
  if (collation !== null && charsetOf(collation) !== null) return [];
  if (bytes.every((byte) => byte < 0x80)) return [];
  const charsets: readonly Charset[] = ['latin1', 'cp932', 'gb18030', 'big5'];
  return charsets.map((charset) => readMarks(bytes, charset));
}

const READ_AS_UTF8: ReadonlySet<Charset> = new Set(['utf8mb4', 'utf8mb3', 'ascii', 'binary']);

/** ASCII as it is, each other character as U+FFFD. */
function readMarks(bytes: Buffer, charset: Charset): string {
  const isPair = SECOND_BYTES[charset];
  let text = '';
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes.readUInt8(at);
    if (byte < 0x80) text += String.fromCharCode(byte);
    else {
      text += '\ufffd';
      if (isPair?.(byte, bytes[at + 1] ?? 0) === true) at += 1;
    }
  }
  return text;
}
