/** Repeats and inversions of a key's events, told by `rowcall-sequence`. */

/** `unknown` where an event has no key or no sequence. */
export type Order = 'first' | 'next' | 'repeat' | 'inversion' | 'unknown';

/**
 * Remembers the last sequence of each key, of the keys seen last. `inversion`: an event of this key with a higher
 * sequence was seen before, so that this one is an old one again or out of order: either way older than what is known.
 */
export class OrderWatch {
  readonly #maxKeys: number;
  readonly #last = new Map<string, string>();

  constructor(maxKeys = 100_000) {
    this.#maxKeys = maxKeys;
  }

  /** @param sequence zero-padded: its text order is its order */
  look(key: string, sequence: string): Order {
    const last = this.#last.get(key);
    if (last !== undefined && sequence <= last) return sequence === last ? 'repeat' : 'inversion';
    return last === undefined ? 'first' : 'next';
  }

  /** Its effect is done. Never goes back. */
  done(key: string, sequence: string): void {
    const last = this.#last.get(key);
    // Set anew, so that it stands among the newest.
    this.#last.delete(key);
    this.#last.set(key, last === undefined || sequence > last ? sequence : last);
    for (const oldest of this.#last.keys()) {
      if (this.#last.size <= this.#maxKeys) break;
      this.#last.delete(oldest);
    }
  }
}
