/** Truncates: one event in every partition of a topic, delivered once, when all before it is done with. */

import type { StoredRecord } from '../../log/change-log.ts';
import { abortable } from '../../shared/abort.ts';
import { TRUNCATE_PARTITION } from '../match/counting-partition.ts';
import type { MatchedRecord } from '../match/matcher.ts';
import type { Progress } from '../settle/progress.ts';
import type { Settler } from '../settle/settler.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { LaneIndex } from './lane-index.ts';
import { isTruncateKey, laneKey, truncateKey } from './order-key.ts';
import { type BarrierFeed, isPast, type PastParts } from './past-truncate.ts';
import { type PendingEvent, pendingEvent, type SettledWith } from './pending-event.ts';

export interface BarriersParts extends PastParts {
  readonly dispatcher: Dispatcher;
  readonly settler: Settler;
  readonly lanes: LaneIndex;
  /** Ends all waiting. */
  readonly signal: AbortSignal;
  readonly onFailure: (error: unknown) => void;
}

/** One truncate that at least one partition has come to. */
interface Barrier {
  readonly topic: string;
  readonly id: string;
  readonly timestampMs: number;
  /** From partition 0, which delivers it. */
  event: PendingEvent | null;
  /** Where it stands in the partitions that have come to it. */
  readonly reached: Map<number, SettledWith>;
  /** Partitions that were past it before: they will not come to it. */
  readonly passed: Set<number>;
  /** waiting: not all have come. falling: all have, and it is being settled. */
  state: 'looking' | 'waiting' | 'falling';
  readonly settled: Promise<void>;
  readonly release: () => void;
}

/**
 * The barriers of one callback. A feed that comes to a truncate waits here until the last partition has come to it,
 * every event before it is settled or in a lane, and the truncate itself was delivered. Where that fails it goes to a
 * lane of its own, and the topic stays closed until that lane is empty, over restarts as well.
 *
 * Invariant: a truncate is settled by one commit in all partitions that have come to it. So after a crash either all
 * of them come to it again, or none. Were it settled one by one, those left would wait for the others for ever. It is
 * delivered where partition 0 comes to it, for whose books it counts; else (the callback began, or began to ask for
 * truncates, when partition 0 was past it) it is filtered in the others, too.
 */
export class Barriers {
  readonly #parts: BarriersParts;
  /** By topic, and by partition. */
  readonly #feeds = new Map<string, Map<number, BarrierFeed>>();
  /** By topic and event id. */
  readonly #barriers = new Map<string, Barrier>();
  /** Topics whose truncate is in a lane, with those who wait for its end. */
  readonly #closed = new Map<string, (() => void)[]>();

  constructor(parts: BarriersParts) {
    this.#parts = parts;
    for (const topic of parts.lanes.truncated) this.#closed.set(topic, []);
  }

  /** All feeds of a topic join before the first of them reads. */
  join(feed: BarrierFeed): void {
    const { topic, partition } = feed.progress.key;
    const feeds = this.#feeds.get(topic) ?? new Map<number, BarrierFeed>();
    this.#feeds.set(topic, feeds.set(partition, feed));
  }

