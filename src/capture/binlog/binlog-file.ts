/** A binlog file as it lies on a disk, as a stream of parsed events: no server is asked. */

import { basename, dirname, join } from 'node:path';
import { RowcallError } from '../../errors.ts';
import { type FilePosition, formatPlace } from '../../position.ts';
import type { BinlogEvent } from './binlog-event.ts';
import { CODE } from './event-codes.ts';
import { EventParser, FIRST_POSITION, type RawEvent } from './event-parser.ts';
import { FileWindow, WINDOW_BYTES } from './file-window.ts';
import { describePayload, PayloadReader } from './transaction-payload.ts';

const HEADER_BYTES = 19;
const CODE_AT = 4;
const LENGTH_AT = 9;
const END_AT = 13;
const FLAGS_AT = 17;
/** Header flags of a format description: the file is open, or its server ended without closing it. */
const FLAG_IN_USE = 0x01;
/** What a replica received from its source: positions in it are those of the source's file. */
const FLAG_RELAY_LOG = 0x40;
const MAGIC = Buffer.from([0xfe, 0x62, 0x69, 0x6e]);
const MAGIC_ENCRYPTED = Buffer.from([0xfd, 0x62, 0x69, 0x6e]);
/** From here on a compressed transaction stays in the file until it is read piece by piece. */
const LARGE_PAYLOAD_BYTES = 16 * 1024 * 1024;
/** No server writes a larger event. */
const MAX_EVENT_BYTES = 1024 * 1024 * 1024;
const MAX_POSITION = 2 ** 32;

/** What a file that was not closed ends with: the beginning of an event. */
export interface Unfinished {
  readonly at: FilePosition;
  readonly bytes: number;
}

/**
 * Reads the file from its format description on. Invariant: what is in memory is one window of the file and of a
 * larger event that event alone; nothing is allocated on the word of a length that the file does not bear out.
 * A file that ends within an event is an error, unless its header says that it is still being written.
 */
export class BinlogFile {
  readonly #window: FileWindow;
  readonly #parser: EventParser;
  readonly #file: string;
  readonly #folder: string;
  readonly #from: number;
  #first: BinlogEvent[] = [];
  #inUse = false;
  #unfinished: Unfinished | null = null;
  #payload: PayloadReader | null = null;
  #failure: Error | undefined;

  private constructor(window: FileWindow, path: string, from: number) {
    this.#window = window;
    this.#file = basename(path);
    this.#folder = dirname(path);
    this.#from = from;
    this.#parser = new EventParser({ file: this.#file, position: from }, false, 'show');
  }

  /**
   * @param from where the first event wanted begins; the format description comes before it all the same
   * @throws RowcallError BINLOG_FILE_UNREADABLE; BINLOG_FILE_FOREIGN; BINLOG_FILE_CUT; BINLOG_EVENT_MALFORMED and
   *   BINLOG_CHECKSUM of the format description
   */
  static async open(path: string, from: number = FIRST_POSITION): Promise<BinlogFile> {
    const window = await FileWindow.open(path);
    const file = new BinlogFile(window, path, from);
    try {
      await file.#begin();
      return file;
    } catch (error) {
      await window.close();
      throw file.#placed(error);
    }
  }

  /** Open, or its server ended without closing it. */
  get inUse(): boolean {
    return this.#inUse;
  }

  /** Behind the end of a file that is in use; null where it ends behind an event. */
  get unfinished(): Unfinished | null {
    return this.#unfinished;
  }

  /**
   * The next events, at least one, in order; none at the file's end. What it gave must be done with when the next is
   * asked for: its bytes are written over.
   *
   * @throws RowcallError BINLOG_FILE_CUT, BINLOG_FILE_UNREADABLE, BINLOG_EVENT_MALFORMED, BINLOG_EVENT_UNSUPPORTED,
   *   BINLOG_CHECKSUM at their place, after all events before it. The file is of no use then.
   */
  async next(): Promise<readonly BinlogEvent[]> {
    try {
      return await this.#next();
    } catch (error) {
      this.#failure = error as Error;
      throw this.#placed(error);
    }
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#payload?.close();
    this.#payload = null;
    return this.#window.close();
  }

