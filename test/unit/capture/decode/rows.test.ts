import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RowcallError } from '../../../../src/errors.ts';
import { TYPE } from '../../../../src/capture/decode/column.ts';
import type { Column } from '../../../../src/capture/decode/column.ts';
import { decodeRows } from '../../../../src/capture/decode/rows.ts';
import type { RowsEvent } from '../../../../src/capture/decode/rows.ts';
import { parseTableMap } from '../../../../src/capture/decode/parse-table-map.ts';
import {
  field,
  littleEndian,
  msbBits,
  namesField,
  ordersMap,
  packed,
  rowsBody,
  rowsEvent,
  tableMapBody,
} from './bytes.ts';

const orders = parseTableMap(ordersMap());

const id = (value: number): Buffer => littleEndian(value, 4);
const name = (value: string): Buffer =>
  Buffer.concat([littleEndian(Buffer.byteLength(value), 1), Buffer.from(value)]);
const note = (value: string): Buffer =>
  Buffer.concat([littleEndian(Buffer.byteLength(value), 2), Buffer.from(value)]);

function decode(
  event: RowsEvent,
  table = orders,
  wanted: readonly Column[] = table.columns,
): unknown[] {
  return [...decodeRows(event, table, wanted)];
}

describe('row events', () => {
  it('of an insert have after images only', () => {
    const body = rowsBody(3, 1, [
      [id(1), name('a'), null],
      [id(-2), null, note('two')],
    ]);
    expect(decode(rowsEvent('insert', body))).toEqual([
      { before: null, after: ['1', '"a"', 'null'] },
      { before: null, after: ['-2', 'null', '"two"'] },
    ]);
  });

  it('of an update pair before and after', () => {
    const body = rowsBody(3, 2, [
      [id(1), name('a'), null],
      [id(1), name('b'), null],
    ]);
    expect(decode(rowsEvent('update', body))).toEqual([
      { before: ['1', '"a"', 'null'], after: ['1', '"b"', 'null'] },
    ]);
  });

  it('of a delete have before images only, and may be without rows', () => {
    const body = rowsBody(3, 1, [[id(1), null, null]]);
    expect(decode(rowsEvent('delete', body))).toEqual([
      { before: ['1', 'null', 'null'], after: null },
    ]);
    expect(decode(rowsEvent('delete', rowsBody(3, 1, [])))).toEqual([]);
  });

  it('pass over columns that are not wanted', () => {
    const body = rowsBody(3, 1, [[id(1), name('secret'), note('x')]]);
    const wanted = orders.columns.filter((column) => column.name !== 'name');
    expect(decode(rowsEvent('insert', body), orders, wanted)).toEqual([
      { before: null, after: ['1', undefined, '"x"'] },
    ]);
  });

  it('yield each row before the next is read', () => {
    const broken = Buffer.concat([rowsBody(3, 1, [[id(1), null, null]]), Buffer.from([0, 9])]);
    const rows = decodeRows(rowsEvent('insert', broken), orders, orders.columns);
    expect(rows.next().value).toEqual({ before: null, after: ['1', 'null', 'null'] });
    expect(() => rows.next()).toThrow(expect.objectContaining({ code: 'BINLOG_EVENT_MALFORMED' }));
  });

  it('with bytes left over are malformed', () => {
    const body = Buffer.concat([rowsBody(3, 1, [[id(1), null, null]]), Buffer.from([0])]);
    expect(() => decode(rowsEvent('insert', body))).toThrow(
      expect.objectContaining({ code: 'BINLOG_EVENT_MALFORMED' }),
    );
  });

  it('with another width than their table are malformed', () => {
    expect(() => decode(rowsEvent('insert', rowsBody(2, 1, [])))).toThrow(
      expect.objectContaining({
        code: 'BINLOG_EVENT_MALFORMED',
        place: 'binlog.000007:500, table shop.orders',
      }),
    );
  });

  it('without all columns have those that are there: what is absent is not NULL', () => {
    // The null bitmap of an image counts the columns that the image has.
    const body = Buffer.concat([
      ...[packed(3), Buffer.from([0b001]), Buffer.from([0b110])],
      ...[Buffer.from([0]), id(1), Buffer.from([0b01]), note('one')],
      ...[Buffer.from([0]), id(2), Buffer.from([0b10]), name('two')],
    ]);
    expect(decode(rowsEvent('update', body))).toEqual([
      { before: ['1', undefined, undefined], after: [undefined, 'null', '"one"'] },
      { before: ['2', undefined, undefined], after: [undefined, '"two"', 'null'] },
    ]);
    const whole = { requireFullImage: true };
    expect(() => [...decodeRows(rowsEvent('update', body), orders, orders.columns, whole)]).toThrow(
      expect.objectContaining({
        code: 'ROW_IMAGE_PARTIAL',
        message: expect.stringContaining('name, note') as string,
        place: 'binlog.000007:500, table shop.orders',
      }),
    );
  });

  it('that lack what stands in a whole image before them have it from there', () => {
    const body = Buffer.concat([
      ...[packed(3), Buffer.from([0b111]), Buffer.from([0b100])],
      ...[Buffer.from([0b010]), id(1), note('one'), Buffer.from([0]), note('two')],
    ]);
    const whole = { requireFullImage: true };
    const rows = [...decodeRows(rowsEvent('update', body), orders, orders.columns, whole)];
    expect(rows).toEqual([{ before: ['1', 'null', '"one"'], after: ['1', 'null', '"two"'] }]);
  });

  it('without any column cannot be counted', () => {
    const body = Buffer.concat([packed(3), Buffer.from([0])]);
    expect(() => decode(rowsEvent('insert', body))).toThrow(
      expect.objectContaining({ code: 'ROW_IMAGE_PARTIAL' }),
    );
  });

  it('name file, position, table, row and column of a value that cannot be', () => {
    const bad = Buffer.concat([littleEndian(1, 1), Buffer.from([0xff])]);
    const body = rowsBody(3, 1, [
      [id(1), name('a'), null],
      [id(2), bad, null],
    ]);
    expect(() => decode(rowsEvent('insert', body))).toThrow(
      expect.objectContaining({
        code: 'VALUE_INVALID',
        place: 'binlog.000007:500, table shop.orders, row 2, column name',
      }),
    );
  });
});

