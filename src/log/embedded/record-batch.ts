/**
 * Records as bytes: one blob holds a run of records of one partition, so that a thousand rows cost the
 * database one row. Layout, little-endian:
 *
 *     batch:  version u8 · 0 u8 ×3 · crc32 u32 of all that follows · count u32 · records
 *     record: flags u8 · timestamp f64 · id · [table, unless as the record before] · [key] · [value] · [headers]
 *     text, value: length u32 · bytes;  headers: count u32 · (name text · value text) each
 *
 * Flags: bits 0-2 operation, 8 key is null, 16 value is null, 32 has headers, 64 table as before.
 */
import { crc32 } from 'node:zlib';

import { recordBytes } from '../../change-event.ts';
import type { LogRecord, OperationCode } from '../../change-event.ts';
import { PackedRecord } from '../../packed-record.ts';
import { RowcallError } from '../../errors.ts';
import { present } from '../../shared/assert.ts';
import { isShared } from '../../shared/shared-bytes.ts';
import type { StoredRecord } from '../change-log.ts';

const VERSION = 1;
const HEADER_BYTES = 12;
const OPERATIONS: readonly OperationCode[] = ['c', 'u', 'd', 'r', 't'];
const OPERATION_MASK = 7;
const KEY_NULL = 8;
const VALUE_NULL = 16;
const HAS_HEADERS = 32;
const SAME_TABLE = 64;

/** A batch is closed once it holds this many bytes, so that reading one record never costs much more. */
export const BATCH_TARGET_BYTES = 512 * 1024;

/** SQLite refuses a row over 1,000,000,000 bytes (https://sqlite.org/limits.html); the rest is room for the row's other columns. */
export const MAX_RECORD_BYTES = 999_000_000;

/** A run of records as the log stores it. `bytes` has an ArrayBuffer of its own, so it can be transferred. */
export interface RecordBatch {
  readonly count: number;
  readonly maxTimestampMs: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The value of a batch of one record that lies in shared memory: it belongs into `bytes` at `at`. */
  readonly shared: { readonly at: number; readonly value: Uint8Array<SharedArrayBuffer> } | null;
}

export function batchBytes({ bytes, shared }: RecordBatch): number {
  return bytes.byteLength + (shared === null ? 0 : shared.value.byteLength);
}

/** What is stored, in order: one piece for nearly every batch. */
export function piecesOf({ bytes, shared }: RecordBatch): readonly Uint8Array[] {
  if (shared === null) return [bytes];
  return [bytes.subarray(0, shared.at), shared.value, bytes.subarray(shared.at)];
}

/**
 * Encodes records in order into as few batches as their size allows. Values are copied, so that the caller may use
 * its buffers again; those in shared memory are large and stay where they are. `allocate` gives a buffer of at least so many bytes, which has its ArrayBuffer
 * to itself (Buffer.allocUnsafe's pool is shared, and must not be transferred to another thread).
 *
 * @throws RowcallError RECORD_TOO_LARGE naming table and event id.
 */
export function encodeBatches(
  records: readonly LogRecord[],
  allocate: (bytes: number) => Buffer<ArrayBuffer> = (bytes) => Buffer.allocUnsafeSlow(bytes),
): RecordBatch[] {
  const batches: RecordBatch[] = [];
  let first = 0;
  let bound = HEADER_BYTES;
  records.forEach((record, index) => {
    const size = upperBound(record);
    if (size > MAX_RECORD_BYTES) {
      throw new RowcallError(
        'RECORD_TOO_LARGE',
        `A record of ${size} bytes is over the limit of ${MAX_RECORD_BYTES} bytes`,
        { place: `${record.table}, event ${record.id}` },
      );
    }
    if (index > first && bound + size > BATCH_TARGET_BYTES) {
      batches.push(encodeRun(records.slice(first, index), bound, allocate));
      first = index;
      bound = HEADER_BYTES;
    }
    bound += size;
  });
  if (first < records.length) batches.push(encodeRun(records.slice(first), bound, allocate));
  return batches;
}

/** Bytes that the record takes at most: a UTF-16 unit is never more than three bytes of UTF-8. */
function upperBound(record: LogRecord): number {
  if (record instanceof PackedRecord) {
    return 32 + record.byteLength + 3 * record.table.length + headersBound(record.headers);
  }
  const characters = record.id.length + record.table.length + (record.key?.length ?? 0);
  const bytes = 32 + (record.value?.byteLength ?? 0);
  return bytes + 3 * characters + headersBound(record.headers);
}

function headersBound(headers: LogRecord['headers']): number {
  if (headers === undefined) return 0;
  let bytes = 0;
  for (const [name, value] of headers) bytes += 8 + 3 * (name.length + value.length);
  return bytes;
}

