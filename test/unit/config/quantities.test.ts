import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
} from '../../../src/config/quantities.ts';

describe('durations', () => {
  it.each([
    ['0ms', 0],
    ['250ms', 250],
    ['5s', 5000],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
  ])('reads %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '5', 's', '05s', '1.5s', '-1s', '+1s', '5 s', '5S', '1h30m', '1e3ms', '5s\n', '٥s'])(
    'refuses %j, which has several readings or none',
    (text) => {
      expect(parseDuration(text)).toBeNull();
    },
  );

  it('refuses what is no exact number of milliseconds', () => {
    expect(parseDuration('104249991d')).toBe(104_249_991 * 86_400_000);
    expect(parseDuration('104249992d')).toBeNull();
  });

  it('reads back what it printed', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
    );
  });
});

describe('sizes', () => {
  it.each([
    ['512B', 512],
    ['64KiB', 65_536],
    ['16MiB', 16_777_216],
    ['2GiB', 2_147_483_648],
    ['1TiB', 1_099_511_627_776],
  ])('reads %s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(['1024', '1KB', '1K', '1Kb', '1.5MiB', '1 MiB', '1mib', '8192TiB'])(
    'refuses %j',
    (text) => {
      expect(parseSize(text)).toBeNull();
    },
  );

  it('reads back what it printed, in the largest unit that is exact', () => {
    expect(formatSize(3 * 1024 ** 3)).toBe('3GiB');
    expect(formatSize(1025)).toBe('1025B');
    fc.assert(
      fc.property(fc.maxSafeNat(), (bytes) => {
        expect(parseSize(formatSize(bytes))).toBe(bytes);
      }),
    );
  });
});
