import { crc32c, Reader, readRecordsBatches } from '@platformatic/kafka';
import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';

import type { LogRecord, OperationCode } from '../../../../src/change-event.ts';
import type { Compression } from '../../../../src/log/kafka/compression.ts';
import type { FetchedBytes, RawRecord } from '../../../../src/log/kafka/decode-batch.ts';
import { endOf, findTimestamp, readRecords } from '../../../../src/log/kafka/decode-batch.ts';
import { encodeBatches } from '../../../../src/log/kafka/encode-batch.ts';
import { packed } from '../../../support/packed.ts';
import { sealBatch } from '../../../../src/log/kafka/record-batch.ts';

const record = (n: number, more: Partial<LogRecord> = {}): LogRecord => ({
  key: `{"id":${n}}`,
  value: Buffer.from(`{"before":null,"after":{"id":${n}}}`),
  timestampMs: 1_000 + n,
  id: `x:${n}`,
  table: 'shop.orders',
  operation: 'c',
  ...more,
});

interface Placing {
  readonly baseOffset: number;
  readonly producerId?: bigint;
  readonly compression?: Compression;
}

const PRODUCER = { id: 7n, epoch: 1, baseSequence: 0, transactional: true };

/** A batch as a broker would give it. */
function batchAt(records: readonly LogRecord[], placing: Placing): Buffer {
  const { baseOffset, producerId = 7n, compression = 'none' } = placing;
  const [batch] = encodeBatches(records, 'orders', { maxBytes: 1e9, compression });
  const bytes = batch?.bytes ?? Buffer.alloc(0);
  sealBatch(bytes, { ...PRODUCER, id: producerId }, crc32c);
  bytes.writeBigInt64BE(BigInt(baseOffset), 0);
  return bytes;
}

/** The end of a transaction: key is version and type, value is version and coordinator's epoch. */
function markerAt(baseOffset: number, producerId: bigint, type: 'abort' | 'commit'): Buffer {
  const bytes = batchAt([record(0, { key: 'kkkk', value: Buffer.alloc(6) })], {
    baseOffset,
    producerId,
  });
  bytes.writeInt16BE(bytes.readInt16BE(21) | 0x20, 21);
  const key = bytes.indexOf('kkkk');
  bytes.writeInt16BE(0, key);
  bytes.writeInt16BE(type === 'abort' ? 0 : 1, key + 2);
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
  return bytes;
}

const fetched = (bytes: readonly Buffer[], more: Partial<FetchedBytes> = {}): FetchedBytes => ({
  place: 'orders/0',
  from: 0,
  bytes: Buffer.concat(bytes),
  aborted: [],
  ...more,
});

function readAll(from: FetchedBytes, offset = 0): { records: RawRecord[]; next: number } {
  const records: RawRecord[] = [];
  const next = readRecords(from, offset, (one) => records.push(one) > 0);
  return { records, next };
}

const anyRecord = fc.record({
  key: fc.option(fc.string({ unit: 'grapheme' })),
  value: fc.option(fc.uint8Array({ maxLength: 300 })),
  timestampMs: fc.integer({ min: 0, max: 2 ** 45 }),
  id: fc.string({ unit: 'grapheme' }),
  table: fc.string({ unit: 'grapheme' }),
  operation: fc.constantFrom<OperationCode>('c', 'u', 'd', 'r', 't'),
  headers: fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string())),
});

