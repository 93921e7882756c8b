/**
 * A broker's memory of what one connection polls, so that a poll names only what changed:
 * https://cwiki.apache.org/confluence/display/KAFKA/KIP-227
 */
import type { FetchPartition, FetchRequest, FetchTopic } from './fetch.ts';

export interface Polled extends FetchPartition {
  readonly topicId: string;
}

/** The highest epoch of a session; behind it comes 1. */
const LAST_EPOCH = 2 ** 31 - 1;

export class FetchSession {
  #id = 0;
  #epoch = 0;
  /** As the broker knows them, by topic id and partition. */
  #sent = new Map<string, Polled>();

  /** What to send so that the broker polls exactly `wanted`. */
  next(wanted: readonly Polled[]): Pick<FetchRequest, 'session' | 'topics' | 'forgotten'> {
    const now = new Map(wanted.map((one) => [keyOf(one), one]));
    const changed = wanted.filter((one) => {
      const before = this.#sent.get(keyOf(one));
      return before?.offset !== one.offset || before.maxBytes !== one.maxBytes;
    });
    const forgotten = [...this.#sent].flatMap(([key, one]) => (now.has(key) ? [] : [one]));
    this.#sent = now;
    return {
      session: { id: this.#id, epoch: this.#epoch },
      topics: byTopic(changed, (one) => one),
      forgotten: byTopic(forgotten, ({ partition }) => partition),
    };
  }

  /** `id` is 0 where the broker has no room for a session: every poll then names everything. */
  answered(id: number): void {
    if (id === 0) {
      this.reset();
      return;
    }
    this.#id = id;
    this.#epoch = this.#epoch === LAST_EPOCH ? 1 : this.#epoch + 1;
  }

  /** The broker knows nothing of it any more, or what it knows is uncertain. */
  reset(): void {
    this.#id = 0;
    this.#epoch = 0;
    this.#sent = new Map();
  }
}

function keyOf({ topicId, partition }: Polled): string {
  return `${topicId}/${partition}`;
}

function byTopic<T>(
  partitions: readonly Polled[],
  as: (one: Polled) => T,
): readonly FetchTopic<T>[] {
  const topics = new Map<string, T[]>();
  for (const one of partitions) {
    const those = topics.get(one.topicId);
    if (those === undefined) topics.set(one.topicId, [as(one)]);
    else those.push(as(one));
  }
  return Array.from(topics, ([topicId, those]) => ({ topicId, partitions: those }));
}
