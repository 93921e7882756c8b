/**
 * Every binlog event code, with what is done about it: the one table that decides. docs/BINLOG.md lists the
 * same rows; a test holds the two together. Codes: libs/mysql/binlog/event/binlog_event.h (MySQL),
 * sql/log_event.h (MariaDB).
 *
 * `decode`: read, or used. `harmless`: carries no row change, for the reason given. `stop`: what it carries
 * would be lost, or is not known. A code that is not here is a stop, unless the server itself marked the
 * event as ignorable.
 */

export interface EventCode {
  readonly code: number;
  readonly name: string;
  readonly class: 'decode' | 'harmless' | 'stop';
  /** Decoded: what for. Harmless: why nothing is lost. Stop: what would be lost. */
  readonly reason: string;
  /** The way on, where a stop has one better than the general cure. Names the setting. */
  readonly cure?: string;
}

/** Header flag: the event was made for this dump and is not in the file. */
export const FLAG_ARTIFICIAL = 0x20;
/** Header flag: a reader that does not know the code may pass over the event. */
export const FLAG_IGNORABLE = 0x80;

/** Codes that the parser needs by name. */
export const CODE = {
  QUERY: 2,
  STOP: 3,
  ROTATE: 4,
  FORMAT_DESCRIPTION: 15,
  XID: 16,
  TABLE_MAP: 19,
  WRITE_ROWS_V1: 23,
  UPDATE_ROWS_V1: 24,
  DELETE_ROWS_V1: 25,
  HEARTBEAT: 27,
  ROWS_QUERY: 29,
  WRITE_ROWS: 30,
  UPDATE_ROWS: 31,
  DELETE_ROWS: 32,
  GTID: 33,
  ANONYMOUS_GTID: 34,
  PREVIOUS_GTIDS: 35,
  XA_PREPARE: 38,
  PARTIAL_UPDATE_ROWS: 39,
  TRANSACTION_PAYLOAD: 40,
  HEARTBEAT_V2: 41,
  GTID_TAGGED: 42,
  ANNOTATE_ROWS: 160,
  BINLOG_CHECKPOINT: 161,
  MARIADB_GTID: 162,
  GTID_LIST: 163,
  START_ENCRYPTION: 164,
  QUERY_COMPRESSED: 165,
  WRITE_ROWS_COMPRESSED_V1: 166,
  UPDATE_ROWS_COMPRESSED_V1: 167,
  DELETE_ROWS_COMPRESSED_V1: 168,
  WRITE_ROWS_COMPRESSED: 169,
  UPDATE_ROWS_COMPRESSED: 170,
  DELETE_ROWS_COMPRESSED: 171,
} as const;

const OLD = 'no server from 5.1 on writes it';
const LOAD = 'it brings data in without row events';
const CONTEXT = 'context of a statement that is logged as text; that QUERY event is what stops';

const ROW_FORMAT =
  "SET PERSIST binlog_format = 'ROW' (MariaDB: SET GLOBAL, and in my.cnf), and in every session that sets its own; open sessions keep what they began with and have to reconnect.";

const decode = (code: number, name: string, reason: string): EventCode => {
  return { code, name, class: 'decode', reason };
};
const harmless = (code: number, name: string, reason: string): EventCode => {
  return { code, name, class: 'harmless', reason };
};
const stop = (code: number, name: string, reason: string, cure?: string): EventCode => {
  return { code, name, class: 'stop', reason, ...(cure === undefined ? {} : { cure }) };
};

