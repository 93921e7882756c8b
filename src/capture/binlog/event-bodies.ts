/**
 * What stands behind the header, event by event. Layouts: libs/mysql/binlog/event/{control,statement,rows}_events.h.
 * A body comes here without header and checksum, its checksum verified.
 */

import { RowcallError } from '../../errors.ts';
import { decodeGtidSet } from '../../gtid-encoding.ts';
import type { BinlogEvent, ChecksumAlgorithm, EventHeader, RowOperation } from './binlog-event.ts';
import type { ByteCursor } from '../byte-cursor.ts';
import { CODE } from './event-codes.ts';
import { readClassicGtid, readTaggedGtid } from './gtid-event.ts';
import { inflated, readGtidList, readMariadbGtid } from './mariadb-bodies.ts';
import { otherTexts, statementText } from './statement-text.ts';

/** What a file's format description tells about the events behind it. */
export interface BinlogFormat {
  readonly checksum: ChecksumAlgorithm;
  readonly serverVersion: string;
  readonly isMariadb: boolean;
  /** Length of the fixed part of each event code, from code 1 on. */
  readonly postHeaderLengths: Buffer;
}

const HEADER_BYTES = 19;

/** The body of code 15 without its last five bytes, which tell of checksums and are read before. */
export function readFormat(body: ByteCursor, checksum: ChecksumAlgorithm): BinlogFormat {
  const version = body.u16();
  if (version !== 4) throw body.fail(`binlog version ${version}`);
  const text = body.slice(50);
  const end = text.indexOf(0);
  const serverVersion = text.toString('latin1', 0, end < 0 ? text.length : end);
  // `created` is zero but in the first file after a server start; the header's time is what tells files apart.
  body.skip(4);
  const headerLength = body.u8();
  if (headerLength !== HEADER_BYTES) throw body.fail(`headers of ${headerLength} bytes`);
  const isMariadb = /mariadb/i.test(serverVersion);
  return { checksum, serverVersion, isMariadb, postHeaderLengths: Buffer.from(body.rest()) };
}

/** What a body's reader may need besides the body. */
export interface BodyContext {
  readonly code: number;
  readonly header: EventHeader;
  readonly format: BinlogFormat;
}

type BodyReader = (body: ByteCursor, context: BodyContext) => BinlogEvent;

function postHeaderLength({ code, format }: BodyContext): number {
  return format.postHeaderLengths[code - 1] ?? 0;
}

const readQuery: BodyReader = (body, context) => readQueryOf(body, context, (text) => text.rest());

/** @param textOf the statement, from where it stands in the event */
function readQueryOf(
  body: ByteCursor,
  context: BodyContext,
  textOf: (body: ByteCursor) => Buffer,
): BinlogEvent {
  const fixed = postHeaderLength(context);
  if (fixed < 13) throw body.fail(`a fixed part of ${fixed} bytes`);
  const threadId = body.u32();
  body.skip(4);
  const schemaLength = body.u8();
  body.skip(2);
  const statusLength = body.u16();
  body.skip(fixed - 13);
  const { sqlMode, client } = readStatus(body.slice(statusLength));
  const schema = body.slice(schemaLength).toString('utf8');
  if (body.u8() !== 0) throw body.fail('its schema name does not end where it should');
  const text = textOf(body);
  const others = otherTexts(text, client);
  return {
    ...{ type: 'query', schema, sql: statementText(text, client), sqlMode, threadId },
    ...(others.length === 0 ? {} : { otherTexts: others }),
    ...context.header,
  };
}

const readCompressedQuery: BodyReader = (body, context) =>
  readQueryOf(body, context, (text) => inflated(text, NOTHING));

const NOTHING = Buffer.alloc(0);

const STATUS_SQL_MODE = 1;
const STATUS_CHARSET = 4;

/** How long those are that a server writes before the character sets: mysql's sql/log_event.cc, Query_log_event::write. */
const STATUS_LENGTHS = new Map<number, (status: Buffer, at: number) => number>([
  // The flags of the session.
  [0, () => 4],
  [STATUS_SQL_MODE, () => 8],
  // The catalog, with a zero behind it and without.
  [2, (status, at) => 2 + (status[at] ?? 0)],
  [6, (status, at) => 1 + (status[at] ?? 0)],
  // auto_increment_increment and _offset.
  [3, () => 4],
  [STATUS_CHARSET, () => 6],
]);

