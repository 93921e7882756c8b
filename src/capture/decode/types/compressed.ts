/**
 * MariaDB's COMPRESSED columns. Behind the usual length a first byte says how the rest is stored: 0 as it is; 8 in
 * its upper half with zlib, then its low three bits tell how many bytes (big-endian) of the length before
 * compression follow, and bit 3 that the stream has no zlib header. An empty value has no first byte. Source:
 * `compress_zlib` in MariaDB's sql/field.cc.
 */

import { inflateRawSync, inflateSync } from 'node:zlib';
import { QUOTERS } from '../charset.ts';
import type { Charset } from '../charset.ts';
import type { JsonText } from '../json-text.ts';
import { invalid, lengthPrefixed } from './value-reader.ts';
import type { ValueReader } from './value-reader.ts';

const STORED = 0;
const ZLIB = 8;
const IS_RAW = 0x08;
const LENGTH_BITS = 0x07;
const MAX_LENGTH_BYTES = 4;

/** @param maxBytes decides how long the length in front is */
export function compressedStringReader(maxBytes: number, charset: Charset): ValueReader {
  return compressedReader(maxBytes > 255 ? 2 : 1, charset);
}

export function compressedBlobReader(lengthBytes: number, charset: Charset): ValueReader {
  return compressedReader(lengthBytes, charset);
}

function compressedReader(lengthBytes: number, charset: Charset): ValueReader {
  return lengthPrefixed(lengthBytes, (bytes, from, to): JsonText => {
    if (from === to) return '""';
    const header = bytes.readUInt8(from);
    if (header === STORED) return QUOTERS[charset](bytes, from + 1, to);
    const value = inflated(bytes.subarray(from, to), header);
    return QUOTERS[charset](value, 0, value.length);
  });
}

/** Never more than the length that stands in front of it, whatever the stream holds. */
function inflated(stored: Buffer, header: number): Buffer {
  const lengthBytes = header & LENGTH_BITS;
  if (header >> 4 !== ZLIB || lengthBytes === 0 || lengthBytes > MAX_LENGTH_BYTES) {
    throw invalid(`The compressed value begins with ${header}, which is not known`);
  }
  if (stored.length < 1 + lengthBytes) throw invalid('The compressed value is cut short');
  const length = stored.readUIntBE(1, lengthBytes);
  const inflate = (header & IS_RAW) === 0 ? inflateSync : inflateRawSync;
  let value: Buffer;
  try {
    value = inflate(stored.subarray(1 + lengthBytes), { maxOutputLength: Math.max(length, 1) });
  } catch (error) {
    throw invalid('The compressed value cannot be inflated', error);
  }
  if (value.length !== length) {
    throw invalid('The compressed value has another length than it says');
  }
  return value;
}
