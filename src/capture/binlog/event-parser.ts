/** Bytes of one event in, one BinlogEvent out: header, checksum, place, and the body by its code. */

import { RowcallError } from '../../errors.ts';
import { type FilePosition, formatPlace } from '../../position.ts';
import { ByteCursor } from '../byte-cursor.ts';
import type { BinlogEvent, ChecksumAlgorithm, EventHeader } from './binlog-event.ts';
import { BODY_READERS, readFormat } from './event-bodies.ts';
import type { BinlogFormat } from './event-bodies.ts';
import { CODE, FLAG_ARTIFICIAL, eventCode } from './event-codes.ts';
import type { EventCode } from './event-codes.ts';
import { CHECKSUM_BYTES, checksumMatches, hidesChecksum, unverifiedEnd } from './event-checksum.ts';
import { isRead, type ReadBodies } from './read-bodies.ts';
import type { LargeEvent } from './spooled-event.ts';
import { type PayloadBytes, readPayload, type TransactionPayload } from './transaction-payload.ts';

const HEADER_BYTES = 19;
/** Where a file's first event begins, behind the magic number. */
export const FIRST_POSITION = 4;
const WRAP = 2 ** 32;
const FILE_NAME = /^[^/\\\p{Cc}]+\.\d{6,}$/u;

/** Events that only stand inside a transaction: none of them may come after a gap. */
const INSIDE_TRANSACTION: ReadonlySet<number> = new Set([
  CODE.QUERY,
  CODE.XID,
  CODE.TABLE_MAP,
  CODE.WRITE_ROWS_V1,
  CODE.UPDATE_ROWS_V1,
  CODE.DELETE_ROWS_V1,
  CODE.WRITE_ROWS,
  CODE.UPDATE_ROWS,
  CODE.DELETE_ROWS,
  CODE.ROWS_QUERY,
  CODE.XA_PREPARE,
  CODE.PARTIAL_UPDATE_ROWS,
  CODE.TRANSACTION_PAYLOAD,
  CODE.ANNOTATE_ROWS,
  CODE.QUERY_COMPRESSED,
  CODE.WRITE_ROWS_COMPRESSED_V1,
  CODE.UPDATE_ROWS_COMPRESSED_V1,
  CODE.DELETE_ROWS_COMPRESSED_V1,
  CODE.WRITE_ROWS_COMPRESSED,
  CODE.UPDATE_ROWS_COMPRESSED,
  CODE.DELETE_ROWS_COMPRESSED,
]);

/** An event as it came: in memory, or where it would take too much of it, in a file. */
export type RawEvent = Buffer | LargeEvent;

/** The header as it stands: https://dev.mysql.com/doc/dev/mysql-server/latest/ "Binary log event header". */
interface RawHeader {
  readonly timestamp: number;
  readonly code: number;
  readonly serverId: number;
  /** Where the event ends, modulo 2^32; 0 where it has no place in the file. */
  readonly end: number;
  readonly flags: number;
}

/**
 * Parses the events of one dump, in order. State of the file, nothing of transactions.
 *
 * Invariant: `place` is where the next event of the file begins, counted in 64 bits from the lengths of the
 * events; the header's 32-bit position must agree. A dump by GTID leaves out transactions, so there the place
 * may jump forward, but never into the middle of a transaction: a missing event is an error, not a gap.
 * After an error the parser is dead, as what follows cannot be placed.
 */
export class EventParser {
  readonly #gapsAllowed: boolean;
  readonly #bodies: ReadBodies;
  #file: string;
  #position: number;
  #format: BinlogFormat | undefined;

  /** `gapsAllowed`: the dump is by GTID. */
  constructor(start: FilePosition, gapsAllowed: boolean, bodies: ReadBodies = 'all') {
    this.#bodies = bodies;
    this.#file = start.file;
    this.#position = start.position;
    this.#gapsAllowed = gapsAllowed;
  }

  /** Of the file that is read, as far as its format description was. */
  get isMariadb(): boolean {
    return this.#format?.isMariadb === true;
  }

