/** The circuit breaker of a callback: closed, open, or half-open with one event as a probe. */

import { Backoff } from '../../shared/backoff.ts';
import type { Clock, Random } from '../../shared/clock.ts';
import { KeyOutcomes } from './key-outcomes.ts';

/** The first wait for an endpoint that refuses connections: a restart there takes no longer. */
const FIRST_WAIT_MS = 1_000;
const JITTER = 0.2;
/** In flight at once after a time of silence; each delivery adds one. */
const FIRST_IN_FLIGHT = 2;

export interface BreakerOptions {
  /** Share of the keys that failed, over 0 and up to 1. */
  readonly failureRatio: number;
  /** Distinct keys in the window; with fewer it does not open. */
  readonly minimumKeys: number;
  readonly windowMs: number;
  /** From opening to the next probe. */
  readonly openForMs: number;
}

export interface BreakerParts {
  readonly clock: Clock;
  readonly random: Random;
  /** The wait has ended: one event may be tried. */
  readonly onProbe: () => void;
}

/**
 * Modes. `closed`: everything flows; after a time of silence only so many at once as were delivered since, and two more.
 * `open`: nothing begins until `until`; what is in flight ends by itself. `half-open`: one event at a time, until one
 * tells of the endpoint.
 *
 * Opened by connections that are refused it waits ever longer, and any answer closes it; opened by the share of failed
 * keys it waits as it is told, and only a delivery closes it. Without it an endpoint that is down would fill lanes with
 * events, and use up attempts, that say nothing about the events.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  readonly #parts: BreakerParts;
  readonly #outcomes: KeyOutcomes;
  readonly #backoff: Backoff;
  #mode: 'closed' | 'open' | 'half-open' = 'closed';
  #refused = false;
  #until = 0;
  #reason = '';
  /** How many may be in flight at once; Infinity but after a time of silence. */
  #ramp = Infinity;
  #cancelProbe: () => void = () => undefined;

  constructor(options: BreakerOptions, parts: BreakerParts) {
    const { clock, random } = parts;
    this.#options = options;
    this.#parts = parts;
    this.#outcomes = new KeyOutcomes(options.windowMs, clock);
    this.#backoff = new Backoff({
      initialMs: Math.min(FIRST_WAIT_MS, options.openForMs),
      maximumMs: options.openForMs,
      ...{ jitter: JITTER, clock, random },
    });
  }

  get mode(): 'closed' | 'open' | 'half-open' {
    return this.#mode;
  }

  /** Wall time in ms when the next probe is due, and why; null when closed. */
  get state(): { readonly until: number; readonly reason: string } | null {
    return this.#mode === 'closed' ? null : { until: this.#until, reason: this.#reason };
  }

  /** How many may be in flight at once. */
  limit(concurrency: number): number {
    if (this.#mode === 'closed') return Math.min(concurrency, this.#ramp);
    return this.#mode === 'open' ? 0 : 1;
  }

  /** An attempt delivered. Returns true when that closes it. */
  delivered(key: string, concurrency: number, probe: boolean): boolean {
    this.#outcomes.saw(key, false);
    if (this.#mode === 'closed') {
      this.#ramp = this.#ramp + 1 >= concurrency ? Infinity : this.#ramp + 1;
      return false;
    }
    // Of those that were in flight when it opened some are delivered all the same: that is why it opened at a share.
    if (!probe && !this.#refused) return false;
    this.#close();
    return true;
  }

  /**
   * The endpoint failed or throttled an attempt. Returns what that changes. Retries of a key that is in a lane count for
   * no key: it failed before, and a thousand such keys must not look like an endpoint that is down.
   */
  failed(
    key: string,
    at: { readonly probe: boolean; readonly retry: boolean },
    error: string,
  ): 'opened' | 'closed' | null {
    if (!at.retry) this.#outcomes.saw(key, true);
    if (this.#mode !== 'closed') {
      if (this.#refused) {
        this.#close();
        return 'closed';
      }
      return at.probe && this.#open(error, false) ? 'opened' : null;
    }
    if (at.retry) return null;
    this.#ramp = this.#ramp === Infinity ? Infinity : Math.max(1, Math.floor(this.#ramp / 2));
    const { keys, failedShare } = this.#outcomes.now;
    const { minimumKeys, failureRatio } = this.#options;
    if (keys < minimumKeys || failedShare < failureRatio) return null;
    const share = `${Math.round(failedShare * 100)} % of ${keys} keys failed`;
    return this.#open(`${share}, the last with: ${error}`, false) ? 'opened' : null;
  }

  /** The endpoint refused or could not be reached. Returns true when that opens it, or keeps it open for longer. */
  unreachable(reason: string): boolean {
    return this.#open(reason, true);
  }

  /** Whoever kept the callback from sending lets it go on: not with all at once. */
  restart(): void {
    if (this.#mode === 'closed') this.#ramp = FIRST_IN_FLIGHT;
    else this.probe();
  }

  /** One event may be tried, now. */
  probe(): void {
    if (this.#mode === 'closed') return;
    this.#cancelProbe();
    this.#mode = 'half-open';
    this.#parts.onProbe();
  }

  /** No probe comes any more. */
  end(): void {
    this.#cancelProbe();
  }

  #open(reason: string, refused: boolean): boolean {
    // Those that were in flight when it opened say nothing new.
    if (this.#mode === 'open') return false;
    const { clock, random } = this.#parts;
    this.#mode = 'open';
    this.#refused = refused;
    this.#reason = reason;
    const waitMs = refused
      ? this.#backoff.failed()
      : this.#options.openForMs * (1 + JITTER * random());
    this.#until = clock.now() + waitMs;
    this.#cancelProbe = clock.timer(waitMs, () => {
      this.probe();
    });
    return true;
  }

  #close(): void {
    this.#mode = 'closed';
    // Else the end of this wait would come in the middle of the next one.
    this.#cancelProbe();
    this.#backoff.progress();
    this.#outcomes.clear();
    this.#ramp = FIRST_IN_FLIGHT;
  }
}
