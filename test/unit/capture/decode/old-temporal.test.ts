import { describe, expect, it } from 'vitest';
import {
  oldDatetimeReader,
  oldTimeReader,
  oldTimestampReader,
} from '../../../../src/capture/decode/types/old-temporal.ts';
import { littleEndian, readValue } from './bytes.ts';

const invalidValue = expect.objectContaining({ code: 'VALUE_INVALID' }) as Error;

describe('before MySQL 5.6.4', () => {
  it.each([
    [0, '"0000-00-00 00:00:00"'],
    [1, '"1970-01-01T00:00:01Z"'],
    [2 ** 31 - 1, '"2038-01-19T03:14:07Z"'],
    [2 ** 32 - 1, '"2106-02-07T06:28:15Z"'],
  ])('the TIMESTAMP %i is %s', (seconds, json) => {
    expect(readValue(oldTimestampReader(), littleEndian(seconds, 4))).toBe(json);
  });

  it.each([
    [0, '"00:00:00"'],
    [1, '"00:00:01"'],
    [-1, '"-00:00:01"'],
    [-10_000, '"-01:00:00"'],
    [8_385_959, '"838:59:59"'],
    [-8_385_959, '"-838:59:59"'],
  ])('the TIME %i is %s', (value, json) => {
    expect(readValue(oldTimeReader(), littleEndian(value, 3))).toBe(json);
  });

  it.each([
    [0n, '"0000-00-00 00:00:00"'],
    [20_261_121_030_405n, '"2026-11-21 03:04:05"'],
    [20_260_231_000_000n, '"2026-02-31 00:00:00"'],
    [19_500_000_000_000n, '"1950-00-00 00:00:00"'],
    [99_991_231_235_959n, '"9999-12-31 23:59:59"'],
  ])('the DATETIME %d is %s', (value, json) => {
    expect(readValue(oldDatetimeReader(), littleEndian(value, 8))).toBe(json);
  });

  it('what is no time of day or no date is refused', () => {
    for (const value of [60, 6000, 8_390_000 - 2 ** 24, 8_388_607]) {
      expect(() => readValue(oldTimeReader(), littleEndian(value, 3))).toThrow(invalidValue);
    }
    for (const value of [
      20_261_121_240_000n,
      20_261_321_000_000n,
      20_261_132_000_000n,
      2n ** 64n - 1n,
    ]) {
      expect(() => readValue(oldDatetimeReader(), littleEndian(value, 8))).toThrow(invalidValue);
    }
  });
});
