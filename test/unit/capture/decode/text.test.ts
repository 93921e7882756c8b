import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LARGE_BYTES } from '../../../../src/capture/decode/json-text.ts';
import { ByteCursor } from '../../../../src/capture/byte-cursor.ts';
import {
  binaryReader,
  blobReader,
  stringReader,
} from '../../../../src/capture/decode/types/text.ts';
import { enumReader, setReader } from '../../../../src/capture/decode/types/label.ts';
import { littleEndian, readValue } from './bytes.ts';

function prefixed(bytes: Buffer, lengthBytes: number): Buffer {
  return Buffer.concat([littleEndian(bytes.length, lengthBytes), bytes]);
}

const invalidValue = expect.objectContaining({ code: 'VALUE_INVALID' }) as Error;

describe('text', () => {
  it('is the JSON string that JSON.stringify makes of it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        const bytes = Buffer.from(value, 'utf8');
        expect(readValue(stringReader(1000, 'utf8mb4'), prefixed(bytes, 2))).toBe(
          JSON.stringify(value),
        );
      }),
    );
  });

  it('is the same text when it is large and writes itself', () => {
    const unit = 'a"\\\u0000\n\u001f\u007f\u2028äß€😀';
    const value = unit.repeat(Math.ceil(LARGE_BYTES / Buffer.byteLength(unit)));
    const stored = prefixed(Buffer.from(value, 'utf8'), 4);
    const json = blobReader(4, 'utf8mb4').read(new ByteCursor(stored));
    expect(json).toEqual(
      expect.objectContaining({ byteLength: Buffer.byteLength(JSON.stringify(value), 'utf8') }),
    );
    expect(readValue(blobReader(4, 'utf8mb4'), stored)).toBe(JSON.stringify(value));
  });

  it.each([
    ['a lone continuation byte', [0x80]],
    ['a cut sequence', [0xe2, 0x82]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['an overlong form', [0xc0, 0xaf]],
  ])('with %s is refused, small and large', (_what, bytes) => {
    const small = Buffer.from(bytes);
    const large = Buffer.concat([Buffer.alloc(LARGE_BYTES, 'a'), small]);
    expect(() => readValue(stringReader(100, 'utf8mb3'), prefixed(small, 1))).toThrow(invalidValue);
    expect(() => readValue(blobReader(4, 'utf8mb4'), prefixed(large, 4))).toThrow(invalidValue);
  });

  it('in ascii is refused with any other byte', () => {
    expect(readValue(stringReader(10, 'ascii'), prefixed(Buffer.from('abc'), 1))).toBe('"abc"');
    expect(() =>
      readValue(stringReader(10, 'ascii'), prefixed(Buffer.from([0x61, 0xe4]), 1)),
    ).toThrow(invalidValue);
  });

  it('in latin1 is cp1252, with the five open bytes as control characters', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const expected = Array.from(all, (byte) => LATIN1_PAGE.get(byte) ?? String.fromCharCode(byte));
    expect(readValue(stringReader(1000, 'latin1'), prefixed(all, 2))).toBe(
      JSON.stringify(expected.join('')),
    );
    const large = Buffer.concat(new Array<Buffer>(300).fill(all));
    expect(readValue(blobReader(4, 'latin1'), prefixed(large, 4))).toBe(
      JSON.stringify(expected.join('').repeat(300)),
    );
  });
});

/** The bytes that differ from ISO 8859-1, from MySQL's latin1.xml. */
const LATIN1_PAGE = new Map([
  ...'€'.split('').map((c): [number, string] => [0x80, c]),
  ...Array.from('‚ƒ„…†‡ˆ‰Š‹Œ', (c, i): [number, string] => [0x82 + i, c]),
  [0x8e, 'Ž'],
  ...Array.from('‘’“”•–—˜™š›œ', (c, i): [number, string] => [0x91 + i, c]),
  [0x9e, 'ž'],
  [0x9f, 'Ÿ'],
]);

