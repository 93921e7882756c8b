/** Kafka's record batches into records, without what was aborted. */
import { crc32c } from '@platformatic/kafka';

import { RowcallError } from '../../errors.ts';
import { decompress } from './compression.ts';
import type { BatchHead } from './record-batch.ts';
import { BATCH_HEAD_BYTES, CHECKED_AT, readBatchHead } from './record-batch.ts';
import type { Header } from './record-headers.ts';
import { ByteReader } from './varint.ts';

/** A transaction that was aborted, as the broker names it beside the records: from this offset on. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

/** What a broker gave of one partition, and where it was asked from. */
export interface FetchedBytes {
  readonly place: string;
  readonly from: number;
  readonly bytes: Buffer;
  readonly aborted: readonly AbortedTransaction[];
}

/** A record as Kafka keeps it. Key and value are views into the batch. */
export interface RawRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly Header[];
}

/**
 * Hands out the committed records from `offset` on, in order, until `take` says no more. Markers and aborted
 * records are passed over. Returns where to go on: past the last record handed out, or past what holds none.
 *
 * @throws RowcallError LOG_CORRUPT
 */
export function readRecords(
  fetched: FetchedBytes,
  offset: number,
  take: (record: RawRecord) => boolean,
): number {
  const filter = new AbortedFilter(fetched.aborted);
  let next = offset;
  for (const { head, at } of batchesOf(fetched)) {
    const aborted = filter.hides(head, () => isAbortMarker(fetched.bytes, head, at));
    if (head.lastOffset < offset) continue;
    if (head.control || aborted) {
      next = head.lastOffset + 1;
      continue;
    }
    const stopped = readBatch(fetched, { head, at }, offset, take);
    if (stopped !== null) return stopped;
    next = head.lastOffset + 1;
  }
  return next;
}

/**
 * The first committed record from `offset` on that is of `timestampMs` or later; null when there is none in these
 * bytes. Batches that are older as a whole are not opened.
 */
export function findTimestamp(
  fetched: FetchedBytes,
  offset: number,
  timestampMs: number,
): number | null {
  const filter = new AbortedFilter(fetched.aborted);
  for (const { head, at } of batchesOf(fetched)) {
    const aborted = filter.hides(head, () => isAbortMarker(fetched.bytes, head, at));
    if (head.lastOffset < offset || head.control || aborted) continue;
    if (head.maxTimestamp < timestampMs) continue;
    const behind = readBatch(
      fetched,
      { head, at },
      offset,
      (record) => record.timestampMs < timestampMs,
    );
    if (behind !== null) return behind - 1;
  }
  return null;
}

/** Where the bytes end: past their last whole batch. */
export function endOf(fetched: FetchedBytes): number {
  let end = fetched.from;
  for (const { head } of batchesOf(fetched)) end = Math.max(end, head.lastOffset + 1);
  return end;
}

interface Placed {
  readonly head: BatchHead;
  readonly at: number;
}

function* batchesOf({ bytes, place }: FetchedBytes): Generator<Placed> {
  let at = 0;
  for (;;) {
    const head = readBatchHead(bytes, at);
    if (head === null) return;
    if (head.magic !== 2) {
      throw corrupt(`a record batch of the old format ${head.magic}`, place, head.baseOffset);
    }
    yield { head, at };
    at += head.size;
  }
}

/** Null when all was handed out; else the offset behind the last. */
function readBatch(
  { bytes, place }: FetchedBytes,
  { head, at }: Placed,
  offset: number,
  take: (record: RawRecord) => boolean,
): number | null {
  if (crc32c(bytes.subarray(at + CHECKED_AT, at + head.size)) !== head.crc) {
    throw corrupt('a record batch whose checksum is wrong', place, head.baseOffset);
  }
  const packed = bytes.subarray(at + BATCH_HEAD_BYTES, at + head.size);
  // A copy: a record that is kept for long must not keep the whole answer of the broker in memory with it.
  const body = head.compression === 0 ? Buffer.from(packed) : decompress(packed, head.compression);
  const reader = new ByteReader(body);
  for (let left = head.count; left > 0; left -= 1) {
    const length = reader.varint();
    const end = reader.at + length;
    const record = readRecord(reader, head, offset);
    reader.at = end;
    if (record !== null && !take(record)) return record.offset + 1;
  }
  return null;
}

/** Null where it stands before `offset`: its fields are not looked at. */
function readRecord(reader: ByteReader, head: BatchHead, offset: number): RawRecord | null {
  reader.at += 1;
  const timestampDelta = reader.varint();
  const at = head.baseOffset + reader.varint();
  if (at < offset) return null;
  const key = readBytes(reader);
  const value = readBytes(reader);
  const headers: Header[] = [];
  for (let left = reader.varint(); left > 0; left -= 1) {
    const name = readBytes(reader)?.toString() ?? '';
    headers.push([name, readBytes(reader)?.toString() ?? '']);
  }
  const timestampMs = head.logAppendTime ? head.maxTimestamp : head.baseTimestamp + timestampDelta;
  return { offset: at, timestampMs, key, value, headers };
}

function readBytes(reader: ByteReader): Buffer | null {
  const length = reader.varint();
  return length < 0 ? null : reader.take(length);
}

function corrupt(what: string, place: string, offset: number): RowcallError {
  return new RowcallError('LOG_CORRUPT', `Kafka gave ${what}`, { place: `${place}@${offset}` });
}

/**
 * A broker sends aborted records along and names the transactions. Invariant: a producer's records are hidden from
 * the transaction's first offset up to its abort marker; so batches are shown to `hides` in order, each once.
 */
class AbortedFilter {
  readonly #coming: AbortedTransaction[];
  readonly #open = new Set<bigint>();

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#coming = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
  }

  hides(head: BatchHead, isAbort: () => boolean): boolean {
    for (;;) {
      const [next] = this.#coming;
      if (next === undefined || next.firstOffset > head.lastOffset) break;
      this.#open.add(next.producerId);
      this.#coming.shift();
    }
    if (!head.transactional) return false;
    if (head.control) {
      if (isAbort()) this.#open.delete(head.producerId);
      return true;
    }
    return this.#open.has(head.producerId);
  }
}

/** A marker's key is version and type, 0 for abort and 1 for commit. */
function isAbortMarker(bytes: Buffer, head: BatchHead, at: number): boolean {
  // Compaction may leave a marker's batch without its record.
  if (head.count === 0) return false;
  const reader = new ByteReader(bytes, at + BATCH_HEAD_BYTES);
  reader.varint();
  reader.at += 1;
  reader.varint();
  reader.varint();
  const key = readBytes(reader);
  return key !== null && key.readInt16BE(2) === 0;
}
