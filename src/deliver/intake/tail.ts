/** Where each partition of the log ends: wakes those feeds, and only those, whose partition has grown. */

import type { ChangeLog, TopicPartition } from '../../log/change-log.ts';
import { present } from '../../shared/assert.ts';

interface Followed {
  readonly at: TopicPartition;
  /** The end as last looked at. */
  end: number;
  /** Feeds that have read up to the end. */
  readonly waiters: Set<Waiter>;
}

interface Waiter {
  /** Who waits, where somebody may leave before the others. */
  readonly owner: AbortSignal | null;
  readonly offset: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export type Follower = Pick<Tail, 'follow' | 'beyond'>;

/**
 * One look at the log serves all callbacks. Invariant: a partition is followed before it is first read, and a look
 * begins after every append; so what is appended after a feed's read is seen by a look, before or while it waits.
 * Were every feed to read after every append, one append would cost as much as there are tables and callbacks.
 */
export class Tail {
  readonly #log: ChangeLog;
  readonly #signal: AbortSignal;
  readonly #partitions = new Map<string, Followed>();

  /** @param signal ends all waiting */
  constructor(log: ChangeLog, signal: AbortSignal) {
    this.#log = log;
    this.#signal = signal;
    // One listener for all: a signal with a listener per feed takes them off one by one, by searching.
    signal.addEventListener('abort', () => {
      for (const { waiters } of this.#partitions.values()) {
        for (const waiter of waiters) waiter.reject(signal.reason);
        waiters.clear();
      }
    });
  }

  /** Reads the end of every partition that somebody follows. Errors as the log's `bounds`. */
  async look(): Promise<void> {
    await Promise.all(
      [...this.#partitions.values()].map(async (followed) => {
        const { end } = await this.#log.bounds(followed.at);
        followed.end = Math.max(followed.end, end);
        for (const waiter of followed.waiters) {
          if (waiter.offset >= followed.end) continue;
          followed.waiters.delete(waiter);
          waiter.resolve();
        }
      }),
    );
  }

  /** From now on every look looks there, too. */
  follow({ topic, partition }: TopicPartition): void {
    const place = `${topic}/${partition}`;
    if (this.#partitions.has(place)) return;
    this.#partitions.set(place, { at: { topic, partition }, end: 0, waiters: new Set() });
  }

  /** Resolves when the partition has a record at `offset`; rejects with the signal's reason. */
  beyond(at: TopicPartition, offset: number): Promise<void> {
    return this.#beyond(at, offset, null);
  }

  /** The same for one who may leave before the others: `owner` ends its waiting alone. */
  within(owner: AbortSignal): Follower {
    owner.addEventListener('abort', () => {
      for (const { waiters } of this.#partitions.values()) {
        for (const waiter of waiters) {
          if (waiter.owner !== owner) continue;
          waiters.delete(waiter);
          waiter.reject(owner.reason);
        }
      }
    });
    return {
      follow: (at) => {
        this.follow(at);
      },
      beyond: (at, offset) =>
        owner.aborted ? Promise.reject(owner.reason as Error) : this.#beyond(at, offset, owner),
    };
  }

  #beyond(
    { topic, partition }: TopicPartition,
    offset: number,
    owner: AbortSignal | null,
  ): Promise<void> {
    const followed = present(this.#partitions.get(`${topic}/${partition}`), 'a followed partition');
    return new Promise((resolve, reject) => {
      if (this.#signal.aborted) reject(this.#signal.reason as Error);
      else if (offset < followed.end) resolve();
      else followed.waiters.add({ owner, offset, resolve, reject });
    });
  }
}
