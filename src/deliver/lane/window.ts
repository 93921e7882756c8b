/** How many events of one callback may be between their reading and their durable outcome. */

import { abortable } from '../../shared/abort.ts';
import type { CallbackOptions } from '../callback-options.ts';
import type { LaneIndex } from './lane-index.ts';

const MIN_EVENTS = 1024;
const EVENTS_PER_KEY_IN_FLIGHT = 4;
/** Where events are held back until newer ones come: a window of few would end their time early. */
const MIN_EVENTS_HELD = 4096;
const MAX_BYTES = 8 * 1024 * 1024;
/** A full window is filled again once this share of it is left. */
const REFILL_BELOW = 0.75;

/** How many events may be in it. */
export function maxEvents({
  coalesceMs,
  concurrency,
}: Pick<CallbackOptions, 'coalesceMs' | 'concurrency'>): number {
  const least = coalesceMs === undefined ? MIN_EVENTS : MIN_EVENTS_HELD;
  return Math.max(least, concurrency * EVENTS_PER_KEY_IN_FLIGHT);
}

/**
 * Invariant: an event is let in only while the window is below its bounds and the lanes below theirs; one event
 * may go over the bound in bytes, so that the largest goes, too. Feeds that wait are woken one at a time: were all
 * woken, each would bring an event, and the bound be missed by as many as there are tables. Whoever was woken
 * calls `changed` when it needs no more room. Without the bounds a slow endpoint would pull the log into memory.
 */
export class Window {
  /** With no more than this in it, there is room worth reading the log again. */
  readonly refilledBelow: { readonly events: number; readonly bytes: number };
  readonly #maxEvents: number;
  readonly #limits: CallbackOptions['lanes'];
  readonly #lanes: LaneIndex;
  readonly #open: () => boolean;
  #events = 0;
  #bytes = 0;
  /** Feeds that wait, the first come first. */
  readonly #waiters: (() => void)[] = [];

  /** @param open false while nothing may be taken in, whatever room there is; who changes that calls `changed` */
  constructor(options: CallbackOptions, lanes: LaneIndex, open: () => boolean = () => true) {
    this.#maxEvents = maxEvents(options);
    this.refilledBelow = {
      events: this.#maxEvents * REFILL_BELOW,
      bytes: MAX_BYTES * REFILL_BELOW,
    };
    this.#limits = options.lanes;
    this.#lanes = lanes;
    this.#open = open;
  }

  get events(): number {
    return this.#events;
  }

  /** The lanes are at their limit: the callback's cursor stops. */
  get lanesFull(): boolean {
    return (
      this.#lanes.events >= this.#limits.maxEvents || this.#lanes.bytes >= this.#limits.maxBytes
    );
  }

  get hasRoom(): boolean {
    const free = this.#events < this.#maxEvents && this.#bytes < MAX_BYTES;
    return free && !this.lanesFull && this.#open();
  }

  enter(bytes: number): void {
    this.#events += 1;
    this.#bytes += bytes;
  }

  leave(bytes: number): void {
    this.#events -= 1;
    this.#bytes -= bytes;
    this.changed();
  }

  /** Lanes shrank, an event left, or a feed did not need its room: the next one that waits may look. */
  changed(): void {
    if (!this.#worthwhile) return;
    this.#waiters.shift()?.();
  }

  /** Resolves when there is room worth reading the log again; rejects with the signal's reason. */
  async room(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (!this.#worthwhile) {
      let wake: (() => void) | undefined;
      try {
        await abortable(
          new Promise<void>((resolve) => {
            wake = resolve;
            this.#waiters.push(resolve);
          }),
          signal,
        );
      } catch (error) {
        const index = wake === undefined ? -1 : this.#waiters.indexOf(wake);
        if (index >= 0) this.#waiters.splice(index, 1);
        throw error;
      }
    }
  }

  /** Room for one event would mean a read for each. */
  get #worthwhile(): boolean {
    const { events, bytes } = this.refilledBelow;
    const free = this.#events <= events && this.#bytes <= bytes;
    return free && !this.lanesFull && this.#open();
  }
}
