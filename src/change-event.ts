/**
 * The contract between the legs: what a record in the change log is. `capture/` writes it,
 * `deliver/` reads it, and neither knows the other. Shapes: docs/ARCHITECTURE.md, "The event".
 */

import { isUtf8 } from 'node:buffer';
import { RowcallError } from './errors.ts';
import { PackedRecord } from './packed-record.ts';

/** Debezium's letters: create, update, delete, read (snapshot), truncate. */
export type OperationCode = 'c' | 'u' | 'd' | 'r' | 't';

/** The names used in configuration and in callbacks. */
export type Operation = 'insert' | 'update' | 'delete' | 'read' | 'truncate';

export const OPERATION_OF: Readonly<Record<OperationCode, Operation>> = {
  c: 'insert',
  u: 'update',
  d: 'delete',
  r: 'read',
  t: 'truncate',
};

/** Header names, as they stand on a Kafka record. */
export const HEADER_ID = 'rowcall-id';
export const HEADER_TABLE = 'rowcall-table';
export const HEADER_OPERATION = 'rowcall-op';
/** Debezium's headers on the two halves of a key change; the value is the other half's key. */
export const HEADER_NEW_KEY = '__debezium.newkey';
export const HEADER_OLD_KEY = '__debezium.oldkey';
/** The format of a record whose value is not the envelope below (event-format.ts). */
export const HEADER_FORMAT = 'rowcall-format';
/** The envelope's `source`, where the value has no room for it. */
export const HEADER_SOURCE = 'rowcall-source';
/** Of an outbox row: the event's own id and type, named as Debezium's event router names them, and its aggregate's. */
export const HEADER_OUTBOX_ID = 'id';
export const HEADER_OUTBOX_TYPE = 'type';
export const HEADER_AGGREGATE_TYPE = 'rowcall-aggregate-type';

/** `shop.orders.update`: the dotted words of [a-zA-Z0-9_] that Standard Webhooks ask for. */
export function eventType(event: Pick<LogRecord, 'table' | 'operation'>): string {
  return `${event.table.replaceAll(/[^a-zA-Z0-9_.]/gu, '_')}.${OPERATION_OF[event.operation]}`;
}

