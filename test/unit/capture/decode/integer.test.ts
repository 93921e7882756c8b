import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bitReader,
  integerReader,
  yearReader,
} from '../../../../src/capture/decode/types/integer.ts';
import { bigEndian, littleEndian, readValue } from './bytes.ts';

const WIDTHS = [1, 2, 3, 4, 8] as const;

describe('integers', () => {
  it.each(WIDTHS)('of %i bytes print every digit, signed and unsigned', (bytes) => {
    const bits = BigInt(bytes * 8);
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** bits - 1n }), (value) => {
        const stored = littleEndian(value, bytes);
        const signed = BigInt.asIntN(Number(bits), value);
        expect(readValue(integerReader(bytes, true), stored)).toBe(value.toString());
        expect(readValue(integerReader(bytes, false), stored)).toBe(signed.toString());
      }),
    );
  });

  it.each([
    [18446744073709551615n, true],
    [9223372036854775808n, true],
    [9007199254740993n, false],
    [9007199254740991n, false],
    [9007199254740992n, false],
    [-9007199254740993n, false],
    [-9007199254740992n, false],
    [-9223372036854775808n, false],
    [-1n, false],
    [0n, true],
  ] as const)('BIGINT %s stays exact', (value, unsigned) => {
    expect(readValue(integerReader(8, unsigned), littleEndian(value, 8))).toBe(value.toString());
  });
});

describe('BIT', () => {
  it('is an unsigned number of 1 to 64 bits', () => {
    const anyBit = fc
      .integer({ min: 1, max: 64 })
      .chain((bits) =>
        fc.tuple(fc.constant(bits), fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n })),
      );
    fc.assert(
      fc.property(anyBit, ([bits, value]) => {
        const stored = bigEndian(value, (bits + 7) >> 3);
        expect(readValue(bitReader(bits), stored)).toBe(value.toString());
      }),
    );
  });
});

describe('YEAR', () => {
  it.each([
    [0, '0'],
    [1, '1901'],
    [255, '2155'],
    [126, '2026'],
  ])('stored as %i is %s', (stored, year) => {
    expect(readValue(yearReader(), Buffer.from([stored]))).toBe(year);
  });
});
