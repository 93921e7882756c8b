/** An event too large for memory, kept in a file while it is received and read. */

import { randomUUID } from 'node:crypto';
import { closeSync, openSync, read, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { RowcallError } from '../../errors.ts';
import { assert } from '../../shared/assert.ts';

/** An event that is not in memory. Its checksum is known before the first byte is given. */
export interface LargeEvent {
  /** Bytes of the whole event. */
  readonly length: number;
  /** Its first bytes: the header, and what stands before a payload. */
  readonly head: Buffer;
  /** Whether the last four bytes are the CRC32 of those before them. */
  readonly checksumMatches: boolean;
  /** @throws RowcallError where it could not be kept */
  requireWhole(): void;
  /** The bytes [from, to), in pieces; any number of times. */
  read(from: number, to: number, pieceBytes: number): AsyncIterable<Buffer>;
  /** Idempotent. */
  close(): void;
}

/** So much of the beginning stays in memory: the header, and what stands before a payload. */
const HEAD_BYTES = 4096;
/** Of bytes that a CRC32 of theirs (little-endian) follows, the CRC32 of both is this number. */
export const CRC32_RESIDUE = 0x2144_df1c;

const readAt = promisify(read);

/**
 * Takes the bytes of one event in order, and gives them back any number of times. Its checksum is known before
 * the first byte is given back, so that nothing of a damaged event is ever used; that is why it goes to a file rather
 * than straight to who reads it. Invariant: the file has no name from the beginning on, so that it goes with the
 * process at the latest; whoever holds the event must `close` it.
 */
export class SpooledEvent implements LargeEvent {
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #fd: number | null = null;
  #length = 0;
  #crc = 0;
  #failure: RowcallError | null = null;

  constructor(folder: string) {
    try {
      const name = join(folder, `rowcall-${randomUUID()}`);
      // Rows of the source: nobody else may look.
      this.#fd = openSync(name, 'wx+', 0o600);
      unlinkSync(name);
    } catch (error) {
      this.#fail(error, `A file in ${folder} cannot be made`);
    }
  }

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** The first bytes, all that are there up to 4 KiB. */
  get head(): Buffer {
    return this.#head.subarray(0, this.#length);
  }

  /** Whether the last four bytes are the CRC32 of those before them. */
  get checksumMatches(): boolean {
    return this.#crc === CRC32_RESIDUE;
  }

  /** Never throws: what fails is raised to the reader, in `requireWhole`. */
  write(bytes: Buffer): void {
    if (this.#length < HEAD_BYTES) bytes.copy(this.#head, this.#length);
    this.#crc = crc32(bytes, this.#crc);
    try {
      let written = 0;
      while (this.#failure === null && written < bytes.length) {
        const fd = this.#open();
        written += writeSync(fd, bytes, written, bytes.length - written, this.#length + written);
      }
    } catch (error) {
      this.#fail(error, 'A compressed transaction cannot be written to a file');
    }
    this.#length += bytes.length;
  }

  /** @throws RowcallError SPOOL_FAILED */
  requireWhole(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /**
   * The bytes [from, to), in pieces.
   *
   * @throws RowcallError SPOOL_FAILED
   */
  async *read(from: number, to: number, pieceBytes: number): AsyncGenerator<Buffer, void, void> {
    for (let at = from; at < to;) {
      const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, to - at));
      const { bytesRead } = await this.#read(piece, at);
      at += bytesRead;
      yield piece.subarray(0, bytesRead);
    }
  }

  /** Idempotent. */
  close(): void {
    const fd = this.#fd;
    this.#fd = null;
    if (fd !== null) closeSync(fd);
  }

  async #read(piece: Buffer, at: number): Promise<{ readonly bytesRead: number }> {
    this.requireWhole();
    try {
      const got = await readAt(this.#open(), piece, 0, piece.length, at);
      assert(got.bytesRead > 0, 'what was written can be read');
      return got;
    } catch (error) {
      this.#fail(error, 'A compressed transaction cannot be read back from its file');
      throw this.#failure ?? error;
    }
  }

  #open(): number {
    assert(this.#fd !== null, 'the event is not closed');
    return this.#fd;
  }

  #fail(cause: unknown, message: string): void {
    this.#failure ??= new RowcallError('SPOOL_FAILED', message, { cause });
  }
}
