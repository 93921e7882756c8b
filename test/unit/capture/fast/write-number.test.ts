import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { DecimalFormat } from '../../../../src/capture/decode/types/decimal.ts';
import { doubleText, floatText } from '../../../../src/capture/decode/types/float.ts';
import { ByteCursor } from '../../../../src/capture/byte-cursor.ts';
import {
  decimal,
  digitGroups,
  double,
  float,
  signed,
  signed64,
  unsigned,
  unsigned64,
  UNUSUAL,
} from '../../../../src/capture/fast/write-number.ts';
import { ImageState } from '../../../../src/capture/fast/image-state.ts';

const OUT = Buffer.alloc(200);

function written(write: (out: Buffer, at: number) => number): string {
  OUT.fill(0x78);
  return OUT.toString('latin1', 3, write(OUT, 3));
}

/** Around each power of ten and of two, where digits and words change. */
const edges = fc
  .tuple(
    fc.constantFrom(2n, 10n),
    fc.bigInt({ min: 0n, max: 64n }),
    fc.bigInt({ min: -3n, max: 3n }),
  )
  .map(([base, power, by]) => base ** power + by);
const up64 = fc
  .oneof(edges, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }))
  .map((value) => BigInt.asUintN(64, value));

describe('numbers written digit by digit', () => {
  it('are those of BigInt, with 64 bits', () => {
    fc.assert(
      fc.property(up64, (value) => {
        const high = Number(value >> 32n);
        const low = Number(value & 0xffff_ffffn);
        const asSigned = BigInt.asIntN(64, value);
        expect(written((out, at) => unsigned64(out, at, high, low))).toBe(value.toString());
        expect(written((out, at) => signed64(out, at, high | 0, low))).toBe(asSigned.toString());
      }),
      { numRuns: 20_000 },
    );
  });

  it('are those of JavaScript, below 2^53', () => {
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeInteger(), fc.integer()), (value) => {
        expect(written((out, at) => signed(out, at, value))).toBe(String(value));
      }),
      { numRuns: 10_000 },
    );
  });

  it('split off eight digits without rounding, just below each carry', () => {
    for (let high = 1; high < 90_071_992; high += 9973) {
      const value = high * 100_000_000 - 1;
      expect(written((out, at) => unsigned(out, at, value))).toBe(String(value));
    }
  });

  it('are the shortest ones of a DOUBLE', () => {
    const few = fc.tuple(fc.integer(), fc.constantFrom(1, 10, 100, 1000, 10_000, 100_000, 3, 7));
    const values = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      few.map(([value, by]) => value / by),
      fc.maxSafeInteger().map((value) => value / 10_000),
      fc.maxSafeInteger(),
    );
    fc.assert(
      fc.property(values, (value) => {
        expect(written((out, at) => double(out, at, value))).toBe(doubleText(value));
      }),
      { numRuns: 20_000, examples: [[0], [-0], [1e21], [1e-7], [0.1 + 0.2], [123_456.789]] },
    );
  });

  it('are the shortest ones of a FLOAT', () => {
    const values = fc.oneof(
      fc.float({ noNaN: true, noDefaultInfinity: true }),
      fc.integer({ min: -2e6, max: 2e6 }).map((value) => Math.fround(value / 100)),
      fc.integer().map((value) => Math.fround(value / 1000)),
    );
    fc.assert(
      fc.property(values, (value) => {
        expect(written((out, at) => float(out, at, value))).toBe(floatText(value));
      }),
      { numRuns: 20_000, examples: [[0], [-0], [Math.fround(9999.99)], [Math.fround(10_000.01)]] },
    );
  });

  it('that are no numbers are left to the plain decoder', () => {
    for (const value of [NaN, Infinity, -Infinity]) {
      expect(double(OUT, 0, value)).toBe(UNUSUAL);
      expect(float(OUT, 0, value)).toBe(UNUSUAL);
    }
  });

  it('of any DECIMAL are those of the plain decoder, unless a group has too many digits', () => {
    const shapes = fc
      .integer({ min: 1, max: 65 })
      .chain((size) =>
        fc.tuple(fc.constant(size), fc.integer({ min: 0, max: Math.min(size, 30) })),
      );
    const shapesWithBytes = shapes.chain(([size, scale]) => {
      const { bytes: length } = new DecimalFormat(size, scale);
      const low = fc.uint8Array({ minLength: length, maxLength: length, max: 3 });
      const any = fc.uint8Array({ minLength: length, maxLength: length });
      return fc.tuple(fc.constant([size, scale] as const), fc.oneof(low, any), fc.boolean());
    });
    fc.assert(
      fc.property(shapesWithBytes, ([[size, scale], array, positive]) => {
        const bytes = Buffer.from(array);
        if (positive) bytes.writeUInt8((bytes.readUInt8(0) & 0x7f) | 0x80, 0);
        let end = 0;
        const text = written((out, at) => {
          const state = new ImageState();
          state.read(bytes);
          state.out = out;
          end = decimal(state, 0, at, digitGroups(size, scale));
          return Math.max(end, at);
        });
        const plain = `"${new DecimalFormat(size, scale).read(new ByteCursor(bytes))}"`;
        if (end === UNUSUAL) expect(plain.length).toBeGreaterThan(Math.min(size, 3));
        else expect(text).toBe(plain);
      }),
      { numRuns: 10_000 },
    );
  });
});
