/**
 * TRANSACTION_PAYLOAD: the events of a transaction, compressed as one. Layout: class Transaction_payload_event in
 * mysql's libs/mysql/binlog/event/control_events.h.
 */

import { Readable, pipeline } from 'node:stream';
import { createZstdDecompress } from 'node:zlib';
import { RowcallError } from '../../errors.ts';
import { formatPlace } from '../../position.ts';
import { Reclaim } from '../../shared/reclaim.ts';
import type { ByteCursor } from '../byte-cursor.ts';
import type { BinlogEvent, EventHeader } from './binlog-event.ts';
import { EventSplitter } from './event-splitter.ts';

/** The bytes of a payload: in memory, or in a file. */
export interface PayloadBytes {
  /** From so many bytes behind the event's header on, to the payload's end, in pieces of at most `pieceBytes`. */
  read(from: number, pieceBytes: number): Iterable<Buffer> | AsyncIterable<Buffer>;
  /** Idempotent. */
  close(): void;
}

/** Its `endPosition` is where the transaction ends: the events inside have no places of their own. */
export interface TransactionPayload extends EventHeader {
  readonly type: 'transaction-payload';
  readonly compression: 'zstd' | 'none';
  /** What it says of itself: nothing is allocated on its word. */
  readonly uncompressedBytes: number;
  /** Where the payload begins, behind the event's header. */
  readonly from: number;
  readonly content: PayloadBytes;
}

/** The payload as an event to be shown, before those inside of it. */
export function describePayload(payload: TransactionPayload): BinlogEvent {
  const { file, position, endPosition, timestamp, serverId, bytes, shown } = payload;
  const { compression, uncompressedBytes } = payload;
  const header = { file, position, endPosition, timestamp, serverId, bytes };
  const detail = `${compression}, ${uncompressedBytes} bytes uncompressed`;
  const event: BinlogEvent = { type: 'harmless', name: 'TRANSACTION_PAYLOAD', detail, ...header };
  return shown === undefined ? event : { ...event, shown };
}

const FIELD = { END: 0, PAYLOAD_SIZE: 1, COMPRESSION: 2, UNCOMPRESSED_SIZE: 3 } as const;
const ZSTD = 0;
const NONE = 255;

/** Compressed bytes go in, and events come out, in pieces of this size. */
const PIECE_BYTES = 128 * 1024;
/** Of those pieces so much may wait for the collector. */
const GARBAGE_BYTES = 16 * 1024 * 1024;

/**
 * Reads the fields in front of the payload.
 *
 * @param body from behind the event's header on; it may end before the event does
 * @param length of the whole body
 * @throws RowcallError BINLOG_EVENT_MALFORMED; BINLOG_EVENT_UNSUPPORTED for what this version does not know
 */
export function readPayload(
  body: ByteCursor,
  length: number,
  { header, content }: { readonly header: EventHeader; readonly content: PayloadBytes },
): TransactionPayload {
  const fields = readFields(body, header);
  const size = fields.get(FIELD.PAYLOAD_SIZE);
  if (size !== length - body.at) {
    throw body.fail(`it announces a payload of ${size ?? 'no'} bytes and has ${length - body.at}`);
  }
  const type = fields.get(FIELD.COMPRESSION);
  if (type !== ZSTD && type !== NONE) {
    throw unsupported(`it is compressed by the unknown method ${type ?? '(none named)'}`, header);
  }
  const compression = type === ZSTD ? 'zstd' : 'none';
  const uncompressedBytes = compression === 'none' ? size : fields.get(FIELD.UNCOMPRESSED_SIZE);
  if (uncompressedBytes === undefined) throw body.fail('it does not tell its uncompressed size');
  const from = body.at;
  return { type: 'transaction-payload', compression, uncompressedBytes, from, content, ...header };
}

/** Type, length and value of each, all of them packed. */
function readFields(body: ByteCursor, header: EventHeader): ReadonlyMap<number, number> {
  const fields = new Map<number, number>();
  for (;;) {
    const field = body.packed('a field id');
    if (field === FIELD.END) return fields;
    if (field > FIELD.UNCOMPRESSED_SIZE) {
      throw unsupported(`it has the unknown field ${field}`, header);
    }
    const value = body.inner(body.packed("a field's length"));
    fields.set(field, value.packed("a field's value"));
    value.expectEnd("a field's value");
  }
}

function unsupported(what: string, header: EventHeader): RowcallError {
  return new RowcallError('BINLOG_EVENT_UNSUPPORTED', `TRANSACTION_PAYLOAD event: ${what}`, {
    place: formatPlace(header),
  });
}

/**
 * The events of one payload, as they are asked for. Invariant: at any time there is one piece of it decompressed, and
 * of a larger event inside that event alone, whatever the payload comes to. Whoever makes one must `close` it.
 */
export class PayloadReader {
  readonly #payload: TransactionPayload;
  readonly #parse: (event: Buffer) => BinlogEvent;
  readonly #splitter: EventSplitter;
  readonly #stream: Readable;
  readonly #chunks: AsyncIterator<Buffer, undefined>;
  readonly #reclaim = new Reclaim(GARBAGE_BYTES);
  #failure: unknown = undefined;

  /** @param parse one event of the payload */
  constructor(payload: TransactionPayload, parse: (event: Buffer) => BinlogEvent) {
    this.#payload = payload;
    this.#parse = parse;
    this.#splitter = new EventSplitter(payload.uncompressedBytes, (what) => this.#malformed(what));
    this.#stream = uncompressed(payload);
    this.#chunks = this.#stream[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  }

  /**
   * The next events, at least one; none at the payload's end.
   *
   * @throws RowcallError BINLOG_EVENT_MALFORMED, after all events before the damage; what parsing one throws
   */
  async next(): Promise<BinlogEvent[]> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure as Error;
      const chunk = await this.#chunk();
      if (chunk === null) {
        this.#splitter.end();
        return [];
      }
      const events = this.#eventsOf(chunk);
      if (events.length > 0) return events;
    }
  }

  /** Idempotent. */
  close(): void {
    this.#stream.destroy();
    this.#payload.content.close();
  }

  async #chunk(): Promise<Buffer | null> {
    try {
      const next = await this.#chunks.next();
      return next.done === true ? null : next.value;
    } catch (error) {
      if (error instanceof RowcallError) throw error;
      const what = error instanceof Error ? error.message : String(error);
      throw this.#malformed(`it cannot be decompressed: ${what}`, error);
    }
  }

  /** What comes before an event that cannot be read is good: the failure waits until it is worked off. */
  #eventsOf(chunk: Buffer): BinlogEvent[] {
    const events: BinlogEvent[] = [];
    try {
      for (const bytes of this.#splitter.push(chunk)) events.push(this.#parse(bytes));
    } catch (error) {
      this.#failure = error;
    }
    this.#reclaim.released(chunk.length);
    return events;
  }

  #malformed(what: string, cause?: unknown): RowcallError {
    return new RowcallError('BINLOG_EVENT_MALFORMED', `TRANSACTION_PAYLOAD event: ${what}`, {
      place: formatPlace(this.#payload),
      cause,
    });
  }
}

function uncompressed({ compression, from, content }: TransactionPayload): Readable {
  const pieces = Readable.from(content.read(from, PIECE_BYTES), { highWaterMark: 1 });
  if (compression === 'none') return pieces;
  const zstd = createZstdDecompress({ chunkSize: PIECE_BYTES });
  // What goes wrong on either side destroys both, and is raised to who reads.
  return pipeline(pieces, zstd, () => undefined);
}
