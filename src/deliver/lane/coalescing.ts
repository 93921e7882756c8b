/** `coalesce`: which event of a key may still give way to a newer one, and until when it is held back for that. */

import { present } from '../../shared/assert.ts';
import type { Clock } from '../../shared/clock.ts';
import type { CallbackOptions } from '../callback-options.ts';
import type { Settler } from '../settle/settler.ts';
import type { CallbackCounters } from './callback-counters.ts';
import type { LaneIndex } from './lane-index.ts';
import { laneKey } from './order-key.ts';
import type { PendingEvent } from './pending-event.ts';
import type { Window } from './window.ts';

export interface CoalescingParts {
  readonly options: Pick<CallbackOptions, 'name' | 'coalesceMs'>;
  readonly settler: Settler;
  readonly lanes: LaneIndex;
  readonly window: Window;
  readonly counters: CallbackCounters;
  readonly clock: Clock;
  /** An attempt for the key's first event may begin. */
  readonly onDue: (key: string) => void;
  /** The event gave way, and is held no more. */
  readonly onSuperseded: (event: PendingEvent) => void;
  /** Work that a stop waits for. */
  readonly run: (work: () => Promise<void>) => void;
}

/** Null where every event is sent. */
export function coalescingOf(parts: CoalescingParts): Coalescing | null {
  const { coalesceMs } = parts.options;
  return coalesceMs === undefined ? null : new Coalescing(coalesceMs, parts);
}

/** The time of a key in which its newest event waits for a newer one. */
interface Period {
  readonly key: string;
  /** Monotonic ms: when it ends. */
  readonly endsAt: number;
  /** The event that is held for it; null when it is over, or when the one before is still in flight. */
  held: PendingEvent | null;
  /** Also before its time. */
  isOver: boolean;
}

export interface Held {
  readonly events: number;
  readonly bytes: number;
}

/** Fewer periods that are over are left where they stand. */
const MIN_PERIODS = 1024;

/**
 * Whether an event may be superseded, and supersede another. Not one of a table without a key, as two rows are not one
 * newer than the other; nor a truncate. Nor one of which it is not known yet whether the callback gets it: what it
 * supersedes would be lost if it turned out to be none of the callback's.
 */
export function coalesces({ record, undecided, truncate }: PendingEvent): boolean {
  return record.key !== null && !undecided && truncate === undefined;
}

/**
 * The periods of one callback. A key has one from the moment its newest event stands in its queue until an attempt for
 * that event begins: so long may a newer one take its place. It begins with the key's first event, or with the first
 * one behind an event in flight, and newer ones do not prolong it, so that a key that never rests is sent, too.
 *
 * Invariant: only the last event of a key's queue has a period, and none that an attempt was begun for. An event that was
 * sent and then superseded would be counted as what it is not. And no attempt begins for an event before it is durable
 * what it superseded: after a crash that would be read again first, and might be sent behind the newer one.
 */
export class Coalescing {
  readonly #ms: number;
  readonly #parts: CoalescingParts;
  readonly #periods = new Map<string, Period>();
  /** All periods last equally long, so that the oldest one ends first. Some are over already. */
  #order: Period[] = [];
  #first = 0;
  /** Of keys whose event superseded another: the number of the last time. */
  readonly #unsettled = new Map<string, number>();
  /** Keys whose first event may be sent now, whatever its successors supersede. */
  readonly #settled = new Set<string>();
  #superseded = 0;
  #durable = 0;
  #held: Held = { events: 0, bytes: 0 };
  #cancelTimer: (() => void) | null = null;

  constructor(ms: number, parts: CoalescingParts) {
    this.#ms = ms;
    this.#parts = parts;
    const { options, settler, lanes, window, counters } = parts;
    settler.onSuperseded(options.name, ({ topic, key, bytes }) => {
      counters.superseded();
      lanes.superseded(laneKey(topic, key), bytes);
      window.changed();
    });
  }

  /** The event is the first one of an idle key. True: it is held until `onDue`. */
  first(key: string, event: PendingEvent): boolean {
    if (!coalesces(event)) return false;
    this.#hold(this.#begin(key), event);
    return true;
  }