export const EVENT_CODES: readonly EventCode[] = [
  stop(0, 'UNKNOWN', 'its content is not defined'),
  stop(1, 'START_V3', OLD),
  decode(CODE.QUERY, 'QUERY', 'begin, commit and rollback, savepoints, XA statements, DDL'),
  decode(CODE.STOP, 'STOP', 'the server was shut down cleanly; the next file follows'),
  decode(CODE.ROTATE, 'ROTATE', 'the next file'),
  harmless(5, 'INTVAR', CONTEXT),
  stop(6, 'LOAD', LOAD, ROW_FORMAT),
  stop(7, 'SLAVE', OLD),
  stop(8, 'CREATE_FILE', LOAD, ROW_FORMAT),
  stop(9, 'APPEND_BLOCK', LOAD, ROW_FORMAT),
  stop(10, 'EXEC_LOAD', LOAD, ROW_FORMAT),
  stop(11, 'DELETE_FILE', LOAD, ROW_FORMAT),
  stop(12, 'NEW_LOAD', LOAD, ROW_FORMAT),
  harmless(13, 'RAND', CONTEXT),
  harmless(14, 'USER_VAR', CONTEXT),
  decode(CODE.FORMAT_DESCRIPTION, 'FORMAT_DESCRIPTION', "the file's checksum and layouts"),
  decode(CODE.XID, 'XID', 'commit'),
  stop(17, 'BEGIN_LOAD_QUERY', LOAD, ROW_FORMAT),
  stop(18, 'EXECUTE_LOAD_QUERY', LOAD, ROW_FORMAT),
  decode(CODE.TABLE_MAP, 'TABLE_MAP', 'table, columns and types of the rows that follow'),
  stop(20, 'PRE_GA_WRITE_ROWS', OLD),
  stop(21, 'PRE_GA_UPDATE_ROWS', OLD),
  stop(22, 'PRE_GA_DELETE_ROWS', OLD),
  decode(CODE.WRITE_ROWS_V1, 'WRITE_ROWS_V1', 'inserted rows'),
  decode(CODE.UPDATE_ROWS_V1, 'UPDATE_ROWS_V1', 'updated rows'),
  decode(CODE.DELETE_ROWS_V1, 'DELETE_ROWS_V1', 'deleted rows'),
  stop(
    26,
    'INCIDENT',
    'the server tells that its binlog lacks changes',
    'Find the cause in the log of the server. The changes are not in the binlog: read the tables anew, then rowcall position set behind the place.',
  ),
  decode(CODE.HEARTBEAT, 'HEARTBEAT', 'the server is alive, and up to this place all was sent'),
  harmless(28, 'IGNORABLE', 'the server marks it so'),
  decode(CODE.ROWS_QUERY, 'ROWS_QUERY', 'the statement behind the rows that follow'),
  decode(CODE.WRITE_ROWS, 'WRITE_ROWS', 'inserted rows'),
  decode(CODE.UPDATE_ROWS, 'UPDATE_ROWS', 'updated rows'),
  decode(CODE.DELETE_ROWS, 'DELETE_ROWS', 'deleted rows'),
  decode(CODE.GTID, 'GTID', 'a transaction begins'),
  decode(CODE.ANONYMOUS_GTID, 'ANONYMOUS_GTID', 'a transaction begins, without a GTID'),
  decode(CODE.PREVIOUS_GTIDS, 'PREVIOUS_GTIDS', 'the GTIDs of all files before this one'),
  harmless(36, 'TRANSACTION_CONTEXT', 'Group Replication certifies transactions with it'),
  harmless(37, 'VIEW_CHANGE', 'members of a Group Replication group; its GTID counts'),
  decode(CODE.XA_PREPARE, 'XA_PREPARE', 'the rows before it wait for XA COMMIT, or are committed'),
  decode(
    CODE.PARTIAL_UPDATE_ROWS,
    'PARTIAL_UPDATE_ROWS',
    'updated rows; JSON documents as changes',
  ),
  decode(CODE.TRANSACTION_PAYLOAD, 'TRANSACTION_PAYLOAD', 'a whole transaction, compressed'),
  decode(CODE.HEARTBEAT_V2, 'HEARTBEAT_V2', 'as HEARTBEAT, with a 64-bit place'),
  decode(CODE.GTID_TAGGED, 'GTID_TAGGED', 'a transaction begins, its GTID has a tag'),
  decode(CODE.ANNOTATE_ROWS, 'MARIADB_ANNOTATE_ROWS', 'the statement behind the rows that follow'),
  harmless(
    CODE.BINLOG_CHECKPOINT,
    'MARIADB_BINLOG_CHECKPOINT',
    'the server recovers from a crash by it',
  ),
  decode(CODE.MARIADB_GTID, 'MARIADB_GTID', 'a transaction begins'),
  decode(CODE.GTID_LIST, 'MARIADB_GTID_LIST', 'how far each domain was before this file'),
  harmless(
    CODE.START_ENCRYPTION,
    'MARIADB_START_ENCRYPTION',
    'the server decrypts what it sends; a file that has it cannot be read, and is refused',
  ),
  decode(CODE.QUERY_COMPRESSED, 'MARIADB_QUERY_COMPRESSED', 'as QUERY'),
  decode(CODE.WRITE_ROWS_COMPRESSED_V1, 'MARIADB_WRITE_ROWS_COMPRESSED_V1', 'inserted rows'),
  decode(CODE.UPDATE_ROWS_COMPRESSED_V1, 'MARIADB_UPDATE_ROWS_COMPRESSED_V1', 'updated rows'),
  decode(CODE.DELETE_ROWS_COMPRESSED_V1, 'MARIADB_DELETE_ROWS_COMPRESSED_V1', 'deleted rows'),
  decode(CODE.WRITE_ROWS_COMPRESSED, 'MARIADB_WRITE_ROWS_COMPRESSED', 'inserted rows'),
  decode(CODE.UPDATE_ROWS_COMPRESSED, 'MARIADB_UPDATE_ROWS_COMPRESSED', 'updated rows'),
  decode(CODE.DELETE_ROWS_COMPRESSED, 'MARIADB_DELETE_ROWS_COMPRESSED', 'deleted rows'),
  stop(
    172,
    'MARIADB_PARTIAL_ROW_DATA',
    'a part of a rows event that is too large for the limit that the server has for replicas',
    'SET GLOBAL slave_max_allowed_packet = 1073741824; then rowcall position set behind the place named, once its rows were brought over by hand.',
  ),
];

const BY_CODE = new Map(EVENT_CODES.map((row) => [row.code, row]));

/** The row of a code; for one that is not in the table, a row that says so. */
export function eventCode(code: number, flags: number): EventCode {
  const known = BY_CODE.get(code);
  if (known !== undefined) return known;
  return (flags & FLAG_IGNORABLE) !== 0
    ? harmless(code, `UNKNOWN_${code}`, 'the server marks it as ignorable')
    : stop(
        code,
        `UNKNOWN_${code}`,
        'this version does not know what it carries',
        'Use a version of Rowcall that knows this server.',
      );
}
