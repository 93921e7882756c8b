import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  hashing,
  masked,
  treated,
  truncating,
} from '../../../../../src/capture/decode/render/treatment.ts';
import { LARGE_BYTES, quoteUtf8, textOf } from '../../../../../src/capture/decode/json-text.ts';
import { setReader } from '../../../../../src/capture/decode/types/label.ts';
import { stringReader } from '../../../../../src/capture/decode/types/text.ts';
import { RowcallError } from '../../../../../src/errors.ts';
import { littleEndian, readValue } from '../bytes.ts';

const KEY = 'sixteen characters, no less';
const stored = (text: string): Buffer =>
  Buffer.concat([littleEndian(Buffer.byteLength(text), 2), Buffer.from(text)]);

describe('a hashed value', () => {
  const hash = hashing(KEY);
  const hmac = (text: string): string =>
    JSON.stringify(createHmac('sha256', KEY).update(text).digest('hex'));

  it('is the HMAC of its text, as a receiver makes it of the same text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(readValue(treated(stringReader(60_000, 'utf8mb4'), hash), stored(text))).toBe(
          hmac(text),
        );
      }),
    );
  });

  it('is that of the digits of a number, and of the text of a document', () => {
    expect(hash('18446744073709551615')).toBe(hmac('18446744073709551615'));
    expect(hash('{"a":[1.0,"x"]}')).toBe(hmac('{"a":[1.0,"x"]}'));
  });

  it('is the same where the value is large', () => {
    const text = 'ä"'.repeat(LARGE_BYTES);
    const large = quoteUtf8(Buffer.from(text), 0, Buffer.byteLength(text));
    expect(typeof large).toBe('object');
    expect(hash(large)).toBe(hmac(text));
  });
});

describe('a truncated text', () => {
  it('is its first characters, none of them cut in half', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.nat(20), (text, characters) => {
        const expected = Array.from(text).slice(0, characters).join('');
        expect(textOf(truncating(characters)(JSON.stringify(text)))).toBe(JSON.stringify(expected));
      }),
    );
  });
});

describe('a masked value', () => {
  it('is not read, so that not even what is wrong with it can be told', () => {
    const reader = masked(stringReader(10, 'utf8mb4').skip, '"****"');
    const invalid = Buffer.from([2, 0xff, 0xfe]);
    expect(readValue(reader, invalid)).toBe('"****"');
  });
});

describe('an error of a treated value', () => {
  it('bears the code, and nothing of the value', () => {
    const reader = treated(setReader(1, [Buffer.from('a')], 'utf8mb4'), hashing(KEY));
    const failing = (): unknown => readValue(reader, Buffer.from([0b1000]));
    expect(failing).toThrow(RowcallError);
    try {
      failing();
    } catch (error) {
      expect(error).toMatchObject({ code: 'VALUE_INVALID' });
      expect((error as Error).cause).toBeUndefined();
      expect((error as Error).message).not.toMatch(/4/);
    }
  });
});
