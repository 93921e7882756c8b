import { describe, expect, it } from 'vitest';
import { envelopeData, HEADER_NEW_KEY, HEADER_OLD_KEY } from '../../../../src/change-event.ts';
import type { LogRecord } from '../../../../src/change-event.ts';
import type { LargeText } from '../../../../src/capture/decode/json-text.ts';
import type { Column } from '../../../../src/capture/decode/column.ts';
import { encodeRow, encodeTruncate } from '../../../../src/capture/encode/encode-row.ts';
import type { RowContext } from '../../../../src/capture/encode/encode-row.ts';
import type { Route } from '../../../../src/capture/route/router.ts';
import { fullRule } from '../../../../src/capture/route/table-rule.ts';
import { intColumn } from '../../../support/columns.ts';

const COLUMNS: readonly Column[] = ['id', 'na"me', '__proto__'].map(intColumn);

function routeOf(key: readonly Column[] | null, columns = COLUMNS): Route {
  const table = {
    schema: 'my shop',
    table: 'orders',
    name: 'my shop.orders',
    columns: COLUMNS,
    primaryKey: null,
    defect: null,
  };
  const rule = fullRule({ match: ['*'], topic: 'shop.orders', key: null, excludeColumns: [] });
  return { table, topic: 'shop.orders', columns, key, rule, open: [], outbox: null };
}

const KEYED = routeOf(COLUMNS.slice(0, 1));
const GTID = '3e11fa47-71ca-11e1-9e33-c80aa9429562:23';

const CONTEXT: RowContext = {
  name: 'shop',
  version: '0.1.0',
  transaction: GTID,
  gtid: GTID,
  file: 'binlog.000007',
  pos: 1234,
  row: 2,
  serverId: 5,
  thread: 17,
  commitUs: 1_790_000_000_123_456,
  nowMs: 1_790_000_000_200,
  ordinal: 3,
  totalOrder: 9,
};

/** A value as the decoder hands it on where it is large. */
function large(json: string): LargeText {
  return {
    byteLength: Buffer.byteLength(json, 'utf8'),
    writeTo: (target, at) => at + target.write(json, at, 'utf8'),
  };
}

function valueOf(record: LogRecord | undefined): string {
  return Buffer.from(record?.value ?? []).toString('utf8');
}

describe('a truncate', () => {
  it('is an envelope without images, whose id has the ordinal 0', () => {
    const record = encodeTruncate({ ...CONTEXT, ordinal: 0, row: 0 }, KEYED);
    expect(record).toMatchObject({ key: null, operation: 't', table: 'my shop.orders' });
    expect(record.id).toBe(`${GTID}:my%20shop/orders:0`);
    expect(valueOf(record)).toMatch(
      /^\{"before":null,"after":null,"source":\{.*\},"op":"t",.*,"transaction":null\}$/,
    );
    expect(Buffer.from(envelopeData(record.value ?? Buffer.of())).toString()).toMatch(/null\}$/);
  });
});