  /** Magic number and format description. */
  async #begin(): Promise<void> {
    await this.#window.need(MAGIC.length);
    const magic = this.#window.view.subarray(0, MAGIC.length);
    if (magic.equals(MAGIC_ENCRYPTED)) {
      throw foreign('The server encrypted it (binlog_encryption)', this.#place, ENCRYPTED_CURE);
    }
    if (!magic.equals(MAGIC)) throw foreign('It does not begin as a binlog does', this.#place);
    this.#window.skip(MAGIC.length);
    if ((await this.#window.need(HEADER_BYTES)) < HEADER_BYTES) throw this.#cut();
    const flags = this.#window.view.readUInt16LE(FLAGS_AT);
    if (this.#window.view.readUInt8(CODE_AT) !== CODE.FORMAT_DESCRIPTION) {
      throw foreign('Its first event is no format description', this.#place);
    }
    if ((flags & FLAG_RELAY_LOG) !== 0) {
      throw foreign('It is the relay log of a replica', this.#place, RELAY_CURE);
    }
    const length = this.#window.view.readUInt32LE(LENGTH_AT);
    if (length < HEADER_BYTES) throw this.#malformed(`a format description of ${length} bytes`);
    if (length > WINDOW_BYTES || (await this.#window.need(length)) < length) throw this.#cut();
    this.#inUse = (flags & FLAG_IN_USE) !== 0;
    const bytes = Buffer.from(this.#window.view.subarray(0, length));
    // The server set the flag when the checksum was there already, which holds without it.
    bytes.writeUInt16LE(flags & ~FLAG_IN_USE, FLAGS_AT);
    const event = this.#parse(bytes);
    if (event !== null) this.#first.push(event);
    this.#window.skip(length);
    if (this.#from > FIRST_POSITION) await this.#goTo(this.#from);
  }

  async #goTo(from: number): Promise<void> {
    this.#window.seek(0);
    const size = await this.#window.left();
    if (from > size) {
      throw new RowcallError('POSITION_UNPROVEN', `The file has ${size} bytes`, {
        place: formatPlace(this.#place),
        cure: 'Name a place where an event begins.',
      });
    }
    this.#window.seek(from);
  }

  async #next(): Promise<readonly BinlogEvent[]> {
    if (this.#failure !== undefined) throw this.#failure;
    const first = this.#first;
    this.#first = [];
    if (first.length > 0) return first;
    for (;;) {
      const inner = await this.#nextOfPayload();
      if (inner.length > 0) return inner;
      const events = this.#parseWindow();
      if (events.length > 0) return events;
      const next = await this.#nextRaw();
      if (next === 'end') return [];
      if (next === 'in-window') continue;
      const event = this.#parse(next);
      if (event !== null) return [event];
    }
  }

  async #nextOfPayload(): Promise<readonly BinlogEvent[]> {
    if (this.#payload === null) return [];
    const events = await this.#payload.next();
    if (events.length > 0) return events;
    this.#payload.close();
    this.#payload = null;
    return [];
  }

  /**
   * The events that lie whole in the window. What comes before one that cannot be read is good: the failure waits
   * until that is worked off.
   */
  #parseWindow(): BinlogEvent[] {
    const events: BinlogEvent[] = [];
    try {
      for (;;) {
        const { view } = this.#window;
        if (view.length < HEADER_BYTES) return events;
        const length = view.readUInt32LE(LENGTH_AT);
        if (length < HEADER_BYTES || length > view.length) return events;
        const event = this.#parse(view.subarray(0, length));
        this.#window.skip(length);
        if (event !== null) events.push(event);
        // Its bytes lie in the window: they are read before it moves.
        if (this.#payload !== null) return events;
      }
    } catch (error) {
      if (events.length === 0) throw error;
      this.#failure = error as Error;
      return events;
    }
  }

  /** Brings the next event into the window, or reads what is too large for it. */
  async #nextRaw(): Promise<RawEvent | 'in-window' | 'end'> {
    const held = await this.#window.need(HEADER_BYTES);
    if (held === 0) return 'end';
    if (held < HEADER_BYTES) return this.#endWithin(held);
    const header = this.#window.view;
    const code = header.readUInt8(CODE_AT);
    const length = header.readUInt32LE(LENGTH_AT);
    const end = header.readUInt32LE(END_AT);
    if (length < HEADER_BYTES || length > MAX_EVENT_BYTES) {
      throw this.#malformed(`an event of ${length} bytes begins there`);
    }
    // Before the length is believed: a damaged one must not pass for a file that is still being written.
    if (end !== (this.#window.offset + length) % MAX_POSITION && !this.#mayLackEnd(end)) {
      throw this.#malformed(
        `no event begins there: ${length} bytes from there do not end at ${end}, as it says`,
      );
    }
    const left = await this.#window.left();
    if (left < length) return this.#endWithin(left);
    if (length <= WINDOW_BYTES) {
      // A file that was cut since it was asked for its size.
      return (await this.#window.need(length)) < length ? this.#endWithin(held) : 'in-window';
    }
    return code === CODE.TRANSACTION_PAYLOAD && length > LARGE_PAYLOAD_BYTES
      ? this.#window.leave(length)
      : this.#window.take(length);
  }

  /** MariaDB leaves the position out within a transaction. */
  #mayLackEnd(end: number): boolean {
    return end === 0 && this.#parser.isMariadb;
  }

  /** Null for what is only read through; a payload's events come next. */
  #parse(raw: RawEvent): BinlogEvent | null {
    const event = this.#parser.parse(raw);
    if (event.shown?.code === CODE.START_ENCRYPTION) {
      // A server that sends it has decrypted what is behind it.
      throw foreign('From here on the file is encrypted (START_ENCRYPTION)', event, ENCRYPTED_CURE);
    }
    if (event.type !== 'transaction-payload') return event;
    this.#payload = new PayloadReader(event, (bytes) => this.#parser.parseInner(bytes, event));
    return describePayload(event);
  }

  #endWithin(bytes: number): 'end' {
    if (!this.#inUse) throw this.#cut();
    this.#unfinished = { at: this.#place, bytes };
    return 'end';
  }

  get #place(): FilePosition {
    return { file: this.#file, position: this.#window.offset };
  }

  #cut(): RowcallError {
    return new RowcallError('BINLOG_FILE_CUT', 'The file ends within an event that begins there', {
      place: formatPlace(this.#place),
    });
  }

  #malformed(what: string): RowcallError {
    const place = formatPlace(this.#place);
    return new RowcallError('BINLOG_EVENT_MALFORMED', what, { place });
  }

  /** The same error, with the file's folder in its place: several may have files of one name. */
  #placed(error: unknown): unknown {
    if (!(error instanceof RowcallError)) return error;
    if (error.place?.startsWith(this.#file) !== true) return error;
    const place = join(this.#folder, error.place);
    const { code, message, cure, cause } = error;
    return new RowcallError(code, message, { place, cure, cause });
  }
}

const ENCRYPTED_CURE = 'Read it from its server, which has the key: rowcall binlog -c FILE.';
const RELAY_CURE = "Read the binlog of its source instead, or the replica's own.";

function foreign(message: string, place: FilePosition, cure?: string): RowcallError {
  return new RowcallError('BINLOG_FILE_FOREIGN', message, {
    place: formatPlace(place),
    ...(cure === undefined ? {} : { cure }),
  });
}