  get place(): FilePosition {
    return { file: this.#file, position: this.#position };
  }

  /**
   * @param event the whole event, as long as its header says
   * @returns a payload where it is one: its events, given to `parseInner`, stand in its place
   * @throws RowcallError BINLOG_EVENT_MALFORMED; BINLOG_CHECKSUM; BINLOG_EVENT_UNSUPPORTED for a
   *   code that must stop the capture; SPOOL_FAILED
   */
  parse(event: RawEvent): BinlogEvent | TransactionPayload {
    if (!Buffer.isBuffer(event)) return this.#shown(this.#parseSpooled(event), event.head, false);
    return this.#shown(this.#parseBytes(event), event, false);
  }

  /**
   * An event of a payload: without a checksum, and at the payload's place.
   *
   * @throws RowcallError BINLOG_EVENT_MALFORMED; as `parse` for a code that must stop the capture
   */
  parseInner(bytes: Buffer, payload: TransactionPayload): BinlogEvent {
    const raw = this.#readHeader(bytes, bytes.length);
    const code = eventCode(raw.code, raw.flags);
    const { timestamp, serverId } = raw;
    const { file, position, endPosition } = payload;
    const header = { file, position, endPosition, timestamp, serverId, bytes: bytes.length };
    const inside = INSIDE_TRANSACTION.has(raw.code) && raw.code !== CODE.TRANSACTION_PAYLOAD;
    if (code.class === 'decode' && !inside) {
      throw malformed(code.name, 'it stands within a compressed transaction', payload);
    }
    if (!isRead(raw.code, this.#bodies)) return { type: 'harmless', name: code.name, ...header };
    return this.#shown(this.#readBody(code, header, bytes.subarray(HEADER_BYTES)), bytes, true);
  }

  #shown<E extends BinlogEvent | TransactionPayload>(event: E, bytes: Buffer, inner: boolean): E {
    return this.#bodies === 'show'
      ? { ...event, bytes: bytes.readUInt32LE(9), shown: { code: bytes.readUInt8(4), inner } }
      : event;
  }

  #parseBytes(bytes: Buffer): BinlogEvent | TransactionPayload {
    const raw = this.#readHeader(bytes, bytes.length);
    const code = eventCode(raw.code, raw.flags);
    if (raw.code === CODE.FORMAT_DESCRIPTION) return this.#parseFormat(bytes, raw);
    if (raw.code === CODE.ROTATE) return this.#parseRotate(bytes, raw);
    const format = this.#requireFormat(code.name);
    const end = this.#verify(bytes, format.checksum, code.name);
    if (raw.code === CODE.HEARTBEAT || raw.code === CODE.HEARTBEAT_V2) {
      return this.#parseHeartbeat(bytes.subarray(0, end), raw, format);
    }
    const header = this.#place(bytes.length, raw, code.name);
    if (!isRead(raw.code, this.#bodies)) return { type: 'harmless', name: code.name, ...header };
    const body = bytes.subarray(HEADER_BYTES, end);
    if (raw.code !== CODE.TRANSACTION_PAYLOAD) return this.#readBody(code, header, body);
    return readPayload(bodyOf(body, code.name, header), body.length, {
      header,
      content: payloadInMemory(body),
    });
  }

  /** Only a payload is worth a file: whatever else is large is wanted in memory, as one value. */
  #parseSpooled(event: LargeEvent): BinlogEvent | TransactionPayload {
    event.requireWhole();
    const raw = this.#readHeader(event.head, event.length);
    const { name } = eventCode(raw.code, raw.flags);
    if (raw.code !== CODE.TRANSACTION_PAYLOAD) throw new Error('Assertion failed: not a payload');
    const { checksum } = this.#requireFormat(name);
    if (checksum === 'crc32' && !event.checksumMatches) throw this.#mismatch(name);
    const header = this.#place(event.length, raw, name);
    if (!isRead(raw.code, this.#bodies)) return { type: 'harmless', name, ...header };
    const end = event.length - (checksum === 'crc32' ? CHECKSUM_BYTES : 0);
    return readPayload(
      bodyOf(event.head.subarray(HEADER_BYTES), name, header),
      end - HEADER_BYTES,
      {
        header,
        content: payloadInFile(event, end),
      },
    );
  }

  #requireFormat(name: string): BinlogFormat {
    if (this.#format !== undefined) return this.#format;
    throw malformed(name, 'it stands before the format description', this.place);
  }

  #readBody(code: EventCode, header: EventHeader, bytes: Buffer): BinlogEvent {
    if (code.class === 'stop') {
      if (this.#bodies !== 'show') throw stopError(code, header, bytes);
      const detail = incidentText(code, bytes);
      return { type: 'harmless', name: code.name, detail, ...header };
    }
    if (code.class === 'harmless') return { type: 'harmless', name: code.name, ...header };
    const read = BODY_READERS.get(code.code);
    if (read === undefined) throw new Error(`Assertion failed: ${code.name} has no reader`);
    const format = this.#requireFormat(code.name);
    return read(bodyOf(bytes, code.name, header), { code: code.code, header, format });
  }

  /** @param bytes the event, or its beginning; `received` is how long it is */
  #readHeader(bytes: Buffer, received: number): RawHeader {
    if (bytes.length < HEADER_BYTES) {
      throw malformed('An', `${bytes.length} bytes are less than a header`, this.place);
    }
    const length = bytes.readUInt32LE(9);
    if (length !== received) {
      const name = eventCode(bytes.readUInt8(4), 0).name;
      throw malformed(name, `its length is ${length}, received ${received}`, this.place);
    }
    return {
      timestamp: bytes.readUInt32LE(0),
      code: bytes.readUInt8(4),
      serverId: bytes.readUInt32LE(5),
      end: bytes.readUInt32LE(13),
      flags: bytes.readUInt16LE(17),
    };
  }

  /** Where the body ends, once the checksum has proven right. */
  #verify(bytes: Buffer, checksum: ChecksumAlgorithm, name: string): number {
    if (checksum === 'none') return bytes.length;
    const end = bytes.length - CHECKSUM_BYTES;
    if (end < HEADER_BYTES) throw malformed(name, 'it is too short for its checksum', this.place);
    if (!checksumMatches(bytes)) throw this.#mismatch(name);
    return end;
  }

  #mismatch(name: string): RowcallError {
    return new RowcallError('BINLOG_CHECKSUM', `The checksum of a ${name} event does not match`, {
      place: formatPlace(this.place),
    });
  }

  /** Counts the event in. The header's position must agree with ours, gaps apart. */
  #place(length: number, raw: RawHeader, name: string): EventHeader {
    const { timestamp, serverId } = raw;
    // Where a dump begins within an encrypted file, MariaDB sends its START_ENCRYPTION again, without a flag that says so.
    const isAgain = raw.code === CODE.START_ENCRYPTION && raw.end === 0;
    if ((raw.flags & FLAG_ARTIFICIAL) !== 0 || isAgain) {
      // Not in the file: it stands at our place and takes no room.
      const { file, position } = this.place;
      return { file, position, endPosition: position, timestamp, serverId, bytes: length };
    }
    const expected = this.#position + length;
    const endPosition = this.#isUnplaced(raw) ? expected : nextCongruent(expected, raw.end);
    if (endPosition !== expected && !(this.#gapsAllowed && !INSIDE_TRANSACTION.has(raw.code))) {
      throw malformed(
        name,
        `it ends at ${raw.end} where ${expected % WRAP} was expected: events are missing`,
        this.place,
      );
    }
    this.#position = endPosition;
    const position = endPosition - length;
    return { file: this.#file, position, endPosition, timestamp, serverId, bytes: length };
  }

  /**
   * MariaDB leaves the position out within a transaction, from 11.4 on as a rule: the event that ends it bears one
   * again, and what was counted until then must agree with that.
   */
  #isUnplaced({ end, code }: RawHeader): boolean {
    if (end !== 0 || !this.isMariadb) return false;
    // These tell where a transaction begins: without a place of their own a gap before them would not be seen.
    return code !== CODE.MARIADB_GTID && code !== CODE.GTID_LIST;
  }

  /** Sent at the beginning of each file, and again when a dump starts within one: then it has no place. */
  #parseFormat(bytes: Buffer, raw: RawHeader): BinlogEvent {
    const name = 'FORMAT_DESCRIPTION';
    const algorithm = bytes[bytes.length - CHECKSUM_BYTES - 1];
    if (bytes.length < HEADER_BYTES + CHECKSUM_BYTES + 1 || algorithm === undefined) {
      throw malformed(name, 'it is too short', this.place);
    }
    if (algorithm > 1) throw malformed(name, `checksum algorithm ${algorithm}`, this.place);
    const checksum = algorithm === 1 ? 'crc32' : 'none';
    this.#verify(bytes, checksum, name);
    if (checksum === 'none' && hidesChecksum(bytes)) throw this.#mismatch(name);
    const body = bytes.subarray(HEADER_BYTES, bytes.length - CHECKSUM_BYTES - 1);
    const format = readFormat(bodyOf(body, name, this.place), checksum);
    const again = raw.end === 0 || this.#position !== FIRST_POSITION;
    const flags = again ? raw.flags | FLAG_ARTIFICIAL : raw.flags;
    const header = this.#place(bytes.length, { ...raw, flags }, name);
    this.#format = format;
    const { serverVersion } = format;
    return {
      type: 'format-description',
      serverVersion,
      created: raw.timestamp,
      checksum,
      ...header,
    };
  }

