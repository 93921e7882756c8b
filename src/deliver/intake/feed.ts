/** One callback reading one partition: from its cursor on, to the dispatcher or past it. */

import type { StoredRecord } from '../../log/change-log.ts';
import { pendingEvent } from '../lane/pending-event.ts';
import type { Dispatcher } from '../lane/dispatcher.ts';
import type { Matcher } from '../match/matcher.ts';
import type { Progress } from '../settle/progress.ts';
import type { Settler } from '../settle/settler.ts';
import type { Fetcher } from './fetcher.ts';
import type { News } from './news.ts';

export interface FeedParts {
  readonly progress: Progress;
  readonly matcher: Matcher;
  readonly dispatcher: Dispatcher;
  readonly settler: Settler;
  readonly fetcher: Fetcher;
  readonly news: News;
}

/**
 * Invariant: every offset that it passes is settled as filtered or as a gap, was settled before (found in the
 * cursor), or is in the dispatcher's hands. It never waits for an outcome, only for room.
 */
export class Feed {
  readonly #parts: FeedParts;
  #offset: number;

  constructor(parts: FeedParts) {
    this.#parts = parts;
    this.#offset = parts.progress.next;
  }

  /** Rejects with the signal's reason, or with what reading the log throws. */
  async run(signal: AbortSignal): Promise<never> {
    const { dispatcher, news } = this.#parts;
    for (;;) {
      // Before the read, or a large event would be held in memory only to wait.
      await dispatcher.room(signal);
      const seen = news.version;
      const from = this.#offset;
      await this.#readOn(signal);
      // Only at the end of the partition is there nothing to go on with.
      if (this.#offset === from) await news.after(seen, signal);
    }
  }

  /** One read of the log, in a frame of its own: what was read is not held while the feed waits for more. */
  async #readOn(signal: AbortSignal): Promise<void> {
    const { progress, fetcher } = this.#parts;
    const fetched = await fetcher.read(progress.key, this.#offset);
    for (const record of fetched.records) {
      if (record.offset >= this.#offset) await this.#take(record, signal);
    }
    if (fetched.nextOffset > this.#offset) this.#pass(fetched.nextOffset);
  }

  async #take(record: StoredRecord, signal: AbortSignal): Promise<void> {
    const { progress, matcher, dispatcher, settler } = this.#parts;
    const { offset, value } = record;
    if (offset > this.#offset) this.#pass(offset);
    if (!progress.isSettled(offset)) {
      if (value !== null && matcher.matches(record, value)) {
        if (!dispatcher.hasRoom) await dispatcher.room(signal);
        dispatcher.offer(pendingEvent(record, value, progress));
      } else {
        progress.filtered(offset);
        settler.passed(progress);
      }
    }
    this.#offset = offset + 1;
  }

  /** Offsets up to `to` hold no record: transaction markers, or what a compaction left out. */
  #pass(to: number): void {
    const { progress, settler } = this.#parts;
    for (let offset = this.#offset; offset < to; offset += 1) {
      if (!progress.isSettled(offset)) progress.skipGap(offset, offset + 1);
    }
    settler.passed(progress);
    this.#offset = to;
  }
}
