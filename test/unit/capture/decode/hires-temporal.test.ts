import { describe, expect, it } from 'vitest';
import {
  hiresDatetimeReader,
  hiresTimeReader,
  hiresTimestampReader,
} from '../../../../src/capture/decode/types/hires-temporal.ts';
import { readValue } from './bytes.ts';

const invalidValue = expect.objectContaining({ code: 'VALUE_INVALID' }) as Error;

/** As MariaDB 10.11 and 11.8 wrote them: -01:02:03.456789, and 2026-11-21 03:04:05.678901. */
const TIMES = [
  '',
  '01cc4eee',
  '11fb1547',
  '00b3ced4c0',
  '0706144f79',
  '463ccb1ab2',
  '02be5fef0aeb',
];
const DATETIMES = [
  ...['', '00a99ee6ea78', '06a0350528b7', '0042421233972e'],
  ...['029694b603e7d5', '19e1cf1c270e52', '0102d21719868f35'],
];
const TIMESTAMPS = ['', '06', '43', '02a6', '1a85', '010932', '0a5bf5'];
const SECONDS = '6b010a25';

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');

describe('with fractions, before they had the storage format of MySQL 5.6', () => {
  it.each([1, 2, 3, 4, 5, 6])('%i digits', (digits) => {
    const cut = (text: string): string => text.slice(0, text.indexOf('.') + 1 + digits);
    const time = readValue(hiresTimeReader(digits), bytes(TIMES[digits] ?? ''));
    expect(time).toBe(`"${cut('-01:02:03.456789')}"`);
    const datetime = readValue(hiresDatetimeReader(digits), bytes(DATETIMES[digits] ?? ''));
    expect(datetime).toBe(`"${cut('2026-11-21 03:04:05.678901')}"`);
    const stored = bytes(SECONDS + (TIMESTAMPS[digits] ?? ''));
    const timestamp = readValue(hiresTimestampReader(digits), stored);
    expect(timestamp).toBe(`"${cut('2026-11-21T03:04:05.678901')}Z"`);
  });

  it('zero is the zero timestamp, and the zero date', () => {
    expect(readValue(hiresTimestampReader(3), Buffer.alloc(6))).toBe('"0000-00-00 00:00:00.000"');
    expect(readValue(hiresDatetimeReader(2), Buffer.alloc(6))).toBe('"0000-00-00 00:00:00.00"');
  });

  it('what is no time of day or no date is refused', () => {
    for (const [reader, hex] of [
      [hiresTimeReader(1), '00000000'],
      [hiresTimeReader(6), 'ffffffffffff'],
      [hiresDatetimeReader(6), 'ffffffffffffffff'],
      [hiresTimestampReader(1), '6b010a250a'],
      [hiresTimestampReader(2), '0000000001'],
    ] as const) {
      expect(() => readValue(reader, bytes(hex))).toThrow(invalidValue);
    }
  });
});
