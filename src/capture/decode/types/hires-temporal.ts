/**
 * TIME, DATETIME and TIMESTAMP with fractions as MariaDB stores them under `mysql56_temporal_format=OFF`: big-endian
 * numbers in units of the last digit. Layouts: `Field_time_hires`, `Field_datetime_hires` and `Field_timestamp_hires`
 * in MariaDB's sql/field.cc.
 */

import type { ByteCursor } from '../../byte-cursor.ts';
import { civilDate, clockText, dateText } from './temporal.ts';
import { fixedWidth, invalid } from './value-reader.ts';
import type { ValueReader } from './value-reader.ts';

const SECONDS_PER_DAY = 86_400;
/** Bytes by the number of digits; without any it is another format. */
const TIME_BYTES = [0, 4, 4, 5, 5, 5, 6] as const;
const DATETIME_BYTES = [0, 6, 6, 7, 7, 7, 8] as const;
const FRACTION_BYTES = [0, 1, 1, 2, 2, 3, 3] as const;

/** One second more than the longest TIME: what is stored is never negative. */
const ZERO_TIME_SECONDS = 3_020_400;

function fraction(units: number, digits: number): string {
  return `.${`${units}`.padStart(digits, '0')}`;
}

/** @param digits 1 to 6 */
export function hiresTimeReader(digits: number): ValueReader {
  const bytes = widthOf(TIME_BYTES, digits);
  const unit = 10 ** digits;
  return fixedWidth(bytes, (reader) => {
    const value = reader.unsignedBE(bytes) - ZERO_TIME_SECONDS * unit;
    const size = Math.abs(value);
    const seconds = Math.floor(size / unit);
    if (seconds >= ZERO_TIME_SECONDS) throw invalid('The TIME is longer than any');
    return `"${value < 0 ? '-' : ''}${clockText(seconds)}${fraction(size % unit, digits)}"`;
  });
}

/** @param digits 1 to 6 */
export function hiresDatetimeReader(digits: number): ValueReader {
  const bytes = widthOf(DATETIME_BYTES, digits);
  const unit = BigInt(10 ** digits);
  return fixedWidth(bytes, (reader) => {
    const value = unsigned(reader, bytes);
    const units = Number(value % unit);
    const all = Number(value / unit);
    const days = Math.floor(all / SECONDS_PER_DAY);
    const months = Math.floor(days / 32);
    const date = { year: Math.floor(months / 13), month: months % 13, day: days % 32 };
    if (date.year > 9999) throw invalid('The DATETIME is no date and time');
    return `"${dateText(date)} ${clockText(all % SECONDS_PER_DAY)}${fraction(units, digits)}"`;
  });
}

/** UTC, as the others. @param digits 1 to 6 */
export function hiresTimestampReader(digits: number): ValueReader {
  const bytes = widthOf(FRACTION_BYTES, digits);
  return fixedWidth(4 + bytes, (reader) => {
    const seconds = reader.unsignedBE(4);
    const units = reader.unsignedBE(bytes);
    if (units >= 10 ** digits) throw invalid('The fraction of a second is a second or more');
    if (seconds === 0) {
      if (units !== 0) throw invalid('A zero TIMESTAMP has a fraction');
      return `"0000-00-00 00:00:00${fraction(0, digits)}"`;
    }
    const date = dateText(civilDate(Math.floor(seconds / SECONDS_PER_DAY)));
    return `"${date}T${clockText(seconds % SECONDS_PER_DAY)}${fraction(units, digits)}Z"`;
  });
}

function widthOf(widths: readonly number[], digits: number): number {
  const bytes = widths[digits];
  if (bytes === undefined || bytes === 0) throw invalid(`${digits} digits behind the point`);
  return bytes;
}

/** Six to eight bytes: more than a double holds. */
function unsigned(reader: ByteCursor, bytes: number): bigint {
  const high = reader.unsignedBE(bytes - 4);
  return (BigInt(high) << 32n) | BigInt(reader.unsignedBE(4));
}