/**
 * The low half of the session's sql_mode, 0 where the event does not tell, and the collation of its character_set_client. Of
 * what follows not every length is known, so nothing further is looked at.
 */
function readStatus(status: Buffer): { readonly sqlMode: number; readonly client: number | null } {
  let sqlMode = 0;
  for (let at = 0; at < status.length;) {
    const code = status.readUInt8(at);
    const length = STATUS_LENGTHS.get(code)?.(status, at + 1);
    if (length === undefined || at + 1 + length > status.length) break;
    if (code === STATUS_SQL_MODE) sqlMode = status.readUInt32LE(at + 1);
    if (code === STATUS_CHARSET) return { sqlMode, client: status.readUInt16LE(at + 1) };
    at += 1 + length;
  }
  return { sqlMode, client: null };
}

/** Servers before 5.1.4 wrote table ids of 4 bytes; the format description tells. */
function readTableId(body: ByteCursor, context: BodyContext): number {
  return postHeaderLength(context) === 6 ? body.u32() : body.u48();
}

const readTableMap: BodyReader = (body, context) => {
  const tableId = readTableId(body, context);
  body.skip(2);
  return { type: 'table-map', tableId, body: body.rest(), ...context.header };
};

const END_OF_STATEMENT = 0x01;

const readRows =
  (operation: RowOperation, compressed = false): BodyReader =>
  (body, context) => {
    const fixed = postHeaderLength(context);
    if (fixed !== 6 && fixed !== 8 && fixed !== 10) {
      throw body.fail(`a fixed part of ${fixed} bytes`);
    }
    const tableId = readTableId(body, context);
    const endOfStatement = (body.u16() & END_OF_STATEMENT) !== 0;
    if (fixed === 10) {
      // Extra data (partition ids, NDB): its length counts its own two bytes.
      const extra = body.u16();
      if (extra < 2) throw body.fail(`extra data of ${extra} bytes`);
      body.skip(extra - 2);
    }
    const rows = compressed ? inflatedRows(body, operation) : body.rest();
    // What it takes in memory counts, not what came.
    const bytes = Math.max(context.header.bytes, rows.length);
    return {
      type: 'rows',
      operation,
      tableId,
      endOfStatement,
      body: rows,
      ...context.header,
      bytes,
    };
  };

/** Packed width and column bitmaps stand uncompressed before the rows. */
function inflatedRows(body: ByteCursor, operation: RowOperation): Buffer {
  const from = body.at;
  const width = body.packed('its number of columns');
  body.skip(Math.ceil(width / 8) * (operation === 'update' ? 2 : 1));
  return inflated(body, body.bytes.subarray(from, body.at));
}

const readUpdate = readRows('update');

const readPartialUpdate: BodyReader = (body, context) => {
  const event = readUpdate(body, context);
  return event.type === 'rows' ? { ...event, partialJson: true } : event;
};

const readXid: BodyReader = (body, { header }) => {
  return { type: 'xid', xid: body.u64(), ...header };
};

/** Neither part of an xid is longer. */
const MAX_XID_PART = 64;

const readXaPrepare: BodyReader = (body, { header }) => {
  const onePhase = body.u8() !== 0;
  const formatId = body.u32();
  const gtridLength = body.u32();
  const bqualLength = body.u32();
  if (gtridLength > MAX_XID_PART || bqualLength > MAX_XID_PART) {
    throw body.fail(`an xid of ${gtridLength} and ${bqualLength} bytes`);
  }
  const gtrid = body.slice(gtridLength).toString('hex');
  const bqual = body.slice(bqualLength).toString('hex');
  body.expectEnd('its xid');
  return { type: 'xa-prepare', xid: { gtrid, bqual, formatId }, onePhase, ...header };
};

/** The length before the text is modulo 256: the text goes to the end. */
const readRowsQuery: BodyReader = (body, { header }) => {
  body.skip(1);
  return { type: 'rows-query', sql: body.rest().toString('utf8'), ...header };
};

