import { describe, expect, it } from 'vitest';
import type { BinlogEvent } from '../../../../src/capture/binlog/binlog-event.ts';
import { EventParser } from '../../../../src/capture/binlog/event-parser.ts';
import type { ErrorCode } from '../../../../src/errors.ts';
import { encodeGtidSet } from '../../../../src/gtid-encoding.ts';
import { GtidSet, formatGtid } from '../../../../src/gtid-set.ts';
import { makeEvent, makeFormat, makeRotate, reseal } from './event-maker.ts';
import type { MadeFormat } from './event-maker.ts';

const FILE = 'binlog.000001';
const GIB = 2 ** 30;
const UUID = '00010203-0405-0607-0809-0a0b0c0d0e0f';
const UUID_BYTES = Buffer.from(UUID.replaceAll('-', ''), 'hex');

const fails = (code: ErrorCode): unknown => expect.objectContaining({ code });

/** A parser that has read what every dump begins with. */
function parserAt(position: number, gapsAllowed = false, format: MadeFormat = {}): EventParser {
  const parser = new EventParser({ file: FILE, position }, gapsAllowed);
  parser.parse(makeRotate(FILE, position));
  parser.parse(makeFormat(format));
  return parser;
}

function parseOne(code: number, body: Buffer, format: MadeFormat = {}): BinlogEvent {
  const end = 200 + 19 + body.length + 4;
  const event = parserAt(200, false, format).parse(makeEvent({ code, body, end }));
  if (event.type === 'transaction-payload') throw new Error('A payload was not looked for');
  return event;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function micros(value: bigint, flag: boolean): Buffer {
  return u64(flag ? value | (1n << 55n) : value).subarray(0, 7);
}

describe('checksums', () => {
  it('belong to the file: one without them is read to its last byte', () => {
    const parser = parserAt(4, false, { checksum: false, end: 4 + 123 });
    const place = parser.place.position;
    const event = makeEvent({ code: 16, body: u64(5n), end: place + 27, checksum: false });
    expect(parser.parse(event)).toMatchObject({ type: 'xid', xid: 5n });
  });

  it.each([true, false])('of an artificial ROTATE are told by themselves (%s)', (checksum) => {
    const parser = new EventParser({ file: '', position: 4 }, true);
    expect(parser.parse(makeRotate(FILE, 4, { checksum }))).toMatchObject({
      type: 'rotate',
      nextFile: FILE,
      nextPosition: 4,
      artificial: true,
    });
  });

  it('that do not match end the stream, with the place', () => {
    const damaged = makeEvent({ code: 16, body: u64(5n), end: 231 });
    damaged[20] = 9;
    expect(() => parserAt(200).parse(damaged)).toThrow(
      expect.objectContaining({ code: 'BINLOG_CHECKSUM', place: `${FILE}:200` }) as Error,
    );
  });

  it('damaged in an artificial ROTATE leave no file name', () => {
    const damaged = makeRotate(FILE, 4);
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    const parser = new EventParser({ file: '', position: 4 }, true);
    expect(() => parser.parse(damaged)).toThrow(fails('BINLOG_EVENT_MALFORMED'));
  });

  it('of an unknown algorithm are refused', () => {
    const format = makeFormat();
    format[format.length - 5] = 2;
    expect(() => new EventParser({ file: FILE, position: 4 }, false).parse(reseal(format))).toThrow(
      fails('BINLOG_EVENT_MALFORMED'),
    );
  });
});

describe('places', () => {
  it('are counted on beyond 4 GiB, where the header wraps', () => {
    const parser = parserAt(4 * GIB - 10);
    const body = u64(1n);
    const first = parser.parse(makeEvent({ code: 16, body, end: 4 * GIB + 21 }));
    const second = parser.parse(makeEvent({ code: 16, body, end: 4 * GIB + 52 }));
    expect([first.position, first.endPosition]).toEqual([4 * GIB - 10, 4 * GIB + 21]);
    expect([second.position, second.endPosition]).toEqual([4 * GIB + 21, 4 * GIB + 52]);
  });

  it('do not move with a format description that is sent again within a file', () => {
    expect(parserAt(5000).place).toEqual({ file: FILE, position: 5000 });
  });

  it('move with the format description at the beginning of a file', () => {
    const parser = parserAt(4, false, { end: 4 + 123 });
    expect(parser.place).toEqual({ file: FILE, position: 127 });
  });

  it('take the next file from the body of ROTATE, never from its header', () => {
    const parser = parserAt(200);
    const real = makeRotate('binlog.1000000', 4, { flags: 0, end: 200 + 45 });
    expect(parser.parse(real)).toMatchObject({
      artificial: false,
      position: 200,
      endPosition: 245,
    });
    expect(parser.place).toEqual({ file: FILE, position: 245 });
    parser.parse(makeRotate('binlog.1000000', 4));
    expect(parser.place).toEqual({ file: 'binlog.1000000', position: 4 });
  });

  it.each(['binlog', 'binlog.0001', '../binlog.000001', 'bin\nlog.000001', ''])(
    'are not taken from a ROTATE to %j',
    (name) => {
      const parser = new EventParser({ file: FILE, position: 4 }, true);
      expect(() => parser.parse(makeRotate(name, 4))).toThrow(fails('BINLOG_EVENT_MALFORMED'));
    },
  );

  it('over 2^53 are refused', () => {
    const parser = new EventParser({ file: FILE, position: 4 }, true);
    expect(() => parser.parse(makeRotate(FILE, 2n ** 60n))).toThrow(
      fails('BINLOG_EVENT_MALFORMED'),
    );
  });

  const gtidBody = Buffer.concat([Buffer.from([0]), UUID_BYTES, u64(7n)]);

  it('jump in a dump by GTID, but only to where a transaction begins', () => {
    const parser = parserAt(200, true);
    const gtid = parser.parse(makeEvent({ code: 33, body: gtidBody, end: 9000 }));
    expect([gtid.position, gtid.endPosition]).toEqual([9000 - 48, 9000]);
    const late = makeEvent({ code: 16, body: u64(1n), end: 9500 });
    expect(() => parser.parse(late)).toThrow(fails('BINLOG_EVENT_MALFORMED'));
  });

  it('never jump in a dump by place', () => {
    expect(() => parserAt(200).parse(makeEvent({ code: 33, body: gtidBody, end: 9000 }))).toThrow(
      fails('BINLOG_EVENT_MALFORMED'),
    );
  });

  it('are not moved by an artificial event', () => {
    const parser = parserAt(200);
    const event = parser.parse(makeEvent({ code: 28, flags: 0x20, end: 77 }));
    expect(event).toMatchObject({ type: 'harmless', position: 200, endPosition: 200 });
    expect(parser.place.position).toBe(200);
  });

  it('are not moved by a START_ENCRYPTION that is sent again where a dump begins within the file', () => {
    for (const gapsAllowed of [false, true]) {
      const parser = parserAt(200, gapsAllowed);
      const again = parser.parse(makeEvent({ code: 164, flags: 0x80, end: 0 }));
      expect(again).toMatchObject({ type: 'harmless', position: 200, endPosition: 200 });
      expect(parser.place.position).toBe(200);
    }
    const own = makeEvent({ code: 164, flags: 0x80, end: 223 });
    expect(parserAt(200).parse(own)).toMatchObject({ position: 200, endPosition: 223 });
  });

  it('are not known before the format description', () => {
    const parser = new EventParser({ file: FILE, position: 4 }, true);
    parser.parse(makeRotate(FILE, 4));
    expect(() => parser.parse(makeEvent({ code: 16, body: u64(1n), end: 35 }))).toThrow(
      fails('BINLOG_EVENT_MALFORMED'),
    );
  });
});

describe('heartbeats', () => {
  const v2 = (file: string, position: number): Buffer => {
    const at = Buffer.concat([Buffer.from([254]), u64(BigInt(position))]);
    const name = Buffer.from(file);
    return Buffer.concat([
      Buffer.from([1, name.length]),
      name,
      Buffer.from([2, at.length]),
      at,
      Buffer.from([9, 1, 0, 0]),
    ]);
  };

  it('of both versions bear the place that all was sent up to', () => {
    for (const event of [
      makeEvent({ code: 27, body: Buffer.from(FILE), end: 9000 }),
      makeEvent({ code: 41, body: v2(FILE, 9000) }),
    ]) {
      const parser = parserAt(200, true);
      expect(parser.parse(event)).toMatchObject({
        type: 'heartbeat',
        atFile: FILE,
        atPosition: 9000,
        endPosition: 9000,
      });
      expect(parser.place.position).toBe(9000);
    }
  });

  it('of version 2 tell places over 4 GiB, those of version 1 the nearest one ahead', () => {
    const second = parserAt(200, true);
    second.parse(makeEvent({ code: 41, body: v2(FILE, 9 * GIB) }));
    expect(second.place.position).toBe(9 * GIB);
    const first = parserAt(4 * GIB + 100, true);
    first.parse(makeEvent({ code: 27, body: Buffer.from(FILE), end: 4 * GIB + 300 }));
    expect(first.place.position).toBe(4 * GIB + 300);
  });

  it('of another file, or behind us, or ahead in a dump by place, are refused', () => {
    const refused = fails('BINLOG_EVENT_MALFORMED') as Error;
    const other = makeEvent({ code: 41, body: v2('binlog.000002', 300) });
    expect(() => parserAt(200, true).parse(other)).toThrow(refused);
    const behind = makeEvent({ code: 41, body: v2(FILE, 100) });
    expect(() => parserAt(200, true).parse(behind)).toThrow(refused);
    const ahead = makeEvent({ code: 41, body: v2(FILE, 300) });
    expect(() => parserAt(200).parse(ahead)).toThrow(refused);
  });
});

describe('bodies', () => {
  const classic = Buffer.concat([Buffer.from([1]), UUID_BYTES, u64(2n ** 63n - 2n)]);
  const clock = Buffer.concat([Buffer.from([2]), u64(1n), u64(2n)]);

  it('of a GTID without commit times, as 5.7 writes it', () => {
    const event = parseOne(33, Buffer.concat([classic, clock]));
    expect(event).toMatchObject({ type: 'gtid', commitUs: null });
    if (event.type === 'gtid' && event.gtid !== null) {
      expect(formatGtid(event.gtid)).toBe(`${UUID}:9223372036854775806`);
    }
  });

  it('of a GTID take the original commit time where it differs', () => {
    const now = 1_700_000_000_123_456n;
    const alone = parseOne(33, Buffer.concat([classic, clock, micros(now, false)]));
    expect(alone).toMatchObject({ commitUs: Number(now) });
    const both = [classic, clock, micros(now + 9n, true), micros(now, false)];
    expect(parseOne(33, Buffer.concat(both))).toMatchObject({ commitUs: Number(now) });
  });

  it('of an anonymous transaction have no GTID', () => {
    const body = Buffer.concat([Buffer.alloc(25), clock, micros(5n, false)]);
    expect(parseOne(34, body)).toMatchObject({ type: 'gtid', gtid: null, commitUs: 5 });
  });

  it.each([0n, 2n ** 63n - 1n, 2n ** 64n - 1n])('of a GTID refuse the number %s', (gno) => {
    const body = Buffer.concat([Buffer.from([1]), UUID_BYTES, u64(gno), clock]);
    expect(() => parseOne(33, body)).toThrow(fails('BINLOG_EVENT_MALFORMED'));
  });

  it('of a QUERY skip the status variables', () => {
    const fixed = Buffer.alloc(13);
    fixed.writeUInt32LE(77, 0);
    fixed.writeUInt8(4, 8);
    fixed.writeUInt16LE(3, 11);
    const body = Buffer.concat([fixed, Buffer.from('\x01\x02\x03shop\0BEGIN', 'latin1')]);
    expect(parseOne(2, body)).toMatchObject({ schema: 'shop', sql: 'BEGIN', threadId: 77 });
  });

  it('of PREVIOUS_GTIDS in both forms', () => {
    for (const text of [`${UUID}:1-5:8`, `${UUID}:1-5:tag:9`]) {
      const event = parseOne(35, encodeGtidSet(GtidSet.parse(text)));
      expect(event).toMatchObject({ type: 'previous-gtids', set: text });
    }
    expect(() => parseOne(35, Buffer.alloc(7))).toThrow(fails('BINLOG_EVENT_MALFORMED'));
  });

  const tableId = Buffer.from([0x2a, 0, 0, 0, 0, 0]);

  it('of rows begin behind the fixed part of their version', () => {
    const flags = Buffer.from([1, 0]);
    const rows = Buffer.from('rows');
    const extra = Buffer.from([5, 0, 9, 9, 9]);
    const v2 = parseOne(31, Buffer.concat([tableId, flags, extra, rows]));
    expect(v2).toMatchObject({
      operation: 'update',
      tableId: 42,
      endOfStatement: true,
      body: rows,
    });
    const v1 = parseOne(23, Buffer.concat([tableId, Buffer.from([0, 0]), rows]));
    expect(v1).toMatchObject({
      operation: 'insert',
      tableId: 42,
      endOfStatement: false,
      body: rows,
    });
    const old = parseOne(25, Buffer.concat([tableId.subarray(0, 4), flags, rows]), { rowsV1: 6 });
    expect(old).toMatchObject({ operation: 'delete', tableId: 42, body: rows });
  });

  it('of rows refuse extra data that does not even count itself', () => {
    const body = Buffer.concat([tableId, Buffer.from([1, 0, 1, 0])]);
    expect(() => parseOne(30, body)).toThrow(fails('BINLOG_EVENT_MALFORMED'));
  });

  it('of a TABLE_MAP begin at the schema name', () => {
    const body = Buffer.concat([tableId, Buffer.from([1, 0]), Buffer.from('\x04shop')]);
    expect(parseOne(19, body)).toMatchObject({ tableId: 42, body: Buffer.from('\x04shop') });
  });

  it('of a ROWS_QUERY go to the end, whatever the length byte says', () => {
    const sql = 'x'.repeat(300);
    expect(parseOne(29, Buffer.from(`\x2c${sql}`))).toMatchObject({ type: 'rows-query', sql });
  });

  it('of an INCIDENT are in the error', () => {
    const body = Buffer.from([1, 0, 4, ...Buffer.from('gone')]);
    expect(() => parseOne(26, body)).toThrow(/gone/);
  });
});

describe('a tagged GTID', () => {
  const uuid = Buffer.from([2, ...Array.from({ length: 16 }, (_, index) => index << 1)]);
  const message = (fields: Buffer, required = 0): Buffer => {
    const size = 3 + fields.length;
    return Buffer.concat([Buffer.from([2, size << 1, required << 1]), fields]);
  };

  it('is read by its fields, and what it adds later is left', () => {
    const body = message(
      Buffer.concat([
        Buffer.from([0, 2]),
        uuid,
        Buffer.from([4, 5 << 2, 6, 3 << 1]),
        Buffer.from('tag'),
        Buffer.from([12, 20, 14, 18, 24, 99]),
      ]),
    );
    expect(parseOne(42, body)).toMatchObject({
      gtid: { uuid: UUID, tag: 'tag', gno: 5n },
      commitUs: 9,
    });
  });

  it.each([
    ['a required field that is unknown', message(uuid, 14)],
    ['no number', message(uuid)],
    ['fields out of order', message(Buffer.concat([Buffer.from([4, 20]), uuid]))],
    ['a negative number', message(Buffer.concat([uuid, Buffer.from([4, 3 << 1])]))],
    ['another size', Buffer.concat([message(uuid), Buffer.from([0])])],
    ['another version', Buffer.from([4, 6, 0])],
    ['a tag too long', message(Buffer.concat([uuid, Buffer.from([4, 20, 6, 33 << 1])]))],
  ])('with %s is refused', (_, body) => {
    expect(() => parseOne(42, body)).toThrow(fails('BINLOG_EVENT_MALFORMED'));
  });
});
