/** How many events of one callback may be between their reading and their durable outcome. */

import { abortable } from '../../shared/abort.ts';
import type { CallbackOptions } from '../callback-options.ts';
import type { LaneIndex } from './lane-index.ts';

const MIN_EVENTS = 1024;
const EVENTS_PER_KEY_IN_FLIGHT = 4;
const MAX_BYTES = 8 * 1024 * 1024;

/**
 * Invariant: an event is let in only while the window is below its bounds and the lanes below theirs. One event
 * larger than the bound goes alone. Without the bounds a slow endpoint would pull the log into memory.
 */
export class Window {
  readonly #maxEvents: number;
  readonly #limits: CallbackOptions['lanes'];
  readonly #lanes: LaneIndex;
  #events = 0;
  #bytes = 0;
  #waiters: (() => void)[] = [];

  constructor(options: CallbackOptions, lanes: LaneIndex) {
    this.#maxEvents = Math.max(MIN_EVENTS, options.concurrency * EVENTS_PER_KEY_IN_FLIGHT);
    this.#limits = options.lanes;
    this.#lanes = lanes;
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
    return this.#events < this.#maxEvents && this.#bytes < MAX_BYTES && !this.lanesFull;
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

  /** Lanes shrank, or an event left: whoever waits looks again. */
  changed(): void {
    if (!this.hasRoom || this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  async room(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (!this.hasRoom) {
      await abortable(
        new Promise<void>((resolve) => {
          this.#waiters.push(resolve);
        }),
        signal,
      );
    }
  }
}
