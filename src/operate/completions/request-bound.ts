/** How many requests are let in: at once, and per second. */

import type { Clock } from '../../shared/clock.ts';

/** A token bucket that holds one second's requests, and a count of those inside. */
export class RequestBound {
  readonly #perSecond: number;
  readonly #atOnce: number;
  readonly #clock: Clock;
  #inside = 0;
  #tokens: number;
  #filledAt: number;

  constructor(limits: { readonly perSecond: number; readonly atOnce: number }, clock: Clock) {
    this.#perSecond = limits.perSecond;
    this.#atOnce = limits.atOnce;
    this.#clock = clock;
    this.#tokens = limits.perSecond;
    this.#filledAt = clock.monotonic();
  }

  /** Whoever is told that there is room leaves again. */
  enter(): 'room' | 'too often' | 'too many' {
    const now = this.#clock.monotonic();
    const gained = ((now - this.#filledAt) / 1_000) * this.#perSecond;
    this.#tokens = Math.min(this.#perSecond, this.#tokens + gained);
    this.#filledAt = now;
    if (this.#inside >= this.#atOnce) return 'too many';
    if (this.#tokens < 1) return 'too often';
    this.#tokens -= 1;
    this.#inside += 1;
    return 'room';
  }

  leave(): void {
    this.#inside -= 1;
  }
}