describe('record batches', () => {
  it('of packed records are those of the same records unpacked', () => {
    const some = fc.array(fc.tuple(anyRecord, fc.boolean()), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(some, fc.integer({ min: 200, max: 20_000 }), (choice, maxBytes) => {
        const records = choice.map(([one]) => ({
          ...one,
          value: one.value ?? Buffer.from('{}'),
          // An empty key is none in a packed record; a key is JSON, so it is never empty.
          key: one.key === '' ? null : one.key,
        }));
        const mixed = records.map((one, n) => (choice[n]?.[1] === true ? packed(one) : one));
        const encode = (all: readonly LogRecord[]): unknown => {
          try {
            const batches = encodeBatches(all, 'orders', { maxBytes, compression: 'none' });
            // Until then its producer's fields hold anything.
            for (const { bytes } of batches) sealBatch(bytes, PRODUCER, crc32c);
            return batches;
          } catch (error) {
            return error;
          }
        };
        expect(encode(mixed)).toEqual(encode(records));
      }),
      { numRuns: 200 },
    );
  });

  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)(
    'of any records are read back, by the client as well, with compression %s',
    (compression) => {
      const shape = fc.array(anyRecord, { minLength: 1, maxLength: 40 });
      fc.assert(
        fc.property(shape, (records) => {
          const bytes = batchAt(records, { baseOffset: 5, compression });
          const { records: ours, next } = readAll(fetched([bytes], { from: 5 }), 5);
          expect(next).toBe(5 + records.length);
          expect(ours.map(({ offset }) => offset)).toEqual(records.map((_, n) => 5 + n));
          const [theirs] = readRecordsBatches(Reader.from(bytes));
          for (const [n, one] of records.entries()) {
            const same = {
              key: one.key === null ? null : Buffer.from(one.key),
              value: one.value === null ? null : Buffer.from(one.value),
            };
            const headers = [
              ['rowcall-id', one.id],
              ['rowcall-table', one.table],
              ['rowcall-op', one.operation],
              ...one.headers,
            ];
            expect(ours[n]).toMatchObject({ ...same, headers, timestampMs: one.timestampMs });
            expect(theirs?.records[n]).toMatchObject({ key: same.key, value: same.value });
            const timestamp = Number(
              (theirs?.firstTimestamp ?? 0n) + (theirs?.records[n]?.timestampDelta ?? 0n),
            );
            expect(timestamp).toBe(one.timestampMs);
          }
        }),
        { numRuns: 50 },
      );
    },
  );

  it('are as few as the limit allows and none above it', () => {
    const records = Array.from({ length: 500 }, (_, n) => record(n));
    for (const maxBytes of [300, 1_000, 5_000, 1_000_000]) {
      const batches = encodeBatches(records, 'orders', { maxBytes, compression: 'none' });
      expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(500);
      for (const { bytes } of batches) expect(bytes.length).toBeLessThanOrEqual(maxBytes);
      const room = batches.slice(0, -1).map(({ bytes }) => maxBytes - bytes.length);
      for (const left of room) expect(left).toBeLessThan(150);
    }
  });

  it('refuse a record over the limit with its key, id and size, compressed or not', () => {
    const large = record(3, { value: randomBytes(9_000) });
    for (const compression of ['none', 'lz4'] as const) {
      const encode = (): unknown =>
        encodeBatches([record(1), large], 'orders', { maxBytes: 500, compression });
      expect(encode).toThrow(
        expect.objectContaining({ code: 'RECORD_TOO_LARGE', place: 'orders x:3' }) as Error,
      );
      expect(encode).toThrow('{"id":3}');
    }
  });

  it('that a broker cut off at the end wait for the next read', () => {
    const first = batchAt([record(0), record(1)], { baseOffset: 0 });
    const second = batchAt([record(2)], { baseOffset: 2 });
    const cut = fetched([first, second.subarray(0, -1)]);
    expect(endOf(cut)).toBe(2);
    expect(readAll(cut).next).toBe(2);
  });

  it('with a wrong byte are refused with their place', () => {
    const bytes = batchAt([record(0), record(1)], { baseOffset: 40 });
    bytes[70] = (bytes[70] ?? 0) ^ 1;
    expect(() => readAll(fetched([bytes], { from: 40 }), 40)).toThrow(
      expect.objectContaining({ code: 'LOG_CORRUPT', place: 'orders/0@40' }) as Error,
    );
  });

  it('are read from the middle on, and up to where the reader has enough', () => {
    const bytes = fetched([
      batchAt([record(0), record(1), record(2), record(3)], { baseOffset: 10 }),
    ]);
    const seen: number[] = [];
    const next = readRecords(bytes, 11, ({ offset }) => seen.push(offset) < 2);
    expect(seen).toEqual([11, 12]);
    expect(next).toBe(13);
  });
});

describe('aborted transactions', () => {
  const offsets = (from: FetchedBytes): number[] => readAll(from).records.map((one) => one.offset);

  it('are hidden up to their marker, and markers give no record', () => {
    const bytes = [
      batchAt([record(0)], { baseOffset: 0, producerId: 1n }),
      batchAt([record(1)], { baseOffset: 1, producerId: 2n }),
      markerAt(2, 1n, 'abort'),
      markerAt(3, 2n, 'commit'),
      batchAt([record(4)], { baseOffset: 4, producerId: 1n }),
      markerAt(5, 1n, 'commit'),
    ];
    const aborted = [{ producerId: 1n, firstOffset: 0 }];
    expect(offsets(fetched(bytes, { aborted }))).toEqual([1, 4]);
    expect(readAll(fetched(bytes, { aborted })).next).toBe(6);
    expect(offsets(fetched(bytes))).toEqual([0, 1, 4]);
  });

  it('of one producer, twice, hide nothing between them', () => {
    const bytes = [
      batchAt([record(0)], { baseOffset: 0 }),
      markerAt(1, 7n, 'abort'),
      batchAt([record(2)], { baseOffset: 2 }),
      markerAt(3, 7n, 'commit'),
      batchAt([record(4)], { baseOffset: 4 }),
      markerAt(5, 7n, 'abort'),
    ];
    const aborted = [
      { producerId: 7n, firstOffset: 4 },
      { producerId: 7n, firstOffset: 0 },
    ];
    expect(offsets(fetched(bytes, { aborted }))).toEqual([2]);
  });

  it('are not found by time, nor are markers', () => {
    const bytes = [
      batchAt([record(0, { timestampMs: 50 })], { baseOffset: 0, producerId: 1n }),
      markerAt(1, 1n, 'abort'),
      batchAt([record(2, { timestampMs: 10 }), record(3, { timestampMs: 60 })], { baseOffset: 2 }),
      markerAt(4, 7n, 'commit'),
    ];
    const from = fetched(bytes, { aborted: [{ producerId: 1n, firstOffset: 0 }] });
    expect(findTimestamp(from, 0, 5)).toBe(2);
    expect(findTimestamp(from, 0, 50)).toBe(3);
    expect(findTimestamp(from, 0, 61)).toBeNull();
  });
});
