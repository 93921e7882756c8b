import fc from 'fast-check';
import { expect, it } from 'vitest';
import { utf8Text } from '../../../src/config/utf8.ts';

const FILE = 'rowcall.yaml';

it.each([
  ['a Latin-1 letter', Buffer.from('name: shop\n# Caf\u00e9', 'latin1'), '2:6', '0xe9'],
  [
    'behind letters of several bytes',
    Buffer.concat([Buffer.from('a: "ü€😀'), Buffer.of(0xff)]),
    '1:8',
    '0xff',
  ],
  ['UTF-16', Buffer.from('\ufeffname: shop', 'utf16le'), '1:1', '0xff'],
  ['a letter that is cut off', Buffer.from('ab€').subarray(0, 4), '1:3', '0xe2'],
  [
    'a letter that is cut off by the end of its line',
    Buffer.of(0x61, 0xc3, 0x0a, 0x62),
    '1:2',
    '0xc3',
  ],
])('%s is refused with its place', (_what, bytes, place, byte) => {
  let refused: unknown;
  try {
    utf8Text(bytes, FILE);
  } catch (error) {
    refused = error;
  }
  expect(refused).toMatchObject({
    ...{ code: 'CONFIG_INVALID', place: `${FILE}:${place}` },
    message: `The file is not UTF-8: ${byte} is no character of it`,
    cure: expect.stringContaining('Save the file in UTF-8') as string,
  });
});

it('any text comes through as it is, without a byte order mark', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(utf8Text(Buffer.from(`x${text}`), FILE)).toBe(`x${text}`);
    }),
  );
  expect(utf8Text(Buffer.from('\ufeffa'), FILE)).toBe('a');
});

it('any bytes are read, or refused with a place within them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        utf8Text(bytes, FILE);
      } catch (error) {
        expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
        const { place = '' } = error as { place?: string };
        const [, line = 0, column = 0] = place.split(':').map(Number);
        const lines = Buffer.from(bytes).toString('latin1').split('\n');
        expect(column).toBeLessThanOrEqual(lines[line - 1]?.length ?? 0);
      }
    }),
  );
});
