/** Large events one at a time, over both legs: their copies would add up to more memory than the process may take. */

import type { Clock } from './clock.ts';

/** From this size on an event is handled alone. */
export const LARGE_EVENT_BYTES = 4 * 1024 * 1024;
/** A receiver that hangs must not hold the capture up, nor a full log the delivery that would empty it. */
const MAX_WAIT_MS = 5_000;

/**
 * A courtesy, not a lock: whoever waited too long goes on all the same. Invariant: nothing depends on it but
 * memory, so that no order of waiting can ever be a deadlock.
 */
export class LargeWork {
  readonly #clock: Clock;
  #holders = 0;
  #waiting: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Waits for its turn where `bytes` are large. Returns what ends the turn; call it once. */
  async enter(bytes: number): Promise<() => void> {
    if (bytes < LARGE_EVENT_BYTES) return () => undefined;
    if (this.#holders > 0) await this.#turn();
    this.#holders += 1;
    return () => {
      this.#holders -= 1;
      this.#waiting.shift()?.();
    };
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        cancel();
        this.#waiting = this.#waiting.filter((other) => other !== go);
        resolve();
      };
      const cancel = this.#clock.timer(MAX_WAIT_MS, go);
      this.#waiting.push(go);
    });
  }
}
