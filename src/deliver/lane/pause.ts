/** Whether a callback's endpoint may be called: open, paused, or probed with one event. */

import { Backoff } from '../../shared/backoff.ts';
import type { Clock, Random } from '../../shared/clock.ts';

const INITIAL_MS = 1_000;
const MAXIMUM_MS = 30_000;

export type PauseMode = 'open' | 'paused' | 'probing';

/**
 * Modes: `open`: everything flows. `paused`: nothing is sent until `until`; what is in flight ends by itself.
 * `probing`: one event at a time, until one is answered; an answer of any kind opens, no answer pauses longer.
 * Without it an endpoint that is down would fill lanes with events whose attempts say nothing about them.
 */
export class Pause {
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #onProbe: () => void;
  #mode: PauseMode = 'open';
  #until = 0;
  #reason = '';
  #cancelProbe: () => void = () => undefined;

  /** @param onProbe called when a pause has ended and one event may be tried */
  constructor(clock: Clock, random: Random, onProbe: () => void) {
    this.#clock = clock;
    this.#onProbe = onProbe;
    this.#backoff = new Backoff({
      initialMs: INITIAL_MS,
      maximumMs: MAXIMUM_MS,
      jitter: 0.2,
      clock,
      random,
    });
  }

  get mode(): PauseMode {
    return this.#mode;
  }

  /** Wall time in ms when the next probe is due, and why; null when open. */
  get state(): { readonly until: number; readonly reason: string } | null {
    return this.#mode === 'open' ? null : { until: this.#until, reason: this.#reason };
  }

  /** How many may be in flight at once. */
  limit(concurrency: number): number {
    if (this.#mode === 'open') return concurrency;
    return this.#mode === 'paused' ? 0 : 1;
  }

  /** The endpoint answered. Returns true when that ends a pause. */
  answered(): boolean {
    if (this.#mode === 'open') return false;
    this.#mode = 'open';
    // Else the end of this pause would come in the middle of the next one.
    this.#cancelProbe();
    this.#backoff.progress();
    return true;
  }

  /** No probe comes any more. */
  end(): void {
    this.#cancelProbe();
  }

  /** The endpoint refused or could not be reached. Returns true when that begins or prolongs a pause. */
  unreachable(reason: string): boolean {
    // Those that were in flight when the pause began say nothing new.
    if (this.#mode === 'paused') return false;
    this.#mode = 'paused';
    this.#reason = reason;
    const waitMs = this.#backoff.failed();
    this.#until = this.#clock.now() + waitMs;
    this.#cancelProbe = this.#clock.timer(waitMs, () => {
      this.#mode = 'probing';
      this.#onProbe();
    });
    return true;
  }
}
