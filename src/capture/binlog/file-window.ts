/** The bytes of a file in order, through a window of fixed size. */

import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { RowcallError } from '../../errors.ts';
import { assert } from '../../shared/assert.ts';
import type { LargeEvent } from './spooled-event.ts';

/** Of the file, in memory at a time; a larger event has a buffer of its own. */
export const WINDOW_BYTES = 256 * 1024;
const PIECE_BYTES = 128 * 1024;
const HEAD_BYTES = 4096;
const CHECKSUM_BYTES = 4;

/**
 * Invariant: what `view` gave holds until the next `need` or `take`, which may move the bytes. Only regular files:
 * a pipe that nobody writes to would hang, and the size of the file is what a damaged length is held against.
 */
export class FileWindow {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #window = Buffer.allocUnsafeSlow(WINDOW_BYTES);
  #start = 0;
  #end = 0;
  /** Where the window's first unread byte stands in the file. */
  #offset = 0;

  private constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
  }

  /** @throws RowcallError BINLOG_FILE_UNREADABLE */
  static async open(path: string): Promise<FileWindow> {
    let file: FileHandle | null = null;
    try {
      // Without O_NONBLOCK, opening a pipe would wait for somebody to write to it.
      file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      if (!(await file.stat()).isFile()) throw unreadable(path, 'it is not a regular file');
      return new FileWindow(file, path);
    } catch (error) {
      await file?.close();
      throw unreadable(path, undefined, error);
    }
  }

  /** Of the next byte, from the beginning of the file. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes that lie in the window. */
  get view(): Buffer {
    return this.#window.subarray(this.#start, this.#end);
  }

  /** Reads on until the window has so many bytes (at most WINDOW_BYTES), or the file ends. Returns how many it has. */
  async need(count: number): Promise<number> {
    assert(count <= WINDOW_BYTES, 'the window is large enough');
    if (this.#end - this.#start >= count) return this.#end - this.#start;
    this.#window.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    while (this.#end < count) {
      const got = await this.#read(this.#window, this.#end, this.#offset + this.#end);
      if (got === 0) break;
      this.#end += got;
    }
    return this.#end;
  }

  /** Passes over bytes that lie in the window. */
  skip(count: number): void {
    assert(count <= this.#end - this.#start, 'only what was read is passed over');
    this.#start += count;
    this.#offset += count;
  }

  /** Goes on at a place of the file. */
  seek(offset: number): void {
    this.#start = 0;
    this.#end = 0;
    this.#offset = offset;
  }

  /** Bytes from here to the file's end as it is now. */
  async left(): Promise<number> {
    try {
      return (await this.#file.stat()).size - this.#offset;
    } catch (error) {
      throw unreadable(this.#path, undefined, error);
    }
  }

  /** The next bytes, in a buffer of their own; fewer only where the file was cut meanwhile. */
  async take(count: number): Promise<Buffer> {
    const whole = Buffer.allocUnsafeSlow(count);
    let filled = 0;
    while (filled < count) {
      const got = await this.#read(whole, filled, this.#offset + filled);
      if (got === 0) break;
      filled += got;
    }
    this.seek(this.#offset + filled);
    return whole.subarray(0, filled);
  }

  /** The next bytes as an event that stays in the file, read once for its checksum. */
  async leave(count: number): Promise<LargeEvent> {
    const from = this.#offset;
    const pieces = (at: number, to: number, size: number): AsyncGenerator<Buffer, void, void> =>
      this.#pieces(from + at, from + to, size);
    let head: Buffer = Buffer.alloc(0);
    let crc = 0;
    let last: Buffer = Buffer.alloc(0);
    for await (const piece of pieces(0, count, PIECE_BYTES)) {
      if (head.length === 0) head = Buffer.from(piece.subarray(0, HEAD_BYTES));
      const bytes = Buffer.concat([last, piece]);
      last = bytes.subarray(Math.max(0, bytes.length - CHECKSUM_BYTES));
      crc = crc32(bytes.subarray(0, bytes.length - last.length), crc);
    }
    this.seek(from + count);
    return {
      length: count,
      head,
      checksumMatches: last.length === CHECKSUM_BYTES && last.readUInt32LE() === crc,
      requireWhole: () => undefined,
      read: pieces,
      close: () => undefined,
    };
  }

  /** Idempotent. */
  close(): Promise<void> {
    return this.#file.close();
  }

  async *#pieces(from: number, to: number, size: number): AsyncGenerator<Buffer, void, void> {
    for (let at = from; at < to;) {
      const piece = Buffer.allocUnsafeSlow(Math.min(size, to - at));
      const got = await this.#read(piece, 0, at);
      if (got === 0) throw unreadable(this.#path, `it was cut at ${at} while it was read`);
      at += got;
      yield piece.subarray(0, got);
    }
  }

  async #read(into: Buffer, at: number, position: number): Promise<number> {
    try {
      return (await this.#file.read(into, at, into.length - at, position)).bytesRead;
    } catch (error) {
      throw unreadable(this.#path, undefined, error);
    }
  }
}

function unreadable(path: string, what?: string, cause?: unknown): RowcallError {
  if (cause instanceof RowcallError) return cause;
  const reason = what ?? (cause instanceof Error ? cause.message : String(cause));
  return new RowcallError('BINLOG_FILE_UNREADABLE', `The file cannot be read: ${reason}`, {
    place: path,
    cause,
  });
}
