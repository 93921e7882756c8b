/** Records into Kafka's record batches, straight from the row's bytes. */
import { HEADER_ID, HEADER_OPERATION, HEADER_TABLE } from '../../change-event.ts';
import type { LogRecord } from '../../change-event.ts';
import { RowcallError } from '../../errors.ts';
import { PackedRecord } from '../../packed-record.ts';
import type { Compression } from './compression.ts';
import { compress, compressionNumber } from './compression.ts';
import { packedHeaderBytes, TableNames, writePackedHeaders } from './packed-parts.ts';
import { BATCH_HEAD_BYTES, writeBatchHead } from './record-batch.ts';
import { varintSize, varlongSize, writeVarint, writeVarlong } from './varint.ts';

/** One batch of one partition, but for its producer and its checksum. */
export interface EncodedBatch {
  readonly bytes: Buffer;
  readonly count: number;
}

export interface BatchLimits {
  /** The topic's max.message.bytes: a broker takes no batch above it. */
  readonly maxBytes: number;
  readonly compression: Compression;
}

/** What Kafka keeps of a record. */
export interface KafkaRecord {
  readonly key: string | null;
  readonly value: Uint8Array | null;
  readonly timestampMs: number;
  readonly headers: readonly (readonly [name: Buffer, value: string])[];
}

/** A batch is filled up to this before it is compressed: more makes it no smaller. */
const COMPRESS_FROM_BYTES = 512 * 1024;
/** Of the limit: what cannot be compressed becomes a little larger by trying. */
const COMPRESS_PART = 0.9;
/** A record above it is refused without trying how small compression makes it. */
const COMPRESS_MAX_BYTES = 128 * 1024 * 1024;

const ID = Buffer.from(HEADER_ID);
const TABLE = Buffer.from(HEADER_TABLE);
const OPERATION = Buffer.from(HEADER_OPERATION);

export function toKafkaRecord(record: LogRecord): KafkaRecord {
  const headers: (readonly [Buffer, string])[] = [
    [ID, record.id],
    [TABLE, record.table],
    [OPERATION, record.operation],
  ];
  for (const [name, value] of record.headers ?? []) headers.push([Buffer.from(name), value]);
  return { key: record.key, value: record.value, timestampMs: record.timestampMs, headers };
}

function toEncodable(
  record: LogRecord,
  tables: TableNames,
): readonly [record: Encodable, table: Buffer] {
  return record instanceof PackedRecord
    ? [record, tables.of(record.table)]
    : [toKafkaRecord(record), NO_TABLE];
}

/**
 * As few batches as the limit allows, in order. The bytes are copies.
 *
 * @throws RowcallError RECORD_TOO_LARGE, which names the record's id, key and size
 */
export function encodeBatches(
  records: readonly LogRecord[],
  topic: string,
  limits: BatchLimits,
): readonly EncodedBatch[] {
  const { maxBytes, compression } = limits;
  const plain = compression === 'none';
  const fill = plain
    ? maxBytes
    : Math.min(Math.floor(maxBytes * COMPRESS_PART), COMPRESS_FROM_BYTES);
  const batches: EncodedBatch[] = [];
  let waiting: Sized[] = [];
  let bytes = BATCH_HEAD_BYTES;
  const tables = new TableNames();
  const close = (): void => {
    if (waiting.length > 0) batches.push(encodeBatch(waiting, bytes, compression));
    waiting = [];
    bytes = BATCH_HEAD_BYTES;
  };
  for (const record of records) {
    const parts = toEncodable(record, tables);
    let sized = sizeOf(...parts, {
      offsetDelta: waiting.length,
      baseTimestamp: waiting[0]?.record.timestampMs ?? record.timestampMs,
    });
    if (waiting.length > 0 && bytes + sized.total > fill) {
      close();
      sized = sizeOf(...parts, { offsetDelta: 0, baseTimestamp: record.timestampMs });
    }
    const alone = BATCH_HEAD_BYTES + sized.total;
    if (alone > (plain ? maxBytes : COMPRESS_MAX_BYTES)) {
      throw tooLarge(record, topic, alone, maxBytes);
    }
    waiting.push(sized);
    bytes += sized.total;
  }
  close();
  const over = batches.findIndex((batch) => batch.bytes.length > maxBytes);
  if (over < 0) return batches;
  return refuseOrSplit(records, topic, limits);
}

/** Compression made a batch no smaller than the limit: each record goes alone, and the one too large is named. */
function refuseOrSplit(
  records: readonly LogRecord[],
  topic: string,
  { maxBytes, compression }: BatchLimits,
): readonly EncodedBatch[] {
  const tables = new TableNames();
  return records.map((record) => {
    const place = { offsetDelta: 0, baseTimestamp: record.timestampMs };
    const sized = sizeOf(...toEncodable(record, tables), place);
    const batch = encodeBatch([sized], BATCH_HEAD_BYTES + sized.total, compression);
    if (batch.bytes.length > maxBytes) throw tooLarge(record, topic, batch.bytes.length, maxBytes);
    return batch;
  });
}

