import { describe, expect, it } from 'vitest';
import { TYPE } from '../../../../src/capture/decode/column.ts';
import { parseTableMap } from '../../../../src/capture/decode/parse-table-map.ts';
import { TableMaps } from '../../../../src/capture/decode/table-map.ts';
import {
  field,
  msbBits,
  namesField,
  ordersMap,
  packed,
  tableMapBody,
  tableMapEvent,
  text,
} from './bytes.ts';

const STRING = 254;

const malformedEvent = expect.objectContaining({ code: 'BINLOG_EVENT_MALFORMED' }) as Error;

describe('a table map', () => {
  it('tells names, types, nullability, visibility and the key', () => {
    const table = parseTableMap(ordersMap());
    expect(table).toMatchObject({ schema: 'shop', table: 'orders', name: 'shop.orders' });
    expect(table.defect).toBeNull();
    expect(table.columns).toMatchObject([
      { index: 0, name: 'id', type: TYPE.LONG, unsigned: false, nullable: false, collation: null },
      { index: 1, name: 'name', type: TYPE.VARCHAR, size: 160, nullable: true, collation: 255 },
      { index: 2, name: 'note', type: TYPE.BLOB, size: 2, nullable: true, collation: 255 },
    ]);
    expect(table.primaryKey).toEqual([{ column: table.columns[0], prefix: 0 }]);
  });

  it('counts YEAR, FLOAT, DOUBLE and DECIMAL among the columns with a sign', () => {
    const columns = [
      { name: 'y', type: TYPE.YEAR },
      { name: 'f', type: TYPE.FLOAT, metadata: [4] },
      { name: 'd', type: TYPE.DOUBLE, metadata: [8] },
      { name: 'm', type: TYPE.DECIMAL, metadata: [10, 2] },
      { name: 'day', type: TYPE.DATE },
      { name: 'i', type: TYPE.LONG },
      { name: 'u', type: TYPE.LONGLONG },
    ];
    const signs = msbBits([true, false, false, true, false, true]);
    const table = parseTableMap(tableMapBody(columns, [field(1, signs), namesField(columns)]));
    expect(table.columns.map(({ unsigned }) => unsigned)).toEqual([
      true,
      false,
      false,
      true,
      false,
      false,
      true,
    ]);
    expect(table.columns[3]).toMatchObject({ size: 10, scale: 2 });
  });

  it('finds the real types behind STRING', () => {
    const columns = [
      { name: 'e', type: STRING, metadata: [TYPE.ENUM, 1] },
      { name: 's', type: STRING, metadata: [TYPE.SET, 8] },
      { name: 'short', type: STRING, metadata: [STRING, 40] },
      // CHAR(255) in utf8mb4 has 1020 bytes: bits 8 and 9 stand inverted in the first byte.
      { name: 'long', type: STRING, metadata: [STRING ^ (3 << 4), 1020 & 255] },
      { name: 'b', type: TYPE.BIT, metadata: [2, 1] },
    ];
    const fields = [
      namesField(columns),
      field(3, Buffer.concat([packed(63), packed(255)])),
      field(5, Buffer.concat([packed(2), text('x'), text('y')])),
      field(6, Buffer.concat([packed(1), text('a,b')])),
      field(10, Buffer.concat([packed(255), packed(1), packed(8)])),
    ];
    const table = parseTableMap(tableMapBody(columns, fields));
    expect(table.defect).toBeNull();
    expect(table.columns).toMatchObject([
      { type: TYPE.ENUM, size: 1, collation: 255, labels: [Buffer.from('a,b')] },
      { type: TYPE.SET, size: 8, collation: 8, labels: [Buffer.from('x'), Buffer.from('y')] },
      { type: TYPE.STRING, size: 40, collation: 63 },
      { type: TYPE.STRING, size: 1020, collation: 255 },
      { type: TYPE.BIT, size: 10 },
    ]);
  });

  it('reads a default charset with its exceptions, and a key with prefixes', () => {
    const columns = ['a', 'b', 'c'].map((name) => ({ name, type: 15, metadata: [40, 0] }));
    const fields = [
      namesField(columns),
      field(2, Buffer.concat([packed(255), packed(1), packed(63)])),
      field(9, Buffer.concat([packed(2), packed(0), packed(1), packed(10)])),
    ];
    const table = parseTableMap(tableMapBody(columns, fields));
    expect(table.columns.map(({ collation }) => collation)).toEqual([255, 63, 255]);
    expect(table.primaryKey?.map(({ column, prefix }) => [column.name, prefix])).toEqual([
      ['c', 0],
      ['b', 10],
    ]);
  });

  it('takes geometry types and vector dimensions in stride', () => {
    const columns = [
      { name: 'g', type: TYPE.GEOMETRY, metadata: [4] },
      { name: 'v', type: TYPE.VECTOR, metadata: [4] },
    ];
    const charset = field(2, packed(63));
    const fields = [namesField(columns), charset, field(7, packed(1)), field(13, packed(2048))];
    expect(parseTableMap(tableMapBody(columns, fields)).defect).toBeNull();
  });

  // Counted without it, each column behind a VECTOR would be read in its neighbour's character set.
  it('counts VECTOR among the columns with a character set', () => {
    const columns = [
      { name: 'a', type: TYPE.BLOB, metadata: [2] },
      { name: 'v', type: TYPE.VECTOR, metadata: [4] },
      { name: 'b', type: TYPE.BLOB, metadata: [2] },
    ];
    const charsets = [field(3, Buffer.from([28, 63, 8])), field(2, Buffer.from([63, 0, 28, 2, 8]))];
    for (const charset of charsets) {
      const table = parseTableMap(tableMapBody(columns, [namesField(columns), charset]));
      expect(table.columns.map(({ collation }) => collation)).toEqual([28, 63, 8]);
    }
  });

  it('counts GEOMETRY among them where MariaDB wrote it, and only there', () => {
    const columns = [
      { name: 'a', type: TYPE.BLOB, metadata: [2] },
      { name: 'g', type: TYPE.GEOMETRY, metadata: [4] },
      { name: 'b', type: TYPE.BLOB, metadata: [2] },
    ];
    const collations = (charset: Buffer, version: string): unknown => {
      const maps = new TableMaps();
      maps.clear(version);
      const table = maps.put(tableMapEvent(tableMapBody(columns, [namesField(columns), charset])));
      return table.columns.map(({ collation }) => collation);
    };
    expect(collations(field(3, Buffer.from([28, 8])), '8.0.22')).toEqual([28, null, 8]);
    expect(collations(field(2, Buffer.from([28, 1, 8])), '9.7.4')).toEqual([28, null, 8]);
    const mariaDb = '10.11.19-MariaDB-0+deb12u1-log';
    expect(collations(field(3, Buffer.from([28, 63, 8])), mariaDb)).toEqual([28, 63, 8]);
    expect(collations(field(2, Buffer.from([28, 1, 63, 2, 8])), mariaDb)).toEqual([28, 63, 8]);
  });

  it('reads the types of MariaDB', () => {
    const columns = [
      { name: 't', type: TYPE.BLOB_COMPRESSED, metadata: [3] },
      { name: 's', type: TYPE.VARCHAR_COMPRESSED, metadata: [0x2d, 1] },
    ];
    const charset = field(3, Buffer.from([13, ...packed(2304)]));
    const table = parseTableMap(tableMapBody(columns, [namesField(columns), charset]));
    expect(table.defect).toBeNull();
    expect(table.columns).toMatchObject([
      { type: TYPE.BLOB_COMPRESSED, size: 3, collation: 13 },
      { type: TYPE.VARCHAR_COMPRESSED, size: 301, collation: 2304 },
    ]);
  });

  it("hides the server's functional-index columns and no one else's", () => {
    const names = ['a', '!hidden!i!0!0', 'invisible', '!hidden!own!0!0'];
    const columns = names.map((name) => ({ name, type: TYPE.DATE }));
    const visibility = field(12, msbBits([true, false, false, true]));
    const table = parseTableMap(tableMapBody(columns, [namesField(columns), visibility]));
    expect(table.columns.map(({ hidden }) => hidden)).toEqual([false, true, false, false]);
    expect(table.columns.map(({ visible }) => visible)).toEqual([true, false, false, true]);
  });

  it.each([
    ['column names', []],
    ['signedness', [namesField([{ name: 'id', type: TYPE.LONG }])]],
  ])('without %s has a defect that names them', (missing, fields) => {
    const table = parseTableMap(tableMapBody([{ name: 'id', type: TYPE.LONG }], fields));
    expect(table.defect?.code).toBe('ROW_METADATA_MISSING');
    expect(table.defect?.message).toContain(missing);
  });

  it('with a metadata field of a newer server has a defect', () => {
    const columns = [{ name: 'd', type: TYPE.DATE }];
    const table = parseTableMap(
      tableMapBody(columns, [namesField(columns), field(99, Buffer.from([1]))]),
    );
    expect(table.defect?.code).toBe('BINLOG_EVENT_UNSUPPORTED');
    expect(table.defect?.message).toContain('99');
  });

  it('with an unknown type keeps its name, so that only a captured table stops', () => {
    const table = parseTableMap(tableMapBody([{ name: 'x', type: 200 }], []));
    expect(table.name).toBe('shop.orders');
    expect(table.defect?.code).toBe('COLUMN_TYPE_UNSUPPORTED');
  });

  it('is malformed when cut short anywhere before its end', () => {
    const whole = ordersMap();
    for (let length = 0; length < whole.length; length += 1) {
      const cut = whole.subarray(0, length);
      let defect: string | undefined = 'thrown';
      try {
        defect = parseTableMap(cut).defect?.code;
      } catch (error) {
        expect(error).toMatchObject({ code: 'BINLOG_EVENT_MALFORMED' });
      }
      // Cut between two fields, what is left is a map without those behind.
      if (defect === undefined) expect(length).toBeGreaterThan(whole.length - 8);
    }
  });
});

