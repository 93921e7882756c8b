/** One sleeper and those who wake it: a wake before the sleep is not lost, many wakes are one. */

import { abortable } from './abort.ts';
import type { Clock } from './clock.ts';

export class Wakeup {
  #woken = false;
  #wake: (() => void) | null = null;

  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  /** Resolves after a wake, one that came before included, or after `ms` at the latest. Rejects with the signal's reason. */
  async wait(
    signal: AbortSignal,
    limit?: { readonly clock: Clock; readonly ms: number },
  ): Promise<void> {
    signal.throwIfAborted();
    if (!this.#woken) {
      let cancel: (() => void) | undefined;
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (limit !== undefined) cancel = limit.clock.timer(limit.ms, resolve);
      });
      try {
        await abortable(woken, signal);
      } finally {
        cancel?.();
        this.#wake = null;
      }
    }
    this.#woken = false;
  }
}