const readPreviousGtids: BodyReader = (body, { header }) => {
  try {
    return { type: 'previous-gtids', set: decodeGtidSet(body.rest()).toString(), ...header };
  } catch (error) {
    if (error instanceof RowcallError) throw body.fail(error.message);
    throw error;
  }
};

const readHeartbeat: BodyReader = (body, { header }) => {
  const atFile = body.rest().toString('utf8');
  return { type: 'heartbeat', atFile, atPosition: header.position, ...header };
};

const HEARTBEAT_END = 0;
const HEARTBEAT_FILE = 1;
const HEARTBEAT_POSITION = 2;

const readHeartbeatV2: BodyReader = (body, { header }) => {
  let atFile = '';
  let atPosition = header.position;
  for (;;) {
    const field = body.packed('a field id');
    if (field === HEARTBEAT_END) break;
    const length = body.packed("a field's length");
    if (field === HEARTBEAT_FILE) atFile = body.slice(length).toString('utf8');
    else if (field === HEARTBEAT_POSITION) {
      const before = body.remaining;
      atPosition = body.packed('its position');
      if (before - body.remaining !== length) throw body.fail('its position has another length');
    } else body.skip(length);
  }
  return { type: 'heartbeat', atFile, atPosition, ...header };
};

const readGtid: BodyReader = (body, { header }) => {
  return { type: 'gtid', ...readClassicGtid(body, false), ...header };
};

const readAnonymousGtid: BodyReader = (body, { header }) => {
  const { commitUs } = readClassicGtid(body, true);
  return { type: 'gtid', gtid: null, commitUs, ...header };
};

const readTagged: BodyReader = (body, { header }) => {
  return { type: 'gtid', ...readTaggedGtid(body), ...header };
};

const readMariadb: BodyReader = (body, { header }) => readMariadbGtid(body, header);

const readList: BodyReader = (body, { header }) => {
  return { type: 'gtid-list', list: readGtidList(body), ...header };
};

const readAnnotation: BodyReader = (body, { header }) => {
  return { type: 'rows-query', sql: body.rest().toString('utf8'), ...header };
};

/** Every code of class `decode` but those that the parser itself reads: format, rotate and payload. */
export const BODY_READERS: ReadonlyMap<number, BodyReader> = new Map([
  [CODE.QUERY, readQuery],
  [CODE.STOP, (_body, { header }) => ({ type: 'stop', ...header })],
  [CODE.XID, readXid],
  [CODE.TABLE_MAP, readTableMap],
  [CODE.WRITE_ROWS_V1, readRows('insert')],
  [CODE.UPDATE_ROWS_V1, readUpdate],
  [CODE.DELETE_ROWS_V1, readRows('delete')],
  [CODE.HEARTBEAT, readHeartbeat],
  [CODE.ROWS_QUERY, readRowsQuery],
  [CODE.WRITE_ROWS, readRows('insert')],
  [CODE.UPDATE_ROWS, readUpdate],
  [CODE.DELETE_ROWS, readRows('delete')],
  [CODE.GTID, readGtid],
  [CODE.ANONYMOUS_GTID, readAnonymousGtid],
  [CODE.PREVIOUS_GTIDS, readPreviousGtids],
  [CODE.XA_PREPARE, readXaPrepare],
  [CODE.PARTIAL_UPDATE_ROWS, readPartialUpdate],
  [CODE.HEARTBEAT_V2, readHeartbeatV2],
  [CODE.GTID_TAGGED, readTagged],
  [CODE.ANNOTATE_ROWS, readAnnotation],
  [CODE.MARIADB_GTID, readMariadb],
  [CODE.GTID_LIST, readList],
  [CODE.QUERY_COMPRESSED, readCompressedQuery],
  [CODE.WRITE_ROWS_COMPRESSED_V1, readRows('insert', true)],
  [CODE.UPDATE_ROWS_COMPRESSED_V1, readRows('update', true)],
  [CODE.DELETE_ROWS_COMPRESSED_V1, readRows('delete', true)],
  [CODE.WRITE_ROWS_COMPRESSED, readRows('insert', true)],
  [CODE.UPDATE_ROWS_COMPRESSED, readRows('update', true)],
  [CODE.DELETE_ROWS_COMPRESSED, readRows('delete', true)],
] as const satisfies readonly (readonly [number, BodyReader])[]);