/** @param bound what the records take at most */
function encodeRun(
  records: readonly LogRecord[],
  bound: number,
  allocate: (bytes: number) => Buffer<ArrayBuffer>,
): RecordBatch {
  const [first] = records;
  const value = first?.value ?? null;
  // A shared value is larger than a batch's target, so that its record has the batch to itself.
  return first !== undefined && value !== null && isShared(value) && records.length === 1
    ? encodeShared(first, value, allocate(bound - value.byteLength))
    : encodeCopied(records, allocate(bound));
}

function encodeCopied(records: readonly LogRecord[], buffer: Buffer<ArrayBuffer>): RecordBatch {
  let at = HEADER_BYTES;
  let maxTimestampMs = -Infinity;
  let table: string | undefined;
  for (const record of records) {
    at =
      record instanceof PackedRecord
        ? writePacked(buffer, at, record, table)
        : writeWhole(buffer, at, record, table);
    if (record.headers !== undefined) at = writeHeaders(buffer, at, record.headers);
    table = record.table;
    maxTimestampMs = Math.max(maxTimestampMs, record.timestampMs);
  }
  writeCounts(buffer, records.length);
  buffer.writeUInt32LE(crc32(buffer.subarray(8, at)), 4);
  return { count: records.length, maxTimestampMs, bytes: buffer.subarray(0, at), shared: null };
}

function encodeShared(
  record: LogRecord,
  value: Uint8Array<SharedArrayBuffer>,
  buffer: Buffer<ArrayBuffer>,
): RecordBatch {
  const at = writeHead(buffer, HEADER_BYTES, record, undefined);
  const end = record.headers === undefined ? at : writeHeaders(buffer, at, record.headers);
  writeCounts(buffer, 1);
  const checksum = crc32(value, crc32(buffer.subarray(8, at)));
  buffer.writeUInt32LE(crc32(buffer.subarray(at, end), checksum), 4);
  const bytes = buffer.subarray(0, end);
  return { count: 1, maxTimestampMs: record.timestampMs, bytes, shared: { at, value } };
}

function writeCounts(buffer: Buffer, count: number): void {
  buffer.writeUInt32LE(VERSION, 0);
  buffer.writeUInt32LE(count, 8);
}

function writeWhole(
  buffer: Buffer,
  start: number,
  record: LogRecord,
  tableBefore: string | undefined,
): number {
  const at = writeHead(buffer, start, record, tableBefore);
  if (record.value === null) return at;
  buffer.set(record.value, at);
  return at + record.value.byteLength;
}

/** As `writeWhole`, without making a string or a view. */
function writePacked(
  buffer: Buffer,
  start: number,
  record: PackedRecord,
  tableBefore: string | undefined,
): number {
  const { bytes, from, valueEnd, keyEnd, end, table } = record;
  const sameTable = table === tableBefore;
  buffer[start] =
    OPERATIONS.indexOf(record.operation) |
    (record.keyed ? 0 : KEY_NULL) |
    (record.headers === undefined ? 0 : HAS_HEADERS) |
    (sameTable ? SAME_TABLE : 0);
  let at = buffer.writeDoubleLE(record.timestampMs, start + 1);
  at = writeBytes(buffer, at, bytes, { from: keyEnd, to: end });
  if (!sameTable) at = writeText(buffer, at, table);
  if (record.keyed) at = writeBytes(buffer, at, bytes, { from: valueEnd, to: keyEnd });
  return writeBytes(buffer, at, bytes, { from, to: valueEnd });
}

/** A record up to its value; the value's length is the last of it. */
function writeHead(
  buffer: Buffer,
  start: number,
  record: LogRecord,
  tableBefore: string | undefined,
): number {
  const sameTable = record.table === tableBefore;
  buffer[start] =
    OPERATIONS.indexOf(record.operation) |
    (record.key === null ? KEY_NULL : 0) |
    (record.value === null ? VALUE_NULL : 0) |
    (record.headers === undefined ? 0 : HAS_HEADERS) |
    (sameTable ? SAME_TABLE : 0);
  let at = buffer.writeDoubleLE(record.timestampMs, start + 1);
  at = writeText(buffer, at, record.id);
  if (!sameTable) at = writeText(buffer, at, record.table);
  if (record.key !== null) at = writeText(buffer, at, record.key);
  return record.value === null ? at : buffer.writeUInt32LE(record.value.byteLength, at);
}

function writeHeaders(
  buffer: Buffer,
  start: number,
  headers: NonNullable<LogRecord['headers']>,
): number {
  let at = buffer.writeUInt32LE(headers.length, start);
  for (const [name, value] of headers) {
    at = writeText(buffer, writeText(buffer, at, name), value);
  }
  return at;
}

function writeText(buffer: Buffer, at: number, text: string): number {
  const written = buffer.write(text, at + 4, 'utf8');
  buffer.writeUInt32LE(written, at);
  return at + 4 + written;
}

function writeBytes(
  buffer: Buffer,
  at: number,
  source: Buffer,
  part: { readonly from: number; readonly to: number },
): number {
  buffer.writeUInt32LE(part.to - part.from, at);
  return at + 4 + source.copy(buffer, at + 4, part.from, part.to);
}

