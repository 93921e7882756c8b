/**
 * Values as Debezium's MySQL connector encodes them by default, as its JSON converter without schemas prints them
 * (decimal.handling.mode=precise, time.precision.mode=adaptive_time_microseconds, binary.handling.mode=bytes).
 * Made from our own text of a value, which is exact. What that encoding cannot say is an error, where Debezium would
 * write NULL or another value.
 */

import { TYPE, type Column } from '../column.ts';
import { textOf, type JsonText } from '../json-text.ts';
import { invalid } from '../types/value-reader.ts';
import type { JsonKind } from './kind.ts';

/** From our text of a value to Debezium's. */
export interface Encoding {
  readonly kind: JsonKind;
  readonly encode: (value: JsonText) => JsonText;
}

/** Null where the two are the same. */
export function debeziumEncoding(column: Column): Encoding | null {
  switch (column.type) {
    case TYPE.DECIMAL:
      return { kind: 'text', encode: decimalBytes };
    case TYPE.DATE:
      return { kind: 'number', encode: (value) => `${daysOf(inner(value))}` };
    case TYPE.DATETIME:
    case TYPE.OLD_DATETIME:
      return { kind: 'number', encode: datetimeEncoder(column.scale > 3 ? 6 : 3) };
    case TYPE.TIMESTAMP:
    case TYPE.OLD_TIMESTAMP:
      return { kind: 'text', encode: refuseZeroTimestamp };
    case TYPE.TIME:
    case TYPE.OLD_TIME:
      return { kind: 'number', encode: timeMicros };
    case TYPE.BIT:
      return bitEncoding(column.size);
    case TYPE.JSON:
      return { kind: 'text', encode: (value) => JSON.stringify(textOf(value)) };
    default:
      return null;
  }
}

/** A text of ours without its quotes: dates and numbers have nothing that JSON escapes. */
function inner(value: JsonText): string {
  return textOf(value).slice(1, -1);
}

/** Base64 of the digits without the point as one number: big-endian, two's complement, as short as can be. */
function decimalBytes(value: JsonText): string {
  const number = BigInt(inner(value).replace('.', ''));
  let bytes = 1;
  while (BigInt.asIntN(bytes * 8, number) !== number) bytes += 1;
  const hex = BigInt.asUintN(bytes * 8, number).toString(16);
  return `"${Buffer.from(hex.padStart(bytes * 2, '0'), 'hex').toString('base64')}"`;
}

function bitEncoding(bits: number): Encoding {
  if (bits === 1) {
    return { kind: 'boolean', encode: (value) => (value === '1' ? 'true' : 'false') };
  }
  const bytes = (bits + 7) >> 3;
  return {
    kind: 'text',
    encode: (value) => {
      const hex = BigInt(textOf(value))
        .toString(16)
        .padStart(bytes * 2, '0');
      return `"${Buffer.from(hex, 'hex').reverse().toString('base64')}"`;
    },
  };
}

const MS_PER_DAY = 86_400_000;

/** Days since the epoch of `2026-11-21`. */
function daysOf(date: string): number {
  const [year = 0, month = 0, day = 0] = date.split('-').map(Number);
  const moment = new Date(0);
  moment.setUTCFullYear(year, month - 1, day);
  // A date that no calendar has comes out as another one.
  if (moment.getUTCMonth() !== month - 1 || moment.getUTCDate() !== day) throw noSuchDate();
  return Math.floor(moment.getTime() / MS_PER_DAY);
}

function noSuchDate(): Error {
  return invalid(
    "A zero or invalid date has no form in Debezium's encoding: write values: rowcall for its table, or exclude the column",
  );
}

/** Milliseconds or microseconds since the epoch, as if the time were UTC's. */
function datetimeEncoder(digits: 3 | 6): Encoding['encode'] {
  return (value) => {
    const [date = '', clock = ''] = inner(value).split(' ');
    const [hms = '', fraction = ''] = clock.split('.');
    const seconds = BigInt(daysOf(date) * 86_400 + secondsOf(hms));
    return `${seconds * 10n ** BigInt(digits) + BigInt(fraction.padEnd(digits, '0'))}`;
  };
}

/** Of `hh:mm:ss`, hours up to 838. */
function secondsOf(hms: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = hms.split(':').map(Number);
  return hours * 3_600 + minutes * 60 + seconds;
}

function timeMicros(value: JsonText): string {
  const text = inner(value);
  const negative = text.startsWith('-');
  const [hms = '', fraction = ''] = text.slice(negative ? 1 : 0).split('.');
  const micros = secondsOf(hms) * 1_000_000 + Number(fraction.padEnd(6, '0'));
  return `${negative && micros !== 0 ? '-' : ''}${micros}`;
}

function refuseZeroTimestamp(value: JsonText): JsonText {
  if (inner(value).startsWith('0000')) throw noSuchDate();
  return value;
}
