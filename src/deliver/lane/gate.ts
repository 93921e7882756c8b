/** Whether a callback may be called now, and how much: its breaker, and what its endpoint asked for. */

import { unreachable } from '../../shared/assert.ts';
import type { Clock, Random } from '../../shared/clock.ts';
import type { Logger } from '../../shared/logger.ts';
import type { CallbackOptions } from '../callback-options.ts';
import type { Failed, Outcome, OutgoingEvent, Throttled } from '../callback/sender.ts';
import { Breaker } from './breaker.ts';
import { laneKey } from './order-key.ts';
import { ToldToWait } from './told-to-wait.ts';

/** Timers of Node end at once beyond 24 days; a clock that was set shows within this time. */
const LONGEST_TIMER_MS = 3_600_000;

export interface GateParts {
  readonly options: Pick<CallbackOptions, 'name' | 'concurrency' | 'breaker'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** More may begin than before, or nothing any more. */
  readonly onChange: () => void;
}

export interface AttemptBegun {
  /** The only one while the breaker is half-open: it uses up nothing. */
  readonly probe: boolean;
  /** Of an event that failed before, or stands behind one. */
  readonly fromLane: boolean;
}

/** Why nothing is sent, and until when (wall ms) at least. */
export interface Pause {
  readonly until: number;
  readonly reason: string;
}

/**
 * Invariant: while it is shut (`limit` is 0) no attempt begins and no event is taken in, so that the log is the buffer.
 * It is told of every attempt before anybody acts on what that came to.
 */
export class Gate {
  readonly #parts: GateParts;
  readonly #breaker: Breaker;
  readonly #told = new ToldToWait();
  #cancelWait: () => void = () => undefined;

  constructor(parts: GateParts) {
    this.#parts = parts;
    const { clock, random, options, onChange } = parts;
    this.#breaker = new Breaker(options.breaker, { clock, random, onProbe: onChange });
  }

  /** How many may be in flight at once. */
  get limit(): number {
    if (this.#told.state !== null) return 0;
    return this.#breaker.limit(this.#parts.options.concurrency);
  }

  /** Events may be taken in: half-open as well, since there may be no other to try it with. */
  get takesIn(): boolean {
    return this.limit > 0;
  }

  get probing(): boolean {
    return this.#breaker.mode === 'half-open';
  }

  get breakerOpen(): boolean {
    return this.#breaker.mode !== 'closed';
  }

  get pause(): Pause | null {
    const [told, broken] = [this.#told.state, this.#breaker.state];
    if (told === null || broken === null) return told ?? broken;
    return told.until > broken.until ? told : broken;
  }

  begin(fromLane: boolean): AttemptBegun {
    return { probe: this.probing, fromLane };
  }

  /** What the attempt came to, as its event has to take it: a probe that failed uses up nothing. */
  ended(outcome: Outcome, event: OutgoingEvent, begun: AttemptBegun): Outcome {
    const key = laneKey(event.topic, event.key ?? event.table);
    switch (outcome.kind) {
      case 'filtered':
        return outcome;
      case 'gone':
      case 'unreachable':
        if (this.#breaker.unreachable(outcome.error)) this.#opened(outcome.error);
        return outcome;
      case 'delivered':
        if (this.#breaker.delivered(key, this.#parts.options.concurrency, begun.probe)) {
          this.#closed();
        }
        return outcome;
      case 'failed':
        return this.#failed(key, outcome, begun);
      case 'throttled':
        return this.#throttled(key, outcome, begun);
      default:
        return unreachable(outcome);
    }
  }

  /** Nothing opens it any more. */
  end(): void {
    this.#breaker.end();
    this.#cancelWait();
  }

  #failed(key: string, outcome: Failed, begun: AttemptBegun): Outcome {
    // No request could be made of it: that says nothing of the endpoint.
    if (outcome.shape === true || outcome.cause === 'system') return outcome;
    this.#count(key, outcome.error, begun);
    return begun.probe ? { kind: 'throttled', error: outcome.error } : outcome;
  }

  #throttled(key: string, outcome: Throttled, begun: AttemptBegun): Outcome {
    const { retryAfterMs, error } = outcome;
    if (retryAfterMs === undefined || this.breakerOpen) this.#count(key, error, begun);
    if (retryAfterMs !== undefined) this.#toldToWait(key, retryAfterMs, error);
    if (!begun.probe) return outcome;
    // Without its status, which may be one that exhausts.
    return { kind: 'throttled', error, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }

  #count(key: string, error: string, { probe, fromLane }: AttemptBegun): void {
    const change = this.#breaker.failed(key, { probe, retry: fromLane }, error);
    if (change === 'closed') this.#closed();
    else if (change === 'opened') this.#opened(this.#breaker.state?.reason ?? error);
  }

  #opened(reason: string): void {
    const { options, logger, onChange } = this.#parts;
    const until = new Date(this.#breaker.state?.until ?? 0).toISOString();
    logger.warn(
      { callback: options.name, reason, until },
      'The endpoint is down: the callback pauses, nothing is lost',
    );
    onChange();
  }

  #closed(): void {
    const { options, logger, onChange } = this.#parts;
    logger.info({ callback: options.name }, 'The endpoint answers again');
    onChange();
  }

  #toldToWait(key: string, retryAfterMs: number, reason: string): void {
    const { options, clock, logger, onChange } = this.#parts;
    const nowMs = clock.now();
    const before = this.#told.state;
    if (!this.#told.told(key, { nowMs, untilMs: nowMs + retryAfterMs }, reason)) return;
    this.#awaitTime();
    const until = this.#told.state?.until ?? nowMs;
    if (before !== null) return;
    logger.warn(
      { callback: options.name, reason, until: new Date(until).toISOString() },
      'The endpoint asked several keys to wait: the whole callback does',
    );
    onChange();
  }

  #awaitTime(): void {
    const { clock, onChange } = this.#parts;
    this.#cancelWait();
    const left = (this.#told.state?.until ?? 0) - clock.now();
    if (left > 0) {
      this.#cancelWait = clock.timer(Math.min(Math.ceil(left), LONGEST_TIMER_MS), () => {
        this.#awaitTime();
      });
      return;
    }
    this.#told.over();
    this.#breaker.restart();
    onChange();
  }
}
