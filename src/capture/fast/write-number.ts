/**
 * Numbers as JSON text, digit by digit into a buffer. Each writer returns the place behind, or UNUSUAL for a value
 * whose text is the plain decoder's business. There must be room: 24 bytes, a DECIMAL's digits and six more.
 */

import { doubleText, floatText } from '../decode/types/float.ts';
import type { ImageState } from './image-state.ts';

/** Instead of a place: ask the plain decoder. */
export const UNUSUAL = -1;

const ZERO = 0x30;
const MINUS = 0x2d;
const POINT = 0x2e;
const QUOTE = 0x22;
const TWO_16 = 0x1_0000;
const TWO_32 = 0x1_0000_0000;
const E8 = 100_000_000;
const E9 = 1_000_000_000;
/** |high word| below this keeps the whole number below 2^53. */
const SAFE_HIGH = 0x20_0000;

/** Exactly `count` digits of a whole number below 10^count and 2^31. */
export function padded(out: Buffer, at: number, value: number, count: number): number {
  let rest = value;
  for (let i = at + count - 1; i >= at; i -= 1) {
    const next = (rest / 10) | 0;
    out[i] = ZERO + rest - next * 10;
    rest = next;
  }
  return at + count;
}

function digitsOf(value: number): number {
  if (value < 10_000) {
    if (value < 100) return value < 10 ? 1 : 2;
    return value < 1_000 ? 3 : 4;
  }
  if (value < 1_000_000) return value < 100_000 ? 5 : 6;
  if (value < E8) return value < 10_000_000 ? 7 : 8;
  return value < E9 ? 9 : 10;
}

/** A whole number from 0 to 2^53. */
export function unsigned(out: Buffer, at: number, value: number): number {
  if (value < 0x8000_0000) return padded(out, at, value, digitsOf(value));
  const high = Math.floor(value / E8);
  return padded(out, unsigned(out, at, high), value - high * E8, 8);
}

/** A whole number of less than 2^53. */
export function signed(out: Buffer, at: number, value: number): number {
  if (value >= 0) return unsigned(out, at, value);
  out[at] = MINUS;
  return unsigned(out, at + 1, -value);
}

/** `high * 2^32 + low`, both unsigned. Over 2^53 the last nine digits are split off in steps that a double holds. */
export function unsigned64(out: Buffer, at: number, high: number, low: number): number {
  if (high < SAFE_HIGH) return unsigned(out, at, high * TWO_32 + low);
  const q0 = Math.floor(high / E9);
  const part1 = (high - q0 * E9) * TWO_16 + (low >>> 16);
  const q1 = Math.floor(part1 / E9);
  const part2 = (part1 - q1 * E9) * TWO_16 + (low & 0xffff);
  const q2 = Math.floor(part2 / E9);
  const head = unsigned(out, at, q0 * TWO_32 + q1 * TWO_16 + q2);
  return padded(out, head, part2 - q2 * E9, 9);
}

/** `high * 2^32 + low`, of which only `low` is unsigned. */
export function signed64(out: Buffer, at: number, high: number, low: number): number {
  if (high >= 0) return unsigned64(out, at, high, low);
  out[at] = MINUS;
  return low === 0
    ? unsigned64(out, at + 1, -high, 0)
    : unsigned64(out, at + 1, -high - 1, TWO_32 - low);
}

/** Big-endian, up to 6 bytes. */
export function bigEndian(bytes: Buffer, from: number, count: number): number {
  let value = 0;
  for (let i = from; i < from + count; i += 1) value = value * 256 + (bytes[i] ?? 0);
  return value;
}

/** A big-endian number of 1 to 8 bytes, unsigned. */
export function bit({ body, out }: ImageState, from: number, at: number, count: number): number {
  if (count <= 4) return unsigned(out, at, bigEndian(body, from, count));
  const low = bigEndian(body, from + count - 4, 4);
  return unsigned64(out, at, bigEndian(body, from, count - 4), low);
}

/** `value` is exactly `whole / scale`, and has so few digits that no shorter decimal names it. Zeros at the end go. */
function fewDigits(out: Buffer, start: number, whole: number, places: number): number {
  let rest = Math.abs(whole);
  let count = places;
  while (count > 0 && rest % 10 === 0) {
    rest /= 10;
    count -= 1;
  }
  let at = start;
  if (whole < 0) {
    out[at] = MINUS;
    at += 1;
  }
  if (count === 0) return unsigned(out, at, rest);
  const unit = 10 ** count;
  const front = Math.floor(rest / unit);
  at = unsigned(out, at, front);
  out[at] = POINT;
  return padded(out, at + 1, rest - front * unit, count);
}

