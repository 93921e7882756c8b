/** Waiting for what another process does, where no event tells of it. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface EventuallyOptions {
  /** Default: 30 s. */
  readonly timeoutMs?: number;
  /** Default: 20 ms. */
  readonly intervalMs?: number;
}

/**
 * Asks until `check` returns without throwing, and returns what it gave; rejects with its last error
 * once the time is over. Write the expectation inside, so that the failure says what was missing.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  options: EventuallyOptions = {},
): Promise<T> {
  const deadline = performance.now() + (options.timeoutMs ?? 30_000);
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await sleep(options.intervalMs ?? 20);
  }
}
