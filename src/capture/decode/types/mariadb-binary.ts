/**
 * MariaDB's UUID, INET4 and INET6: fixed binary strings in the binlog, texts in a SELECT. What stands in the binlog is
 * the value in its own order, whatever order a version of the server stores UUIDs in (pack in sql_type_uuid.h).
 */

import type { JsonText } from '../json-text.ts';
import { invalid, lengthPrefixed, type ValueReader } from './value-reader.ts';

const UUID_BYTES = 16;
const INET4_BYTES = 4;
const INET6_BYTES = 16;

export function uuidReader(): ValueReader {
  return padded(UUID_BYTES, (value) => {
    const hex = value.toString('hex');
    const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
    return `${parts.join('-')}-${hex.slice(20)}`;
  });
}

export function inet4Reader(): ValueReader {
  return padded(INET4_BYTES, (value) => dotted(value, 0));
}

export function inet6Reader(): ValueReader {
  return padded(INET6_BYTES, inet6Text);
}

/** As BINARY, without its trailing zero bytes. */
function padded(bytes: number, print: (value: Buffer) => string): ValueReader {
  return lengthPrefixed(1, (source, from, to): JsonText => {
    if (to - from > bytes) throw invalid(`${bytes} bytes are the whole of it, not ${to - from}`);
    const value = Buffer.alloc(bytes);
    source.copy(value, 0, from, to);
    return `"${print(value)}"`;
  });
}

function dotted(value: Buffer, at: number): string {
  return value.subarray(at, at + INET4_BYTES).join('.');
}

/** Where the last two words, an IPv4 address, begin. */
const TAIL = 12;

/**
 * The longest run of zero words, the first of several, becomes `::`, one word too. The last four bytes are written as
 * IPv4 behind `::ffff:`, and behind `::` alone unless the first two of them are zero.
 */
function inet6Text(value: Buffer): string {
  const words = Array.from({ length: INET6_BYTES / 2 }, (_, i) => value.readUInt16BE(2 * i));
  if (words.slice(0, 5).every((word) => word === 0)) {
    if (words[5] === 0xffff) return `::ffff:${dotted(value, TAIL)}`;
    if (words[5] === 0 && words[6] !== 0) return `::${dotted(value, TAIL)}`;
  }
  const { at, length } = longestGap(words);
  if (length === 0) return hexWords(words);
  return `${hexWords(words.slice(0, at))}::${hexWords(words.slice(at + length))}`;
}

function hexWords(words: readonly number[]): string {
  return words.map((word) => word.toString(16)).join(':');
}

function longestGap(words: readonly number[]): { readonly at: number; readonly length: number } {
  let longest = { at: 0, length: 0 };
  let length = 0;
  for (const [index, word] of words.entries()) {
    length = word === 0 ? length + 1 : 0;
    if (length > longest.length) longest = { at: index - length + 1, length };
  }
  return longest;
}