function ascii(out: Buffer, at: number, text: string): number {
  for (let i = 0; i < text.length; i += 1) out[at + i] = text.charCodeAt(i);
  return at + text.length;
}

/** Any decimal of 15 digits survives a double (C's DBL_DIG), so one that reads back as `value` is the shortest. */
export function double(out: Buffer, at: number, value: number): number {
  const scaled = Math.round(value * 10_000);
  if (scaled !== 0 && Math.abs(scaled) < 1e15 && scaled / 10_000 === value) {
    return fewDigits(out, at, scaled, 4);
  }
  return Number.isFinite(value) ? ascii(out, at, doubleText(value)) : UNUSUAL;
}

/** As `double`, with the six digits that survive a float (FLT_DIG). */
export function float(out: Buffer, at: number, value: number): number {
  const scaled = Math.round(value * 100);
  if (scaled !== 0 && Math.abs(scaled) < 1e6 && Math.fround(scaled / 100) === value) {
    return fewDigits(out, at, scaled, 2);
  }
  return Number.isFinite(value) ? ascii(out, at, floatText(value)) : UNUSUAL;
}

/** One group of a DECIMAL's digits. */
export interface DigitGroup {
  readonly whole: boolean;
  readonly digits: number;
  readonly bytes: number;
  /** The number of that many bytes with all bits set. */
  readonly ones: number;
  /** The sign's bit, which stands in the first group alone. */
  readonly sign: number;
  /** What no value of so many digits reaches. */
  readonly limit: number;
}

const BYTES_OF_DIGITS = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;

/** As `decimal2bin` in mysql's strings/decimal.cc lays them out: incomplete ones stand away from the point. */
export function digitGroups(precision: number, scale: number): readonly DigitGroup[] {
  const before = precision - scale;
  const nines = (count: number): number[] => new Array<number>(Math.floor(count / 9)).fill(9);
  const wholes = [before % 9, ...nines(before)].filter((digits) => digits > 0);
  const fractions = [...nines(scale), scale % 9].filter((digits) => digits > 0);
  return [...wholes, ...fractions].map((digits, index) => {
    const bytes = BYTES_OF_DIGITS[digits] ?? 4;
    return {
      whole: index < wholes.length,
      digits,
      bytes,
      ones: 256 ** bytes - 1,
      sign: index === 0 ? 256 ** bytes / 2 : 0,
      limit: 10 ** digits,
    };
  });
}

/** In quotes. The top bit is set for numbers from 0 on; in negative ones all bits are inverted. */
export function decimal(
  { body, out }: ImageState,
  from: number,
  start: number,
  groups: readonly DigitGroup[],
): number {
  const negative = (body[from] ?? 0) < 0x80;
  out[start] = QUOTE;
  if (negative) out[start + 1] = MINUS;
  const digitsFrom = negative ? start + 2 : start + 1;
  let at = digitsFrom;
  let next = from;
  let inWhole = true;
  for (const { whole, digits, bytes, ones, sign, limit } of groups) {
    const stored = bigEndian(body, next, bytes);
    const value = (negative ? ones - stored : stored) - sign;
    if (value >= limit) return UNUSUAL;
    next += bytes;
    if (inWhole && !whole) {
      inWhole = false;
      at = point(out, at, digitsFrom);
    }
    // Zeros in front of the number do not print.
    if (at > digitsFrom) at = padded(out, at, value, digits);
    else if (value !== 0) at = unsigned(out, at, value);
  }
  if (inWhole) at = orZero(out, at, digitsFrom);
  out[at] = QUOTE;
  return at + 1;
}

/** A number without digits before the point is printed with a zero there. */
function orZero(out: Buffer, at: number, digitsFrom: number): number {
  if (at > digitsFrom) return at;
  out[at] = ZERO;
  return at + 1;
}

function point(out: Buffer, at: number, digitsFrom: number): number {
  const next = orZero(out, at, digitsFrom);
  out[next] = POINT;
  return next + 1;
}
