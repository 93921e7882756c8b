/**
 * The binary form of a GTID set: what COM_BINLOG_DUMP_GTID carries and PREVIOUS_GTIDS holds.
 * Layout: Gtid_set::encode in the server's sql/rpl_gtid_set.cc. All numbers are little-endian.
 *
 * Form 0: u64 count, then per uuid 16 bytes, u64 number of intervals, and per interval u64 start and u64
 * exclusive end. Form 1 (8.3 and later, once a tag was seen): the count stands in bits 8 to 55 between two
 * bytes of value 1, and each (uuid, tag) is an entry of its own with the tag's length and text behind the uuid.
 */

import { RowcallError } from './errors.ts';
import { GtidSet } from './gtid-set.ts';

const UUID_BYTES = 16;
const TAGGED_FORM = 1n;
const COUNT_MASK = (1n << 48n) - 1n;

/** The tagged form only where tags are: older servers know the other one alone. */
export function encodeGtidSet(set: GtidSet): Buffer {
  const tagged = set.hasTags;
  const entries = set.entries();
  const count = BigInt(entries.length);
  const parts = [u64(tagged ? (TAGGED_FORM << 56n) | (count << 8n) | TAGGED_FORM : count)];
  for (const [source, intervals] of entries) {
    parts.push(uuidBytes(source.slice(0, 36)));
    // The length is a variable-length integer; below 64 that is one byte, shifted by one.
    const tag = source.slice(37);
    if (tagged) parts.push(Buffer.from([tag.length << 1]), Buffer.from(tag, 'latin1'));
    parts.push(u64(BigInt(intervals.length / 2)), ...intervals.map(u64));
  }
  return Buffer.concat(parts);
}

/** @throws RowcallError GTID_SET_INVALID when the bytes are not exactly one set. */
export function decodeGtidSet(bytes: Buffer): GtidSet {
  const set = new GtidSet();
  const header = readU64(bytes, 0);
  const form = header >> 56n;
  if (form > TAGGED_FORM) throw invalid(`form ${form} is unknown`);
  const tagged = form === TAGGED_FORM;
  const count = tagged ? (header >> 8n) & COUNT_MASK : header;
  let at = 8;
  for (let entry = 0n; entry < count; entry += 1n) {
    if (at + UUID_BYTES > bytes.length) throw invalid('it ends within an entry');
    let source = formatUuid(bytes.subarray(at, at + UUID_BYTES));
    at += UUID_BYTES;
    if (tagged) {
      const tag = readTag(bytes, at);
      at += 1 + tag.length;
      if (tag !== '') source += `:${tag}`;
    }
    at = readIntervals(bytes, at, (start, end) => {
      set.addRange(source, start, end);
    });
  }
  if (at !== bytes.length) throw invalid(`${bytes.length - at} bytes are left over`);
  return set;
}

function readIntervals(
  bytes: Buffer,
  start: number,
  take: (start: bigint, end: bigint) => void,
): number {
  const count = readU64(bytes, start);
  let at = start + 8;
  // Compared before the loop, so that a damaged count ends here and not after 2^64 turns.
  if (count * 16n > BigInt(bytes.length - at)) throw invalid('it ends within its intervals');
  for (let index = 0n; index < count; index += 1n, at += 16) {
    take(readU64(bytes, at), readU64(bytes, at + 8));
  }
  return at;
}

function readTag(bytes: Buffer, at: number): string {
  const first = bytes[at];
  if (first === undefined || (first & 1) === 1 || first > 64) throw invalid('a tag is too long');
  const tag = bytes.toString('latin1', at + 1, at + 1 + (first >> 1));
  if (!/^(?:[a-z_][a-z0-9_]*)?$/.test(tag) || tag.length !== first >> 1) {
    throw invalid('a tag is not well formed');
  }
  return tag;
}

export function formatUuid(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20, 32),
  ].join('-');
}

function uuidBytes(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function readU64(bytes: Buffer, at: number): bigint {
  if (at + 8 > bytes.length) throw invalid('it ends within a number');
  return bytes.readBigUInt64LE(at);
}

function invalid(what: string): RowcallError {
  return new RowcallError('GTID_SET_INVALID', `An encoded GTID set is damaged: ${what}`);
}
