/**
 * DATE, DATETIME, TIMESTAMP and TIME as JSON text into a buffer. Each writer returns the place behind, or UNUSUAL for a
 * value whose text is the plain decoder's business (decode/types/temporal.ts). There must be room: 32 bytes.
 */

import { civilDate } from '../decode/types/temporal.ts';
import type { ImageState } from './image-state.ts';
import { bigEndian, padded, UNUSUAL } from './write-number.ts';

const ZERO = 0x30;
const QUOTE = 0x22;
const DASH = 0x2d;
const COLON = 0x3a;
const SPACE = 0x20;
const POINT = 0x2e;
const LETTER_T = 0x54;
const LETTER_Z = 0x5a;
const SECONDS_PER_DAY = 86_400;
const MICROS_PER_UNIT = [0, 10_000, 100, 1] as const;
/** The sign bit of a DATETIME's 5 bytes, which every one has set. */
const DATETIME_SIGN = 0x80_0000_0000;

/** Two digits of a number below 100. */
function pair(out: Buffer, at: number, value: number): number {
  const tens = (value * 103) >> 10;
  out[at] = ZERO + tens;
  out[at + 1] = ZERO + value - tens * 10;
  return at + 2;
}

/** @param monthDay month * 32 + day, as it is stored */
function ymd(out: Buffer, at: number, year: number, monthDay: number): number {
  const century = (year / 100) | 0;
  let next = pair(out, at, century);
  next = pair(out, next, year - century * 100);
  out[next] = DASH;
  next = pair(out, next + 1, monthDay >> 5);
  out[next] = DASH;
  return pair(out, next + 1, monthDay & 31);
}

function hms(out: Buffer, at: number, packed: number): number {
  let next = pair(out, at, (packed >> 12) & 31);
  out[next] = COLON;
  next = pair(out, next + 1, (packed >> 6) & 63);
  out[next] = COLON;
  return pair(out, next + 1, packed & 63);
}

/** The point and `digits` digits of a number of microseconds. */
function fraction(out: Buffer, at: number, micros: number, digits: number): number {
  if (digits === 0) return at;
  out[at] = POINT;
  const dropped = 10 ** (6 - digits);
  return padded(out, at + 1, Math.floor(micros / dropped), digits);
}

function microsOf(stored: number, bytes: number): number {
  return stored * (MICROS_PER_UNIT[bytes] ?? 0);
}

/** Three bytes, little-endian: day 5 bits, month 4, year 15. */
export function date({ body, out }: ImageState, from: number, at: number): number {
  const packed = (body[from] ?? 0) | ((body[from + 1] ?? 0) << 8) | ((body[from + 2] ?? 0) << 16);
  const year = packed >> 9;
  if (year > 9999) return UNUSUAL;
  out[at] = QUOTE;
  const next = ymd(out, at + 1, year, packed & 511);
  out[next] = QUOTE;
  return next + 1;
}

/** 17 bits of year * 13 + month, then day 5 bits, hour 5, minute 6, second 6; then the fraction. */
export function datetime(
  { body, out }: ImageState,
  from: number,
  at: number,
  digits: number,
): number {
  const bytes = (digits + 1) >> 1;
  const packed = bigEndian(body, from, 5) - DATETIME_SIGN;
  const micros = microsOf(bigEndian(body, from + 5, bytes), bytes);
  if (packed < 0 || micros > 999_999) return UNUSUAL;
  const days = Math.floor(packed / 0x2_0000);
  const months = days >> 5;
  const year = (months / 13) | 0;
  if (year > 9999) return UNUSUAL;
  out[at] = QUOTE;
  let next = ymd(out, at + 1, year, ((months - year * 13) << 5) | (days & 31));
  out[next] = SPACE;
  next = fraction(out, hms(out, next + 1, packed & 0x1_ffff), micros, digits);
  out[next] = QUOTE;
  return next + 1;
}

/** The civil date of one day: rows that follow one another are mostly of the same. */
export class DayMemory {
  year = 0;
  /** month * 32 + day */
  monthDay = 0;
  #number = -1;

  turnTo(dayNumber: number): void {
    if (dayNumber === this.#number) return;
    const { year, month, day } = civilDate(dayNumber);
    this.year = year;
    this.monthDay = month * 32 + day;
    this.#number = dayNumber;
  }
}

export interface TimestampForm {
  /** Of the fraction. */
  readonly digits: number;
  readonly days: DayMemory;
}

/** No time, so it has no other form than the one SELECT prints. */
function zeroTimestamp(out: Buffer, at: number, digits: number): number {
  out[at] = QUOTE;
  let next = ymd(out, at + 1, 0, 0);
  out[next] = SPACE;
  next = fraction(out, hms(out, next + 1, 0), 0, digits);
  out[next] = QUOTE;
  return next + 1;
}

/** Seconds since the epoch, big-endian, then the fraction: RFC 3339. Zero has a text of its own. */
export function timestamp(
  { body, out }: ImageState,
  from: number,
  at: number,
  { digits, days }: TimestampForm,
): number {
  const bytes = (digits + 1) >> 1;
  const seconds = bigEndian(body, from, 4);
  const micros = microsOf(bigEndian(body, from + 4, bytes), bytes);
  if (micros > 999_999) return UNUSUAL;
  if (seconds === 0) return micros === 0 ? zeroTimestamp(out, at, digits) : UNUSUAL;
  const day = Math.floor(seconds / SECONDS_PER_DAY);
  const left = seconds - day * SECONDS_PER_DAY;
  const minutes = (left / 60) | 0;
  const hours = (minutes / 60) | 0;
  out[at] = QUOTE;
  days.turnTo(day);
  let next = ymd(out, at + 1, days.year, days.monthDay);
  out[next] = LETTER_T;
  const packed = (hours << 12) | ((minutes - hours * 60) << 6) | (left - minutes * 60);
  next = fraction(out, hms(out, next + 1, packed), micros, digits);
  out[next] = LETTER_Z;
  out[next + 1] = QUOTE;
  return next + 2;
}

/** Sign, hours and fraction as one big-endian number with an offset. */
export function time({ body, out }: ImageState, from: number, at: number, digits: number): number {
  const bytes = (digits + 1) >> 1;
  const unit = 256 ** bytes;
  const value = bigEndian(body, from, 3 + bytes) - 0x80_0000 * unit;
  const size = Math.abs(value);
  const packed = Math.floor(size / unit);
  const micros = microsOf(size - packed * unit, bytes);
  const hours = packed >> 12;
  if (hours > 999 || micros > 999_999) return UNUSUAL;
  out[at] = QUOTE;
  let next = at + 1;
  if (value < 0) {
    out[next] = DASH;
    next += 1;
  }
  next = hours < 100 ? pair(out, next, hours) : padded(out, next, hours, 3);
  out[next] = COLON;
  next = pair(out, next + 1, (packed >> 6) & 63);
  out[next] = COLON;
  next = fraction(out, pair(out, next + 1, packed & 63), micros, digits);
  out[next] = QUOTE;
  return next + 1;
}