  #parseRotate(bytes: Buffer, raw: RawHeader): BinlogEvent {
    const artificial = (raw.flags & FLAG_ARTIFICIAL) !== 0 || raw.end === 0;
    const flags = artificial ? raw.flags | FLAG_ARTIFICIAL : raw.flags;
    const end = artificial ? unverifiedEnd(bytes) : this.#verifyRotate(bytes);
    const body = bodyOf(bytes.subarray(HEADER_BYTES, end), 'ROTATE', this.place);
    const nextPosition = body.safeU64('its position');
    const nextFile = body.rest().toString('utf8');
    if (nextPosition < FIRST_POSITION || !FILE_NAME.test(nextFile)) {
      throw body.fail('it does not name a file and a position');
    }
    const header = this.#place(bytes.length, { ...raw, flags }, 'ROTATE');
    if (artificial) {
      this.#file = nextFile;
      this.#position = nextPosition;
      this.#format = undefined;
    }
    return { type: 'rotate', nextFile, nextPosition, artificial, ...header };
  }

  #verifyRotate(bytes: Buffer): number {
    return this.#verify(bytes, this.#requireFormat('ROTATE').checksum, 'ROTATE');
  }

  /** A heartbeat has no place of its own: its header bears the place up to which all was sent or skipped. */
  #parseHeartbeat(bytes: Buffer, raw: RawHeader, format: BinlogFormat): BinlogEvent {
    const name = eventCode(raw.code, 0).name;
    const position = nextCongruent(this.#position, raw.end);
    const { timestamp, serverId } = raw;
    const at = { file: this.#file, position, endPosition: position };
    const header: EventHeader = { ...at, timestamp, serverId, bytes: bytes.length };
    const read = BODY_READERS.get(raw.code);
    const body = bodyOf(bytes.subarray(HEADER_BYTES), name, this.place);
    const event = read?.(body, { code: raw.code, header, format });
    if (event?.type !== 'heartbeat') throw new Error('Assertion failed: not a heartbeat');
    if (event.atFile !== this.#file) throw body.fail(`it names the file ${event.atFile}`);
    if (
      event.atPosition < this.#position ||
      (event.atPosition > this.#position && !this.#gapsAllowed)
    ) {
      throw body.fail(`it stands at ${event.atPosition}`);
    }
    this.#position = event.atPosition;
    return { ...event, position: event.atPosition, endPosition: event.atPosition };
  }
}

function payloadInMemory(body: Buffer): PayloadBytes {
  return {
    *read(from, pieceBytes) {
      for (let at = from; at < body.length; at += pieceBytes) {
        yield body.subarray(at, at + pieceBytes);
      }
    },
    close: () => undefined,
  };
}

function payloadInFile(event: LargeEvent, end: number): PayloadBytes {
  return {
    read: (from, pieceBytes) => event.read(HEADER_BYTES + from, end, pieceBytes),
    close: () => {
      event.close();
    },
  };
}

function malformed(event: string, what: string, place: FilePosition): RowcallError {
  return new RowcallError('BINLOG_EVENT_MALFORMED', `${event} event: ${what}`, {
    place: formatPlace(place),
  });
}

/** A reader of an event's body whose errors name the event and its place. */
function bodyOf(bytes: Buffer, event: string, place: FilePosition): ByteCursor {
  return new ByteCursor(bytes, 0, bytes.length, (what) => malformed(event, what, place));
}

/** The first number >= `from` that is `low` modulo 2^32. */
function nextCongruent(from: number, low: number): number {
  const distance = (((low - from) % WRAP) + WRAP) % WRAP;
  return from + distance;
}

function stopError(code: EventCode, place: FilePosition, body: Buffer): RowcallError {
  const details = {
    place: formatPlace(place),
    ...(code.cure === undefined ? {} : { cure: code.cure }),
  };
  const incident = incidentText(code, body);
  const reason = incident === '' ? code.reason : `${code.reason}: ${incident}`;
  const what = `${code.name} event (code ${code.code}): ${reason}`;
  return new RowcallError('BINLOG_EVENT_UNSUPPORTED', what, details);
}

/** An INCIDENT says what happened: u16 code, u8 length, text. */
function incidentText(code: EventCode, body: Buffer): string {
  return code.name === 'INCIDENT' ? body.toString('utf8', 3, 3 + (body[2] ?? 0)) : '';
}
