/** Whether a callback may be called now, and how much: its breaker, what its endpoint asked for, and what persons did. */

import { unreachable } from '../../shared/assert.ts';
import type { Clock, Random } from '../../shared/clock.ts';
import type { Logger } from '../../shared/logger.ts';
import type { Asked, CallbackHold, HoldChange } from '../../state/state-store.ts';
import type { CallbackOptions } from '../callback-options.ts';
import type { Failed, Outcome, OutgoingEvent, Throttled } from '../callback/sender.ts';
import type { Settler } from '../settle/settler.ts';
import { Breaker } from './breaker.ts';
import type { HandingOver } from './hand-overs.ts';
import { laneKey, orderKey } from './order-key.ts';
import { ToldToWait } from './told-to-wait.ts';
import { TokenBucket } from './token-bucket.ts';

/** Timers of Node end at once beyond 24 days; a clock that was set shows within this time. */
const LONGEST_TIMER_MS = 3_600_000;

export interface GateParts {
  readonly options: Pick<CallbackOptions, 'name' | 'concurrency' | 'breaker' | 'rateLimit'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly settler: Pick<Settler, 'change' | 'durable'>;
  /** As stored when the callback was opened; null: nothing ever kept it from being called. */
  readonly hold: CallbackHold | null;
  /** Where else what is given up goes. */
  readonly handingOver: HandingOver;
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

/** What of it others look at. */
export type GateSeen = Pick<
  Gate,
  'pause' | 'breakerOpen' | 'disabled' | 'takesIn' | 'rateLimitedMs' | 'holdVersion' | 'look'
>;

/**
 * Invariant: while it is shut (`limit` is 0) no attempt begins and no event is taken in, so that the log is the buffer.
 * It is told of every attempt before anybody acts on what that came to. What the endpoint said of the callback as a whole
 * is stored, and what is stored holds here within a second or so: only a write of our own that is not durable yet is newer.
 */
export class Gate {
  readonly #parts: GateParts;
  readonly #breaker: Breaker;
  readonly #told = new ToldToWait();
  readonly #bucket: TokenBucket | null;
  #cancelWait: () => void = () => undefined;
  #disabled: Asked | null;
  #resumed: number;
  /** Our own writes begun, and those that are durable. */
  #writes = 0;
  #written = 0;

  constructor(parts: GateParts) {
    this.#parts = parts;
    const { clock, random, options, onChange, hold } = parts;
    this.#breaker = new Breaker(options.breaker, { clock, random, onProbe: onChange });
    const { rateLimit } = options;
    this.#bucket = rateLimit === undefined ? null : new TokenBucket(rateLimit, clock, onChange);
    this.#disabled = hold?.disabled ?? null;
    this.#resumed = hold?.resumed ?? 0;
    this.#waitAsStored(hold?.wait ?? null);
  }

  /** Who disabled it, when and why. */
  get disabled(): Asked | null {
    return this.#disabled;
  }

  /** To be asked before the store is, and given to `look`; null: what is stored is older than what we know. */
  get holdVersion(): number | null {
    return this.#writes === this.#written ? this.#writes : null;
  }

