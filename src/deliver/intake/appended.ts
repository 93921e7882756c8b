/** Whether the append that brought an event is whole: in every partition that it writes to. */

import { parseCheckpoint } from '../../checkpoint.ts';
import { eventPlace } from '../../change-event.ts';
import { parseGtid, GtidSet } from '../../gtid-set.ts';
import type { ChangeLog } from '../../log/change-log.ts';
import { type Checkpoint, comparePlaces } from '../../position.ts';
import type { News } from './news.ts';

/**
 * With `delivery: at-least-once` an append is seen in one partition while it is written to the next. Its checkpoint comes
 * last, and tells by its place that all before it are whole.
 */
export class Appended {
  readonly #log: Pick<ChangeLog, 'readCheckpoint'>;
  readonly #name: string;
  readonly #news: News;
  readonly #signal: AbortSignal;

  /** @param name whose checkpoint is in the log */
  constructor(
    log: Pick<ChangeLog, 'readCheckpoint'>,
    name: string,
    { news, signal }: { readonly news: News; readonly signal: AbortSignal },
  ) {
    this.#log = log;
    this.#name = name;
    this.#news = news;
    this.#signal = signal;
  }

  /** Resolves when the event's transaction is in the log as a whole; rejects with the signal's reason. */
  async whole(eventId: string): Promise<void> {
    for (;;) {
      const { version } = this.#news;
      const text = await this.#log.readCheckpoint(this.#name);
      if (text !== null && covers(parseCheckpoint(text), eventId)) return;
      await this.#news.after(version, this.#signal);
    }
  }
}

/** An id that bears no place of a binlog is of no log that a capture writes. */
function covers({ gtidSet, file, position }: Checkpoint, eventId: string): boolean {
  const place = eventPlace(eventId);
  if (place === null) return true;
  if ('gtid' in place) {
    return gtidSet === null || GtidSet.parse(gtidSet).contains(parseGtid(place.gtid));
  }
  return comparePlaces({ file, position }, place) > 0;
}
