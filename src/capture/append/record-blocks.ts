/** The buffers that rows are written into, used again once their records are in the log. */

/** Room of one block; a row that needs more is written the plain way. */
export const BLOCK_BYTES = 512 * 1024;
/** Blocks kept for later: as much as may wait, and as much again in the append under way. */
const KEPT = 16;

export interface RecordBlock {
  readonly bytes: Buffer;
  readonly view: DataView;
}

/**
 * One block is written at a time; a full one waits for the append that carries the last of its records. Invariant: a
 * block is given out again only after that append ended, since the log copies records as long as it is under way, and
 * again where a full log refused them. Before that its next rows would overwrite records that are not in the log.
 */
export class RecordBlocks {
  #current: RecordBlock | null = null;
  #full: RecordBlock[] = [];
  readonly #free: RecordBlock[] = [];
  /** The next free byte of the current block. */
  at = 0;

  get current(): RecordBlock {
    this.#current ??= this.#free.pop() ?? newBlock();
    return this.#current;
  }

  /** Goes on in another block. */
  next(): void {
    if (this.#current !== null) this.#full.push(this.#current);
    this.#current = null;
    this.at = 0;
  }

  /** The full blocks, whose records all belong to the append that begins now or to one before it. */
  takeFull(): readonly RecordBlock[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** Blocks whose records nobody reads any more. */
  release(blocks: readonly RecordBlock[]): void {
    for (const block of blocks) {
      if (this.#free.length < KEPT) this.#free.push(block);
    }
  }
}

function newBlock(): RecordBlock {
  const bytes = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}
