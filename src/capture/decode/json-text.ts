/**
 * Pieces of JSON text. A value goes from the event's bytes to its JSON text at once, so that no number
 * passes through a double and no date through a Date.
 */

import { isUtf8 } from 'node:buffer';
import { RowcallError } from '../../errors.ts';
import { malformed } from '../byte-cursor.ts';

/** JSON text: a string or, where a string would be large, what writes it. */
export type JsonText = string | LargeText;

/**
 * JSON text that is checked and measured but not made: it is written where it is wanted, so that there is never a
 * copy of it beside the record that it becomes a part of. It reads the event's bytes to do so and keeps them in memory.
 */
export interface LargeText {
  /** Of the text in UTF-8. */
  readonly byteLength: number;
  /** Writes the text from `at` on, where `byteLength` bytes must be free. Returns where it ends. */
  readonly writeTo: (target: Buffer, at: number) => number;
}

/** From so many bytes on, a value is written straight into its record: a string of it would cost up to twice as much again. */
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

/** A JSON string of any bytes, in one pass to measure and one to write. */
export function quoteBytes(bytes: Uint8Array, table: ByteTable): LargeText {
  const { lengths } = table;
  // Counted loops: the iterator of a typed array costs several times as much here.
  const count = bytes.length;
  let byteLength = 2;
  for (let i = 0; i < count; i += 1) byteLength += lengths[bytes[i] ?? 0] ?? 0;
  // A byte that becomes one byte stands for itself.
  const plain = byteLength === count + 2;
  return {
    byteLength,
    writeTo: (target, start) => {
      target[start] = QUOTE;
      if (plain) target.set(bytes, start + 1);
      else writeEscaped(bytes, table, target, start + 1);
      target[start + byteLength - 1] = QUOTE;
      return start + byteLength;
    },
  };
}

function writeEscaped(
  bytes: Uint8Array,
  { lengths, bytes: escapes }: ByteTable,
  target: Buffer,
  start: number,
): void {
  const count = bytes.length;
  let at = start;
  for (let i = 0; i < count; i += 1) {
    const byte = bytes[i] ?? 0;
    const length = lengths[byte] ?? 0;
    for (let j = 0; j < length; j += 1) target[at + j] = escapes[byte * WIDEST + j] ?? 0;
    at += length;
  }
}

/** A JSON string of base64. */
export function quoteBase64(bytes: Buffer, from: number, to: number): JsonText {
  if (to - from < LARGE_BYTES) return `"${bytes.toString('base64', from, to)}"`;
  return {
    byteLength: 2 + 4 * Math.ceil((to - from) / 3),
    writeTo: (target, start) => {
      let at = target.writeUInt8(QUOTE, start);
      for (let step = from; step < to; step += BASE64_STEP) {
        const text = bytes.toString('base64', step, Math.min(step + BASE64_STEP, to));
        at += target.write(text, at, 'latin1');
      }
      return target.writeUInt8(QUOTE, at);
    },
  };
}

/** The text as a string, for the few that must be one: parts of a key. */
export function textOf(json: JsonText): string {
  if (typeof json === 'string') return json;
  const bytes = Buffer.allocUnsafe(json.byteLength);
  json.writeTo(bytes, 0);
  return bytes.toString('utf8');
}

/** Takes a text piece by piece. */
export interface TextSink {
  readonly push: (piece: JsonText) => void;
}

/**
 * The text that `compose` pushes, as a string.
 *
 * @param maxBytes the most that the text may come to; more is a damaged document
 */
export function composeText(maxBytes: number, compose: (sink: TextSink) => void): string {
  let text = '';
  compose({
    push: (piece) => {
      text += textOf(piece);
      requireAtMost(text.length, maxBytes);
    },
  });
  return text;
}

/**
 * The text that `compose` pushes, without making it: it is called once to measure, and again whenever the text is
 * written. So whatever can be wrong with it is found here, before anybody counts on the text.
 *
 * @param maxBytes the most that the text may come to; more is a damaged document
 */
export function composeLarge(maxBytes: number, compose: (sink: TextSink) => void): LargeText {
  const run = (target: Buffer | null, start: number): number => {
    const writer = new TextWriter(target, start, start + maxBytes);
    compose(writer);
    return writer.end();
  };
  return { byteLength: run(null, 0), writeTo: run };
}

/** Writes pieces one behind the other or, without a target, only measures them. Small ones are gathered, since each write costs. */
class TextWriter implements TextSink {
  readonly #target: Buffer | null;
  readonly #limit: number;
  #at: number;
  #text = '';

  constructor(target: Buffer | null, start: number, limit: number) {
    this.#target = target;
    this.#at = start;
    this.#limit = limit;
  }

  push(piece: JsonText): void {
    if (typeof piece === 'string') {
      this.#text += piece;
      if (this.#text.length >= LARGE_BYTES) this.#flush();
      return;
    }
    this.#flush();
    this.#at =
      this.#target === null ? this.#at + piece.byteLength : piece.writeTo(this.#target, this.#at);
    requireAtMost(this.#at, this.#limit);
  }

  /** Where the text ends. */
  end(): number {
    this.#flush();
    return this.#at;
  }

  #flush(): void {
    this.#at +=
      this.#target === null
        ? Buffer.byteLength(this.#text, 'utf8')
        : this.#target.write(this.#text, this.#at, 'utf8');
    this.#text = '';
    requireAtMost(this.#at, this.#limit);
  }
}

function requireAtMost(bytes: number, maxBytes: number): void {
  if (bytes > maxBytes) throw malformed('The document is larger than its bytes allow');
}