  /** An event comes to a key that has some: the last one gives way, if it may. */
  makeWay(key: string, queue: PendingEvent[], event: PendingEvent): void {
    if (!this.#replaces(key, event)) return;
    const { counters, settler, onSuperseded } = this.#parts;
    const last = present(queue.pop(), 'an event that gives way');
    counters.superseded();
    last.progress.superseded(last.record.offset);
    // Nobody waits for it yet.
    settler.passed(last.progress);
    onSuperseded(last);
  }

  #replaces(key: string, event: PendingEvent): boolean {
    const period = this.#periods.get(key);
    if (period !== undefined && coalesces(event)) {
      if (period.held !== null) this.#hold(period, event);
      this.#superseded += 1;
      this.#unsettled.set(key, this.#superseded);
      return true;
    }
    // What is held waits for nothing any more: this one does not take its place, nor may it overtake it.
    if (period !== undefined) this.#end(period);
    this.#periods.delete(key);
    if (coalesces(event)) this.#begin(key);
    return false;
  }

  /** The event before is done with, and these are the key's. True: the first of them is held until `onDue`. */
  holdsBack(key: string, [event, ...more]: readonly PendingEvent[]): boolean {
    const period = this.#periods.get(key);
    if (event === undefined || more.length > 0 || period === undefined || period.isOver) {
      return false;
    }
    this.#hold(period, event);
    // Whoever waits for room asked before this one was held, and does not ask again.
    this.makeRoom();
    return true;
  }

  /**
   * An attempt is about to begin for the first event of a key that has so many: that one gives way no more. True: later,
   * by `onDue`, since it is not durable yet what that event superseded.
   */
  defers(key: string, events = 0): boolean {
    if (events === 1) this.#periods.delete(key);
    if (this.#settled.delete(key)) return false;
    const last = this.#unsettled.get(key) ?? 0;
    this.#unsettled.delete(key);
    if (last <= this.#durable) return false;
    this.#settled.add(key);
    this.#parts.run(() => this.#settle(key));
    return true;
  }

  async #settle(key: string): Promise<void> {
    const superseded = this.#superseded;
    await this.#parts.settler.durable();
    this.#durable = Math.max(this.#durable, superseded);
    this.#parts.onDue(key);
  }

  /** The key leaves the fast path with all its events. */
  left(key: string): void {
    this.#periods.delete(key);
    this.#unsettled.delete(key);
  }

  /** The window is full: held is no more than would leave room, and the oldest periods end early. */
  makeRoom(): void {
    const most = this.#parts.window.refilledBelow;
    while (this.#held.events > most.events || this.#held.bytes > most.bytes) this.#endFirst();
  }

  /** Nothing of these keys is held any more: something waits for all of them. */
  endAll(isMeant: (key: string) => boolean): void {
    for (const period of this.#periods.values()) if (isMeant(period.key)) this.#end(period);
  }

  stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #begin(key: string): Period {
    const endsAt = this.#parts.clock.monotonic() + this.#ms;
    const period = { key, endsAt, held: null, isOver: false };
    this.#periods.set(key, period);
    this.#sweep();
    this.#order.push(period);
    this.#schedule();
    return period;
  }

  #hold(period: Period, event: PendingEvent): void {
    this.#count(-1, period.held);
    period.held = event;
    this.#count(1, event);
  }

  #end(period: Period): void {
    // An event in flight before it has yet to be done with.
    period.isOver = true;
    if (period.held === null) return;
    this.#count(-1, period.held);
    period.held = null;
    this.#parts.onDue(period.key);
  }

  #count(sign: 1 | -1, event: PendingEvent | null): void {
    if (event === null) return;
    const { events, bytes } = this.#held;
    this.#held = { events: events + sign, bytes: bytes + sign * event.bytes };
  }

  #endFirst(): void {
    const period = this.#order[this.#first];
    this.#first += 1;
    if (this.#first * 2 > this.#order.length) {
      this.#order = this.#order.slice(this.#first);
      this.#first = 0;
    }
    if (period !== undefined) this.#end(period);
  }

  /** Those that ended early would stand here until their time. */
  #sweep(): void {
    if (this.#order.length < MIN_PERIODS || this.#order.length < this.#periods.size * 4) return;
    this.#order = this.#order
      .slice(this.#first)
      .filter((period) => this.#periods.get(period.key) === period);
    this.#first = 0;
  }

  #schedule(): void {
    const first = this.#order[this.#first];
    if (first === undefined || this.#cancelTimer !== null) return;
    const ms = Math.max(0, first.endsAt - this.#parts.clock.monotonic());
    this.#cancelTimer = this.#parts.clock.timer(ms, () => {
      this.#cancelTimer = null;
      const now = this.#parts.clock.monotonic();
      while ((this.#order[this.#first]?.endsAt ?? Infinity) <= now) this.#endFirst();
      this.#schedule();
    });
  }
}
