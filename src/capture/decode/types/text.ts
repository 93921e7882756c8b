/** CHAR, VARCHAR, TEXT, BINARY, VARBINARY and BLOB: text as a JSON string, binary as base64. */

import { QUOTERS } from '../charset.ts';
import type { Charset } from '../charset.ts';
import { quoteBase64 } from '../json-text.ts';
import { invalid, lengthPrefixed } from './value-reader.ts';
import type { ValueReader } from './value-reader.ts';

/** CHAR and VARCHAR, BINARY and VARBINARY. @param maxBytes decides how long the length in front is */
export function stringReader(maxBytes: number, charset: Charset): ValueReader {
  return lengthPrefixed(maxBytes > 255 ? 2 : 1, QUOTERS[charset]);
}

/** BINARY(n): the server cuts trailing zero bytes off for the binlog, but they are part of the value. */
export function binaryReader(maxBytes: number): ValueReader {
  return lengthPrefixed(maxBytes > 255 ? 2 : 1, (bytes, from, to) => {
    if (to - from > maxBytes) {
      throw invalid(`BINARY(${maxBytes}) with ${to - from} bytes`);
    }
    if (to - from === maxBytes) return quoteBase64(bytes, from, to);
    const whole = Buffer.alloc(maxBytes);
    bytes.copy(whole, 0, from, to);
    return quoteBase64(whole, 0, maxBytes);
  });
}

export function blobReader(lengthBytes: number, charset: Charset): ValueReader {
  return lengthPrefixed(lengthBytes, QUOTERS[charset]);
}
