/**
 * JSON columns: from MySQL's binary form straight to JSON text, keys in stored order, numbers as SELECT
 * prints them. Compact: without the blanks that SELECT puts behind commas and colons. Layout: the comment
 * at the head of mysql's sql-common/json_binary.h.
 */

import { ByteCursor, malformed } from '../../byte-cursor.ts';
import { TYPE } from '../column.ts';
import { composeLarge, composeText, LARGE_BYTES, quoteUtf8 } from '../json-text.ts';
import type { JsonText, TextSink } from '../json-text.ts';
import { DecimalFormat } from './decimal.ts';
import { doubleText } from './float.ts';
import { datetimeText, fractionText, hmsText } from './temporal.ts';
import { lengthPrefixed } from './value-reader.ts';
import type { ValueReader } from './value-reader.ts';

const KIND = {
  LITERAL: 0x04,
  INT16: 0x05,
  UINT16: 0x06,
  INT32: 0x07,
  UINT32: 0x08,
  INT64: 0x09,
  UINT64: 0x0a,
  DOUBLE: 0x0b,
  STRING: 0x0c,
  OPAQUE: 0x0f,
} as const;

export interface Container {
  /** Counts, sizes and offsets have 4 bytes instead of 2. */
  readonly wide: boolean;
  /** An object, with keys; else an array. */
  readonly keyed: boolean;
}

/** Kinds 0 to 3: small and large object, small and large array. */
export const CONTAINERS: readonly Container[] = [
  { wide: false, keyed: true },
  { wide: true, keyed: true },
  { wide: false, keyed: false },
  { wide: true, keyed: false },
];

const LITERALS: ReadonlyMap<number, string> = new Map([
  [0, 'null'],
  [1, 'true'],
  [2, 'false'],
]);

/** The server's own limit is 100. */
const MAX_DEPTH = 101;
/** A byte of a document becomes at most six of text (`\u0000`); numbers and punctuation stay far below. */
const MAX_TEXT_PER_BYTE = 32;

export function jsonReader(lengthBytes: number): ValueReader {
  return lengthPrefixed(lengthBytes, (bytes, from, to) => {
    // INSERT IGNORE can leave an empty document, which the server reads as JSON null.
    if (from === to) return 'null';
    const document = bytes.subarray(from, to);
    return composed(document.length, (sink) => {
      new Document(document, sink).write();
    });
  });
}

/** A text that is made of so many stored bytes. */
export function composed(bytes: number, compose: (sink: TextSink) => void): JsonText {
  const maxBytes = LARGE_BYTES + bytes * MAX_TEXT_PER_BYTE;
  return bytes < LARGE_BYTES ? composeText(maxBytes, compose) : composeLarge(maxBytes, compose);
}

/** Writes one value of a document: of this kind, its own bytes at `at`, `depth` containers down. */
export function writeJsonValue(
  document: Buffer,
  value: { readonly kind: number; readonly at: number; readonly depth: number },
  sink: TextSink,
): void {
  new Document(document, sink).writeValue(value);
}

/**
 * One document. Every offset is read from the document itself, so each is checked against its bytes. The
 * number of values is bounded by the bytes too: entries that share a value would otherwise make a small
 * damaged document a text without end.
 */
class Document {
  readonly #bytes: Buffer;
  readonly #out: TextSink;
  #valuesLeft: number;

  constructor(bytes: Buffer, out: TextSink) {
    this.#bytes = bytes;
    this.#out = out;
    this.#valuesLeft = bytes.length;
  }

  write(): void {
    this.#value(new ByteCursor(this.#bytes).u8(), 1, 0);
  }

  writeValue({ kind, at, depth }: { kind: number; at: number; depth: number }): void {
    this.#value(kind, at, depth);
  }

  /** Writes the value of this kind whose own bytes begin at `at`. */
  #value(kind: number, at: number, depth: number): void {
    this.#valuesLeft -= 1;
    if (this.#valuesLeft < 0) throw malformed('The JSON document refers to a value more than once');
    if (depth > MAX_DEPTH) throw malformed('The JSON document is nested too deeply');
    const container = CONTAINERS[kind];
    if (container === undefined) this.#out.push(this.#scalar(kind, this.#from(at)));
    else this.#container(container, at, depth);
  }

