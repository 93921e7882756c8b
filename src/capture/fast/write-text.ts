/** Text, base64 and texts of the plain readers as JSON into a buffer. */

import { isUtf8 } from 'node:buffer';
import { ByteCursor } from '../byte-cursor.ts';
import type { JsonText } from '../decode/json-text.ts';
import type { ValueReader } from '../decode/types/value-reader.ts';
import type { ImageState } from './image-state.ts';
import { NEEDS_PLAIN, NEEDS_ROOM } from './image-state.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `\u0000`: no byte takes more. */
const WIDEST = 6;
/** A UTF-16 unit is never more than three bytes of UTF-8. */
const UTF8_PER_UNIT = 3;

/** Four bytes at a time. */
const HIGH_BITS = 0x80808080 | 0;
const SPACES = 0x20202020;
const QUOTES = 0x22222222;
const BACKSLASHES = 0x5c5c5c5c;
const ONES = 0x01010101;

/** The text of a value is written by these as far as it is plain; the answer is then negative: -NEEDS_PLAIN, -NEEDS_ROOM. */
export type TextResult = number;

/**
 * A JSON string of the body's bytes [from, to) where all of them are ASCII that stands for itself; else -1. A byte is
 * special where the sum below has its highest bit: over 0x7f, under a space, a quote, a backslash. Borrows
 * come from such bytes alone.
 */
export function asciiText(state: ImageState, from: number, to: number, start: number): TextResult {
  const { view, body, out, outView } = state;
  out[start] = QUOTE;
  let at = start + 1;
  let p = from;
  for (const last = to - 4; p <= last; p += 4, at += 4) {
    const four = view.getInt32(p, true);
    const special =
      four | (four - SPACES) | ((four ^ QUOTES) - ONES) | ((four ^ BACKSLASHES) - ONES);
    if ((special & HIGH_BITS) !== 0) return -1;
    outView.setInt32(at, four, true);
  }
  for (; p < to; p += 1, at += 1) {
    const byte = body[p] ?? 0;
    if (byte < 0x20 || byte > 0x7e || byte === QUOTE || byte === BACKSLASH) return -1;
    out[at] = byte;
  }
  out[at] = QUOTE;
  return at + 1;
}

/** A JSON string of the body's bytes [from, to) in UTF-8, whatever they are. */
export function utf8Text(state: ImageState, from: number, to: number, start: number): TextResult {
  const { body, out } = state;
  if (!isUtf8(body.subarray(from, to))) return -NEEDS_PLAIN;
  if (start + 2 + WIDEST * (to - from) > state.limit) return -NEEDS_ROOM;
  out[start] = QUOTE;
  let at = start + 1;
  for (let p = from; p < to; p += 1) {
    const byte = body[p] ?? 0;
    if (byte < 0x20 || byte === QUOTE || byte === BACKSLASH) {
      at = writeEscape(out, at, byte);
    } else {
      out[at] = byte;
      at += 1;
    }
  }
  out[at] = QUOTE;
  return at + 1;
}

/** What JSON.stringify makes of the characters that it escapes. */
const ESCAPES: readonly Uint8Array[] = Array.from({ length: BACKSLASH + 1 }, (_, byte) =>
  Buffer.from(JSON.stringify(String.fromCharCode(byte)).slice(1, -1)),
);

function writeEscape(out: Buffer, start: number, byte: number): number {
  const escape = ESCAPES[byte];
  return escape === undefined ? start : copyShort(out, start, escape);
}

/** For a few bytes a loop costs less than a call into the runtime. */
export function copyShort(out: Buffer, at: number, bytes: Uint8Array): number {
  const count = bytes.length;
  for (let i = 0; i < count; i += 1) out[at + i] = bytes[i] ?? 0;
  return at + count;
}

/** A text that was made elsewhere. */
export function madeText(state: ImageState, text: JsonText, at: number): TextResult {
  const { out, limit } = state;
  if (typeof text !== 'string') {
    return at + text.byteLength > limit ? -NEEDS_ROOM : text.writeTo(out, at);
  }
  if (at + UTF8_PER_UNIT * text.length > limit) return -NEEDS_ROOM;
  return at + out.write(text, at, 'utf8');
}

const DIGITS = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const PAD = 0x3d;

/** From and to of a value, and the length that it is filled up to with zero bytes. */
export interface PaddedBytes {
  readonly from: number;
  readonly to: number;
  readonly length: number;
}

/** A JSON string of base64; there must be room. */
export function base64Text(state: ImageState, value: PaddedBytes, start: number): TextResult {
  const { body, out } = state;
  const { from, to, length } = value;
  const whole = Math.min(from + length, to) - 2;
  out[start] = QUOTE;
  let at = start + 1;
  let p = from;
  for (; p < whole; p += 3, at += 4) {
    const three = ((body[p] ?? 0) << 16) | ((body[p + 1] ?? 0) << 8) | (body[p + 2] ?? 0);
    writeFour(out, at, three);
  }
  for (const end = from + length; p < end; p += 3, at += 4) {
    const [a, b, c] = [p, p + 1, p + 2].map((i) => (i < to ? (body[i] ?? 0) : 0));
    writeFour(out, at, ((a ?? 0) << 16) | ((b ?? 0) << 8) | (c ?? 0));
  }
  const over = length % 3;
  if (over > 0) out[at - 1] = PAD;
  if (over === 1) out[at - 2] = PAD;
  out[at] = QUOTE;
  return at + 1;
}

/** The digits of three bytes. */
function writeFour(out: Buffer, at: number, three: number): void {
  out[at] = DIGITS[three >> 18] ?? 0;
  out[at + 1] = DIGITS[(three >> 12) & 63] ?? 0;
  out[at + 2] = DIGITS[(three >> 6) & 63] ?? 0;
  out[at + 3] = DIGITS[three & 63] ?? 0;
}

/** Bytes of base64 with its quotes. */
export function base64Bytes(length: number): number {
  return 2 + 4 * Math.ceil(length / 3);
}

/** Texts of one column kept; more values than these are read anew. */
const MAX_LABELS = 4096;

/**
 * The texts of ENUM and SET, as the plain reader makes them, kept as bytes: the same bytes are always the same
 * text. Invariant: only what that reader gave is in it, so that a value it refuses is refused every time.
 */
export class LabelTexts {
  readonly #reader: ValueReader;
  readonly #bytes: number;
  readonly #texts = new Map<number, Uint8Array>();

  constructor(reader: ValueReader, bytes: number) {
    this.#reader = reader;
    this.#bytes = bytes;
  }

  /** @throws RowcallError VALUE_INVALID */
  write(state: ImageState, from: number, at: number): TextResult {
    const text = this.#text(state.body, from);
    return at + text.length > state.limit ? -NEEDS_ROOM : copyShort(state.out, at, text);
  }

  #text(body: Buffer, from: number): Uint8Array {
    // A SET of over 48 members has no number that is safe as a key.
    if (this.#bytes > 6) return this.#read(body, from);
    let key = 0;
    for (let i = from + this.#bytes - 1; i >= from; i -= 1) key = key * 256 + (body[i] ?? 0);
    let text = this.#texts.get(key);
    if (text === undefined) {
      text = this.#read(body, from);
      if (this.#texts.size < MAX_LABELS) this.#texts.set(key, text);
    }
    return text;
  }

  #read(body: Buffer, from: number): Uint8Array {
    const text = this.#reader.read(new ByteCursor(body, from));
    if (typeof text === 'string') return Buffer.from(text, 'utf8');
    const bytes = Buffer.alloc(text.byteLength);
    text.writeTo(bytes, 0);
    return bytes;
  }
}
