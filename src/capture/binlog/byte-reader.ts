/** Reads the bytes of one event and never past them: what is cut short or damaged is an error with its place. */

import { RowcallError } from '../../errors.ts';
import type { FilePosition } from '../../position.ts';

/** `file:position`, as errors and logs name a place. */
export function formatPlace(place: FilePosition): string {
  return `${place.file}:${place.position}`;
}

export function malformed(event: string, what: string, place: FilePosition): RowcallError {
  return new RowcallError('BINLOG_EVENT_MALFORMED', `${event} event: ${what}`, {
    place: formatPlace(place),
  });
}

/**
 * A cursor over an event's body. Invariant: 0 <= offset <= length; every read checks before it moves, so
 * that a wrong length inside an event cannot take bytes of the next one for its own.
 *
 * All reads throw RowcallError BINLOG_EVENT_MALFORMED when the bytes do not suffice.
 */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #event: string;
  readonly #place: FilePosition;
  #offset = 0;

  /** `event` is its name, for the error. */
  constructor(bytes: Buffer, event: string, place: FilePosition) {
    this.#bytes = bytes;
    this.#event = event;
    this.#place = place;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  fail(what: string): RowcallError {
    return malformed(this.#event, what, this.#place);
  }

  /** Moves over `count` bytes and returns where they begin. */
  #take(count: number): number {
    const at = this.#offset;
    if (count > this.#bytes.length - at) {
      throw this.fail(`it ends ${count - (this.#bytes.length - at)} bytes too early`);
    }
    this.#offset = at + count;
    return at;
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  u16(): number {
    return this.#bytes.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  /** An unsigned number of 4, 6 or 7 bytes; 7 only where the value is known to stay below 2^53. */
  unsigned(bytes: 4 | 6): number {
    return this.#bytes.readUIntLE(this.#take(bytes), bytes);
  }

  /** 7 bytes: a commit timestamp with a flag in its top bit. */
  u56(): bigint {
    const at = this.#take(7);
    const low = BigInt(this.#bytes.readUInt32LE(at));
    return low | (BigInt(this.#bytes.readUIntLE(at + 4, 3)) << 32n);
  }

  u64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#take(8));
  }

  /** u64, as a number: over 2^53 it is malformed. */
  safeU64(what: string): number {
    return this.#safe(this.u64(), what);
  }

  /** The protocol's length-encoded integer: below 251 itself; 252, 253, 254 = 2, 3, 8 bytes follow. */
  packed(what: string): number {
    const first = this.u8();
    if (first < 251) return first;
    if (first === 252) return this.u16();
    if (first === 253) return this.#bytes.readUIntLE(this.#take(3), 3);
    if (first === 254) return this.safeU64(what);
    throw this.fail(`${what} is not a packed number`);
  }

  /**
   * The integer of the server's serialization library (libs/mysql/serialization/readme.md): as many bytes
   * follow as the first one has trailing one bits, and the value stands above those bits.
   */
  varint(): bigint {
    const first = this.u8();
    let extra = 0;
    while (extra < 8 && ((first >> extra) & 1) === 1) extra += 1;
    if (extra === 8) return this.u64();
    const at = this.#take(extra);
    const rest = extra === 0 ? 0n : readBigUIntLE(this.#bytes, at, extra);
    return BigInt(first >> (extra + 1)) | (rest << BigInt(7 - extra));
  }

  /** A varint below 2^53. */
  safeVarint(what: string): number {
    return this.#safe(this.varint(), what);
  }

  /** A view of the next `count` bytes. */
  bytes(count: number): Buffer {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  /** A view of everything that is left. */
  rest(): Buffer {
    return this.bytes(this.remaining);
  }

  skip(count: number): void {
    this.#take(count);
  }

  #safe(value: bigint, what: string): number {
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.fail(`${what} is over 2^53`);
    return Number(value);
  }
}

function readBigUIntLE(bytes: Buffer, at: number, count: number): bigint {
  let value = 0n;
  for (let index = count - 1; index >= 0; index -= 1) {
    value = (value << 8n) | BigInt(bytes.readUInt8(at + index));
  }
  return value;
}