describe('table maps', () => {
  it('give the same object for the same bytes under another id', () => {
    const maps = new TableMaps();
    const first = maps.put(tableMapEvent(ordersMap(), 1));
    expect(maps.put(tableMapEvent(ordersMap(), 2))).toBe(first);
    expect(maps.get(1)).toBe(first);
    expect(maps.get(2)).toBe(first);
  });

  it('give a defect the place of each map, though the bytes are the same', () => {
    const maps = new TableMaps();
    const event = tableMapEvent(tableMapBody([{ name: 'id', type: TYPE.LONG }], []));
    const places = [event, { ...event, position: 900 }].map((map) => maps.put(map).defect?.place);
    expect(places).toEqual(['binlog.000007:400', 'binlog.000007:900']);
  });

  it('take the newest map of an id', () => {
    const maps = new TableMaps();
    const columns = [{ name: 'd', type: TYPE.DATE }];
    maps.put(tableMapEvent(ordersMap(), 1));
    const other = maps.put(tableMapEvent(tableMapBody(columns, [namesField(columns)]), 1));
    expect(maps.get(1)).toBe(other);
  });

  it('forget all ids when cleared', () => {
    const maps = new TableMaps();
    maps.put(tableMapEvent(ordersMap(), 1));
    maps.clear();
    expect(maps.get(1)).toBeUndefined();
  });

  it('are read anew where the same bytes come from a server of the other kind', () => {
    const maps = new TableMaps();
    const columns = [{ name: 'old', type: TYPE.OLD_TIME }];
    const event = tableMapEvent(tableMapBody(columns, [namesField(columns)]));
    expect(maps.put(event).columns[0]?.candidates).toBeUndefined();
    maps.clear('11.4.5-MariaDB-log');
    expect(maps.put(event).columns[0]?.candidates).toContain('time(6)');
    maps.clear('9.7.4');
    expect(maps.put(event).columns[0]?.candidates).toBeUndefined();
  });

  it('stay bounded, and keep the tables in use', () => {
    const maps = new TableMaps();
    const columns = [{ name: 'd', type: TYPE.DATE }];
    const inUse = maps.put(tableMapEvent(ordersMap(), 0));
    for (let i = 1; i <= 25_000; i += 1) {
      const body = tableMapBody(columns, [namesField(columns)], ['shop', `t${i}`]);
      maps.put(tableMapEvent(body, i));
      if (i % 1000 === 0) maps.put(tableMapEvent(ordersMap(), 0));
    }
    expect(maps.get(1)).toBeUndefined();
    expect(maps.get(25_000)?.table).toBe('t25000');
    expect(maps.get(0)).toBe(inUse);
  });

  it('keep fewer shapes of wide tables', () => {
    const maps = new TableMaps();
    const columns = Array.from({ length: 4096 }, (_, i) => ({ name: `c${i}`, type: TYPE.DATE }));
    const fields = [namesField(columns)];
    const events = Array.from({ length: 30 }, (_, i) =>
      tableMapEvent(tableMapBody(columns, fields, ['shop', `t${i}`]), i),
    );
    const versions = events.map((event) => maps.put(event));
    const again = events.map((event) => maps.put(event));
    expect(again.some((version, i) => version === versions[i])).toBe(false);
    expect(maps.put(tableMapEvent(tableMapBody(columns, fields, ['shop', 't29'])))).toBe(again[29]);
  });

  it('name file and position of a malformed map', () => {
    expect(() => new TableMaps().put(tableMapEvent(Buffer.from([1, 2])))).toThrow(malformedEvent);
    expect(() => new TableMaps().put(tableMapEvent(Buffer.from([1, 2])))).toThrow(
      expect.objectContaining({ place: 'binlog.000007:400' }),
    );
  });
});