function tooLarge(record: LogRecord, topic: string, bytes: number, maxBytes: number): RowcallError {
  const key = record.key === null ? 'without a key' : `with the key ${record.key.slice(0, 200)}`;
  return new RowcallError(
    'RECORD_TOO_LARGE',
    `A record of the topic ${topic} ${key} takes ${bytes} bytes, over the topic's max.message.bytes of ${maxBytes}`,
    {
      place: `${topic} ${record.id}`,
      cure: `Raise max.message.bytes of ${topic} above the size named. Or exclude the large column.`,
    },
  );
}

/** A packed record's parts are bytes already; those of another are texts. */
type Encodable = KafkaRecord | PackedRecord;

interface Sized {
  readonly record: Encodable;
  /** The table's name, where the record is packed. */
  readonly table: Buffer;
  readonly keyBytes: number;
  /** What the record's own length says. */
  readonly body: number;
  readonly total: number;
}

const NO_TABLE = Buffer.alloc(0);

function sizeOf(
  record: Encodable,
  table: Buffer,
  place: { readonly offsetDelta: number; readonly baseTimestamp: number },
): Sized {
  const packed = record instanceof PackedRecord;
  const keyBytes = packed ? packedKeyBytes(record) : textBytes(record.key);
  const valueBytes = packed ? record.valueEnd - record.from : (record.value?.byteLength ?? -1);
  const body =
    1 +
    varlongSize(record.timestampMs - place.baseTimestamp) +
    varintSize(place.offsetDelta) +
    varintSize(keyBytes) +
    Math.max(keyBytes, 0) +
    varintSize(valueBytes) +
    Math.max(valueBytes, 0) +
    (packed ? packedHeaderBytes(record, table) : headersBytes(record));
  return { record, table, keyBytes, body, total: varintSize(body) + body };
}

function packedKeyBytes({ keyed, keyEnd, valueEnd }: PackedRecord): number {
  return keyed ? keyEnd - valueEnd : -1;
}

function textBytes(text: string | null): number {
  return text === null ? -1 : Buffer.byteLength(text);
}

function headersBytes({ headers }: KafkaRecord): number {
  let bytes = varintSize(headers.length);
  for (const [name, value] of headers) {
    const size = Buffer.byteLength(value);
    bytes += varintSize(name.length) + name.length + varintSize(size) + size;
  }
  return bytes;
}

function encodeBatch(
  records: readonly Sized[],
  size: number,
  compression: Compression,
): EncodedBatch {
  const plain = Buffer.allocUnsafe(size);
  const baseTimestamp = records[0]?.record.timestampMs ?? 0;
  let maxTimestamp = baseTimestamp;
  let at = BATCH_HEAD_BYTES;
  for (const [index, sized] of records.entries()) {
    at = writeRecord(plain, sized, { at, index, baseTimestamp });
    maxTimestamp = Math.max(maxTimestamp, sized.record.timestampMs);
  }
  let bytes = plain;
  if (compression !== 'none') {
    const packed = compress(plain.subarray(BATCH_HEAD_BYTES), compression);
    bytes = Buffer.concat([plain.subarray(0, BATCH_HEAD_BYTES), packed]);
  }
  const number = compressionNumber(compression);
  writeBatchHead(bytes, {
    count: records.length,
    baseTimestamp,
    maxTimestamp,
    compression: number,
  });
  return { bytes, count: records.length };
}

function writeRecord(
  into: Buffer,
  { record, table, keyBytes, body }: Sized,
  place: { readonly at: number; readonly index: number; readonly baseTimestamp: number },
): number {
  let at = writeVarint(into, body, place.at);
  into[at] = 0;
  at = writeVarlong(into, record.timestampMs - place.baseTimestamp, at + 1);
  at = writeVarint(into, place.index, at);
  at = writeVarint(into, keyBytes, at);
  return record instanceof PackedRecord
    ? writePacked(into, at, record, table)
    : writeTexts(into, at, record);
}

/** Key, value and headers; the key's length stands before them. */
function writePacked(into: Buffer, start: number, record: PackedRecord, table: Buffer): number {
  const { bytes, from, valueEnd, keyEnd } = record;
  let at = start + bytes.copy(into, start, valueEnd, keyEnd);
  at = writeVarint(into, valueEnd - from, at);
  at += bytes.copy(into, at, from, valueEnd);
  return writePackedHeaders(into, at, record, table);
}

function writeTexts(into: Buffer, start: number, record: KafkaRecord): number {
  let at = start;
  if (record.key !== null) at += into.write(record.key, at);
  at = writeVarint(into, record.value?.byteLength ?? -1, at);
  if (record.value !== null) {
    into.set(record.value, at);
    at += record.value.byteLength;
  }
  at = writeVarint(into, record.headers.length, at);
  for (const [name, value] of record.headers) {
    at = writeVarint(into, name.length, at);
    at += name.copy(into, at);
    at = writeVarint(into, Buffer.byteLength(value), at);
    at += into.write(value, at);
  }
  return at;
}

/** One record as a batch of its own, without a limit: for records that are not of a table. */
export function encodeAlone(record: KafkaRecord): EncodedBatch {
  const place = { offsetDelta: 0, baseTimestamp: record.timestampMs };
  const sized = sizeOf(record, NO_TABLE, place);
  return encodeBatch([sized], BATCH_HEAD_BYTES + sized.total, 'none');
}
