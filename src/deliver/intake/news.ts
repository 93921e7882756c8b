/** Wakes every feed that waits at the end of its partition when the log has grown. */

import { abortable } from '../../shared/abort.ts';

/**
 * Invariant: whoever read at version v and waits for more than v misses nothing: an append after its read has
 * made the version larger before or while it waits.
 */
export class News {
  #version = 0;
  #waiters: (() => void)[] = [];

  get version(): number {
    return this.#version;
  }

  announce(): void {
    this.#version += 1;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  /** Resolves when there is news after `version`; rejects with the signal's reason. */
  async after(version: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#version > version) return;
    await abortable(
      new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
      }),
      signal,
    );
  }
}
