/** A batch of events, worked off one by one, large ones alone. */

import { present } from '../shared/assert.ts';
import { LARGE_EVENT_BYTES, type LargeWork } from '../shared/large-work.ts';
import { Reclaim } from '../shared/reclaim.ts';
import type { Appender } from './append/appender.ts';
import type { BinlogEvent } from './binlog/binlog-event.ts';

/** A promise only where the event must wait for the log. */
export type TakeEvent = (event: BinlogEvent) => Promise<void> | undefined;

/**
 * Invariant: events are taken one after another, each whole before the next, so that whatever is appended lies between
 * two rows. Without that a checkpoint would cover rows that are not in the log.
 */
export class EventWork {
  readonly #large: LargeWork;
  readonly #appender: Appender;
  readonly #reclaim = new Reclaim();

  constructor(large: LargeWork, appender: Appender) {
    this.#large = large;
    this.#appender = appender;
  }

  /** @param events the last one first, in a list that is nobody else's: one that is done with is let go, however large */
  async takeAll(events: BinlogEvent[], take: TakeEvent): Promise<void> {
    while (events.length > 0) {
      const bytes = events.at(-1)?.bytes ?? 0;
      if (bytes >= LARGE_EVENT_BYTES) {
        await this.#takeLarge(events, take);
        continue;
      }
      const pending = take(present(events.pop(), 'an event'));
      if (pending !== undefined) await pending;
      this.#reclaim.released(bytes);
      if (this.#appender.mustFlush) await this.#appender.flush();
    }
  }

  /** Alone over both legs, and written before the next one is looked at. */
  async #takeLarge(events: BinlogEvent[], take: TakeEvent): Promise<void> {
    const leave = await this.#large.enter(LARGE_EVENT_BYTES);
    try {
      this.#reclaim.released(await this.#takeOne(events, take));
      await this.#appender.drain();
    } finally {
      leave();
    }
  }

  /** Handles the last event of the list. In a frame of its own, so that nothing holds the event afterwards. */
  async #takeOne(events: BinlogEvent[], take: TakeEvent): Promise<number> {
    const event = present(events.pop(), 'an event');
    this.#reclaim.before(event.bytes);
    const pending = take(event);
    if (pending !== undefined) await pending;
    return event.bytes;
  }
}
