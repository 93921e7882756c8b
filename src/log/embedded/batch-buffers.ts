/** Buffers of batches, used again once what they held is in the file. */
import { BATCH_TARGET_BYTES } from './record-batch.ts';

/** What is kept at most: 4 MiB. */
const KEPT = 8;
/** Below this a buffer of the exact size costs less than holding a large one. */
const SMALL_BYTES = 32 * 1024;

/**
 * Spares the collector half a megabyte per batch, which it would let grow to a hundred before it looked.
 * Invariant: a buffer is given back only after its bytes were written; before that its next user would
 * overwrite records that are not in the log yet.
 */
export class BatchBuffers {
  readonly #kept: ArrayBuffer[] = [];

  take(bytes: number): Buffer<ArrayBuffer> {
    if (bytes < SMALL_BYTES || bytes > BATCH_TARGET_BYTES) return Buffer.allocUnsafeSlow(bytes);
    const kept = this.#kept.pop();
    return kept === undefined ? Buffer.allocUnsafeSlow(BATCH_TARGET_BYTES) : Buffer.from(kept);
  }

  give(buffers: readonly ArrayBuffer[]): void {
    for (const buffer of buffers) {
      const fits = buffer.byteLength === BATCH_TARGET_BYTES;
      if (fits && this.#kept.length < KEPT) this.#kept.push(buffer);
    }
  }
}
