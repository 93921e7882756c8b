import { describe, expect, it } from 'vitest';
import { ByteCursor } from '../../../../src/capture/byte-cursor.ts';
import { LARGE_BYTES } from '../../../../src/capture/decode/json-text.ts';
import { geometryReader } from '../../../../src/capture/decode/types/geometry.ts';
import { littleEndian, readValue } from './bytes.ts';

const invalidValue = expect.objectContaining({ code: 'VALUE_INVALID' }) as Error;

function stored(srid: number, wkb: Buffer): Buffer {
  const value = Buffer.concat([littleEndian(srid, 4), wkb]);
  return Buffer.concat([littleEndian(value.length, 4), value]);
}

describe('GEOMETRY', () => {
  it.each([0, 4326, 2 ** 32 - 1])('is its well-known binary and its SRID %i', (srid) => {
    const wkb = Buffer.from('0101000000000000000000f03f0000000000000040', 'hex');
    expect(readValue(geometryReader(4), stored(srid, wkb))).toBe(
      `{"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAABA","srid":${srid}}`,
    );
  });

  it('writes itself when it is large', () => {
    const wkb = Buffer.alloc(LARGE_BYTES + 1, 'rowcall');
    const bytes = stored(4326, wkb);
    expect(typeof geometryReader(4).read(new ByteCursor(bytes))).toBe('object');
    expect(readValue(geometryReader(4), bytes)).toBe(
      `{"wkb":"${wkb.toString('base64')}","srid":4326}`,
    );
  });

  it.each([0, 3, 4, 8])('of %i bytes is refused', (length) => {
    const bytes = Buffer.concat([littleEndian(length, 4), Buffer.alloc(length)]);
    expect(() => readValue(geometryReader(4), bytes)).toThrow(invalidValue);
  });
});
