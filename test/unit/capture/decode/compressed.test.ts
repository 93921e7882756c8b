import { deflateRawSync, deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  compressedBlobReader,
  compressedStringReader,
} from '../../../../src/capture/decode/types/compressed.ts';
import { littleEndian, readValue } from './bytes.ts';

const invalidValue = expect.objectContaining({ code: 'VALUE_INVALID' }) as Error;
const TEXT = 'ab€'.repeat(100);
const bytes = Buffer.from(TEXT, 'utf8');

function stored(...parts: readonly Buffer[]): Buffer {
  const value = Buffer.concat(parts);
  return Buffer.concat([littleEndian(value.length, 2), value]);
}

const LENGTH = Buffer.from([bytes.length >> 8, bytes.length & 0xff]);

describe("MariaDB's COMPRESSED columns", () => {
  it.each([
    ['with a zlib header', stored(Buffer.from([0x82]), LENGTH, deflateSync(bytes))],
    ['without', stored(Buffer.from([0x8a]), LENGTH, deflateRawSync(bytes))],
    ['as they are', stored(Buffer.from([0x00]), bytes)],
  ])('are inflated: %s', (_how, value) => {
    expect(readValue(compressedStringReader(1000, 'utf8mb4'), value)).toBe(JSON.stringify(TEXT));
    expect(readValue(compressedBlobReader(2, 'binary'), value)).toBe(
      `"${bytes.toString('base64')}"`,
    );
  });

  it('are empty without a first byte', () => {
    expect(readValue(compressedStringReader(1000, 'latin1'), stored())).toBe('""');
    expect(readValue(compressedStringReader(100, 'gbk'), Buffer.from([0]))).toBe('""');
  });

  it.each([
    ['another method', stored(Buffer.from([0x92]), LENGTH, deflateSync(bytes))],
    ['no length', stored(Buffer.from([0x80]), deflateSync(bytes))],
    ['five bytes of length', stored(Buffer.from([0x85]), deflateSync(bytes))],
    ['a length that is cut', stored(Buffer.from([0x84, 0]))],
    ['a longer length', stored(Buffer.from([0x82, 0xff, 0xff]), deflateSync(bytes))],
    ['a shorter length', stored(Buffer.from([0x82, 0, 3]), deflateSync(bytes))],
    ['no stream', stored(Buffer.from([0x82]), LENGTH, Buffer.from('noise'))],
  ])('with %s are refused', (_what, value) => {
    expect(() => readValue(compressedBlobReader(2, 'binary'), value)).toThrow(invalidValue);
  });
});
