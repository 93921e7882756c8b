/**
 * TIMESTAMP, TIME and DATETIME of tables made before MySQL 5.6.4 and never rebuilt since: no fractions, and
 * decimal digits for fields. Layouts: `Field_timestamp`, `Field_time`, `Field_datetime` in mysql's sql/field.cc.
 */

import { civilDate, clockText, dateText } from './temporal.ts';
import { fixedWidth, invalid } from './value-reader.ts';
import type { ValueReader } from './value-reader.ts';

const SECONDS_PER_DAY = 86_400;
const ZERO = '"0000-00-00 00:00:00"';
const MAX_HOURS = 838;

/** Little-endian where the new format is big-endian. */
export function oldTimestampReader(): ValueReader {
  return fixedWidth(4, (reader) => {
    const seconds = reader.u32();
    if (seconds === 0) return ZERO;
    const date = dateText(civilDate(Math.floor(seconds / SECONDS_PER_DAY)));
    return `"${date}T${clockText(seconds % SECONDS_PER_DAY)}Z"`;
  });
}

/** Three bytes, two's complement: hhmmss in decimal. */
export function oldTimeReader(): ValueReader {
  return fixedWidth(3, (reader) => {
    const value = (reader.u24() << 8) >> 8;
    const { hour, clock } = clockOf(Math.abs(value));
    if (hour > MAX_HOURS) throw invalid('The TIME is longer than any');
    return `"${value < 0 ? '-' : ''}${clock}"`;
  });
}

const DATE_FACTOR = 1_000_000n;

/** Eight bytes: YYYYMMDDhhmmss in decimal. Zero and invalid dates are values too. */
export function oldDatetimeReader(): ValueReader {
  return fixedWidth(8, (reader) => {
    const value = reader.u64();
    const { hour, clock } = clockOf(Number(value % DATE_FACTOR));
    const days = value / DATE_FACTOR;
    if (hour > 23 || days > 99_991_231n) throw invalid('The DATETIME is no date and time');
    const date = Number(days);
    const [year, month, day] = [
      Math.floor(date / 10_000),
      Math.floor(date / 100) % 100,
      date % 100,
    ];
    if (month > 12 || day > 31) throw invalid('The DATETIME is no date and time');
    return `"${dateText({ year, month, day })} ${clock}"`;
  });
}

function clockOf(digits: number): { hour: number; clock: string } {
  const [hour, minute, second] = [
    Math.floor(digits / 10_000),
    Math.floor(digits / 100) % 100,
    digits % 100,
  ];
  if (minute > 59 || second > 59) throw invalid('A minute or second is over 59');
  return { hour, clock: clockText(hour * 3600 + minute * 60 + second) };
}
