/** One callback reading one partition: from its cursor on, to the dispatcher or past it. */

import type { StoredRecord } from '../../log/change-log.ts';
import { pendingEvent } from '../lane/pending-event.ts';
import type { Barriers } from '../lane/barriers.ts';
import type { Dispatcher } from '../lane/dispatcher.ts';
import type { Matcher } from '../match/matcher.ts';
import type { Progress } from '../settle/progress.ts';
import type { Settler } from '../settle/settler.ts';
import type { Fetcher } from './fetcher.ts';
import type { Follower } from './tail.ts';

export interface FeedParts {
  readonly progress: Progress;
  readonly matcher: Pick<Matcher, 'take'>;
  readonly dispatcher: Dispatcher;
  readonly barriers: Barriers;
  readonly settler: Settler;
  readonly fetcher: Pick<Fetcher, 'read'>;
  readonly tail: Follower;
}

/** Why a feed does not go on at once. */
type Wait = 'end of the partition' | 'no room' | 'barrier' | null;

/**
 * Invariant: every offset that it passes is settled as filtered or as a gap, was settled before (found in the
 * cursor), or is in the dispatcher's hands. It never waits for an outcome, only for room, and while it waits it
 * holds no records: a feed per table and callback, each with a batch in its hand, would be the whole memory.
 */
export class Feed {
  readonly #parts: FeedParts;
  #offset: number;
  /** Resolves when the truncate that it has come to is settled. */
  #barrier: Promise<void> = Promise.resolve();

  constructor(parts: FeedParts) {
    this.#parts = parts;
    this.#offset = parts.progress.next;
    parts.tail.follow(parts.progress.key);
  }

  get progress(): Progress {
    return this.#parts.progress;
  }

  get offset(): number {
    return this.#offset;
  }

  /** Rejects with the signal's reason, or with what reading the log throws. */
  async run(signal: AbortSignal): Promise<never> {
    const { progress, tail, dispatcher, barriers } = this.#parts;
    try {
      await barriers.open(progress.key.topic);
      for (;;) {
        signal.throwIfAborted();
        const wait = await this.#advance();
        // Room is given to one feed at a time: what this one did not need is the next one's.
        if (wait !== 'no room') dispatcher.passRoom();
        if (wait === 'no room') await dispatcher.room(signal);
        else if (wait === 'barrier') await this.#barrier;
        else if (wait !== null) await tail.beyond(progress.key, this.#offset);
      }
    } finally {
      dispatcher.passRoom();
    }
  }

  /** Takes what one read gives, as far as there is room. */
  async #advance(): Promise<Wait> {
    const { progress, fetcher } = this.#parts;
    const from = this.#offset;
    const fetched = await fetcher.read(progress.key, from);
    for (const record of fetched.records) {
      const wait = record.offset >= this.#offset ? this.#take(record) : null;
      if (wait !== null) return wait;
    }
    if (fetched.nextOffset > this.#offset) this.#pass(fetched.nextOffset);
    // Only at the end of the partition is there nothing to go on with.
    return this.#offset === from ? 'end of the partition' : null;
  }

  /** Not null when the record matches and must wait. */
  #take(record: StoredRecord): Wait {
    const { progress, matcher, dispatcher, barriers, settler } = this.#parts;
    const { offset } = record;
    if (offset > this.#offset) this.#pass(offset);
    if (progress.isSettled(offset)) {
      if (record.operation === 't') barriers.pass(progress, record.id);
      this.#offset = offset + 1;
      return null;
    }
    const matched = matcher.take(record);
    if (matched === null) {
      progress.filtered(offset);
      settler.passed(progress);
    } else if (matched.operation === 't') {
      // Read again behind the barrier, it is settled.
      this.#barrier = barriers.reach(progress, matched);
      return 'barrier';
    } else {
      if (!dispatcher.hasRoom) return 'no room';
      dispatcher.offer(pendingEvent(matched, matched.value, progress));
    }
    this.#offset = offset + 1;
    return null;
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
