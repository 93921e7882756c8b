/** TINYINT to BIGINT, BIT and YEAR: JSON numbers with exact digits. */

import type { ByteCursor } from '../../byte-cursor.ts';
import { fixedWidth } from './value-reader.ts';
import type { ValueReader } from './value-reader.ts';

const TWO_32 = 0x1_0000_0000;
/** |high word| below this keeps the whole number below 2^53. */
const SAFE_HIGH = 0x20_0000;

/** `high * 2^32 + low` in digits; only what a double cannot hold becomes a BigInt. */
function wideText(high: number, low: number): string {
  if (high < SAFE_HIGH && high >= -SAFE_HIGH) return `${high * TWO_32 + low}`;
  return ((BigInt(high) << 32n) | BigInt(low)).toString();
}

function signed24(reader: ByteCursor): number {
  return (reader.u24() << 8) >> 8;
}

/** Little-endian, two's complement. @param bytes 1, 2, 3, 4 or 8 */
export function integerReader(bytes: 1 | 2 | 3 | 4 | 8, unsigned: boolean): ValueReader {
  const form = { kind: 'integer', bytes, unsigned } as const;
  return fixedWidth(bytes, unsigned ? UNSIGNED[bytes] : SIGNED[bytes], form);
}

const SIGNED: Readonly<Record<1 | 2 | 3 | 4 | 8, (reader: ByteCursor) => string>> = {
  1: (reader) => `${reader.view.getInt8(reader.claim(1))}`,
  2: (reader) => `${reader.view.getInt16(reader.claim(2), true)}`,
  3: (reader) => `${signed24(reader)}`,
  4: (reader) => `${reader.view.getInt32(reader.claim(4), true)}`,
  8: (reader) => {
    const at = reader.claim(8);
    return wideText(reader.view.getInt32(at + 4, true), reader.view.getUint32(at, true));
  },
};

const UNSIGNED: Readonly<Record<1 | 2 | 3 | 4 | 8, (reader: ByteCursor) => string>> = {
  1: (reader) => `${reader.u8()}`,
  2: (reader) => `${reader.u16()}`,
  3: (reader) => `${reader.u24()}`,
  4: (reader) => `${reader.u32()}`,
  8: (reader) => {
    const at = reader.claim(8);
    return wideText(reader.view.getUint32(at + 4, true), reader.view.getUint32(at, true));
  },
};

/** BIT(n): big-endian, in as few bytes as hold it, an unsigned number. @param bits 1 to 64 */
export function bitReader(bits: number): ValueReader {
  const bytes = (bits + 7) >> 3;
  const read = (reader: ByteCursor): string => {
    if (bytes <= 4) return `${reader.unsignedBE(bytes)}`;
    const high = reader.unsignedBE(bytes - 4);
    return wideText(high, reader.unsignedBE(4));
  };
  return fixedWidth(bytes, read, { kind: 'bit', bytes });
}

/** One byte, years since 1900; 0 is the year 0000 and prints as 0. */
export function yearReader(): ValueReader {
  const read = (reader: ByteCursor): string => {
    const year = reader.u8();
    return year === 0 ? '0' : `${1900 + year}`;
  };
  return fixedWidth(1, read, { kind: 'year' });
}
