/** What an endpoint that has too much to do asked for as a whole: with Retry-After, of several keys. */

/** So many distinct keys told to wait are the endpoint's own word: fewer may be what those keys ask of it. */
const KEYS = 3;

/**
 * Invariant: once that many keys wait at the same time because they were told so, nothing of the callback is sent before
 * the latest of their times, nor before that of any that is told so afterwards. Each key's own time is kept with its
 * lane, and here for a key that has none, since its only event was given up: of so few keys that what a restart forgets
 * is the time of two.
 */
export class ToldToWait {
  /** Wall ms by key, of at most `KEYS`. */
  readonly #keys = new Map<string, number>();
  #until: number | null = null;
  #reason = '';

  /** The wait of the whole callback in wall ms, and why; null where there is none. */
  get state(): { readonly until: number; readonly reason: string } | null {
    return this.#until === null ? null : { until: this.#until, reason: this.#reason };
  }

  /** Wall ms before which the endpoint wants nothing of the key; null where it did not say, or that time has come. */
  untilOf(key: string, nowMs: number): number | null {
    const until = this.#keys.get(key) ?? 0;
    return until > nowMs ? until : null;
  }

  /** A key was told to wait. Returns true when that begins or prolongs the wait of the callback. */
  told(
    key: string,
    at: { readonly nowMs: number; readonly untilMs: number },
    reason: string,
  ): boolean {
    if (this.#until === null) {
      for (const [one, until] of this.#keys) if (until <= at.nowMs) this.#keys.delete(one);
      this.#keys.set(key, Math.max(at.untilMs, this.#keys.get(key) ?? 0));
      if (this.#keys.size < KEYS) return false;
    }
    return this.wait(Math.max(at.untilMs, ...this.#keys.values()), reason);
  }

  /** An event of the key was taken: it does not wait any more. */
  taken(key: string): void {
    this.#keys.delete(key);
  }

  /** Waits at least so long. */
  wait(untilMs: number, reason: string): boolean {
    if (untilMs <= (this.#until ?? 0)) return false;
    this.#until = untilMs;
    this.#reason = reason;
    return true;
  }

  /** The time has come, or a person does not wait for it. */
  over(): void {
    this.#until = null;
    this.#keys.clear();
  }
}
