import { CloudEvent, Kafka, type KafkaMessage } from 'cloudevents';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Column } from '../../src/capture/decode/column.ts';
import type { RowChange } from '../../src/capture/decode/rows.ts';
import { encodeRow, encodeTruncate, type RowContext } from '../../src/capture/encode/encode-row.ts';
import type { Route } from '../../src/capture/route/router.ts';
import { fullRule, type TableRule } from '../../src/capture/route/table-rule.ts';
import { envelopeData, type LogRecord } from '../../src/change-event.ts';
import { canonical, type EventFormat } from '../../src/event-format.ts';
import { intColumn } from '../support/columns.ts';

const COLUMNS: readonly Column[] = ['id', 'na"me', '2', '__proto__', 'data'].map(intColumn);
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

function routeOf(rule: Partial<TableRule> = {}, keyed = true): Route {
  const table = {
    schema: 'my shop',
    table: 'orders',
    name: 'my shop.orders',
    columns: COLUMNS,
    primaryKey: null,
    defect: null,
  };
  const full = fullRule({ match: ['*'], topic: 't', key: null, excludeColumns: [], ...rule });
  return {
    table,
    topic: 't',
    columns: COLUMNS,
    key: keyed ? COLUMNS.slice(0, 1) : null,
    rule: full,
    open: [],
    outbox: null,
  };
}

const encode = (format: EventFormat, change: RowChange, keyed = true): LogRecord[] =>
  encodeRow(CONTEXT, routeOf({ format }, keyed), change);

function text(value: Uint8Array | null | undefined): string {
  return Buffer.from(value ?? []).toString('utf8');
}

/** What a callback is made of. */
function seen(record: LogRecord): unknown {
  if (record.value === null) return null;
  const { key, value } = canonical(record, record.value);
  const { id, table, operation, timestampMs } = record;
  return { id, table, operation, timestampMs, key, data: text(envelopeData(value)) };
}

/** JSON text of any kind, as the decoder makes it. */
const json = fc.oneof(
  fc.constantFrom('null', '1.0', '18446744073709551615', '-0', '"data"', '{"data":{"x":[1,"]}"]}}'),
  fc.string({ unit: 'binary' }).map((value) => JSON.stringify(value)),
  fc.jsonValue().map((value) => JSON.stringify(value)),
);
const image = fc.array(json, { minLength: COLUMNS.length, maxLength: COLUMNS.length });
const change: fc.Arbitrary<RowChange> = fc.oneof(
  image.map((after) => ({ before: null, after })),
  image.map((before) => ({ before, after: null })),
  fc.record({ before: image, after: image }),
  // The same key, and columns that stay.
  fc.record({ one: image, other: image, cut: fc.nat(4) }).map(({ one, other, cut }) => ({
    before: one,
    after: [...one.slice(0, 1 + cut), ...other.slice(1 + cut)],
  })),
);

describe('a callback', () => {
  it.each<EventFormat>(['maxwell', 'cloudevents-structured', 'cloudevents-binary'])(
    'gets of a record in the format %s what it gets of the default one',
    (format) => {
      fc.assert(
        fc.property(change, fc.boolean(), (of, keyed) => {
          expect(encode(format, of, keyed).map(seen)).toEqual(
            encode('debezium', of, keyed).map(seen),
          );
        }),
      );
    },
  );

  it('gets the same of flat inserts and deletes, and is told what is lacking of an update', () => {
    fc.assert(
      fc.property(change, (of) => {
        const [record] = encode('flat', of);
        const [plain] = encode('debezium', of);
        if (record?.operation !== 'u') expect(record && seen(record)).toEqual(plain && seen(plain));
        else {
          expect(() => seen(record)).toThrow(
            expect.objectContaining({ code: 'FORMAT_INCOMPLETE' }) as Error,
          );
        }
      }),
    );
  });

  it('stops at a format of another version, and at a record that is none', () => {
    const [record] = encode('maxwell', { before: null, after: ['1', '2', '3', '4', '5'] });
    if (record === undefined) throw new Error('no record');
    const failing =
      (change: Partial<LogRecord>): (() => unknown) =>
      () =>
        seen({ ...record, ...change });
    const invalid = expect.objectContaining({ code: 'ENVELOPE_INVALID' }) as Error;
    expect(failing({ headers: [['rowcall-format', 'avro']] })).toThrow(invalid);
    expect(failing({ headers: [['rowcall-format', 'maxwell']] })).toThrow(invalid);
    for (const value of ['', '{', '{"data":1', '{"data"}', '{"a":1}', '[]', '{"data":{"a":}}x']) {
      expect(failing({ value: Buffer.from(value) })).toThrow(invalid);
    }
  });
});

describe("Maxwell's format", () => {
  it('is byte for byte as documented, with positions', () => {
    const [record] = encode('maxwell', {
      before: ['1', '"a"', '0', 'null', '7'],
      after: ['1', '"b"', '0', 'null', '8'],
    });
    expect(text(record?.value)).toBe(
      '{"database":"my shop","table":"orders","type":"update","ts":1790000000,"xoffset":8,' +
        `"position":"binlog.000007:1234","gtid":"${GTID}","server_id":5,"thread_id":17,` +
        '"data":{"id":1,"na\\"me":"b","2":0,"__proto__":null,"data":8},"old":{"na\\"me":"a","data":7}}',
    );
    expect(record?.key).toBe('{"database":"my shop","table":"orders","pk.id":1}');
  });
});

