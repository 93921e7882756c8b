import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  civilDate,
  dateReader,
  datetimeReader,
  timeReader,
  timestampReader,
} from '../../../../src/capture/decode/types/temporal.ts';
import { bigEndian, littleEndian, readValue } from './bytes.ts';

const digitsArbitrary = fc.integer({ min: 0, max: 6 });
const microsArbitrary = fc.integer({ min: 0, max: 999_999 });

const two = (value: number): string => String(value).padStart(2, '0');

function fraction(micros: number, digits: number): string {
  return digits === 0 ? '' : `.${String(micros).padStart(6, '0').slice(0, digits)}`;
}

/** Cut to the digits that a column keeps. */
function kept(micros: number, digits: number): number {
  const unit = 10 ** (6 - digits);
  return micros - (micros % unit);
}

function storedFraction(micros: number, digits: number): number {
  const bytes = (digits + 1) >> 1;
  return bytes === 0 ? 0 : Math.floor(micros / 10 ** (6 - 2 * bytes));
}

describe('DATE', () => {
  it.each([
    ['0000-00-00', 0, 0, 0],
    ['1950-00-00', 1950, 0, 0],
    ['2026-02-31', 2026, 2, 31],
    ['0003-00-00', 3, 0, 0],
    ['9999-12-31', 9999, 12, 31],
  ])('%s stays as it is stored', (json, year, month, day) => {
    const stored = littleEndian((year << 9) | (month << 5) | day, 3);
    expect(readValue(dateReader(), stored)).toBe(`"${json}"`);
  });
});

describe('DATETIME', () => {
  const store = (
    [year, month, day, hour, minute, second]: readonly number[],
    micros: number,
    digits: number,
  ): Buffer => {
    const parts = [year, month, day, hour, minute, second].map((part) => BigInt(part ?? 0));
    const [y = 0n, mo = 0n, d = 0n, h = 0n, mi = 0n, s = 0n] = parts;
    const packed = ((y * 13n + mo) << 22n) | (d << 17n) | (h << 12n) | (mi << 6n) | s;
    return Buffer.concat([
      bigEndian(packed + 0x80_0000_0000n, 5),
      bigEndian(storedFraction(micros, digits), (digits + 1) >> 1),
    ]);
  };

  it('prints date, time and all fraction digits', () => {
    const parts = fc.tuple(
      fc.integer({ min: 0, max: 9999 }),
      fc.integer({ min: 0, max: 12 }),
      fc.integer({ min: 0, max: 31 }),
      fc.integer({ min: 0, max: 23 }),
      fc.integer({ min: 0, max: 59 }),
      fc.integer({ min: 0, max: 59 }),
    );
    fc.assert(
      fc.property(parts, microsArbitrary, digitsArbitrary, (when, anyMicros, digits) => {
        const micros = kept(anyMicros, digits);
        const [year, ...rest] = when;
        const [month, day, hour, minute, second] = rest.map(two);
        const date = `${String(year).padStart(4, '0')}-${String(month)}-${String(day)}`;
        const clock = `${String(hour)}:${String(minute)}:${String(second)}`;
        expect(readValue(datetimeReader(digits), store(when, micros, digits))).toBe(
          `"${date} ${clock}${fraction(micros, digits)}"`,
        );
      }),
    );
  });

  it('refuses a fraction of a second or more', () => {
    const bytes = Buffer.concat([bigEndian(0x80_0000_0000, 5), Buffer.from([100])]);
    expect(() => readValue(datetimeReader(2), bytes)).toThrow(
      expect.objectContaining({ code: 'VALUE_INVALID' }),
    );
  });
});

describe('TIMESTAMP', () => {
  const store = (seconds: number, micros: number, digits: number): Buffer =>
    Buffer.concat([
      bigEndian(seconds, 4),
      bigEndian(storedFraction(micros, digits), (digits + 1) >> 1),
    ]);

  it('is UTC in RFC 3339 with all fraction digits', () => {
    const seconds = fc.integer({ min: 1, max: 0xffff_ffff });
    fc.assert(
      fc.property(seconds, microsArbitrary, digitsArbitrary, (second, anyMicros, digits) => {
        const micros = kept(anyMicros, digits);
        const whole = new Date(second * 1000).toISOString().slice(0, 19);
        expect(readValue(timestampReader(digits), store(second, micros, digits))).toBe(
          `"${whole}${fraction(micros, digits)}Z"`,
        );
      }),
    );
  });

  it.each([
    [0, '0000-00-00 00:00:00'],
    [3, '0000-00-00 00:00:00.000'],
  ])('zero with %i digits is the zero date, not 1970', (digits, json) => {
    expect(readValue(timestampReader(digits), store(0, 0, digits))).toBe(`"${json}"`);
  });

  it('counts days as the calendar does', () => {
    fc.assert(
      fc.property(fc.integer({ min: -700_000, max: 2_900_000 }), (days) => {
        const date = new Date(days * 86_400_000);
        expect(civilDate(days)).toEqual({
          year: date.getUTCFullYear(),
          month: date.getUTCMonth() + 1,
          day: date.getUTCDate(),
        });
      }),
    );
  });
});

describe('TIME', () => {
  const store = (microseconds: bigint, digits: number): Buffer => {
    const negative = microseconds < 0n;
    const size = negative ? -microseconds : microseconds;
    const second = size / 1_000_000n;
    const hms = ((second / 3600n) << 12n) | (((second / 60n) % 60n) << 6n) | (second % 60n);
    const bytes = (digits + 1) >> 1;
    const part = BigInt(storedFraction(Number(size % 1_000_000n), digits));
    const whole = (hms << BigInt(8 * bytes)) | part;
    return bigEndian((0x80_0000n << BigInt(8 * bytes)) + (negative ? -whole : whole), 3 + bytes);
  };

  it('is right on both sides of zero with any fraction', () => {
    const seconds = fc.integer({ min: 0, max: 838 * 3600 + 3599 });
    fc.assert(
      fc.property(
        fc.boolean(),
        seconds,
        microsArbitrary,
        digitsArbitrary,
        (negative, second, anyMicros, digits) => {
          const micros = kept(anyMicros, digits);
          const size = BigInt(second) * 1_000_000n + BigInt(micros);
          const minus = negative && size > 0n;
          const clock = `${two(Math.floor(second / 3600))}:${two(Math.floor(second / 60) % 60)}:${two(second % 60)}`;
          expect(readValue(timeReader(digits), store(minus ? -size : size, digits))).toBe(
            `"${minus ? '-' : ''}${clock}${fraction(micros, digits)}"`,
          );
        },
      ),
    );
  });

  it.each([
    [-3_600_000_000n, 0, '-01:00:00'],
    [-37_200_000_000n, 0, '-10:20:00'],
    [-1_000_000n, 0, '-00:00:01'],
    [-3_599_000_000n, 0, '-00:59:59'],
    [-100_000n, 2, '-00:00:00.10'],
    [-3_020_399_000_000n, 6, '-838:59:59.000000'],
  ])('%s microseconds with %i digits are %s', (micros, digits, json) => {
    expect(readValue(timeReader(digits), store(micros, digits))).toBe(`"${json}"`);
  });
});
