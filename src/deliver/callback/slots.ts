/** A bounded number of places; whoever finds none waits, in order. */

import { assert } from '../../shared/assert.ts';

/**
 * Invariant: places given out and free ones together are always the same number. A waiter that gives up takes
 * its place in the queue with it; else the place it was given later would be lost for good.
 */
export class Slots {
  readonly #size: number;
  #free: number;
  #waiting: (() => void)[] = [];

  constructor(size: number) {
    this.#size = size;
    this.#free = size;
  }

  /** Takes a place if one is free. */
  tryTake(): boolean {
    if (this.#free === 0) return false;
    this.#free -= 1;
    return true;
  }

  /** Resolves with a place; rejects with the signal's reason, without one. */
  take(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      if (this.tryTake()) {
        resolve();
        return;
      }
      const given = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = (): void => {
        this.#waiting = this.#waiting.filter((one) => one !== given);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(given);
    });
  }

  /** Gives a place back, to the first who waits. */
  release(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next();
      return;
    }
    this.#free += 1;
    assert(this.#free <= this.#size, 'a place is given back once');
  }
}
