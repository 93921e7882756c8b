/** Attempts spaced so that an endpoint's own rate is kept. */

import type { Clock } from '../../shared/clock.ts';
import type { MayGo } from './sender.ts';
import { Slots } from './slots.ts';

/** How soon whoever waits learns that it may not go any more: also what a stop waits for. */
const ASK_AGAIN_MS = 250;

/**
 * Invariant: between two turns lies at least the interval, in whatever order they are waited for. Even spacing, not a
 * bucket: a rate that an endpoint allows per minute is then kept in every minute, however those are cut. One waits for
 * the next turn and the others for it, so that who gives up leaves its turn to them.
 */
export class Pace {
  readonly #clock: Clock;
  readonly #first = new Slots(1);
  #intervalMs = 0;
  #next = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param perMinute null is no limit */
  limit(perMinute: number | null): void {
    this.#intervalMs = perMinute === null ? 0 : 60_000 / perMinute;
  }

  /**
   * Resolves with true when an attempt may be made, with false once `mayGo` says that none may be any more; rejects with
   * the signal's reason.
   */
  async turn(signal: AbortSignal, mayGo: MayGo): Promise<boolean> {
    if (this.#intervalMs === 0) return mayGo();
    if (!this.#first.tryTake()) await this.#first.take(signal);
    try {
      return await this.#asFirst(signal, mayGo);
    } finally {
      this.#first.release();
    }
  }

  async #asFirst(signal: AbortSignal, mayGo: MayGo): Promise<boolean> {
    for (;;) {
      if (!mayGo()) return false;
      const leftMs = this.#next - this.#clock.monotonic();
      if (leftMs <= 0) break;
      await this.#clock.sleep(Math.min(leftMs, ASK_AGAIN_MS), signal);
    }
    this.#next = this.#clock.monotonic() + this.#intervalMs;
    return true;
  }
}
