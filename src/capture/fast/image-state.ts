/** What a generated image writer works on, and what it answers. */

import { ByteCursor } from '../byte-cursor.ts';

/** The image was written; `state.p` and `state.o` stand behind it. */
export const WRITTEN = 0;
/** Something that only the plain decoder judges: it gives the text or the error. */
export const NEEDS_PLAIN = 1;
/** The room in `out` does not suffice; there may be more in another buffer. */
export const NEEDS_ROOM = 2;

export type ImageResult = typeof WRITTEN | typeof NEEDS_PLAIN | typeof NEEDS_ROOM;

const NOTHING = Buffer.alloc(0);
const NOTHING_VIEW = new DataView(new ArrayBuffer(0));

/**
 * The place in an event's body and in the output. Short names: the generated code reads them. Invariant: nothing is
 * read from `body` outside of [0, end), nor written to `out` from `limit` on; a writer that cannot keep it answers so
 * before it reads or writes.
 */
export class ImageState {
  body: Buffer = NOTHING;
  view: DataView = NOTHING_VIEW;
  end = 0;
  /** The next byte of `body`. */
  p = 0;
  out: Buffer = NOTHING;
  outView: DataView = NOTHING_VIEW;
  limit = 0;
  /** The next byte of `out`. */
  o = 0;
  /** The null bitmap of the image at hand. */
  n = 0;
  /** Where the values of the key stand in `out`: from and to for each column of the key, in the key's order. */
  keys = new Int32Array(0);
  #cursor: ByteCursor | null = null;

  /** Begins to read another event. */
  read(body: Buffer): void {
    this.body = body;
    this.view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    this.end = body.length;
    this.p = 0;
    this.#cursor = null;
  }

  /** Lets go of the event's bytes. */
  release(): void {
    this.body = NOTHING;
    this.view = NOTHING_VIEW;
    this.end = 0;
    this.p = 0;
    this.#cursor = null;
  }

  /** A cursor at `p`, for the plain readers. */
  cursor(p: number): ByteCursor {
    let cursor = this.#cursor;
    if (cursor === null || cursor.at > p) {
      this.#cursor = cursor = new ByteCursor(this.body, p);
    } else {
      cursor.skip(p - cursor.at);
    }
    return cursor;
  }
}
