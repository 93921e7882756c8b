/** The parts of a packed record as Kafka wants them: sizes first, then bytes, without making a string. */
import { HEADER_ID, HEADER_OPERATION, HEADER_TABLE } from '../../change-event.ts';
import type { PackedRecord } from '../../packed-record.ts';
import { varintSize, writeVarint } from './varint.ts';

/** A header's name behind its length. */
function headerName(name: string): Buffer {
  const size = Buffer.byteLength(name);
  const bytes = Buffer.alloc(varintSize(size) + size);
  bytes.write(name, writeVarint(bytes, size, 0));
  return bytes;
}

const ID = headerName(HEADER_ID);
const TABLE = headerName(HEADER_TABLE);
const OPERATION = headerName(HEADER_OPERATION);
/** Id, table and operation; the last one's value is a letter behind its length. */
const OWN_HEADERS = 3;
const OWN_BYTES = ID.length + TABLE.length + OPERATION.length + 2;

const NONE: NonNullable<PackedRecord['headers']> = [];

/** Table names as bytes: one append has few of them. */
export class TableNames {
  readonly #bytes = new Map<string, Buffer>();

  of(table: string): Buffer {
    let bytes = this.#bytes.get(table);
    if (bytes === undefined) this.#bytes.set(table, (bytes = Buffer.from(table)));
    return bytes;
  }
}

/** Bytes of all headers, their number included. */
export function packedHeaderBytes(record: PackedRecord, table: Buffer): number {
  const { headers = NONE } = record;
  const idBytes = record.end - record.keyEnd;
  let bytes = varintSize(OWN_HEADERS + headers.length) + OWN_BYTES;
  bytes += varintSize(idBytes) + idBytes + varintSize(table.length) + table.length;
  for (const [name, value] of headers) bytes += textBytes(name) + textBytes(value);
  return bytes;
}

/** With its length. */
function textBytes(text: string): number {
  const size = Buffer.byteLength(text);
  return varintSize(size) + size;
}

function writeText(into: Buffer, start: number, text: string): number {
  const at = writeVarint(into, Buffer.byteLength(text), start);
  return at + into.write(text, at);
}

/** Returns the place behind. */
export function writePackedHeaders(
  into: Buffer,
  start: number,
  record: PackedRecord,
  table: Buffer,
): number {
  const { bytes, keyEnd, end, operation, headers = NONE } = record;
  let at = writeVarint(into, OWN_HEADERS + headers.length, start);
  at += ID.copy(into, at);
  at = writeVarint(into, end - keyEnd, at);
  at += bytes.copy(into, at, keyEnd, end);
  at += TABLE.copy(into, at);
  at = writeVarint(into, table.length, at);
  at += table.copy(into, at);
  at += OPERATION.copy(into, at);
  at = writeVarint(into, 1, at);
  into[at] = operation.charCodeAt(0);
  at += 1;
  for (const [name, value] of headers) at = writeText(into, writeText(into, at, name), value);
  return at;
}
