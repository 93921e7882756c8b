import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { vectorReader } from '../../../../src/capture/decode/types/vector.ts';
import { littleEndian, readValue } from './bytes.ts';

const invalidValue = expect.objectContaining({ code: 'VALUE_INVALID' }) as Error;

function stored(value: Buffer): Buffer {
  return Buffer.concat([littleEndian(value.length, 4), value]);
}

function floats(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => bytes.writeFloatLE(value, i * 4));
  return bytes;
}

describe('VECTOR', () => {
  it('is an array of the shortest numbers that read back as the same FLOAT', () => {
    expect(readValue(vectorReader(4), stored(floats([1, 0.1, -2.5e-7, -0])))).toBe(
      '[1,0.1,-2.5e-7,-0]',
    );
    const float = fc.float({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(fc.array(float, { minLength: 1, maxLength: 100 }), (values) => {
        const json = readValue(vectorReader(4), stored(floats(values)));
        expect((JSON.parse(json) as number[]).map(Math.fround)).toEqual(values);
      }),
    );
  });

  it('that ends inside a number is refused', () => {
    expect(() => readValue(vectorReader(4), stored(Buffer.alloc(7)))).toThrow(invalidValue);
  });

  it.each([NaN, Infinity, -Infinity])('with %d is refused', (value) => {
    expect(() => readValue(vectorReader(4), stored(floats([value])))).toThrow(invalidValue);
  });
});
