import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { LogRecord } from '../../../../src/change-event.ts';
import { recordBytes } from '../../../../src/change-event.ts';
import { BatchBuffers } from '../../../../src/log/embedded/batch-buffers.ts';
import {
  BATCH_TARGET_BYTES,
  batchBytes,
  decodeBatch,
  encodeBatches,
  piecesOf,
  RecordSink,
} from '../../../../src/log/embedded/record-batch.ts';
import type { RecordBatch } from '../../../../src/log/embedded/record-batch.ts';
import { packed } from '../../../support/packed.ts';
import type { StoredRecord } from '../../../../src/log/change-log.ts';

const text = fc.string({ unit: 'binary', maxLength: 40 });

const anyRecord: fc.Arbitrary<LogRecord> = fc.record(
  {
    key: fc.option(text),
    value: fc.option(fc.uint8Array({ maxLength: 300 })),
    timestampMs: fc.oneof(fc.integer({ min: 0 }), fc.maxSafeInteger()),
    id: text,
    table: fc.constantFrom('shop.orders', 'shop.items', 'schöp.日本'),
    operation: fc.constantFrom('c', 'u', 'd', 'r', 't'),
    headers: fc.array(fc.tuple(text, text), { maxLength: 3 }),
  },
  { requiredKeys: ['key', 'value', 'timestampMs', 'id', 'table', 'operation'] },
);

const decodeAll = (
  batches: readonly RecordBatch[],
  from = 0,
  maxBytes = Infinity,
): StoredRecord[] => {
  const sink = new RecordSink(maxBytes);
  let base = 0;
  for (const { bytes, count } of batches) {
    if (base + count > from) decodeBatch({ bytes, base, count, place: 't/0' }, from, sink);
    base += count;
  }
  return sink.records;
};

const plain = (record: LogRecord): LogRecord => ({
  ...record,
  value: record.value === null ? null : Uint8Array.from(record.value),
});

const small: LogRecord = {
  key: '{"id":1}',
  value: Buffer.from('{}'),
  timestampMs: 1,
  id: 'u:1:s/t:1',
  table: 's.t',
  operation: 'c',
};

const one = (records: readonly LogRecord[]): RecordBatch => {
  const [batch, ...more] = encodeBatches(records);
  if (batch === undefined || more.length > 0) throw new Error('expected one batch');
  return batch;
};

