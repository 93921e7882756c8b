import { describe, expect, it } from 'vitest';
import { charsetOf, QUOTERS } from '../../../../src/capture/decode/charset.ts';
import { CODE_PAGES } from '../../../../src/capture/decode/charset/code-page-data.ts';
import { serverCodes } from '../../../../src/capture/decode/charset/code-page.ts';
import { CHARSETS, COLLATIONS } from '../../../../src/capture/decode/charset/collations.ts';
import type { Charset } from '../../../../src/capture/decode/charset/collations.ts';
import { LARGE_BYTES, textOf } from '../../../../src/capture/decode/json-text.ts';

function read(charset: Charset, hex: string): string {
  const bytes = Buffer.from(`aa${hex}bb`, 'hex');
  return textOf(QUOTERS[charset](bytes, 1, bytes.length - 1));
}

const invalidValue = expect.objectContaining({ code: 'VALUE_INVALID' }) as Error;

/** One or more values of each, as the server stores them; test/integration compares all codes with a server's. */
const STORED: readonly (readonly [Charset, hex: string, text: string])[] = [
  ['armscii8', 'b2b3a2', 'Աա§'],
  ['big5', 'a440a448c740', '一人エ'],
  ['cp1250', '8c9cb9', 'Śśą'],
  ['cp1251', 'cff0e8e2e5f2', 'Привет'],
  ['cp1256', 'd3e1c7e3', 'سلام'],
  ['cp1257', 'e0e8', 'ąč'],
  ['cp850', '8494819a', 'äöüÜ'],
  ['cp852', '8fa5', 'Ćą'],
  ['cp866', '8fe0a8a2a5e2', 'Привет'],
  ['cp932', '81608740fa40', '～①ⅰ'],
  ['dec8', 'e4d7', 'äŒ'],
  ['eucjpms', 'a1c1ada18fb0a18eb1', '～①丂ｱ'],
  ['euckr', 'b0a1c8fe8141', '가힝갂'],
  ['gb18030', 'd2bb8139ef3090308130e3329a35a3a0', '一㐁𐀀\u{10ffff}\ue5e5'],
  ['gb2312', 'd6d0a1a4', '中・'],
  ['gbk', 'd6d08140', '中丂'],
  ['geostd8', 'c0c180', 'აბ€'],
  ['greek', 'e1e2a1', 'αβʽ'],
  ['hebrew', 'e0e1', 'אב'],
  ['hp8', 'ccb5', 'äç'],
  ['keybcs2', '8487', 'äč'],
  ['koi8r', 'f0d2c9d7c5d4', 'Привет'],
  ['koi8u', 'a4a695', 'єі•'],
  ['latin1', '80e4', '€ä'],
  ['latin2', 'b1e6', 'ąć'],
  ['latin5', 'fdf0', 'ığ'],
  ['latin7', 'e0', 'ą'],
  ['macce', '88d8', 'ąō'],
  ['macroman', '8adbf0', 'ä€\uf8ff'],
  ['sjis', '81608abfb15c', '〜漢ｱ\\'],
  ['swe7', '7b7c7d5b22', 'äöåÄ"'],
  ['tis620', 'a1a2', 'กข'],
  ['ucs2', '00e420ac0022', 'ä€"'],
  ['ujis', 'a1c1b4c18eb18fb0a1', '〜漢ｱ丂'],
  ['utf16', '00e4d83dde000000', 'ä😀\0'],
  ['utf16le', 'e4003dd800de0000', 'ä😀\0'],
  ['utf32', '000000e40001f60000000022', 'ä😀"'],
  ['utf8mb3', 'e282ac', '€'],
  ['utf8mb4', 'f09f9880', '😀'],
  ['ascii', '61227e', 'a"~'],
];

describe('text', () => {
  it('of every character set of the server has its case here', () => {
    expect(STORED.map(([charset]) => charset).sort()).toEqual(
      CHARSETS.filter((charset) => charset !== 'binary').toSorted(),
    );
  });

  it.each(STORED)('in %s of %s is %s', (charset, hex, text) => {
    expect(read(charset, hex)).toBe(JSON.stringify(text));
    expect(read(charset, '')).toBe('""');
  });

  it.each(STORED)('in %s is the same when it is large', (charset, hex, text) => {
    const times = Math.ceil(LARGE_BYTES / (hex.length / 2));
    const bytes = Buffer.from(hex.repeat(times), 'hex');
    const quoted = QUOTERS[charset](bytes, 0, bytes.length);
    expect(typeof quoted).toBe('object');
    // Compared as a yes or no: a failure would print all of it.
    expect(textOf(quoted) === JSON.stringify(text.repeat(times))).toBe(true);
  });

  it.each<readonly [Charset, hex: string, why: string]>([
    ['cp1250', '81', 'a byte without a character'],
    ['big5', 'a15a', 'a code that the server only prints as U+FFFD'],
    ['tis620', 'ff', 'a byte that the server only prints as U+FFFD'],
    ['gbk', '81', 'half a character'],
    ['gbk', '8120', 'a second byte out of range'],
    ['sjis', 'fc4b', 'a code without a character'],
    ['ujis', '8fb0', 'two thirds of a character'],
    ['gb18030', '8130', 'half a character'],
    ['gb18030', 'e3329a36', 'a code beyond Unicode'],
    ['gb18030', '8431a530', 'a code between the planes'],
    ['swe7', '80', 'a byte over 0x7F'],
    ['utf16', '00', 'half a unit'],
    ['utf16', 'd83d', 'half a pair'],
    ['utf16', 'de00d83d', 'a pair the wrong way round'],
    ['utf16le', '3dd8', 'half a pair'],
    ['ucs2', 'd83dde00', 'a pair, which ucs2 has not'],
    ['utf32', '0000d83d', 'half a pair'],
    ['utf32', '00110000', 'a number beyond Unicode'],
    ['utf32', '000041', 'three bytes'],
  ])('in %s with %s is refused: %s', (charset, hex) => {
    expect(() => read(charset, hex)).toThrow(invalidValue);
    const large = Buffer.from('0000004100000041'.repeat(LARGE_BYTES / 8) + hex, 'hex');
    expect(() => QUOTERS[charset](large, 0, large.length)).toThrow(invalidValue);
  });

  it('is refused without a word of what it holds', () => {
    expect(() => read('gbk', '736563726574ff')).toThrow(
      expect.objectContaining({ message: 'The text has, at byte 6, no character of gbk' }),
    );
  });
});

describe('the tables', () => {
  it.each(Object.entries(CODE_PAGES))(
    'of %s are those that a server was asked for',
    (name, page) => {
      expect(serverCodes(name, page).size).toBeGreaterThan(100);
    },
  );

  it('that are not those that a server was asked for are not used', () => {
    const other = { ...CODE_PAGES.cp1251, base: 'cp1252' };
    expect(() => serverCodes('cp1251', other)).toThrow(
      expect.objectContaining({ code: 'CHARSET_UNSUPPORTED' }),
    );
  });
});

describe('a collation', () => {
  it.each([
    [8, 'latin1'],
    [255, 'utf8mb4'],
    [309, 'utf8mb4'],
    [2303, null],
    [2304, 'utf8mb4'],
    [63, 'binary'],
    [0, null],
  ])('%i is of %s', (id, charset) => {
    expect(charsetOf(id)).toBe(charset);
  });

  it('belongs to one character set', () => {
    const ids = Object.values(COLLATIONS).flatMap((ranges) => ranges.split(' '));
    expect(new Set(ids).size).toBe(ids.length);
  });
});