  #from(at: number): ByteCursor {
    if (at > this.#bytes.length) {
      throw malformed('An offset in the JSON document is beyond its end');
    }
    return new ByteCursor(this.#bytes, at);
  }

  /**
   * Element count, size in bytes, then for objects an entry per key (offset, length), then an entry per value
   * (kind, then the value itself where it fits or its offset). Offsets count from the container's start.
   */
  #container({ wide, keyed }: Container, at: number, depth: number): void {
    const entries = this.#from(at);
    const count = entries.length(wide ? 4 : 2);
    const size = entries.length(wide ? 4 : 2);
    if (size > this.#bytes.length - at) {
      throw malformed('A JSON container is larger than the document');
    }
    const keys = this.#from(entries.at);
    if (keyed) entries.claim(count * (wide ? 6 : 4));
    this.#out.push(keyed ? '{' : '[');
    for (let i = 0; i < count; i += 1) {
      if (i > 0) this.#out.push(',');
      if (keyed) this.#key(keys, at, wide);
      this.#entry(entries, { at, wide, depth });
    }
    this.#out.push(keyed ? '}' : ']');
  }

  #key(keys: ByteCursor, start: number, wide: boolean): void {
    const offset = wide ? keys.u32() : keys.u16();
    const length = keys.u16();
    const key = this.#from(start + offset);
    const from = key.claim(length);
    this.#out.push(quoteUtf8(this.#bytes, from, from + length));
    this.#out.push(':');
  }

  #entry(
    entries: ByteCursor,
    parent: { readonly at: number; readonly wide: boolean; readonly depth: number },
  ): void {
    const kind = entries.u8();
    const width = parent.wide ? 4 : 2;
    const field = entries.claim(width);
    if (isInlined(kind, parent.wide)) {
      this.#value(kind, field, parent.depth + 1);
      return;
    }
    const offset = new ByteCursor(this.#bytes, field, field + width).length(width);
    this.#value(kind, parent.at + offset, parent.depth + 1);
  }

  #scalar(kind: number, reader: ByteCursor): JsonText {
    const read = SCALARS.get(kind);
    if (read === undefined) throw malformed(`The JSON document holds the unknown kind ${kind}`);
    return read(reader);
  }
}

/** Whether a value of this kind stands in its entry itself, rather than at an offset. */
export function isInlined(kind: number, wide: boolean): boolean {
  if (kind === KIND.LITERAL || kind === KIND.INT16 || kind === KIND.UINT16) return true;
  return wide && (kind === KIND.INT32 || kind === KIND.UINT32);
}

const SCALARS: ReadonlyMap<number, (reader: ByteCursor) => JsonText> = new Map([
  [KIND.LITERAL, literal],
  [KIND.INT16, (reader: ByteCursor) => `${reader.view.getInt16(reader.claim(2), true)}`],
  [KIND.UINT16, (reader: ByteCursor) => `${reader.u16()}`],
  [KIND.INT32, (reader: ByteCursor) => `${reader.view.getInt32(reader.claim(4), true)}`],
  [KIND.UINT32, (reader: ByteCursor) => `${reader.u32()}`],
  [KIND.INT64, (reader: ByteCursor) => `${reader.view.getBigInt64(reader.claim(8), true)}`],
  [KIND.UINT64, (reader: ByteCursor) => `${reader.view.getBigUint64(reader.claim(8), true)}`],
  [
    KIND.DOUBLE,
    (reader: ByteCursor) => jsonDoubleText(reader.view.getFloat64(reader.claim(8), true)),
  ],
  [KIND.STRING, string],
  [KIND.OPAQUE, opaque],
]);

function literal(reader: ByteCursor): string {
  const code = reader.u8();
  const text = LITERALS.get(code);
  if (text === undefined) throw malformed(`The JSON document holds the unknown literal ${code}`);
  return text;
}

/** Seven bits a byte, the lowest first; the top bit says that another byte follows. */
function variableLength(reader: ByteCursor): number {
  let length = 0;
  for (let factor = 1; factor <= 128 ** 4; factor *= 128) {
    const byte = reader.u8();
    length += (byte & 0x7f) * factor;
    if (byte < 0x80) return length;
  }
  throw malformed('A length in the JSON document does not end');
}

function string(reader: ByteCursor): JsonText {
  const length = variableLength(reader);
  const from = reader.claim(length);
  return quoteUtf8(reader.bytes, from, from + length);
}