describe('binary strings', () => {
  it('are base64', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (value) => {
        const bytes = Buffer.from(value);
        expect(readValue(blobReader(2, 'binary'), prefixed(bytes, 2))).toBe(
          `"${bytes.toString('base64')}"`,
        );
      }),
    );
  });

  it.each([0, 1, 2])('are base64 when large, with %i bytes over', (over) => {
    const bytes = Buffer.alloc(3 * LARGE_BYTES + over, 'rowcall');
    expect(readValue(blobReader(4, 'binary'), prefixed(bytes, 4))).toBe(
      `"${bytes.toString('base64')}"`,
    );
  });

  it('of fixed length get back the zero bytes that were cut off', () => {
    const json = readValue(binaryReader(6), prefixed(Buffer.from([1, 0, 2]), 1));
    expect(json).toBe(`"${Buffer.from([1, 0, 2, 0, 0, 0]).toString('base64')}"`);
  });

  it('of fixed length are never cut: one that is longer than its column is no value of it', () => {
    const read = (): string => readValue(binaryReader(2), prefixed(Buffer.from([1, 0, 2]), 1));
    expect(read).toThrow(expect.objectContaining({ code: 'VALUE_INVALID' }));
  });
});

describe('ENUM', () => {
  const labels = ['a', 'b,c', "d'e", 'ü'].map((label) => Buffer.from(label));

  it.each([
    [0, '""'],
    [1, '"a"'],
    [2, '"b,c"'],
    [4, '"ü"'],
  ])('number %i is %s', (index, json) => {
    expect(readValue(enumReader(1, labels, 'utf8mb4'), Buffer.from([index]))).toBe(json);
  });

  it('with a number beyond its members is refused', () => {
    expect(() => readValue(enumReader(2, labels, 'utf8mb4'), littleEndian(5, 2))).toThrow(
      invalidValue,
    );
  });

  it('has its members in its own character set', () => {
    const umlaut = [Buffer.from([0xfc])];
    expect(readValue(enumReader(1, umlaut, 'latin1'), Buffer.from([1]))).toBe('"ü"');
  });
});

describe('ENUM and SET', () => {
  const labels = ['ä,b', 'c"d'];
  const utf16 = labels.map((label) => Buffer.from(label, 'utf16le').swap16());

  it('have their members in any character set', () => {
    expect(readValue(enumReader(1, utf16, 'utf16'), Buffer.from([2]))).toBe('"c\\"d"');
    expect(readValue(setReader(1, utf16, 'utf16'), Buffer.from([3]))).toBe('"ä,b,c\\"d"');
    const gbk = [Buffer.from('d6d0', 'hex'), Buffer.from('815c', 'hex')];
    expect(readValue(setReader(1, gbk, 'gbk'), Buffer.from([3]))).toBe('"中,乗"');
  });

  it('of the binary character set are base64 of what SELECT prints', () => {
    const binary = [Buffer.from([0xff]), Buffer.from([0x00, 0x01])];
    expect(readValue(enumReader(1, binary, 'binary'), Buffer.from([1]))).toBe('"/w=="');
    expect(readValue(enumReader(1, binary, 'binary'), Buffer.from([0]))).toBe('""');
    const joined = Buffer.from([0xff, 0x2c, 0x00, 0x01]).toString('base64');
    expect(readValue(setReader(1, binary, 'binary'), Buffer.from([3]))).toBe(`"${joined}"`);
    expect(readValue(setReader(1, binary, 'binary'), Buffer.from([0]))).toBe('""');
  });
});

describe('SET', () => {
  const labels = Array.from({ length: 64 }, (_, i) => Buffer.from(`v${i}`));

  it('joins its members by commas', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const chosen = labels.filter((_label, i) => ((value >> BigInt(i)) & 1n) === 1n);
        expect(readValue(setReader(8, labels, 'ascii'), littleEndian(value, 8))).toBe(
          `"${chosen.join(',')}"`,
        );
      }),
    );
  });

  it('with a bit beyond its members is refused', () => {
    expect(() =>
      readValue(setReader(1, labels.slice(0, 3), 'ascii'), Buffer.from([0b1000])),
    ).toThrow(invalidValue);
  });
});