describe('a record batch', () => {
  test('gives back any records, from any offset on', () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { maxLength: 30 }), fc.nat({ max: 30 }), (records, from) => {
        const batches = encodeBatches(records);
        expect(decodeAll(batches, from).map(plain)).toEqual(
          records.map((record, offset) => ({ ...plain(record), offset })).slice(from),
        );
        const times = records.map(({ timestampMs }) => timestampMs);
        expect(Math.max(...batches.map((batch) => batch.maxTimestampMs))).toBe(Math.max(...times));
      }),
    );
  });

  test('of packed records is that of the same records unpacked', () => {
    const some = fc.array(fc.tuple(anyRecord, fc.boolean()), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(some, (choice) => {
        const records = choice.map(([record]) => ({
          ...record,
          value: record.value ?? Buffer.from('{}'),
          // An empty key is none in a packed record; a key is JSON, so it is never empty.
          key: record.key === '' ? null : record.key,
        }));
        const mixed = records.map((record, n) =>
          choice[n]?.[1] === true ? packed(record) : record,
        );
        const bytesOf = (all: readonly LogRecord[]): Buffer[] =>
          encodeBatches(all).map(({ bytes }) => Buffer.from(bytes));
        expect(bytesOf(mixed)).toEqual(bytesOf(records));
        expect(mixed.map(recordBytes).every((bytes) => bytes >= 64)).toBe(true);
      }),
    );
  });

  test('any changed bit is found by the checksum', () => {
    const { bytes, count } = one([small, { ...small, table: 'x.y' }]);
    fc.assert(
      fc.property(fc.nat({ max: bytes.byteLength * 8 - 1 }), (bit) => {
        // The checksum does not cover the version in front of it, which has a check of its own.
        const damaged = Uint8Array.from(bytes);
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(() => {
          decodeBatch({ bytes: damaged, base: 70, count, place: 't/0' }, 70, new RecordSink(1));
        }).toThrow(
          expect.objectContaining({
            code: bit < 32 ? 'LOG_UNUSABLE' : 'LOG_CORRUPT',
            place: 't/0, offset 70',
          }),
        );
      }),
    );
  });

  test('cut short, or with another count than its row says, it is refused', () => {
    const { bytes, count } = one([small, small]);
    for (const length of [0, 3, 11, 12, bytes.byteLength - 1]) {
      const stored = { bytes: bytes.subarray(0, length), base: 0, count, place: 't/0' };
      expect(() => {
        decodeBatch(stored, 0, new RecordSink(1));
      }).toThrow(expect.objectContaining({ code: 'LOG_CORRUPT' }));
    }
    expect(() => {
      decodeBatch({ bytes, base: 0, count: 1, place: 't/0' }, 0, new RecordSink(1));
    }).toThrow(expect.objectContaining({ code: 'LOG_CORRUPT' }));
  });

  test('its layout is the one that stands in files already', () => {
    const { bytes } = one([small]);
    const body = Buffer.concat([
      Buffer.from('01000000', 'hex'),
      Buffer.from('00', 'hex'),
      Buffer.from('000000000000f03f', 'hex'),
      ...[small.id, small.table, small.key ?? '', '{}'].map((part) =>
        Buffer.concat([Buffer.from([part.length, 0, 0, 0]), Buffer.from(part)]),
      ),
    ]);
    const crc = Buffer.alloc(4);
    crc.writeUInt32LE(crc32(body));
    expect(Buffer.from(bytes).toString('hex')).toBe(
      Buffer.concat([Buffer.from('01000000', 'hex'), crc, body]).toString('hex'),
    );
  });

  test('values are views into its bytes, not copies', () => {
    const batch = one([{ ...small, value: Buffer.alloc(1_000, 'v') }]);
    const [read] = decodeAll([batch]);
    expect(read?.value?.buffer).toBe(batch.bytes.buffer);
  });

  test('is closed at its target size, and a larger record has one of its own', () => {
    const large = { ...small, value: Buffer.alloc(BATCH_TARGET_BYTES + 1) };
    const records = [
      small,
      large,
      small,
      ...Array.from({ length: 3_000 }, () => ({ ...small, value: Buffer.alloc(500) })),
    ];
    const batches = encodeBatches(records);
    expect(batches.slice(0, 2).map(({ count }) => count)).toEqual([1, 1]);
    const others = batches.filter(({ bytes }) => bytes.byteLength <= BATCH_TARGET_BYTES);
    expect(others.length).toBe(batches.length - 1);
    expect(decodeAll(batches)).toHaveLength(records.length);
  });

  test('with a value in shared memory stores the same bytes, and does not copy it', () => {
    const value = Buffer.from(new SharedArrayBuffer(BATCH_TARGET_BYTES)).fill('shared');
    for (const headers of [{}, { headers: [['name', 'text']] as const }]) {
      const record: LogRecord = { ...small, ...headers, value };
      const [before, batch, after, ...more] = encodeBatches([small, record, small]);
      if (batch === undefined) throw new Error('expected three batches');
      expect([before?.count, batch.count, after?.count, more.length]).toEqual([1, 1, 1, 0]);
      expect(piecesOf(batch)[1]).toBe(value);
      const copied = one([{ ...record, value: Buffer.from(value) }]);
      expect(Buffer.concat(piecesOf(batch)).equals(copied.bytes)).toBe(true);
      expect(batchBytes(batch)).toBe(copied.bytes.byteLength);
    }
  });

  test('a size limit never keeps the first record out', () => {
    const batches = encodeBatches([small, small, small]);
    expect(decodeAll(batches, 1, 1)).toHaveLength(1);
    expect(decodeAll(batches, 0, recordBytes(small) + 1)).toHaveLength(2);
  });
});

describe('batch buffers', () => {
  test('a buffer given back is used again, and holds nothing of what it held', () => {
    const buffers = new BatchBuffers();
    const take = (bytes: number): Buffer<ArrayBuffer> => buffers.take(bytes);
    const many = Array.from({ length: 100 }, () => ({ ...small, value: Buffer.alloc(1_000, 'a') }));
    const [first] = encodeBatches(many, take);
    buffers.give(first === undefined ? [] : [first.bytes.buffer]);
    const fewer = many.slice(0, 60).map((record) => ({ ...record, value: Buffer.alloc(900, 'b') }));
    const second = encodeBatches(fewer, take);
    expect(second[0]?.bytes.buffer).toBe(first?.bytes.buffer);
    expect(decodeAll(second).map(plain)).toEqual(
      fewer.map((record, offset) => ({ ...plain(record), offset })),
    );
  });

  test('keeps a bounded number, and only those of its own size', () => {
    const buffers = new BatchBuffers();
    buffers.give([
      new ArrayBuffer(10),
      ...Array.from({ length: 50 }, () => new ArrayBuffer(BATCH_TARGET_BYTES)),
    ]);
    const taken = Array.from({ length: 20 }, () => buffers.take(BATCH_TARGET_BYTES));
    expect(new Set(taken.map(({ buffer }) => buffer)).size).toBe(20);
    expect(taken.every(({ byteLength }) => byteLength === BATCH_TARGET_BYTES)).toBe(true);
    expect(buffers.take(100).byteLength).toBe(100);
  });
});