/** One record of the change log. `value` is UTF-8 JSON (the envelope, or another format's), null for a tombstone. */
export interface LogRecord {
  /** JSON text such as `{"id":1}`, of an outbox row any JSON; null for a table without a key. */
  readonly key: string | null;
  readonly value: Uint8Array | null;
  /** Commit time at the source, milliseconds since the epoch. */
  readonly timestampMs: number;
  /** Event id: the same for the same row change, whatever restarts. */
  readonly id: string;
  /** `schema.table` as the server spells it; empty for a record of no row, which matches no callback. */
  readonly table: string;
  readonly operation: OperationCode;
  /** Further headers, in order. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
}

/** Bytes that the record takes in memory and, nearly, in the log: the unit of every byte limit. */
export function recordBytes(record: LogRecord): number {
  if (record instanceof PackedRecord) return 64 + record.table.length + record.byteLength;
  let bytes = 64 + record.id.length + record.table.length + (record.key?.length ?? 0);
  bytes += record.value?.byteLength ?? 0;
  for (const [name, value] of record.headers ?? []) bytes += name.length + value.length;
  return bytes;
}

/** Percent-encodes outside [A-Za-z0-9_-] (UTF-8), so that an event id has no '.', ':' or '/' of a name's. */
export function encodeIdPart(name: string): string {
  return /^[A-Za-z0-9_-]*$/.test(name)
    ? name
    : Array.from(Buffer.from(name, 'utf8'), (byte) => {
        const char = String.fromCharCode(byte);
        return /[A-Za-z0-9_-]/.test(char)
          ? char
          : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
      }).join('');
}

/** Without GTIDs: what stands in a GTID's place. `fileCreated` is the format description's timestamp, seconds. */
export function filePlaceId(place: {
  readonly serverUuid: string;
  readonly file: string;
  readonly fileCreated: number;
  readonly position: number;
}): string {
  return `${place.serverUuid}:${encodeIdPart(place.file)}:${place.fileCreated}:${place.position}`;
}

/** `:d` and `:c` are the two halves of a key change, `:t` a tombstone. */
export type EventHalf = '' | ':d' | ':c' | ':t';

/** The part of an event id that all rows of one table in one transaction share. */
export function eventIdPrefix(transaction: string, schema: string, table: string): string {
  return `${transaction}:${encodeIdPart(schema)}/${encodeIdPart(table)}:`;
}

/** `{gtid}:{schema}/{table}:{n}`; n counts from 1 among the table's rows in the transaction, and is 0 for a truncate. */
export function eventId(prefix: string, ordinal: number, half: EventHalf = ''): string {
  return `${prefix}${ordinal}${half}`;
}

const ID_OF_ROW = /^(.+):[^:/]*\/[^:/]*:\d+(?::[dct])?$/;
const FILE_PLACE = /^[0-9a-f-]{36}:([^:]+):\d+:(\d+)$/;

/** Where an event id says that its transaction stands; null where it is none of a row or a truncate. */
export function eventPlace(
  id: string,
): { readonly gtid: string } | { readonly file: string; readonly position: number } | null {
  const transaction = ID_OF_ROW.exec(id)?.[1];
  if (transaction === undefined) return null;
  const [, file, position] = FILE_PLACE.exec(transaction) ?? [];
  if (file === undefined) return { gtid: transaction };
  return { file: decodeURIComponent(file), position: Number(position) };
}

/**
 * Envelope layout. Rowcall writes `{"before":…,"after":…,"source":{…}` first and then this tail, so
 * that a reader can cut the first part out without parsing: the last `,"op":"` in the bytes begins the
 * tail, because nothing that the tail holds can contain that text.
 */
export function envelopeTail(
  operation: OperationCode,
  tsMs: number,
  transaction: {
    readonly id: string;
    readonly totalOrder: number;
    readonly dataCollectionOrder: number;
  } | null,
): string {
  if (transaction === null) return `${tailBegin(operation)}${tsMs},"transaction":null}`;
  return (
    `${tailBegin(operation)}${tsMs}${tailTransaction(transaction.id)}${transaction.totalOrder}` +
    `${TAIL_TABLE_ORDER}${transaction.dataCollectionOrder}${TAIL_END}`
  );
}

/** The tail up to the number of `ts_ms`. */
export function tailBegin(operation: OperationCode): string {
  return `,"op":"${operation}","ts_ms":`;
}

/** The tail from there up to the number of `total_order`. */
export function tailTransaction(id: string): string {
  return `,"transaction":{"id":"${id}","total_order":`;
}

export const TAIL_TABLE_ORDER = ',"data_collection_order":';
export const TAIL_END = '}}';

const TAIL_MARK = Buffer.from(',"op":"');

/**
 * The bytes `"before":…,"after":…,"source":{…}` of an envelope, without braces: they are the rest of
 * a callback's `data`. A view, not a copy.
 *
 * @throws RowcallError ENVELOPE_INVALID when the bytes are not an envelope of ours.
 */
export function envelopeData(value: Uint8Array): Uint8Array {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const end = bytes.lastIndexOf(TAIL_MARK);
  if (end < 0 || !bytes.subarray(0, 10).equals(DATA_START)) {
    throw new RowcallError('ENVELOPE_INVALID', 'A record of the log is not a change event');
  }
  // A receiver would put other characters in their place, and never know.
  if (!isUtf8(bytes)) {
    throw new RowcallError('ENVELOPE_INVALID', 'A record of the log is not UTF-8');
  }
  return bytes.subarray(1, end);
}

const DATA_START = Buffer.from('{"before":');

/** What `source` holds, for handlers. Positions are numbers below 2^53; `gtid` is null without GTIDs. */
export interface EventSource {
  readonly version: string;
  readonly connector: 'rowcall';
  readonly name: string;
  readonly ts_ms: number;
  readonly ts_us: number;
  readonly snapshot: false;
  readonly db: string;
  readonly table: string;
  readonly server_id: number;
  readonly gtid: string | null;
  readonly file: string;
  readonly pos: number;
  readonly row: number;
  readonly thread: number | null;
  readonly query: string | null;
}