/** A stored batch and where it stands. */
export interface StoredBatch {
  readonly bytes: Uint8Array;
  /** Offset of its first record. */
  readonly base: number;
  readonly count: number;
  /** `topic/partition`, for errors. */
  readonly place: string;
}

/** Gathers what a read returns; the size limit never keeps the first record out. */
export class RecordSink {
  readonly records: StoredRecord[] = [];
  bytes = 0;
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get full(): boolean {
    return this.records.length > 0 && this.bytes >= this.#maxBytes;
  }

  add(record: StoredRecord): void {
    this.records.push(record);
    this.bytes += recordBytes(record);
  }
}

/**
 * Decodes the records from offset `from` on into the sink until it is full. Values are views into the
 * batch's bytes.
 *
 * @throws RowcallError LOG_CORRUPT when the checksum or the count is wrong, LOG_UNUSABLE when a newer version wrote it.
 */
export function decodeBatch(batch: StoredBatch, from: number, sink: RecordSink): void {
  const buffer = verified(batch);
  const reader = new Reader(buffer, HEADER_BYTES);
  for (let offset = batch.base; offset < batch.base + batch.count && !sink.full; offset += 1) {
    if (offset < from) reader.skipRecord();
    else sink.add(reader.record(offset));
  }
}

function verified(batch: StoredBatch): Buffer {
  const { bytes } = batch;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const place = `${batch.place}, offset ${batch.base}`;
  if (buffer.length < HEADER_BYTES || crc32(buffer.subarray(8)) !== buffer.readUInt32LE(4)) {
    throw new RowcallError('LOG_CORRUPT', 'The checksum of a record batch is wrong', { place });
  }
  if (buffer.readUInt32LE(0) !== VERSION) {
    throw new RowcallError('LOG_UNUSABLE', 'A record batch has a format that is not known here', {
      place,
      cure: 'Use the version of Rowcall that wrote the log.',
    });
  }
  if (buffer.readUInt32LE(8) !== batch.count) {
    throw new RowcallError('LOG_CORRUPT', 'A record batch holds another number of records', {
      place,
    });
  }
  return buffer;
}

/** Walks the records of one verified batch. Its order of reads is the order of `writeHead`, value, headers. */
class Reader {
  readonly #buffer: Buffer;
  #at: number;
  /** The last table met, as a place in the buffer until somebody asks for the text. */
  #tableAt = 0;
  #table: string | undefined;

  constructor(buffer: Buffer, at: number) {
    this.#buffer = buffer;
    this.#at = at;
  }

  skipRecord(): void {
    const flags = this.#buffer.readUInt8(this.#at);
    this.#at += 9;
    this.#skip();
    this.#passTable(flags);
    if ((flags & KEY_NULL) === 0) this.#skip();
    if ((flags & VALUE_NULL) === 0) this.#skip();
    if ((flags & HAS_HEADERS) === 0) return;
    for (let left = this.#length() * 2; left > 0; left -= 1) this.#skip();
  }

  record(offset: number): StoredRecord {
    const flags = this.#buffer.readUInt8(this.#at);
    const timestampMs = this.#buffer.readDoubleLE(this.#at + 1);
    this.#at += 9;
    const id = this.#text();
    this.#passTable(flags);
    this.#table ??= textAt(this.#buffer, this.#tableAt);
    const record = {
      offset,
      key: (flags & KEY_NULL) === 0 ? this.#text() : null,
      value: (flags & VALUE_NULL) === 0 ? this.#bytes() : null,
      timestampMs,
      id,
      table: this.#table,
      operation: present(OPERATIONS[flags & OPERATION_MASK], 'the operation of a flag byte'),
    };
    return (flags & HAS_HEADERS) === 0 ? record : { ...record, headers: this.#headers() };
  }

  #passTable(flags: number): void {
    if ((flags & SAME_TABLE) !== 0) return;
    this.#tableAt = this.#at;
    this.#table = undefined;
    this.#skip();
  }

  #headers(): [string, string][] {
    const headers: [string, string][] = [];
    for (let left = this.#length(); left > 0; left -= 1) headers.push([this.#text(), this.#text()]);
    return headers;
  }

  #length(): number {
    const length = this.#buffer.readUInt32LE(this.#at);
    this.#at += 4;
    return length;
  }

  #skip(): void {
    const length = this.#length();
    this.#at += length;
  }

  #text(): string {
    const text = textAt(this.#buffer, this.#at);
    this.#skip();
    return text;
  }

  #bytes(): Uint8Array {
    const length = this.#length();
    this.#at += length;
    return this.#buffer.subarray(this.#at - length, this.#at);
  }
}

function textAt(buffer: Buffer, at: number): string {
  return buffer.toString('utf8', at + 4, at + 4 + buffer.readUInt32LE(at));
}
