/**
 * DATE, DATETIME, TIMESTAMP and TIME as text, without a Date: zero and invalid dates are values too.
 * Layouts: `my_datetime_packed_to_binary` and its kin in mysql's mysys/my_time.cc.
 */

import type { ByteCursor } from '../../byte-cursor.ts';
import { fixedWidth, invalid } from './value-reader.ts';
import type { ValueReader } from './value-reader.ts';

const SECONDS_PER_DAY = 86_400;

/** '00' to '99': two digits of everything. */
const PAIRS: readonly string[] = Array.from({ length: 100 }, (_, i) => `${i}`.padStart(2, '0'));

function pair(value: number): string {
  return PAIRS[value] ?? `${value}`;
}

function year4(year: number): string {
  return pair(Math.floor(year / 100)) + pair(year % 100);
}

export interface DateParts {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

export function dateText(date: DateParts): string {
  return `${year4(date.year)}-${pair(date.month)}-${pair(date.day)}`;
}

/** @param seconds since midnight, or more for a TIME */
export function clockText(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return `${pair(Math.floor(minutes / 60))}:${pair(minutes % 60)}:${pair(seconds % 60)}`;
}

/** `.` and `digits` digits of a number of microseconds; nothing for none. */
export function fractionText(micros: number, digits: number): string {
  return digits === 0 ? '' : `.${`${micros}`.padStart(6, '0').slice(0, digits)}`;
}

/** Bytes of a fraction of `digits` digits: two digits each. */
function fractionBytes(digits: number): number {
  return (digits + 1) >> 1;
}

/** Microseconds of a unit of the last fraction byte: 1 byte counts 10 ms, 2 bytes 100 µs, 3 bytes 1 µs. */
const MICROS_PER_UNIT = [0, 10_000, 100, 1] as const;

function microsOf(stored: number, bytes: number): number {
  const micros = stored * (MICROS_PER_UNIT[bytes] ?? 0);
  if (micros > 999_999) throw invalid('The fraction of a second is a second or more');
  return micros;
}

/** The civil date of a day count from 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
export function civilDate(days: number): DateParts {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1,
  };
}

/** Three bytes, little-endian: day 5 bits, month 4, year 15. */
export function dateReader(): ValueReader {
  const read = (reader: ByteCursor): string => {
    const packed = reader.u24();
    const date = { day: packed & 31, month: (packed >> 5) & 15, year: packed >> 9 };
    return `"${dateText(date)}"`;
  };
  return fixedWidth(3, read, { kind: 'date' });
}

/** 17 bits of year * 13 + month, then day 5 bits, hour 5, minute 6, second 6. */
export function datetimeText(packed: number): string {
  const day = Math.floor(packed / 0x2_0000);
  const clock = packed % 0x2_0000;
  const months = day >> 5;
  const date = { year: Math.floor(months / 13), month: months % 13, day: day & 31 };
  return `${dateText(date)} ${pair(clock >> 12)}:${pair((clock >> 6) & 63)}:${pair(clock & 63)}`;
}

/** The sign bit of the 5 bytes, which every DATETIME has set. */
const DATETIME_SIGN = 0x80_0000_0000;

/** @param digits of the fraction, 0 to 6 */
export function datetimeReader(digits: number): ValueReader {
  const bytes = fractionBytes(digits);
  const read = (reader: ByteCursor): string => {
    const packed = reader.unsignedBE(5) - DATETIME_SIGN;
    const micros = microsOf(reader.unsignedBE(bytes), bytes);
    if (packed < 0) throw invalid('The DATETIME is negative');
    return `"${datetimeText(packed)}${fractionText(micros, digits)}"`;
  };
  return fixedWidth(5 + bytes, read, { kind: 'datetime', digits });
}

/**
 * Seconds since the epoch, big-endian: UTC in RFC 3339. Zero is no time but the zero timestamp, which has
 * no other form than the one SELECT prints.
 */
export function timestampReader(digits: number): ValueReader {
  const bytes = fractionBytes(digits);
  const zero = `"0000-00-00 00:00:00${fractionText(0, digits)}"`;
  // Rows that follow one another are mostly of one day.
  let lastDay = -1;
  let lastDate = '';
  const read = (reader: ByteCursor): string => {
    const seconds = reader.unsignedBE(4);
    const micros = microsOf(reader.unsignedBE(bytes), bytes);
    if (seconds === 0) {
      if (micros !== 0) throw invalid('A zero TIMESTAMP has a fraction');
      return zero;
    }
    const day = Math.floor(seconds / SECONDS_PER_DAY);
    if (day !== lastDay) {
      lastDate = dateText(civilDate(day));
      lastDay = day;
    }
    return `"${lastDate}T${clockText(seconds % SECONDS_PER_DAY)}${fractionText(micros, digits)}Z"`;
  };
  return fixedWidth(4 + bytes, read, { kind: 'timestamp', digits });
}

/** Hour 10 bits, minute 6, second 6. */
export function hmsText(packed: number): string {
  return `${pair(packed >> 12)}:${pair((packed >> 6) & 63)}:${pair(packed & 63)}`;
}

/**
 * Sign, hours and fraction are one big-endian number with an offset: a negative time has to be negated as
 * a whole. Taken apart first, -01:00:00 reads as -00:63:64.
 */
export function timeReader(digits: number): ValueReader {
  const bytes = fractionBytes(digits);
  const unit = 256 ** bytes;
  const zero = 0x80_0000 * unit;
  const read = (reader: ByteCursor): string => {
    const value = reader.unsignedBE(3 + bytes) - zero;
    const size = Math.abs(value);
    const micros = microsOf(size % unit, bytes);
    const hms = hmsText(Math.floor(size / unit));
    return `"${value < 0 ? '-' : ''}${hms}${fractionText(micros, digits)}"`;
  };
  return fixedWidth(3 + bytes, read, { kind: 'time', digits });
}
