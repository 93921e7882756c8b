/** Which handlers of the process run side by side, and which alone. */

import type { DueResend } from '../../state/resend-store.ts';
import type { DueLane, StateStore } from '../../state/state-store.ts';

interface Waiter {
  readonly alone: boolean;
  readonly begin: () => void;
}

/**
 * Handlers of all callbacks of the process. Invariant: beside one that runs alone no other runs, so that when the process ends
 * under it, it is known who ended it; and none runs before `open`, so that what the process before left is judged
 * first. They begin in the order in which they came: one that is to be alone waits for those that run, and those
 * behind it for it.
 */
export class HandlerTurns {
  /** The process before ended while an attempt was alone under way: nothing else of it was cut off. */
  readonly wasAlone: boolean;
  #cutOff: DueLane | DueResend | null;
  #running = 1;
  #alone = true;
  readonly #waiting: Waiter[] = [];

  /** Before anything is committed that is about handlers. */
  static async begin(state: StateStore): Promise<HandlerTurns> {
    const { alone } = await state.handlers();
    return new HandlerTurns(alone);
  }

  constructor(cutOff: DueLane | DueResend | null) {
    this.#cutOff = cutOff;
    this.wasAlone = cutOff !== null;
  }

  /** What was cut off, for the callback to judge; once. */
  takeCutOff(callback?: string): DueLane | DueResend | null {
    const found = this.#cutOff;
    if (found === null || (callback !== undefined && found.callback !== callback)) return null;
    this.#cutOff = null;
    return found;
  }

  /** What was left is judged. */
  open(): void {
    this.leave(true);
  }

  /** Resolves when its turn has come, which `leave` ends; rejects with the signal's reason, without one. */
  enter(alone: boolean, signal: AbortSignal): Promise<void> {
    if (this.#waiting.length === 0 && this.#fits(alone)) {
      this.#take(alone);
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        alone,
        begin: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal.reason as Error);
        this.#beginNext();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiter);
    });
  }

  leave(alone: boolean): void {
    this.#running -= 1;
    if (alone) this.#alone = false;
    this.#beginNext();
  }

  #beginNext(): void {
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined || !this.#fits(next.alone)) return;
      this.#waiting.shift();
      this.#take(next.alone);
      next.begin();
    }
  }

  #fits(alone: boolean): boolean {
    return alone ? this.#running === 0 : !this.#alone;
  }

  #take(alone: boolean): void {
    this.#running += 1;
    this.#alone = alone;
  }
}
