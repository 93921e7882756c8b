import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TYPE } from '../../../../../src/capture/decode/column.ts';
import { textOf } from '../../../../../src/capture/decode/json-text.ts';
import { debeziumEncoding } from '../../../../../src/capture/decode/render/debezium-values.ts';
import { intColumn } from '../../../../support/columns.ts';

interface Shape {
  readonly size?: number;
  readonly scale?: number;
}

function encode(type: number, value: string, shape: Shape = {}): string {
  const encoding = debeziumEncoding({ ...intColumn('c', 0), ...shape, type });
  return textOf(encoding?.encode(value) ?? value);
}

// Of the real Debezium: test/integration/debezium-values.kafka.test.ts.
describe("Debezium's encoding", () => {
  it.each<[string, number, string, string, Shape]>([
    ['DECIMAL', TYPE.DECIMAL, '"-0.50"', '"zg=="', {}],
    ['DECIMAL of zero', TYPE.DECIMAL, '"0.00"', '"AA=="', {}],
    ['DECIMAL whose top bit is set', TYPE.DECIMAL, '"1.28"', '"AIA="', {}],
    ['DATE', TYPE.DATE, '"2026-11-21"', '20778', {}],
    ['DATE before 1970', TYPE.DATE, '"0099-12-31"', '-683004', {}],
    ['DATETIME in ms', TYPE.DATETIME, '"1970-01-02 00:00:01.5"', '86401500', { scale: 1 }],
    [
      'DATETIME in µs',
      TYPE.DATETIME,
      '"9999-12-31 23:59:59.999999"',
      '253402300799999999',
      { scale: 6 },
    ],
    ['DATETIME before 1970', TYPE.DATETIME, '"1969-12-31 23:59:59.999"', '-1', { scale: 3 }],
    ['TIME', TYPE.TIME, '"-838:59:59.50"', '-3020399500000', { scale: 2 }],
    ['TIME zero', TYPE.TIME, '"00:00:00"', '0', {}],
    ['TIMESTAMP', TYPE.TIMESTAMP, '"2026-11-21T03:04:05Z"', '"2026-11-21T03:04:05Z"', {}],
    ['BIT(1)', TYPE.BIT, '1', 'true', { size: 1 }],
    ['BIT(9)', TYPE.BIT, '258', '"AgE="', { size: 9 }],
    ['BIT(64)', TYPE.BIT, '9223372036854775809', '"AQAAAAAAAIA="', { size: 64 }],
    ['JSON', TYPE.JSON, '{"a":"\\""}', '"{\\"a\\":\\"\\\\\\"\\"}"', {}],
    ['YEAR', TYPE.YEAR, '0', '0', {}],
  ])('of %s', (...[, type, value, expected, shape]) => {
    expect(encode(type, value, shape)).toBe(expected);
  });

  it('of a DECIMAL reads back as the number it was', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 65n), max: 10n ** 65n }), (number) => {
        const bytes = Buffer.from(encode(TYPE.DECIMAL, `"${number}"`).slice(1, -1), 'base64');
        const read = BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`));
        expect(read).toBe(number);
      }),
    );
  });

  it.each([
    ['a zero DATE', TYPE.DATE, '"0000-00-00"'],
    ['an invalid DATE', TYPE.DATE, '"2026-02-31"'],
    ['a zero DATETIME', TYPE.DATETIME, '"0000-00-00 00:00:00"'],
    ['a zero TIMESTAMP', TYPE.TIMESTAMP, '"0000-00-00 00:00:00"'],
  ])('has no form for %s, and says so', (_what, type, value) => {
    expect(() => encode(type, value)).toThrow(expect.objectContaining({ code: 'VALUE_INVALID' }));
  });
});
