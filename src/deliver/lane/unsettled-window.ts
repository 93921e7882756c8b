/** Events that a process which was killed may have had in hand. */

import type { PartitionBounds, TopicPartition } from '../../log/change-log.ts';
import type { Cursor } from '../../state/state-store.ts';
import type { Progress } from '../settle/progress.ts';
import type { PendingEvent } from './pending-event.ts';

interface Left {
  /** How many more of the partition. */
  events: number;
  /** The end of the partition as it was at the start: what came later nobody had. */
  readonly until: number;
}

/** Topics hold no spaces. */
function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic} ${partition}`;
}

/**
 * Of each partition the first events that are not settled, as many as a window holds: which of them had been read is
 * not known, only that there were no more. Invariant: it has passed once each of them is durable in a lane, or gone.
 */
export class UnsettledWindow {
  readonly #left = new Map<string, Left>();
  readonly #inHand = new Set<PendingEvent>();

  /** @param events how many of each partition; Infinity: all that were there */
  static async of(
    cursors: readonly Cursor[],
    events: number,
    bounds: (at: TopicPartition) => Promise<PartitionBounds>,
  ): Promise<UnsettledWindow> {
    const window = new UnsettledWindow();
    await Promise.all(
      cursors.map(async (cursor) => {
        const { end } = await bounds(cursor);
        if (cursor.next < end) window.#left.set(placeOf(cursor), { events, until: end });
      }),
    );
    return window;
  }

  get passed(): boolean {
    return this.#left.size === 0 && this.#inHand.size === 0;
  }

  /** An event comes; those of a partition come in order. */
  offered(event: PendingEvent): void {
    const place = placeOf(event.progress.key);
    const left = this.#left.get(place);
    if (left === undefined) return;
    if (event.record.offset >= left.until) {
      this.#left.delete(place);
      return;
    }
    this.#inHand.add(event);
    left.events -= 1;
    if (left.events === 0) this.#left.delete(place);
  }

  has(event: PendingEvent): boolean {
    return this.#inHand.has(event);
  }

  /** Nothing is to be done for it on the fast path any more. */
  gone(event: PendingEvent): void {
    this.#inHand.delete(event);
  }

  /** What is passed over because nothing of it matched is not told by events. */
  settledUpTo({ key, next }: Pick<Progress, 'key' | 'next'>): void {
    const place = placeOf(key);
    const left = this.#left.get(place);
    if (left !== undefined && next >= left.until) this.#left.delete(place);
  }
}
