/**
 * Time, as everything below main.ts sees it. A test passes a clock of its own, so that hours of
 * backoff run in a millisecond and a simulation is the same on every run.
 */
export interface Clock {
  /** Wall time in milliseconds since the epoch. */
  now(): number;
  /** Milliseconds that never run backwards; only differences mean something. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `fire` once after `ms`, unless the returned function was called before. */
  timer(ms: number, fire: () => void): () => void;
  /** Calls `fire` after pending input and output was handled (setImmediate). */
  soon(fire: () => void): void;
}

/** A number in [0, 1): Math.random, or a seeded generator in tests. */
export type Random = () => number;

export const systemRandom: Random = () => Math.random();

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
  timer: (ms, fire) => {
    const timer = setTimeout(fire, ms);
    return () => {
      clearTimeout(timer);
    };
  },
  soon: (fire) => {
    setImmediate(fire);
  },
};
