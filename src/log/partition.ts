/** Which partition a key goes to: murmur2 over the key's UTF-8 bytes, as Kafka's Java client does. */

import type { LogRecord } from '../change-event.ts';
import { PackedRecord } from '../packed-record.ts';

const SEED = 0x9747b28c;
const M = 0x5bd1e995;

/** Kafka's `Utils.murmur2`, as a signed 32-bit integer. */
export function murmur2(bytes: Uint8Array): number {
  return murmur2Of(bytes, 0, bytes.length);
}

/** Of the bytes [from, to). */
function murmur2Of(bytes: Uint8Array, from: number, to: number): number {
  const length = to - from;
  const whole = from + (length & ~3);
  let h = SEED ^ length;
  for (let i = from; i < whole; i += 4) {
    let k =
      (bytes[i] ?? 0) |
      ((bytes[i + 1] ?? 0) << 8) |
      ((bytes[i + 2] ?? 0) << 16) |
      ((bytes[i + 3] ?? 0) << 24);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    k = Math.imul(k, M);
    h = Math.imul(h, M) ^ k;
  }
  h = withRest(h, bytes, whole, to);
  h ^= h >>> 13;
  h = Math.imul(h, M);
  h ^= h >>> 15;
  return h | 0;
}

/** The last bytes, fewer than four. */
function withRest(hash: number, bytes: Uint8Array, from: number, to: number): number {
  if (from === to) return hash;
  let h = hash;
  for (let i = to - 1; i >= from; i -= 1) h ^= (bytes[i] ?? 0) << (8 * (i - from));
  return Math.imul(h, M);
}

/** The partition of `key` among `partitions`; records without a key share partition 0. */
export function partitionOf(key: string | null, partitions: number): number {
  if (key === null || partitions === 1) return 0;
  const bytes = Buffer.from(key, 'utf8');
  return partitionIn(bytes, 0, bytes.length, partitions);
}

/** Of the key that stands in `bytes` at [from, to). Numbers, not an object: it is asked of each row. */
function partitionIn(bytes: Uint8Array, from: number, to: number, partitions: number): number {
  return partitions === 1 ? 0 : (murmur2Of(bytes, from, to) & 0x7fffffff) % partitions;
}

/** The partition of the record's key. */
export function partitionOfRecord(record: LogRecord, partitions: number): number {
  if (!(record instanceof PackedRecord)) return partitionOf(record.key, partitions);
  const { bytes, valueEnd, keyEnd, keyed } = record;
  return keyed ? partitionIn(bytes, valueEnd, keyEnd, partitions) : 0;
}
