/** Asks V8 to collect when large buffers were let go: it hardly sees them, since their bytes lie outside of its heap. */

/** From so many bytes on a buffer is worth a collection of its own. */
const LARGE_BYTES = 4 * 1024 * 1024;
/** Smaller ones are collected together, unless said otherwise when this much has come. */
const STEP_BYTES = 32 * 1024 * 1024;

/**
 * Counts bytes that were in buffers and are not needed any more. Without it the garbage of a busy minute comes
 * to hundreds of megabytes before V8 looks for it. Works where the process runs with `--expose-gc`, as the
 * daemon does; elsewhere it does nothing.
 */
export class Reclaim {
  readonly #stepBytes: number;
  #bytes = 0;

  /** @param stepBytes how much small garbage is collected together */
  constructor(stepBytes: number = STEP_BYTES) {
    this.#stepBytes = stepBytes;
  }

  /** @param largest of the buffers let go, where they are many: together they may come to much without one being large */
  released(bytes: number, largest = bytes): void {
    this.#bytes += bytes;
    if (largest >= LARGE_BYTES) this.#collect('major');
    else if (this.#bytes >= this.#stepBytes) this.#collect('minor');
  }

  /** Before work on a buffer of so many bytes: what came before it is collected first, if it is large. */
  before(bytes: number): void {
    if (bytes >= LARGE_BYTES) this.#collect('major');
  }

  #collect(type: 'major' | 'minor'): void {
    this.#bytes = 0;
    const { gc } = globalThis;
    gc?.({ type, execution: 'sync' });
  }
}

/** Whether collections can be asked for at all. */
export function canReclaim(): boolean {
  const { gc } = globalThis;
  return gc !== undefined;
}
