/** The part of the log that a replay reads: each of its partitions up to an end. */

import type { TopicPartition } from '../../log/change-log.ts';
import type { Fetcher } from './fetcher.ts';
import type { Follower } from './tail.ts';

/** Where the partition ends for whoever reads it. */
export type EndOf = (at: TopicPartition) => number;

/** Reads as the fetcher does, and nothing from the end on: the partition seems to end there. */
export function fetchUpTo(fetcher: Pick<Fetcher, 'read'>, endOf: EndOf): Pick<Fetcher, 'read'> {
  return {
    read: async (at, offset) => {
      const end = endOf(at);
      if (offset >= end) return { records: [], nextOffset: offset, bytes: 0 };
      const fetched = await fetcher.read(at, offset);
      if (fetched.nextOffset <= end) return fetched;
      const records = fetched.records.filter((record) => record.offset < end);
      return { ...fetched, records, nextOffset: end };
    },
  };
}

/** Whoever has come to the end waits there until it is told to stop: nothing is ever appended to the past. */
export function followUpTo(tail: Follower, endOf: EndOf, signal: AbortSignal): Follower {
  return {
    follow: (at) => {
      tail.follow(at);
    },
    beyond: (at, offset) => (offset < endOf(at) ? tail.beyond(at, offset) : aborted(signal)),
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const onAbort = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}
