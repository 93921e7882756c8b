/** Waiting longer after each failure in a row. */

import type { Clock, Random } from './clock.ts';
import type { Logger } from './logger.ts';

export interface BackoffOptions {
  readonly initialMs: number;
  readonly maximumMs: number;
  /** Up to this part of the delay is added, never taken away: 0.2 gives 100 to 120 %. */
  readonly jitter: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** From this many failures in a row a person should look. */
const WARN_FROM = 2;
const ERROR_FROM = 6;

/**
 * Doubles from `initialMs` to `maximumMs`. Invariant: a delay is never shorter than its place in the doubling,
 * so that many that fail together come back spread out and none of them early. Progress starts it anew; without
 * that a loss once a day would come to wait as one that never ends.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Failures since the last progress. */
  get failures(): number {
    return this.#failures;
  }

  /** What was tried works again. */
  progress(): void {
    this.#failures = 0;
  }

  /** Counts a failure. Returns how long to wait, milliseconds. */
  failed(): number {
    const { initialMs, maximumMs, jitter, random } = this.#options;
    const delay = Math.min(maximumMs, initialMs * 2 ** this.#failures);
    this.#failures += 1;
    return delay * (1 + jitter * random());
  }

  /** Counts a failure and waits; rejects with the signal's reason. */
  async wait(signal: AbortSignal): Promise<void> {
    await this.#options.clock.sleep(this.failed(), signal);
  }

  /** How loudly to tell of the failure counted last: the same one again and again gets louder. */
  get level(): keyof Logger & ('info' | 'warn' | 'error') {
    if (this.#failures >= ERROR_FROM) return 'error';
    return this.#failures >= WARN_FROM ? 'warn' : 'info';
  }
}
