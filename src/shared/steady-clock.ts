/** Wall time for what is planned: it outlives a clock that is set back. */

import type { Clock } from './clock.ts';

/** Of the time that passes, as long as wall time is behind. */
const PACE = 0.5;

/**
 * Times of retries and deadlines are kept as wall time, since they outlive the process. Were they compared with a clock
 * that was set back by a day, every retry would wait a day longer. This one goes on from where it was, at half the
 * pace until wall time has caught up: a wait is never shorter than it was meant, and at most twice as long.
 *
 * Invariant: it never goes back, is never behind wall time, and is wall time unless that was set back. One of them for
 * all that plan and all that wait: of two, one may have seen less of what happened.
 */
export class SteadyClock implements Clock {
  readonly #clock: Clock;
  #at: number;
  #reached: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#at = clock.monotonic();
    this.#reached = clock.now();
  }

  now(): number {
    const at = this.#clock.monotonic();
    this.#reached = Math.max(this.#clock.now(), this.#reached + PACE * (at - this.#at));
    this.#at = at;
    return Math.floor(this.#reached);
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#clock.sleep(ms, signal);
  }

  timer(ms: number, fire: () => void): () => void {
    return this.#clock.timer(ms, fire);
  }

  soon(fire: () => void): void {
    this.#clock.soon(fire);
  }
}
