import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decimalReader } from '../../../../src/capture/decode/types/decimal.ts';
import { bigEndian, readValue } from './bytes.ts';

const BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/** Written from the layout's description, digit group by digit group, to be held against the reader. */
function store(value: string, precision: number, scale: number): Buffer {
  const negative = value.startsWith('-');
  const [whole = '', fraction = ''] = value.replace('-', '').split('.');
  const groups: string[] = [];
  let left = whole.replace(/^0+/, '').padStart(precision - scale, '0');
  if (left.length % 9 > 0) groups.push(left.slice(0, left.length % 9));
  left = left.slice(left.length % 9);
  for (; left !== ''; left = left.slice(9)) groups.push(left.slice(0, 9));
  for (let right = fraction; right !== ''; right = right.slice(9)) groups.push(right.slice(0, 9));
  const bytes = Buffer.concat(
    groups.map((group) => bigEndian(BigInt(group), BYTES[group.length] ?? 4)),
  );
  bytes.writeUInt8(bytes.readUInt8(0) ^ 0x80, 0);
  return negative ? Buffer.from(bytes.map((byte) => byte ^ 0xff)) : bytes;
}

const anyDecimal = fc
  .integer({ min: 1, max: 65 })
  .chain((precision) =>
    fc.tuple(fc.constant(precision), fc.integer({ min: 0, max: Math.min(30, precision) })),
  )
  .chain(([precision, scale]) =>
    fc.tuple(
      fc.constant(precision),
      fc.constant(scale),
      fc.bigInt({ min: 10n ** BigInt(precision) * -1n + 1n, max: 10n ** BigInt(precision) - 1n }),
    ),
  );

function decimalText(unscaled: bigint, scale: number): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  const fraction = scale === 0 ? '' : `.${digits.slice(digits.length - scale)}`;
  return `${unscaled < 0n ? '-' : ''}${whole}${fraction}`;
}

describe('DECIMAL', () => {
  it('prints every digit, the full scale and the sign', () => {
    fc.assert(
      fc.property(anyDecimal, ([precision, scale, unscaled]) => {
        const value = decimalText(unscaled, scale);
        const stored = store(value, precision, scale);
        expect(readValue(decimalReader(precision, scale), stored)).toBe(`"${value}"`);
      }),
    );
  });

  it.each([
    [65, 30, `-${'9'.repeat(35)}.${'9'.repeat(30)}`],
    [2, 2, '-0.99'],
    [30, 30, `0.${'0'.repeat(30)}`],
    [9, 0, '999999999'],
    [10, 2, '-0.05'],
    [20, 0, '-10000000001'],
  ])('(%i,%i) reads %s', (precision, scale, value) => {
    expect(readValue(decimalReader(precision, scale), store(value, precision, scale))).toBe(
      `"${value}"`,
    );
  });

  it('leaves the event as it was', () => {
    const stored = store('-12.34', 6, 2);
    const before = Buffer.from(stored);
    readValue(decimalReader(6, 2), stored);
    expect(stored).toEqual(before);
  });
});
