/** A rate of attempts with room for a burst. */

import type { Clock } from '../../shared/clock.ts';

export interface RateLimit {
  /** Attempts per second in the long run, over 0. */
  readonly perSecond: number;
  /** Attempts that may be made at once after a time of rest, at least 1. */
  readonly burst: number;
}

/**
 * Invariant: in any span of time no more attempts are let through than `burst` and what the rate gives in that span. It
 * begins full at every start: a process that is started again and again would else never send.
 */
export class TokenBucket {
  readonly #limit: RateLimit;
  readonly #clock: Clock;
  readonly #onToken: () => void;
  #tokens: number;
  #at: number;
  #cancel: (() => void) | null = null;
  #waitedMs = 0;
  #waitsSince = 0;

  /** @param onToken called once there is a token again for one who found none */
  constructor(limit: RateLimit, clock: Clock, onToken: () => void) {
    this.#limit = limit;
    this.#clock = clock;
    this.#onToken = onToken;
    this.#tokens = limit.burst;
    this.#at = clock.monotonic();
  }

  /** For how long somebody found no token, milliseconds. */
  get waitedMs(): number {
    return (
      this.#waitedMs + (this.#cancel === null ? 0 : this.#clock.monotonic() - this.#waitsSince)
    );
  }

  /** Whether there is a token; else `onToken` is called when there is. */
  get ready(): boolean {
    const { perSecond, burst } = this.#limit;
    const now = this.#clock.monotonic();
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) * perSecond) / 1_000);
    this.#at = now;
    if (this.#tokens >= 1) return true;
    this.#wait(((1 - this.#tokens) * 1_000) / perSecond);
    return false;
  }

  /** Takes a token if there is one. */
  take(): boolean {
    if (!this.ready) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Nobody waits any more. */
  end(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  #wait(ms: number): void {
    if (this.#cancel !== null) return;
    this.#waitsSince = this.#clock.monotonic();
    // A timer may end a fraction of a millisecond early, and would find none again.
    this.#cancel = this.#clock.timer(Math.ceil(ms) + 1, () => {
      this.#cancel = null;
      this.#waitedMs += this.#clock.monotonic() - this.#waitsSince;
      this.#onToken();
    });
  }
}
