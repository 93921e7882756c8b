/** What was fetched and not yet read. */
import type { FetchedBytes } from './decode-batch.ts';
import { TAIL_BYTES } from './kafka-options.ts';

export interface Chunk {
  readonly fetched: FetchedBytes;
  /** Past the last whole batch in it. */
  readonly end: number;
}

/**
 * Bounded in bytes, the oldest out first: a reader that comes too late fetches for itself. What the log holds never
 * changes, so a chunk can be old but never wrong.
 */
export class Chunks {
  /** Per partition, oldest first. */
  readonly #chunks = new Map<string, Chunk[]>();
  readonly #order: Chunk[] = [];
  readonly #onDropped: (place: string) => void;
  #bytes = 0;

  /** @param onDropped called with the place of each chunk that had to go before anybody read it to its end */
  constructor(onDropped: (place: string) => void) {
    this.#onDropped = onDropped;
  }

  keep(chunk: Chunk): void {
    const { place, bytes } = chunk.fetched;
    const those = this.#chunks.get(place);
    if (those === undefined) this.#chunks.set(place, [chunk]);
    else those.push(chunk);
    this.#order.push(chunk);
    this.#bytes += bytes.length;
    while (this.#bytes > TAIL_BYTES) {
      const [oldest] = this.#order;
      if (oldest === undefined) break;
      this.drop(oldest);
      this.#onDropped(oldest.fetched.place);
    }
  }

  find(place: string, offset: number): Chunk | undefined {
    return this.#chunks
      .get(place)
      ?.find(({ fetched, end }) => fetched.from <= offset && offset < end);
  }

  /** It was read to its end. */
  drop(chunk: Chunk): void {
    const at = this.#order.indexOf(chunk);
    if (at < 0) return;
    this.#order.splice(at, 1);
    this.#bytes -= chunk.fetched.bytes.length;
    const { place } = chunk.fetched;
    const left = this.#chunks.get(place)?.filter((one) => one !== chunk) ?? [];
    if (left.length === 0) this.#chunks.delete(place);
    else this.#chunks.set(place, left);
  }
}
