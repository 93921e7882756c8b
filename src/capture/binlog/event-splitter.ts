/** A stream of bytes that is one event behind the other, cut into the events. */

import type { RowcallError } from '../../errors.ts';
import { LARGE_EVENT_BYTES } from '../../shared/large-work.ts';
import { Reclaim } from '../../shared/reclaim.ts';

const HEADER_BYTES = 19;
const LENGTH_AT = 9;
/** No server writes a larger one. */
const MAX_EVENT_BYTES = 1024 * 1024 * 1024;
/** Of the stream's own buffers so much may wait for the collector beside a large event. */
const GARBAGE_BYTES = 8 * 1024 * 1024;

/**
 * An event that lies within what came is a view of it; any other is gathered in one buffer of its length. Invariant:
 * bytes that come to more, or to less, than was announced are an error, so that neither a stream that was cut short
 * nor one that never ends passes for a whole one. The announcement alone makes nobody allocate anything.
 */
export class EventSplitter {
  readonly #announced: number;
  readonly #malformed: (what: string) => RowcallError;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  readonly #reclaim = new Reclaim(GARBAGE_BYTES);
  #headerBytes = 0;
  /** The event being gathered. */
  #whole: Buffer<ArrayBuffer> | null = null;
  #filled = 0;
  #total = 0;

  /** @param announced how many bytes will come */
  constructor(announced: number, malformed: (what: string) => RowcallError) {
    this.#announced = announced;
    this.#malformed = malformed;
  }

  /** The events that are whole now, in order. @throws RowcallError BINLOG_EVENT_MALFORMED */
  push(chunk: Buffer): Buffer[] {
    this.#total += chunk.length;
    if (this.#total > this.#announced) {
      throw this.#malformed(`it comes to more than the ${this.#announced} bytes that it announces`);
    }
    const events: Buffer[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#whole !== null) at = this.#fill(this.#whole, chunk, at, events);
      else if (this.#headerBytes > 0 || chunk.length - at < HEADER_BYTES) {
        at = this.#readHeader(chunk, at, events);
      } else at = this.#take(chunk, at, events);
    }
    return events;
  }

  /** Nothing more comes. @throws RowcallError BINLOG_EVENT_MALFORMED */
  end(): void {
    if (this.#total !== this.#announced) {
      throw this.#malformed(`it announces ${this.#announced} bytes and has ${this.#total}`);
    }
    if (this.#whole !== null || this.#headerBytes > 0) {
      throw this.#malformed('it ends within an event');
    }
  }

  #take(chunk: Buffer, at: number, events: Buffer[]): number {
    const end = at + this.#lengthIn(chunk.subarray(at), chunk.length - at);
    if (end <= chunk.length) {
      events.push(chunk.subarray(at, end));
      return end;
    }
    this.#whole = Buffer.allocUnsafeSlow(end - at);
    this.#filled = chunk.copy(this.#whole, 0, at);
    return chunk.length;
  }

  #readHeader(chunk: Buffer, at: number, events: Buffer[]): number {
    const count = chunk.copy(this.#header, this.#headerBytes, at);
    this.#headerBytes += count;
    if (this.#headerBytes < HEADER_BYTES) return at + count;
    this.#headerBytes = 0;
    const length = this.#lengthIn(this.#header, HEADER_BYTES + chunk.length - at - count);
    const whole = Buffer.allocUnsafeSlow(length);
    this.#filled = this.#header.copy(whole);
    this.#whole = whole;
    if (length === HEADER_BYTES) this.#finish(whole, events);
    return at + count;
  }

  #fill(whole: Buffer, chunk: Buffer, at: number, events: Buffer[]): number {
    const count = chunk.copy(whole, this.#filled, at);
    this.#filled += count;
    if (whole.length >= LARGE_EVENT_BYTES) this.#reclaim.released(count);
    if (this.#filled === whole.length) this.#finish(whole, events);
    return at + count;
  }

  #finish(whole: Buffer, events: Buffer[]): void {
    events.push(whole);
    this.#whole = null;
    this.#filled = 0;
  }

  /** @param here bytes from the event's beginning to the end of what came */
  #lengthIn(header: Buffer, here: number): number {
    const length = header.readUInt32LE(LENGTH_AT);
    const room = this.#announced - this.#total + here;
    if (length < HEADER_BYTES || length > room || length > MAX_EVENT_BYTES) {
      throw this.#malformed(`an event in it has the length ${length}, and ${room} bytes are left`);
    }
    return length;
  }
}
