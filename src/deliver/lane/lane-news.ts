/** Tells the log of keys that leave the fast path: the first at once, then a count a minute. */

import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/logger.ts';

const EVERY_MS = 60_000;

/**
 * A receiver that answers 500 to everything would otherwise be silence; a line for each key would be a flood.
 */
export class LaneNews {
  readonly #callback: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #toldAt = -Infinity;
  #untold = 0;

  constructor(callback: string, clock: Clock, logger: Logger) {
    this.#callback = callback;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** A key failed and waits in a lane from now on. */
  opened(key: string, error: string): void {
    this.#untold += 1;
    const now = this.#clock.monotonic();
    if (now - this.#toldAt < EVERY_MS) return;
    this.#logger.warn(
      { callback: this.#callback, key, error, keys: this.#untold },
      'Keys failed and wait in lanes for their next attempt; rowcall lanes list shows them',
    );
    this.#toldAt = now;
    this.#untold = 0;
  }

  /** No key waits any more. */
  drained(): void {
    this.#logger.info({ callback: this.#callback }, 'All lanes are empty again');
    this.#toldAt = -Infinity;
    this.#untold = 0;
  }
}
