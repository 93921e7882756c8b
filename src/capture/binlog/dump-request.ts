/**
 * The two commands that ask for a binlog, and the one that says who asks. Layouts:
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_binlog_dump_gtid.html
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_register_replica.html
 */

import { encodeGtidSet } from '../../gtid-encoding.ts';
import { GtidSet } from '../../gtid-set.ts';
import type { MariadbPosition } from '../../mariadb-gtid.ts';
import type { FilePosition } from '../../position.ts';
import { FIRST_POSITION } from './event-parser.ts';

/** By GTID: everything that the set does not hold. By place: everything from there on, of one server. */
export type DumpStart = { readonly gtidSet: GtidSet } | DumpDomains | DumpPlace;

/** Of MariaDB: everything that is behind the position. The server reads it from a variable of the session. */
export interface DumpDomains {
  readonly domains: MariadbPosition;
  /** A number of the position need not exist, if one behind it does. Default: false. */
  readonly holes?: boolean;
}

export interface DumpPlace extends FilePosition {
  /** The server has GTIDs on, so that its command by GTID can be used, which takes places of 64 bits. */
  readonly gtids?: boolean;
  /** The server has GTIDs on, and leaves out these. Default: it leaves out nothing. */
  readonly except?: GtidSet;
}

export interface DumpRequest {
  readonly start: DumpStart;
  readonly serverId: number;
  /** End at the end of the log instead of waiting there. */
  readonly nonBlocking: boolean;
}

const COM_BINLOG_DUMP = 0x12;
const COM_REGISTER_REPLICA = 0x15;
const COM_BINLOG_DUMP_GTID = 0x1e;
const NON_BLOCKING = 0x01;
/**
 * To MySQL: heartbeats with 64-bit places (8.0.26 and later; before, the flag means nothing). To MariaDB the same bit
 * says: with ANNOTATE_ROWS events. Those would leave gaps between places where they are not sent, and none of the
 * events between them and the commit tells its place itself.
 */
const HEARTBEAT_V2_OR_ANNOTATE = 0x02;

/** The server takes no longer name of a host. */
const MAX_HOST_BYTES = 255;

/**
 * The command that puts us on the list of SHOW REPLICAS for as long as the dump goes on, with four bytes before it
 * for the packet's header.
 *
 * @param host shown to whoever looks at the list; cut at 255 bytes
 */
export function encodeRegistration(serverId: number, host: string): Buffer {
  const name = Buffer.from(host, 'utf8').subarray(0, MAX_HOST_BYTES);
  // Empty as well: account and password (a replica would report its own), port, rank, and the source's id.
  const packet = Buffer.alloc(4 + 1 + 4 + 1 + name.length + 1 + 1 + 2 + 4 + 4);
  packet.writeUInt8(COM_REGISTER_REPLICA, 4);
  packet.writeUInt32LE(serverId, 5);
  packet.writeUInt8(name.length, 9);
  name.copy(packet, 10);
  return packet;
}

/**
 * The command with four bytes before it for the packet's header. Not for a place that is far (`isFar`): the command by
 * place cannot name it.
 */
export function encodeDumpRequest(request: DumpRequest): Buffer {
  const flags = HEARTBEAT_V2_OR_ANNOTATE | (request.nonBlocking ? NON_BLOCKING : 0);
  // Asked for the file, as whatever has one (a checkpoint, say) is a place, even if it has a set too.
  const { start, serverId } = request;
  // MariaDB has no command by GTID; with the variable set it ignores the place.
  if ('domains' in start) {
    return encodeByPlace({ file: '', position: FIRST_POSITION }, serverId, flags);
  }
  if (!('file' in start)) {
    // No file name: the server finds the file by the set.
    return encodeByGtid(start.gtidSet, { file: '', position: FIRST_POSITION }, serverId, flags);
  }
  // An empty set leaves out nothing: all that stands from the place on.
  return start.gtids === true || start.except !== undefined
    ? encodeByGtid(start.except ?? new GtidSet(), start, serverId, flags)
    : encodeByPlace(start, serverId, flags);
}

function encodeByGtid(
  gtidSet: GtidSet,
  place: FilePosition,
  serverId: number,
  flags: number,
): Buffer {
  const set = encodeGtidSet(gtidSet);
  const name = Buffer.from(place.file, 'utf8');
  const packet = Buffer.alloc(4 + 23 + name.length + set.length);
  packet.writeUInt8(COM_BINLOG_DUMP_GTID, 4);
  packet.writeUInt16LE(flags, 5);
  packet.writeUInt32LE(serverId, 7);
  packet.writeUInt32LE(name.length, 11);
  name.copy(packet, 15);
  const behindName = 15 + name.length;
  packet.writeBigUInt64LE(BigInt(place.position), behindName);
  packet.writeUInt32LE(set.length, behindName + 8);
  set.copy(packet, behindName + 12);
  return packet;
}

function encodeByPlace(place: FilePosition, serverId: number, flags: number): Buffer {
  const name = Buffer.from(place.file, 'utf8');
  const packet = Buffer.alloc(4 + 11 + name.length);
  packet.writeUInt8(COM_BINLOG_DUMP, 4);
  packet.writeUInt32LE(place.position, 5);
  packet.writeUInt16LE(flags, 9);
  packet.writeUInt32LE(serverId, 11);
  name.copy(packet, 15);
  return packet;
}
