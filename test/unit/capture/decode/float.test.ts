import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { doubleReader, floatReader } from '../../../../src/capture/decode/types/float.ts';
import { readValue } from './bytes.ts';

function float(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

describe('FLOAT', () => {
  it('reads back as the same FLOAT, and no shorter number does', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const json = readValue(floatReader(), float(value));
        expect(Object.is(Math.fround(Number(json)), value)).toBe(true);
        const digits = json
          .replace(/e.*$/, '')
          .replace(/[-.]/g, '')
          .replace(/^0+|0+$/g, '').length;
        for (let fewer = 1; fewer < digits; fewer += 1) {
          expect(Math.fround(Number(value.toPrecision(fewer)))).not.toBe(value);
        }
      }),
    );
  });

  it.each([
    [1.1, '1.1'],
    [-0, '-0'],
    [0.1, '0.1'],
    [16_777_216, '16777216'],
    [3.4028234663852886e38, '3.4028235e+38'],
    [1.401298464324817e-45, '1e-45'],
    [1.5e-45, '1e-45'],
    [100, '100'],
  ])('%d is %s', (value, json) => {
    expect(readValue(floatReader(), float(value))).toBe(json);
  });
});

describe('DOUBLE', () => {
  it('reads back as the same DOUBLE', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const json = readValue(doubleReader(), double(value));
        expect(Object.is(JSON.parse(json), value)).toBe(true);
      }),
    );
  });

  it.each([
    [-0, '-0'],
    [1e300, '1e+300'],
    [0.1, '0.1'],
    [5e-324, '5e-324'],
  ])('%d is %s', (value, json) => {
    expect(readValue(doubleReader(), double(value))).toBe(json);
  });

  it.each([Number.NaN, Infinity, -Infinity])('%d has no JSON form and is refused', (value) => {
    expect(() => readValue(doubleReader(), double(value))).toThrow(
      expect.objectContaining({ code: 'VALUE_INVALID' }),
    );
  });
});
