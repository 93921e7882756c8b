/** Attempts spaced so that an endpoint's own rate is kept. */

import type { Clock } from '../../shared/clock.ts';

/**
 * Invariant: between two turns lies at least the interval, in whatever order they are waited for. Even spacing, not a
 * bucket: a rate that an endpoint allows per minute is then kept in every minute, however those are cut.
 */
export class Pace {
  readonly #clock: Clock;
  #intervalMs = 0;
  #next = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param perMinute null is no limit */
  limit(perMinute: number | null): void {
    this.#intervalMs = perMinute === null ? 0 : 60_000 / perMinute;
  }

  /** Resolves when an attempt may be made; rejects with the signal's reason, its turn then passes unused. */
  async turn(signal: AbortSignal): Promise<void> {
    if (this.#intervalMs === 0) return;
    const now = this.#clock.monotonic();
    const at = Math.max(now, this.#next);
    this.#next = at + this.#intervalMs;
    if (at > now) await this.#clock.sleep(at - now, signal);
  }
}