describe('a row change', () => {
  it('becomes the envelope, byte for byte', () => {
    const records = encodeRow(CONTEXT, KEYED, { before: null, after: ['1', '"ä"', 'null'] });
    expect(records).toHaveLength(1);
    expect(valueOf(records[0])).toBe(
      '{"before":null,"after":{"id":1,"na\\"me":"ä","__proto__":null},' +
        '"source":{"version":"0.1.0","connector":"rowcall","name":"shop","ts_ms":1790000000123,' +
        '"ts_us":1790000000123456,"snapshot":false,"db":"my shop","table":"orders","server_id":5,' +
        `"gtid":"${GTID}","file":"binlog.000007","pos":1234,"row":2,"thread":17,"query":null},` +
        '"op":"c","ts_ms":1790000000200,' +
        `"transaction":{"id":"${GTID}","total_order":9,"data_collection_order":3}}`,
    );
    expect(records[0]).toMatchObject({
      key: '{"id":1}',
      timestampMs: 1_790_000_000_123,
      id: `${GTID}:my%20shop/orders:3`,
      table: 'my shop.orders',
      operation: 'c',
    });
  });

  it('is cut into data without being parsed', () => {
    const [record] = encodeRow(CONTEXT, KEYED, {
      before: ['1', '",\\"op\\":\\""', '2'],
      after: null,
    });
    const data = Buffer.from(envelopeData(record?.value ?? Buffer.alloc(0))).toString('utf8');
    expect(JSON.parse(`{${data}}`)).toMatchObject({ after: null, source: { query: null } });
    expect(record).toMatchObject({ operation: 'd', key: '{"id":1}' });
  });

  it('of an update has both images', () => {
    const records = encodeRow(CONTEXT, KEYED, {
      before: ['1', '"a"', '0'],
      after: ['1', '"b"', '0'],
    });
    expect(records).toHaveLength(1);
    expect(JSON.parse(valueOf(records[0]))).toMatchObject({
      before: { id: 1, 'na"me': 'a' },
      after: { id: 1, 'na"me': 'b' },
      op: 'u',
    });
  });

  it('of partial images lacks what they lack, and has the key from before', () => {
    const [record, ...more] = encodeRow(CONTEXT, KEYED, {
      before: ['1', undefined, undefined],
      after: [undefined, large('"ä"'), undefined],
    });
    expect(more).toEqual([]);
    expect(record).toMatchObject({ operation: 'u', key: '{"id":1}' });
    expect(valueOf(record)).toContain('{"before":{"id":1},"after":{"na\\"me":"ä"},"source":');
  });

  it('of images without a column that the event has is two empty objects', () => {
    const [record] = encodeRow(CONTEXT, routeOf(null), {
      before: [undefined, undefined, undefined],
      after: [undefined, undefined, undefined],
    });
    expect(valueOf(record)).toContain('{"before":{},"after":{},"source":');
  });

  it('of partial images takes each column of a composite key from where it is', () => {
    const records = encodeRow(CONTEXT, routeOf(COLUMNS.slice(0, 2)), {
      before: ['1', '"a"', undefined],
      after: ['2', undefined, undefined],
    });
    expect(records.map(({ key, operation }) => [operation, key])).toEqual([
      ['d', '{"id":1,"na\\"me":"a"}'],
      ['c', '{"id":2,"na\\"me":"a"}'],
    ]);
  });

  it.each([
    ['an insert', null, [undefined, '"a"', '0']],
    ['an update', [undefined, '"a"', undefined], ['2', '"b"', undefined]],
    ['a delete', [undefined, '"a"', '0'], null],
  ])('without its key column stops: %s', (_what, before, after) => {
    expect(() => encodeRow(CONTEXT, KEYED, { before, after })).toThrow(
      expect.objectContaining({
        code: 'ROW_IMAGE_PARTIAL',
        message: 'The row lacks the key column id',
        place: 'binlog.000007:1234, table my shop.orders, row 3',
      }) as Error,
    );
  });

  it('that changes the key is a delete and a create that know of each other', () => {
    const before = ['1', '"a"', '0'];
    const after = ['2', '"a"', '0'];
    const [first, second, ...more] = encodeRow(CONTEXT, KEYED, { before, after });
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      key: '{"id":1}',
      operation: 'd',
      id: `${GTID}:my%20shop/orders:3:d`,
      headers: [[HEADER_NEW_KEY, '{"id":2}']],
    });
    expect(second).toMatchObject({
      key: '{"id":2}',
      operation: 'c',
      id: `${GTID}:my%20shop/orders:3:c`,
      headers: [[HEADER_OLD_KEY, '{"id":1}']],
    });
    expect(JSON.parse(valueOf(first))).toMatchObject({ before: { id: 1 }, after: null, op: 'd' });
    expect(JSON.parse(valueOf(second))).toMatchObject({ before: null, after: { id: 2 }, op: 'c' });
  });

  it('of a table without a key has none, and an update stays one record', () => {
    const records = encodeRow(CONTEXT, routeOf(null), {
      before: ['1', '1', '1'],
      after: ['2', '2', '2'],
    });
    expect(records.map(({ key, operation }) => [key, operation])).toEqual([[null, 'u']]);
  });

  it('keeps the order of the key, not of the table', () => {
    const key = [COLUMNS[2], COLUMNS[0]].flatMap((column) => column ?? []);
    const [record] = encodeRow(CONTEXT, routeOf(key), { before: null, after: ['1', '2', '3'] });
    expect(record?.key).toBe('{"__proto__":3,"id":1}');
  });

  it('leaves out columns that are not in the route', () => {
    const route = routeOf(null, COLUMNS.slice(0, 1));
    const [record] = encodeRow(CONTEXT, route, {
      before: null,
      after: ['1', undefined, undefined],
    });
    expect(valueOf(record)).toContain('"after":{"id":1},');
    const none = encodeRow(CONTEXT, routeOf(null, []), { before: null, after: [] });
    expect(valueOf(none[0])).toContain('"after":{},');
  });

  it('with large values that write themselves gives the same envelope', () => {
    const small = encodeRow(CONTEXT, KEYED, {
      before: ['1', '"ä"', '2'],
      after: ['1', '"ö"', '3'],
    });
    const written = encodeRow(CONTEXT, KEYED, {
      before: [large('1'), large('"ä"'), '2'],
      after: ['1', large('"ö"'), large('3')],
    });
    expect(valueOf(written[0])).toBe(valueOf(small[0]));
    expect(written[0]?.key).toBe(small[0]?.key);
  });

  it('has the place of its own event, not of the one before', () => {
    const change = { before: null, after: ['1', '1', '1'] };
    encodeRow(CONTEXT, KEYED, change);
    const later = { ...CONTEXT, pos: 99, row: 0, ordinal: 4, gtid: null, thread: null };
    const [record] = encodeRow(later, KEYED, change);
    expect(JSON.parse(valueOf(record))).toMatchObject({
      source: { gtid: null, pos: 99, row: 0, thread: null },
    });
    expect(record?.id).toBe(`${GTID}:my%20shop/orders:4`);
    const [other] = encodeRow({ ...later, transaction: 'uuid:24' }, KEYED, change);
    expect(other?.id).toBe('uuid:24:my%20shop/orders:4');
  });

  it('is the same on a second reading, but for the time of processing', () => {
    const change = { before: null, after: ['1', '1', '1'] };
    const [first] = encodeRow(CONTEXT, KEYED, change);
    const [again] = encodeRow({ ...CONTEXT, nowMs: 1 }, KEYED, change);
    expect(again?.id).toBe(first?.id);
    expect(valueOf(again).replace('"ts_ms":1,', '')).toBe(
      valueOf(first).replace(`"ts_ms":${CONTEXT.nowMs},`, ''),
    );
  });
});
