/** Tells listeners of appends: at once of this process's own, soon of those made by others. */
import type { Clock } from '../../shared/clock.ts';
import type { LogReader } from './log-reader.ts';

/**
 * Invariant: the timer runs only while somebody listens and the log is open, so that it keeps neither an
 * idle process awake nor a closed file in use. While news is held nobody is told, and afterwards all are who
 * would have been.
 */
export class AppendWatch {
  readonly #reader: LogReader;
  readonly #clock: Clock;
  readonly #pollMs: number;
  /** One entry per call of listen, so that a function given twice is held twice. */
  readonly #listeners = new Set<{ readonly call: () => void }>();
  #stopTimer: (() => void) | undefined;
  #version = -1;
  /** Calls of `hold` whose release is to come. */
  #held = 0;
  #untold = false;

  constructor(reader: LogReader, clock: Clock, pollMs: number) {
    this.#reader = reader;
    this.#clock = clock;
    this.#pollMs = pollMs;
  }

  listen(listener: () => void): () => void {
    const entry = { call: listener };
    this.#listeners.add(entry);
    if (this.#stopTimer === undefined) {
      this.#changed();
      this.#arm();
    }
    return () => {
      this.#listeners.delete(entry);
      if (this.#listeners.size === 0) this.#stop();
    };
  }

  /** Tells nobody until the returned function is called, once. */
  hold(): () => void {
    this.#held += 1;
    return () => {
      this.#held -= 1;
      if (this.#held > 0 || !this.#untold) return;
      this.#untold = false;
      this.notify();
    };
  }

  notify(): void {
    if (this.#held > 0) {
      this.#untold = true;
      return;
    }
    for (const { call } of [...this.#listeners]) call();
  }

  close(): void {
    this.#listeners.clear();
    this.#stop();
  }

  #arm(): void {
    this.#stopTimer = this.#clock.timer(this.#pollMs, () => {
      this.#arm();
      if (this.#changed()) this.notify();
    });
  }

  #stop(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #changed(): boolean {
    try {
      const version = this.#reader.dataVersion();
      const changed = version !== this.#version;
      this.#version = version;
      return changed;
    } catch {
      // A timer has nobody to tell; the listeners' own reads meet the same error and report it.
      return true;
    }
  }
}
