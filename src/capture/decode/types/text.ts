/** CHAR, VARCHAR, TEXT, BINARY, VARBINARY and BLOB: text as a JSON string, binary as base64. */

import { QUOTERS } from '../charset.ts';
import type { Charset } from '../charset.ts';
import { quoteBase64 } from '../json-text.ts';
import type { JsonText } from '../json-text.ts';
import { invalid, lengthPrefixed } from './value-reader.ts';
import type { ValueForm, ValueReader } from './value-reader.ts';

/** CHAR and VARCHAR, BINARY and VARBINARY. @param maxBytes decides how long the length in front is */
export function stringReader(maxBytes: number, charset: Charset): ValueReader {
  return charsetReader(maxBytes > 255 ? 2 : 1, charset);
}

/** BINARY(n): the server cuts trailing zero bytes off for the binlog, but they are part of the value. */
export function binaryReader(maxBytes: number): ValueReader {
  const lengthBytes = maxBytes > 255 ? 2 : 1;
  const render = (bytes: Buffer, from: number, to: number): JsonText => {
    if (to - from > maxBytes) {
      throw invalid(`BINARY(${maxBytes}) with ${to - from} bytes`);
    }
    if (to - from === maxBytes) return quoteBase64(bytes, from, to);
    const whole = Buffer.alloc(maxBytes);
    bytes.copy(whole, 0, from, to);
    return quoteBase64(whole, 0, maxBytes);
  };
  return lengthPrefixed(lengthBytes, render, { kind: 'base64', lengthBytes, padTo: maxBytes });
}

export function blobReader(lengthBytes: number, charset: Charset): ValueReader {
  return charsetReader(lengthBytes, charset);
}

function charsetReader(lengthBytes: number, charset: Charset): ValueReader {
  return lengthPrefixed(lengthBytes, QUOTERS[charset], formOf(lengthBytes, charset));
}

/** Of the character sets in which ASCII stands for itself, the common ones alone: the others' readers are asked. */
function formOf(lengthBytes: number, charset: Charset): ValueForm | undefined {
  if (charset === 'binary') return { kind: 'base64', lengthBytes, padTo: 0 };
  const utf8 = charset === 'utf8mb4' || charset === 'utf8mb3';
  if (!utf8 && charset !== 'latin1' && charset !== 'ascii') return undefined;
  return { kind: 'text', lengthBytes, utf8, quote: QUOTERS[charset] };
}
