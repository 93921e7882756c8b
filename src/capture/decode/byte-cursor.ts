/** Reading little- and big-endian fields of an event, never past its end. */

import { RowcallError } from '../../errors.ts';

/** What every field that does not fit ends in. The caller that knows the place adds it (`located`). */
export function malformed(what: string): RowcallError {
  return new RowcallError('BINLOG_EVENT_MALFORMED', what);
}

/** The same error with the place where it was met, unless it has one. Foreign errors pass as they are. */
export function located(error: unknown, place: string): unknown {
  if (!(error instanceof RowcallError) || error.place !== undefined) return error;
  return new RowcallError(error.code, error.message, {
    place,
    cure: error.cure,
    cause: error.cause,
  });
}

/**
 * A place in a stretch of bytes that moves forward only. Invariant: `at` never passes `end`. Every read
 * claims its bytes first; without that a damaged length would read a neighbour's bytes as a value.
 *
 * Offsets given and returned are those of `bytes`, so that values can be read in place, without copies.
 */
export class ByteCursor {
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly end: number;
  #at: number;

  constructor(bytes: Buffer, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
    this.end = end;
  }

  get at(): number {
    return this.#at;
  }

  get atEnd(): boolean {
    return this.#at === this.end;
  }

  /** Claims `count` bytes and gives the offset of the first. @throws RowcallError BINLOG_EVENT_MALFORMED */
  claim(count: number): number {
    const from = this.#at;
    if (count > this.end - from) {
      throw malformed(`${count} bytes are due at ${from}, and ${this.end - from} are left`);
    }
    this.#at = from + count;
    return from;
  }

  u8(): number {
    return this.view.getUint8(this.claim(1));
  }

  u16(): number {
    return this.view.getUint16(this.claim(2), true);
  }

  u24(): number {
    const at = this.claim(3);
    return this.view.getUint16(at, true) | (this.view.getUint8(at + 2) << 16);
  }

  u32(): number {
    return this.view.getUint32(this.claim(4), true);
  }

  /** Big-endian, up to 6 bytes. */
  unsignedBE(count: number): number {
    const from = this.claim(count);
    let value = 0;
    for (let at = from; at < from + count; at += 1) value = value * 256 + this.view.getUint8(at);
    return value;
  }

  /** Little-endian, up to 4 bytes: the length in front of a string or BLOB. */
  length(bytes: number): number {
    if (bytes === 1) return this.u8();
    if (bytes === 2) return this.u16();
    return bytes === 3 ? this.u24() : this.u32();
  }

  /** MySQL's packed integer: one byte below 251, else 252, 253, 254 and 2, 3, 8 bytes. */
  packed(): number {
    const first = this.u8();
    if (first < 251) return first;
    if (first === 252) return this.u16();
    if (first === 253) return this.u24();
    if (first === 254) {
      const value = this.view.getBigUint64(this.claim(8), true);
      if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
    }
    throw malformed(`The packed integer at ${this.#at} is not a length`);
  }

  /** A view of the next `count` bytes, not a copy. */
  slice(count: number): Buffer {
    const from = this.claim(count);
    return this.bytes.subarray(from, from + count);
  }

  /** A reader of the next `count` bytes alone. */
  inner(count: number): ByteCursor {
    return new ByteCursor(this.slice(count));
  }

  /** @throws RowcallError BINLOG_EVENT_MALFORMED when bytes are left over */
  expectEnd(what: string): void {
    if (this.#at !== this.end) {
      throw malformed(`${this.end - this.#at} bytes are left over behind ${what}`);
    }
  }
}
