/** FLOAT and DOUBLE: the shortest JSON number that reads back as the same value. */

import type { ByteCursor } from '../../byte-cursor.ts';
import { fixedWidth, invalid } from './value-reader.ts';
import type { ValueReader } from './value-reader.ts';

/** Every decimal of so many digits survives a FLOAT, so a shorter one shows at once (C's FLT_DIG). */
const FLOAT_SURE_DIGITS = 6;
const FLOAT_MAX_DIGITS = 9;
const FLOAT_MIN_NORMAL = 2 ** -126;

/** @throws RowcallError VALUE_INVALID: infinities and NaN have no JSON form, and MySQL stores none */
export function doubleText(value: number): string {
  if (!Number.isFinite(value)) throw invalid('The number is not finite');
  return Object.is(value, -0) ? '-0' : `${value}`;
}

/** The shortest digits that name this FLOAT among all FLOATs: 1.1, not 1.100000023841858. */
export function floatText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return doubleText(value);
  const sure = Math.abs(value) < FLOAT_MIN_NORMAL ? 1 : FLOAT_SURE_DIGITS;
  for (let digits = sure; digits < FLOAT_MAX_DIGITS; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return doubleText(short);
  }
  return doubleText(Number(value.toPrecision(FLOAT_MAX_DIGITS)));
}

export function floatReader(): ValueReader {
  const read = (reader: ByteCursor): string =>
    floatText(reader.view.getFloat32(reader.claim(4), true));
  return fixedWidth(4, read, { kind: 'float' });
}

export function doubleReader(): ValueReader {
  const read = (reader: ByteCursor): string =>
    doubleText(reader.view.getFloat64(reader.claim(8), true));
  return fixedWidth(8, read, { kind: 'double' });
}