describe('the flat format', () => {
  it('is the row with the three members of the unwrap transform', () => {
    const [record] = encode('flat', { before: ['1', '2', '3', '4', '5'], after: null });
    expect(text(record?.value)).toBe(
      '{"id":1,"na\\"me":2,"2":3,"__proto__":4,"data":5,' +
        '"__op":"d","__ts_ms":1790000000200,"__deleted":"true"}',
    );
  });

  it('refuses a table with a column of such a name', () => {
    const columns = [intColumn('__op', 0)];
    expect(() =>
      encodeRow(
        CONTEXT,
        { ...routeOf({ format: 'flat' }), columns },
        { before: null, after: ['1'] },
      ),
    ).toThrow(expect.objectContaining({ code: 'COLUMN_RULE_UNFIT' }) as Error);
  });
});

describe('CloudEvents', () => {
  const change = { before: null, after: ['1', '"ä"', '0', 'null', '"data"'] };

  /** As the project of the specification reads a record of Kafka. */
  function read(format: EventFormat): CloudEvent<unknown> {
    const [record] = encode(format, change);
    const message: KafkaMessage = {
      headers: Object.fromEntries(record?.headers ?? []),
      key: record?.key ?? '',
      value: text(record?.value),
      body: text(record?.value),
    };
    const event = Kafka.toEvent(message) as CloudEvent<unknown>;
    expect(event).toBeInstanceOf(CloudEvent);
    expect(event.validate()).toBe(true);
    return event;
  }

  it.each<EventFormat>(['cloudevents-structured', 'cloudevents-binary'])(
    '%s is valid for their own library, with the envelope as data',
    (format) => {
      const event = read(format);
      const [plain] = encode('debezium', change);
      expect(event.data).toEqual(JSON.parse(text(plain?.value)));
      expect(event).toMatchObject({
        id: `${GTID}:my%20shop/orders:3`,
        source: '/rowcall/shop/my%20shop/orders',
        type: 'my_shop.orders.insert',
        subject: '{"id":1}',
        time: '2026-09-21T14:13:20.123Z',
        datacontenttype: 'application/json',
      });
    },
  );
});

describe('a tombstone', () => {
  const gone = { before: ['1', '2', '3', '4', '5'], after: null };
  const encoded = (change: RowChange, keyed = true): (readonly unknown[])[] =>
    encodeRow(CONTEXT, routeOf({ tombstones: true }, keyed), change).map((record) => [
      record.id.split(':').slice(3).join(':'),
      record.key,
      record.operation,
      record.value === null,
    ]);

  it('stands behind a delete', () => {
    expect(encoded(gone)).toEqual([
      ['3', '{"id":1}', 'd', false],
      ['3:t', '{"id":1}', 'd', true],
    ]);
  });

  it('stands between the halves of a changed key', () => {
    expect(encoded({ before: gone.before, after: ['2', '2', '3', '4', '5'] })).toEqual([
      ['3:d', '{"id":1}', 'd', false],
      ['3:t', '{"id":1}', 'd', true],
      ['3:c', '{"id":2}', 'c', false],
    ]);
  });

  it('is nowhere else, and not without a key', () => {
    expect(encoded({ before: null, after: gone.before })).toHaveLength(1);
    expect(encoded(gone, false)).toHaveLength(1);
  });
});

describe('a truncate', () => {
  const truncate = (format: EventFormat): LogRecord =>
    encodeTruncate({ ...CONTEXT, ordinal: 0, row: 0 }, { ...routeOf({ format }), columns: [] });

  it.each<EventFormat>(['maxwell', 'flat', 'cloudevents-structured', 'cloudevents-binary'])(
    'in the format %s is for callbacks what it is in the default one',
    (format) => {
      expect(seen(truncate(format))).toEqual(seen(truncate('debezium')));
      expect(truncate(format)).toMatchObject({
        key: null,
        operation: 't',
        id: expect.stringMatching(/:0$/) as string,
      });
    },
  );

  it('is called in the manner of each format, without a row', () => {
    expect(text(truncate('debezium').value)).toMatch(
      /^\{"before":null,"after":null,"source":\{.*\},"op":"t","ts_ms":\d+,"transaction":null\}$/,
    );
    expect(text(truncate('maxwell').value)).toBe(
      '{"database":"my shop","table":"orders","type":"table-truncate","ts":1790000000,"xoffset":8,' +
        `"position":"binlog.000007:1234","gtid":"${GTID}","server_id":5,"thread_id":17}`,
    );
    expect(text(truncate('flat').value)).toBe(
      '{"__op":"t","__ts_ms":1790000000200,"__deleted":"false"}',
    );
    const event = JSON.parse(text(truncate('cloudevents-structured').value)) as object;
    expect(event).toMatchObject({ type: 'my_shop.orders.truncate', data: { op: 't' } });
    expect(event).not.toHaveProperty('subject');
    expect(() => new CloudEvent(event)).not.toThrow();
  });
});