  /** What is stored now. @param version `holdVersion` as it was before */
  look(hold: CallbackHold | null, version: number | null): void {
    if (version === null || version !== this.#writes) return;
    const disabled = hold?.disabled ?? null;
    const changed = [
      (disabled === null) !== (this.#disabled === null) && this.#toldBySomebody(disabled),
      this.#resume(hold?.resumed ?? 0),
      this.#waitAsStored(hold?.wait ?? null),
    ];
    this.#disabled = disabled;
    if (changed.includes(true)) this.#parts.onChange();
  }

  /** How many may be in flight at once. */
  get limit(): number {
    if (this.#disabled !== null || this.#told.state !== null) return 0;
    return this.#breaker.limit(this.#parts.options.concurrency);
  }

  /** Events may be taken in, and lanes be tried: half-open as well, since there may be no other to try it with; not
   *  while there is no room where they would go if they were given up. */
  get takesIn(): boolean {
    return this.limit > 0 && this.#parts.handingOver.hasRoom();
  }

  /** Wall ms before which the endpoint wants nothing of the key; null where it may be sent. */
  notBefore(key: string): number | null {
    return this.#told.untilOf(key, this.#parts.clock.now());
  }

  get probing(): boolean {
    return this.#breaker.mode === 'half-open';
  }

  get breakerOpen(): boolean {
    return this.#breaker.mode !== 'closed';
  }

  /** Null where it is disabled: then it is not known until when. */
  get pause(): Pause | null {
    if (this.#disabled !== null) return null;
    const [told, broken] = [this.#told.state, this.#breaker.state];
    if (told === null || broken === null) return told ?? broken;
    return told.until > broken.until ? told : broken;
  }

  /** For how long attempts waited for `rate_limit`, milliseconds. */
  get rateLimitedMs(): number {
    return this.#bucket?.waitedMs ?? 0;
  }

  /** Whether the rate lets an attempt begin now; else `onChange` is called when one may. */
  mayBegin(): boolean {
    return this.#bucket?.ready ?? true;
  }

  /** Counts toward the rate. */
  begin(fromLane: boolean): AttemptBegun {
    this.#bucket?.take();
    return { probe: this.probing, fromLane };
  }

  /** What the attempt came to, as its event has to take it: a probe that failed uses up nothing. */
  ended(outcome: Outcome, event: OutgoingEvent, begun: AttemptBegun): Outcome {
    const key = laneKey(event.topic, orderKey(event));
    switch (outcome.kind) {
      case 'filtered':
      case 'held':
        return outcome;
      case 'gone':
        this.#gone(outcome.error);
        return outcome;
      case 'unreachable':
        if (this.#breaker.unreachable(outcome.error)) this.#opened(outcome.error);
        return outcome;
      case 'accepted':
      case 'delivered':
        this.#told.taken(key);
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
    this.#bucket?.end();
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

  /** The endpoint wants nothing any more. It is told so once, whatever was in flight. */
  #gone(reason: string): void {
    const { options, clock, logger, onChange } = this.#parts;
    if (this.#disabled !== null) return;
    const atMs = clock.now();
    this.#disabled = { actor: 'endpoint', reason, atMs };
    this.#store({ type: 'callback-gone', callback: options.name, atMs, reason });
    logger.error(
      { callback: options.name, reason },
      'The endpoint wants nothing any more (410): the callback is disabled and its events are held; see rowcall callbacks enable',
    );
    onChange();
  }

  /** Returns true when that drops what was waited for. */
  #resume(resumed: number): boolean {
    if (resumed === this.#resumed) return false;
    this.#resumed = resumed;
    this.#cancelWait();
    this.#told.over();
    this.#breaker.restart();
    return true;
  }

  /** Returns true when it is to be waited for longer than before. */
  #waitAsStored(wait: CallbackHold['wait']): boolean {
    if (wait === null || wait.untilMs <= this.#parts.clock.now()) return false;
    if (!this.#told.wait(wait.untilMs, wait.reason)) return false;
    this.#awaitTime();
    return true;
  }

  #toldBySomebody(disabled: Asked | null): true {
    const { options, logger } = this.#parts;
    if (disabled === null) {
      logger.info({ callback: options.name }, 'The callback is enabled again');
      this.#breaker.restart();
      return true;
    }
    const { actor, reason } = disabled;
    logger.warn(
      { callback: options.name, actor, reason },
      'The callback is disabled: events are held',
    );
    return true;
  }

  #store(change: HoldChange): void {
    const { settler } = this.#parts;
    this.#writes += 1;
    settler.change(change);
    settler.durable().then(
      () => {
        this.#written += 1;
      },
      // The settler has told of it, and the leg ends: nothing that is stored is looked at any more.
      () => undefined,
    );
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
    this.#store({ type: 'callback-waits', callback: options.name, untilMs: until, reason });
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