  /** Resolves when no truncate of the topic is in a lane; rejects with the signal's reason. */
  async open(topic: string): Promise<void> {
    const waiters = this.#closed.get(topic);
    if (waiters === undefined) return;
    const opened = new Promise<void>((resolve) => {
      waiters.push(resolve);
    });
    await abortable(opened, this.#parts.signal);
  }

  /** A lane has become empty, durably. */
  laneEmptied(topic: string, key: string): void {
    if (!isTruncateKey(key)) return;
    const waiters = this.#closed.get(topic) ?? [];
    this.#closed.delete(topic);
    for (const wake of waiters) wake();
  }

  /**
   * A partition has come to a truncate that the callback asks for. Resolves when it is settled and the partition may
   * go on behind it; rejects with the signal's reason.
   */
  async reach(progress: Progress, record: MatchedRecord): Promise<void> {
    const { topic, partition } = progress.key;
    const known = this.#barriers.get(barrierKey(topic, record.id));
    const barrier = known ?? this.#begin(topic, record);
    barrier.reached.set(partition, { progress, offset: record.offset });
    if (partition === TRUNCATE_PARTITION) {
      barrier.event = pendingEvent(record, record.value, progress);
    }
    this.#fallIfComplete(barrier);
    await abortable(barrier.settled, this.#parts.signal);
    await this.open(topic);
  }

  /** A partition passes over a truncate that was settled before. */
  pass({ key: { topic, partition } }: Progress, id: string): void {
    const barrier = this.#barriers.get(barrierKey(topic, id));
    if (barrier === undefined || barrier.state === 'falling') return;
    barrier.passed.add(partition);
    this.#fallIfComplete(barrier);
  }

  #begin(topic: string, { id, timestampMs }: StoredRecord): Barrier {
    let wake = (): void => undefined;
    const settled = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const barrier: Barrier = {
      ...{ topic, id, timestampMs, event: null, reached: new Map(), passed: new Set(), settled },
      state: 'looking',
      release: () => {
        this.#barriers.delete(barrierKey(topic, id));
        wake();
      },
    };
    this.#barriers.set(barrierKey(topic, id), barrier);
    this.#work(async () => {
      await this.#look(barrier);
      barrier.state = 'waiting';
      this.#fallIfComplete(barrier);
    });
    return barrier;
  }

  /** Who is past it will not come to it: since an earlier run, or since before the callback began. */
  async #look(barrier: Barrier): Promise<void> {
    for (const [partition, feed] of this.#feeds.get(barrier.topic) ?? []) {
      const has = (): boolean => barrier.reached.has(partition);
      if (!has() && (await isPast(this.#parts, feed, { ...barrier, has }))) {
        barrier.passed.add(partition);
      }
    }
  }

  #fallIfComplete(barrier: Barrier): void {
    const { topic, reached, passed } = barrier;
    if (barrier.state !== 'waiting') return;
    const partitions = [...(this.#feeds.get(topic)?.keys() ?? [])];
    if (!partitions.every((one) => reached.has(one) || passed.has(one))) return;
    barrier.state = 'falling';
    this.#work(() => this.#fall(barrier));
  }

  async #fall(barrier: Barrier): Promise<void> {
    const { dispatcher, settler, signal } = this.#parts;
    const { topic, event, reached, release } = barrier;
    // The callback may have been changed or removed while the look was under way: its books are another's now.
    signal.throwIfAborted();
    if (event === null) {
      for (const { progress, offset } of reached.values()) {
        progress.filtered(offset);
        settler.passed(progress);
      }
      release();
      return;
    }
    await dispatcher.quiet(topic, signal);
    while (!dispatcher.hasRoom) await dispatcher.room(signal);
    signal.throwIfAborted();
    const key = this.#keyOf(topic, event);
    dispatcher.offer({
      ...event,
      key,
      truncate: {
        others: [...reached.values()].filter(({ progress }) => progress !== event.progress),
        onLaned: () => {
          if (isTruncateKey(key)) this.#closed.set(topic, []);
        },
        onDurable: release,
      },
    });
    dispatcher.passRoom();
  }

  /** A table without a key that has a lane has all of its events there, in order: the truncate is one of them. */
  #keyOf(topic: string, { key, record }: PendingEvent): string {
    return this.#parts.lanes.has(laneKey(topic, key)) ? key : truncateKey(record.table);
  }

  #work(work: () => Promise<void>): void {
    work().catch((error: unknown) => {
      if (!this.#parts.signal.aborted) this.#parts.onFailure(error);
    });
  }
}

/** Topics hold no spaces. */
function barrierKey(topic: string, id: string): string {
  return `${topic} ${id}`;
}
