/**
 * Pieces of JSON text. A value goes from the event's bytes to its JSON text at once, so that no number
 * passes through a double and no date through a Date.
 */

import { isUtf8 } from 'node:buffer';
import { RowcallError } from '../../errors.ts';
import { malformed } from '../byte-cursor.ts';

/** JSON text: a string, or its UTF-8 bytes where a string would be large. */
export type JsonText = string | Uint8Array;

/** From so many bytes on, text is kept as bytes: a string of it would cost up to twice as much again. */
export const LARGE_BYTES = 64 * 1024;

/** Base64 is written in steps of so many bytes (a multiple of 3, so that only the last one is padded). */
const BASE64_STEP = 48 * 1024;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** What each byte of an encoding becomes inside a JSON string. */
export interface ByteTable {
  /** How many bytes of UTF-8 stand for it. */
  readonly lengths: Uint8Array;
  /** Those bytes, at WIDEST times the byte. */
  readonly bytes: Uint8Array;
}

/** `\u0000`: no byte takes more. */
const WIDEST = 6;

/** ASCII as JSON.stringify escapes it. @param characterOf of a byte from 0x80 on; null where it stands for itself */
export function byteTable(characterOf: (byte: number) => string | null): ByteTable {
  const table = { lengths: new Uint8Array(256), bytes: new Uint8Array(256 * WIDEST) };
  for (let byte = 0; byte < 256; byte += 1) {
    const character = byte < 0x80 ? String.fromCharCode(byte) : characterOf(byte);
    const escaped =
      character === null
        ? Buffer.from([byte])
        : Buffer.from(JSON.stringify(character).slice(1, -1), 'utf8');
    table.lengths[byte] = escaped.length;
    table.bytes.set(escaped, byte * WIDEST);
  }
  return table;
}

/** UTF-8: bytes from 0x80 on stand for themselves. */
export const UTF8_TABLE = byteTable(() => null);

/** Whether every byte stands for itself in a JSON string and is ASCII. */
export function isPlainAscii(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x20 || byte > 0x7e || byte === QUOTE || byte === BACKSLASH) return false;
  }
  return true;
}

/**
 * A JSON string of bytes [from, to) in UTF-8.
 *
 * @throws RowcallError VALUE_INVALID: a replacement character would be a wrong value.
 */
export function quoteUtf8(bytes: Buffer, from: number, to: number): JsonText {
  if (to - from >= LARGE_BYTES) {
    requireUtf8(bytes.subarray(from, to));
    return quoteBytes(bytes.subarray(from, to), UTF8_TABLE);
  }
  if (isPlainAscii(bytes, from, to)) return `"${bytes.toString('latin1', from, to)}"`;
  requireUtf8(bytes.subarray(from, to));
  return JSON.stringify(bytes.toString('utf8', from, to));
}

function requireUtf8(bytes: Buffer): void {
  if (!isUtf8(bytes)) throw new RowcallError('VALUE_INVALID', 'The text is not valid UTF-8');
}

/** A JSON string as bytes, in one pass to measure and one to write: never more than one copy in memory. */
export function quoteBytes(bytes: Uint8Array, { lengths, bytes: escapes }: ByteTable): Uint8Array {
  // Counted loops: the iterator of a typed array costs several times as much here.
  const count = bytes.length;
  let total = 2;
  for (let i = 0; i < count; i += 1) total += lengths[bytes[i] ?? 0] ?? 0;
  const out = Buffer.allocUnsafe(total);
  out[0] = QUOTE;
  let at = 1;
  for (let i = 0; i < count; i += 1) {
    const byte = bytes[i] ?? 0;
    const length = lengths[byte] ?? 0;
    for (let j = 0; j < length; j += 1) out[at + j] = escapes[byte * WIDEST + j] ?? 0;
    at += length;
  }
  out[at] = QUOTE;
  return out;
}

/** A JSON string of base64. */
export function quoteBase64(bytes: Buffer, from: number, to: number): JsonText {
  if (to - from < LARGE_BYTES) return `"${bytes.toString('base64', from, to)}"`;
  const out = Buffer.allocUnsafe(2 + 4 * Math.ceil((to - from) / 3));
  out.writeUInt8(QUOTE, 0);
  let at = 1;
  for (let step = from; step < to; step += BASE64_STEP) {
    at += out.write(bytes.toString('base64', step, Math.min(step + BASE64_STEP, to)), at, 'latin1');
  }
  out.writeUInt8(QUOTE, at);
  return out;
}

/** The text as a string, for the few that must be one: parts of a key. */
export function textOf(json: JsonText): string {
  return typeof json === 'string' ? json : Buffer.from(json).toString('utf8');
}

/**
 * Joins pieces into one text. Small ones gather in a string, and whenever that has grown large it turns
 * into bytes; so a document of any size is never a string of its own size.
 */
export class JsonTextBuilder {
  #text = '';
  #bytes = 0;
  readonly #chunks: Uint8Array[] = [];
  readonly #maxBytes: number;

  /** @param maxBytes the most that the text may come to; more is a damaged document */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(piece: JsonText): void {
    if (typeof piece === 'string') {
      this.#text += piece;
      if (this.#text.length >= LARGE_BYTES) this.#flush();
    } else {
      this.#flush();
      this.#add(piece);
    }
  }

  finish(): JsonText {
    if (this.#chunks.length === 0) return this.#text;
    this.#flush();
    return Buffer.concat(this.#chunks, this.#bytes);
  }

  #flush(): void {
    if (this.#text === '') return;
    this.#add(Buffer.from(this.#text, 'utf8'));
    this.#text = '';
  }

  #add(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.byteLength;
    if (this.#bytes > this.#maxBytes) {
      throw malformed('The document is larger than its bytes allow');
    }
  }
}
