/** DECIMAL: the text that SELECT prints. Layout: `decimal2bin` in mysql's strings/decimal.cc. */

import { type ByteCursor, malformed } from '../../byte-cursor.ts';
import { fixedWidth } from './value-reader.ts';
import type { ValueReader } from './value-reader.ts';

/** Bytes that hold 0 to 9 decimal digits. */
const BYTES_OF_DIGITS = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;

const SIGN_BIT = 0x80;

interface Group {
  readonly digits: number;
  readonly bytes: number;
}

function groupOf(digits: number): Group {
  return { digits, bytes: BYTES_OF_DIGITS[digits] ?? 4 };
}

/** Groups of nine digits in four bytes; the incomplete one stands away from the point. */
function groupsOf(digits: number, incompleteFirst: boolean): readonly Group[] {
  const whole = new Array<Group>(Math.floor(digits / 9)).fill(groupOf(9));
  const rest = digits % 9;
  if (rest === 0) return whole;
  return incompleteFirst ? [groupOf(rest), ...whole] : [...whole, groupOf(rest)];
}

/** A DECIMAL(precision, scale) of its stored bytes. */
export class DecimalFormat {
  readonly bytes: number;
  readonly #whole: readonly Group[];
  readonly #fraction: readonly Group[];

  /** @throws RowcallError BINLOG_EVENT_MALFORMED for digits that no DECIMAL has: in JSON the value itself tells them */
  constructor(precision: number, scale: number) {
    if (precision < 1 || scale > precision) throw malformed(`DECIMAL(${precision},${scale})`);
    this.#whole = groupsOf(precision - scale, true);
    this.#fraction = groupsOf(scale, false);
    this.bytes = [...this.#whole, ...this.#fraction].reduce((sum, group) => sum + group.bytes, 0);
  }

  /**
   * Reads `this.bytes` bytes. The top bit is set for numbers from 0 on; in negative ones all bits are
   * inverted. Nothing is changed in place: the bytes belong to the event.
   */
  read(reader: ByteCursor): string {
    let at = reader.claim(this.bytes);
    const negative = reader.view.getUint8(at) < SIGN_BIT;
    const invert = negative ? 0xff : 0;
    let sign = SIGN_BIT;
    const next = (group: Group): number => {
      let value = 0;
      for (const end = at + group.bytes; at < end; at += 1) {
        value = value * 256 + (reader.view.getUint8(at) ^ invert ^ sign);
        sign = 0;
      }
      return value;
    };
    let whole = '';
    for (const group of this.#whole) {
      const value = next(group);
      if (whole !== '') whole += padded(value, group.digits);
      else if (value !== 0) whole = `${value}`;
    }
    let text = `${negative ? '-' : ''}${whole === '' ? '0' : whole}`;
    if (this.#fraction.length > 0) text += '.';
    for (const group of this.#fraction) text += padded(next(group), group.digits);
    return text;
  }
}

function padded(value: number, digits: number): string {
  return `${value}`.padStart(digits, '0');
}

export function decimalReader(precision: number, scale: number): ValueReader {
  const format = new DecimalFormat(precision, scale);
  const read = (reader: ByteCursor): string => `"${format.read(reader)}"`;
  return fixedWidth(format.bytes, read, { kind: 'decimal', precision, scale });
}
