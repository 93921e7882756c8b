/** Reading the fields of an event, never past its end: what is cut short or damaged is an error. */

import { RowcallError } from '../errors.ts';

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
  readonly end: number;
  readonly #malformed: (what: string) => RowcallError;
  #at: number;
  #view: DataView | null = null;

  /** `error` makes the error of what does not fit, for a caller that knows the event and its place. */
  constructor(bytes: Buffer, at = 0, end = bytes.length, error = malformed) {
    this.bytes = bytes;
    this.#at = at;
    this.end = end;
    this.#malformed = error;
  }

  get at(): number {
    return this.#at;
  }

  /** Made when it is asked for: most events are read without. */
  get view(): DataView {
    const { buffer, byteOffset, byteLength } = this.bytes;
    return (this.#view ??= new DataView(buffer, byteOffset, byteLength));
  }

  get atEnd(): boolean {
    return this.#at === this.end;
  }

  get remaining(): number {
    return this.end - this.#at;
  }

  /** An error of these bytes, to be thrown. */
  fail(what: string): RowcallError {
    return this.#malformed(what);
  }

  /** Claims `count` bytes and gives the offset of the first. @throws RowcallError BINLOG_EVENT_MALFORMED */
  claim(count: number): number {
    const from = this.#at;
    if (count > this.end - from) {
      throw this.fail(`${count} bytes are due at ${from}, and ${this.end - from} are left`);
    }
    this.#at = from + count;
    return from;
  }

  u8(): number {
    return this.bytes[this.claim(1)] ?? 0;
  }

  u16(): number {
    return this.#littleEndian(2);
  }

  u24(): number {
    return this.#littleEndian(3);
  }

  u32(): number {
    return this.#littleEndian(4) >>> 0;
  }

  u48(): number {
    const at = this.claim(6);
    return this.view.getUint32(at, true) + this.view.getUint16(at + 4, true) * 2 ** 32;
  }

  /** 7 bytes: a commit timestamp with a flag in its top bit. */
  u56(): bigint {
    const low = BigInt(this.u32());
    return low | (BigInt(this.u24()) << 32n);
  }

  u64(): bigint {
    return this.view.getBigUint64(this.claim(8), true);
  }

  /** u64, as a number: over 2^53 it is malformed. */
  safeU64(what: string): number {
    return this.#safe(this.u64(), what);
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

  /** The protocol's length-encoded integer: below 251 itself; 252, 253, 254 = 2, 3, 8 bytes follow. */
  packed(what = 'a length'): number {
    const first = this.u8();
    if (first < 251) return first;
    if (first === 252) return this.u16();
    if (first === 253) return this.u24();
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
    let rest = 0n;
    const from = this.claim(extra);
    for (let at = from + extra - 1; at >= from; at -= 1) {
      rest = (rest << 8n) | BigInt(this.view.getUint8(at));
    }
    return BigInt(first >> (extra + 1)) | (rest << BigInt(7 - extra));
  }

  /** A varint below 2^53. */
  safeVarint(what: string): number {
    return this.#safe(this.varint(), what);
  }

  /** A view of the next `count` bytes, not a copy. */
  slice(count: number): Buffer {
    const from = this.claim(count);
    return this.bytes.subarray(from, from + count);
  }

  /** A view of everything that is left. */
  rest(): Buffer {
    return this.slice(this.remaining);
  }

  skip(count: number): void {
    this.claim(count);
  }

  /** A reader of the next `count` bytes alone. */
  inner(count: number): ByteCursor {
    const inner = this.slice(count);
    return new ByteCursor(inner, 0, inner.length, this.#malformed);
  }

  /** @throws RowcallError BINLOG_EVENT_MALFORMED when bytes are left over */
  expectEnd(what: string): void {
    if (this.#at !== this.end) {
      throw this.fail(`${this.end - this.#at} bytes are left over behind ${what}`);
    }
  }

  #littleEndian(count: 2 | 3 | 4): number {
    const from = this.claim(count);
    let value = 0;
    for (let i = 0; i < count; i += 1) value |= (this.bytes[from + i] ?? 0) << (8 * i);
    return value;
  }

  #safe(value: bigint, what: string): number {
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.fail(`${what} is over 2^53`);
    return Number(value);
  }
}