/** From so many digits before the point on, and so many zeros behind it, the server writes an exponent. */
const MAX_WHOLE_DIGITS = 15;
const MAX_LEADING_ZEROS = 14;

/**
 * A DOUBLE as the server prints it inside JSON: never so that it reads as an integer, and with an exponent
 * where it would be long. Source: `my_gcvt` in mysql's strings/dtoa.cc.
 */
export function jsonDoubleText(value: number): string {
  const sign = doubleText(value).startsWith('-') ? '-' : '';
  if (value === 0) return `${sign}0.0`;
  const [mantissa = '', exponent = ''] = Math.abs(value).toExponential().split('e');
  const digits = mantissa.replace('.', '');
  /** Where the point stands: before the digits at 0, behind the first at 1. */
  const point = Number(exponent) + 1;
  const isLong = point < -MAX_LEADING_ZEROS || (point > MAX_WHOLE_DIGITS && digits.length <= point);
  if (isLong) return `${sign}${mantissa}e${point - 1}`;
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  const whole = digits.slice(0, point).padEnd(point, '0');
  return `${sign}${whole}.${digits.length > point ? digits.slice(point) : '0'}`;
}

/** A value of an SQL type that JSON has not: its type code, length and bytes. */
function opaque(reader: ByteCursor): JsonText {
  const type = reader.u8();
  const value = reader.inner(variableLength(reader));
  const read = OPAQUES.get(type);
  if (read === undefined) return opaqueBase64(type, value.slice(value.end));
  const text = read(value);
  value.expectEnd('a value in a JSON document');
  return text;
}

const OPAQUES: ReadonlyMap<number, (value: ByteCursor) => string> = new Map([
  [TYPE.DECIMAL, opaqueDecimal],
  [TYPE.DATE, (value: ByteCursor) => `"${opaqueDatetime(value).date}"`],
  [TYPE.OLD_DATETIME, opaqueDatetimeText],
  [TYPE.OLD_TIMESTAMP, opaqueDatetimeText],
  [TYPE.OLD_TIME, opaqueTimeText],
]);

/** Precision, scale, then the stored bytes; an unquoted number, as SELECT prints it. */
function opaqueDecimal(value: ByteCursor): string {
  const precision = value.u8();
  const scale = value.u8();
  if (precision === 0 || scale > precision || precision > 81) {
    throw malformed('A DECIMAL in a JSON document has no valid precision');
  }
  return new DecimalFormat(precision, scale).read(value);
}

const MICROS_BITS = 24n;
const MICROS_MASK = 0xff_ffffn;

/** Temporal values are one little-endian number: the packed form with 24 bits of microseconds. */
function opaquePacked(value: ByteCursor): { negative: boolean; packed: number; micros: number } {
  const signed = value.view.getBigInt64(value.claim(8), true);
  const negative = signed < 0n;
  const size = negative ? -signed : signed;
  return { negative, packed: Number(size >> MICROS_BITS), micros: Number(size & MICROS_MASK) };
}

function opaqueDatetime(value: ByteCursor): { date: string; clock: string } {
  const { packed, micros } = opaquePacked(value);
  const [date = '', clock = ''] = datetimeText(packed).split(' ');
  return { date, clock: clock + fractionText(micros, 6) };
}

function opaqueDatetimeText(value: ByteCursor): string {
  const { date, clock } = opaqueDatetime(value);
  return `"${date} ${clock}"`;
}

function opaqueTimeText(value: ByteCursor): string {
  const { negative, packed, micros } = opaquePacked(value);
  return `"${negative ? '-' : ''}${hmsText(packed)}${fractionText(micros, 6)}"`;
}

/** Lines of 76 characters of base64, as the server writes them. */
const BASE64_LINE_BYTES = 57;
const BASE64_STEP = BASE64_LINE_BYTES * 512;

/** The server's text for all the rest: the type code and base64, its line breaks included. */
function opaqueBase64(type: number, bytes: Buffer): JsonText {
  return composed(bytes.length, (out) => {
    out.push(`"base64:type${type}:`);
    for (let from = 0; from < bytes.length; from += BASE64_STEP) {
      const text = bytes.toString('base64', from, Math.min(from + BASE64_STEP, bytes.length));
      out.push((from === 0 ? '' : '\\n') + text.replace(/.{76}(?=.)/g, '$&\\n'));
    }
    out.push('"');
  });
}
