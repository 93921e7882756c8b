/** Finds lanes whose head is due and hands them to the dispatcher. */

import type { Clock } from '../../shared/clock.ts';
import { Wakeup } from '../../shared/wakeup.ts';
import type { StateStore } from '../../state/state-store.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { LaneIndex } from './lane-index.ts';

/** Also how soon an operator's `lanes retry`, written by another process, is seen. */
const LOOK_AGAIN_MS = 1_000;
/** Heads come with their values: at most so many at once, and one by one where they are large. */
const MAX_HEADS = 32;
const LARGE_EVENT_BYTES = 256 * 1024;

export interface LaneWorkerParts {
  readonly callback: string;
  readonly state: StateStore;
  readonly dispatcher: Dispatcher;
  readonly lanes: LaneIndex;
  readonly clock: Clock;
}

/**
 * The truth about when a lane is due is the store's: nothing of it is remembered here, so that a retry asked
 * for by an operator and a restart need no case of their own. Invariant: a lane is handed over at most once
 * until the dispatcher has let go of it (`busyLanes`).
 */
export class LaneWorker {
  readonly #parts: LaneWorkerParts;
  readonly #wakeup = new Wakeup();

  constructor(parts: LaneWorkerParts) {
    this.#parts = parts;
  }

  /** A lane was made, became free, or there is room: look now. */
  wake(): void {
    this.#wakeup.wake();
  }

  /** Rejects with the signal's reason. */
  async run(signal: AbortSignal): Promise<never> {
    for (;;) {
      signal.throwIfAborted();
      const found = await this.#handOver();
      signal.throwIfAborted();
      if (found === 0) await this.#rest(signal);
    }
  }

  async #handOver(): Promise<number> {
    const { callback, state, dispatcher, lanes, clock } = this.#parts;
    if (lanes.lanes === 0) return 0;
    const large = lanes.bytes / Math.max(1, lanes.events) > LARGE_EVENT_BYTES;
    const room = Math.min(dispatcher.laneRoom, large ? 1 : MAX_HEADS);
    const { busyLanes } = dispatcher;
    // Nothing is sent for a skip: it is done also while nothing may be sent.
    if (room === 0 && dispatcher.gate.takesIn) return 0;
    const due =
      room === 0
        ? await state.lanesToSkip(callback, large ? 1 : MAX_HEADS, busyLanes)
        : await state.dueLanes(callback, clock.now(), room, busyLanes);
    for (const lane of due) {
      // The other worker asked before, and had its answer first.
      if (busyLanes.has(lane.id)) continue;
      busyLanes.add(lane.id);
      dispatcher.offerLane(lane);
    }
    return due.length;
  }

  async #rest(signal: AbortSignal): Promise<void> {
    const { callback, state, lanes, clock } = this.#parts;
    if (lanes.lanes === 0) {
      await this.#wakeup.wait(signal);
      return;
    }
    const next = await state.nextDueAt(callback);
    const untilDue = next === null ? LOOK_AGAIN_MS : next - clock.now();
    // A head in flight stays due in the store: its end wakes us, and asking at once again would spin.
    const ms = untilDue > 0 ? Math.min(untilDue, LOOK_AGAIN_MS) : LOOK_AGAIN_MS;
    await this.#wakeup.wait(signal, { clock, ms });
  }
}
