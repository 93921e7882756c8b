/** Those who wait until some events are done with. */

import { abortable } from '../../shared/abort.ts';
import type { PendingEvent } from './pending-event.ts';

interface Awaited {
  readonly events: Set<PendingEvent>;
  readonly wake: () => void;
}

/** Invariant: an event is told of once it is settled or in a lane, whichever way it went; else somebody waits for ever. */
export class AwaitedEvents {
  readonly #awaited = new Set<Awaited>();

  /** Resolves when all of them are done with; rejects with the signal's reason. */
  async all(events: Set<PendingEvent>, signal: AbortSignal): Promise<void> {
    if (events.size === 0) return;
    const done = new Promise<void>((resolve) => {
      this.#awaited.add({ events, wake: resolve });
    });
    await abortable(done, signal);
  }

  done(event: PendingEvent): void {
    if (this.#awaited.size === 0) return;
    for (const awaited of this.#awaited) {
      if (!awaited.events.delete(event) || awaited.events.size > 0) continue;
      this.#awaited.delete(awaited);
      awaited.wake();
    }
  }
}