describe('a column that cannot be read exactly', () => {
  const columns = [
    { name: 'day', type: TYPE.DATE },
    { name: 'shape', type: TYPE.GEOMETRY, metadata: [4] },
    { name: 'kanji', type: TYPE.VARCHAR, metadata: [40, 0] },
    { name: 'old', type: TYPE.OLD_DATETIME },
  ];
  const fields = [namesField(columns), field(2, packed(60_000))];
  const body = tableMapBody(columns, [...fields, field(12, msbBits([true, true, true, true]))]);
  const table = parseTableMap(body);
  const row = rowsBody(4, 1, [
    [
      littleEndian((2026 << 9) | (11 << 5) | 21, 3),
      Buffer.concat([littleEndian(2, 4), Buffer.from([1, 2])]),
      name('xx'),
      littleEndian(20_261_121_101_099n, 8),
    ],
  ]);
  const only = (...names: string[]): Column[] =>
    table.columns.filter((column) => names.includes(column.name));

  it.each([
    ['shape', 'VALUE_INVALID'],
    ['kanji', 'CHARSET_UNSUPPORTED'],
    ['old', 'VALUE_INVALID'],
  ])('(%s) stops with %s and its name', (column, code) => {
    expect(() => decode(rowsEvent('insert', row), table, only('day', column))).toThrow(
      expect.objectContaining({
        code,
        place: expect.stringContaining(`table shop.orders`) as string,
      }),
    );
    expect(() => decode(rowsEvent('insert', row), table, only('day', column))).toThrow(
      expect.objectContaining({ place: expect.stringContaining(`column ${column}`) as string }),
    );
  });

  it('is passed over by its width when it is excluded', () => {
    expect(decode(rowsEvent('insert', row), table, only('day'))).toEqual([
      { before: null, after: ['"2026-11-21"', undefined, undefined, undefined] },
    ]);
  });
});

describe('damaged row events', () => {
  const columns = [
    { name: 'i', type: TYPE.LONGLONG },
    { name: 'v', type: TYPE.VARCHAR, metadata: [40, 0] },
    { name: 'm', type: TYPE.DECIMAL, metadata: [12, 2] },
    { name: 't', type: TYPE.TIME, metadata: [6] },
    { name: 'd', type: TYPE.DATETIME, metadata: [3] },
    { name: 's', type: TYPE.TIMESTAMP, metadata: [2] },
    { name: 'j', type: TYPE.JSON, metadata: [4] },
    { name: 'e', type: 254, metadata: [TYPE.ENUM, 1] },
    { name: 'f', type: TYPE.FLOAT, metadata: [4] },
  ];
  const table = parseTableMap(
    tableMapBody(columns, [
      namesField(columns),
      field(1, msbBits([false, false, false])),
      field(2, packed(255)),
      field(6, Buffer.concat([packed(1), packed(1), Buffer.from('a')])),
      field(10, packed(255)),
    ]),
  );
  const json = Buffer.from([0, 2, 0, 30, 0, 18, 0, 1, 0, 19, 0, 1, 0, 12, 20, 0, 5, 7, 0]);
  const document = Buffer.concat([
    json,
    Buffer.from('ab'),
    Buffer.from([9]),
    Buffer.from('some text'),
  ]);
  const image = [
    littleEndian(-5, 8),
    name('text'),
    Buffer.from([0x80, 0, 0, 1, 50, 0]),
    Buffer.from([0x80, 0x10, 0, 1, 2, 3]),
    Buffer.from([0x99, 0xb0, 0, 0, 0, 1, 2]),
    Buffer.from([0x60, 0, 0, 0, 1]),
    Buffer.concat([littleEndian(document.length, 4), document]),
    Buffer.from([1]),
    Buffer.from([0, 0, 128, 63]),
  ];
  const whole = rowsBody(9, 2, [image, image, image, image]);

  const onlyRowcallErrors = (body: Buffer): void => {
    try {
      decode(rowsEvent('update', body), table);
    } catch (error) {
      if (!(error instanceof RowcallError)) throw error;
      expect(['BINLOG_EVENT_MALFORMED', 'VALUE_INVALID', 'ROW_IMAGE_PARTIAL']).toContain(
        error.code,
      );
      expect(error.place).toContain('table shop.orders');
    }
  };

  it('that are whole decode', () => {
    expect(decode(rowsEvent('update', whole), table)).toHaveLength(2);
  });

  it('that are cut short throw nothing but our errors', () => {
    for (let length = 0; length < whole.length; length += 1) {
      onlyRowcallErrors(whole.subarray(0, length));
    }
  });

  it('with any bytes changed throw nothing but our errors', () => {
    const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(changes, (bytes) => {
        const body = Buffer.from(whole);
        for (const [at, byte] of bytes) body.writeUInt8(byte, at);
        onlyRowcallErrors(body);
      }),
      { numRuns: 3000 },
    );
  });

  it('of noise throw nothing but our errors', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        const head = Buffer.concat([packed(9), Buffer.from([0xff, 0xff, 0xff, 0xff])]);
        onlyRowcallErrors(Buffer.concat([head, noise]));
      }),
      { numRuns: 1000 },
    );
  });
});
