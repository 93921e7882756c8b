/**
 * Bodies of the events that MariaDB alone writes. Layouts: sql/log_event.h and sql/log_event.cc of MariaDB;
 * https://mariadb.com/kb/en/replication-protocol/
 */

import { inflateSync } from 'node:zlib';
import { formatMariadbGtid } from '../../mariadb-gtid.ts';
import type { ByteCursor } from '../byte-cursor.ts';
import type { EventHeader, MariadbGtidEvent } from './binlog-event.ts';

/** Flags of a GTID event. */
const STANDALONE = 0x01;
const GROUP_COMMIT = 0x02;
const XA_PREPARED = 0x40;
const XA_COMPLETED = 0x80;
/** Further flags, where the event goes on behind the first. */
const EXTRA = { MULTI_ENGINE: 0x01, START_ALTER: 0x02, COMMIT_ALTER: 0x04, ROLLBACK_ALTER: 0x08 };
const EXTRA_THREAD = 0x10;

/** Code 162. It stands in place of a BEGIN; the server id is in the header. */
export function readMariadbGtid(body: ByteCursor, header: EventHeader): MariadbGtidEvent {
  const seq = body.u64();
  const domain = body.u32();
  const flags = body.u8();
  if ((flags & GROUP_COMMIT) !== 0) body.skip(8);
  const part = partOf(flags);
  const xa = part === null ? null : { part, xid: readXid(body) };
  const extra = readExtra(body);
  const standalone = (flags & STANDALONE) !== 0;
  const gtid = { domain, server: header.serverId, seq };
  return { type: 'mariadb-gtid', gtid, commitUs: null, standalone, xa, ...extra, ...header };
}

type XaPart = NonNullable<MariadbGtidEvent['xa']>;

function partOf(flags: number): XaPart['part'] | null {
  if ((flags & XA_PREPARED) !== 0) return 'prepared';
  return (flags & XA_COMPLETED) !== 0 ? 'completed' : null;
}

function readXid(body: ByteCursor): XaPart['xid'] {
  const formatId = body.u32();
  const [gtridLength, bqualLength] = [body.u8(), body.u8()];
  const gtrid = body.slice(gtridLength).toString('hex');
  return { gtrid, bqual: body.slice(bqualLength).toString('hex'), formatId };
}

function readExtra(body: ByteCursor): Pick<MariadbGtidEvent, 'unfinishedAlter' | 'thread'> {
  // An event that would be shorter than it was first is filled up with zeros: no flags.
  if (body.remaining === 0) return { unfinishedAlter: false, thread: null };
  const flags = body.u8();
  if ((flags & EXTRA.MULTI_ENGINE) !== 0) body.skip(1);
  if ((flags & (EXTRA.COMMIT_ALTER | EXTRA.ROLLBACK_ALTER)) !== 0) body.skip(8);
  return {
    unfinishedAlter: (flags & (EXTRA.START_ALTER | EXTRA.ROLLBACK_ALTER)) !== 0,
    thread: (flags & EXTRA_THREAD) === 0 ? null : body.u32(),
  };
}

/** The upper bits are flags of the dump. */
const COUNT_MASK = 0x0fffffff;

/** Code 163: of each domain one GTID for each server, that of the last one at the end. */
export function readGtidList(body: ByteCursor): string {
  const count = body.u32() & COUNT_MASK;
  if (count * 16 > body.remaining) throw body.fail(`it announces ${count} GTIDs`);
  const last = new Map<number, string>();
  for (let index = 0; index < count; index += 1) {
    const domain = body.u32();
    const server = body.u32();
    last.set(domain, formatMariadbGtid({ domain, server, seq: body.u64() }));
  }
  return [...last.values()].join(',');
}

/** No server writes a larger event. */
const MAX_BYTES = 1024 * 1024 * 1024;
const ZLIB = 0;

/**
 * What `log_bin_compress` made smaller, to the end of the event: a byte of flags, the length in one to four bytes
 * (big-endian), and a zlib stream.
 *
 * @param before bytes that come before it in the result
 */
export function inflated(body: ByteCursor, before: Buffer): Buffer {
  const head = body.u8();
  const method = (head & 0x70) >> 4;
  const width = head & 0x07;
  if ((head & 0x80) === 0 || method !== ZLIB || width < 1 || width > 4) {
    throw body.fail(`it is compressed by an unknown method (${head})`);
  }
  const length = body.unsignedBE(width);
  if (length > MAX_BYTES) throw body.fail(`it announces ${length} bytes uncompressed`);
  let bytes: Buffer;
  try {
    // Never more than is announced: a damaged length must not take memory.
    bytes = inflateSync(body.rest(), { maxOutputLength: Math.max(1, length) });
  } catch (error) {
    throw body.fail(`it cannot be decompressed: ${String(error)}`);
  }
  if (bytes.length !== length) {
    throw body.fail(`it has ${bytes.length} bytes uncompressed where it announces ${length}`);
  }
  return before.length === 0 ? bytes : Buffer.concat([before, bytes]);
}
