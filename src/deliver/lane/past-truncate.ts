/** Whether a partition will still come to a truncate that another one of its topic has come to. */

import { RowcallError } from '../../errors.ts';
import type { ChangeLog, Fetched, TopicPartition } from '../../log/change-log.ts';
import type { Appended } from '../intake/appended.ts';
import type { Follower } from '../intake/tail.ts';
import type { Progress } from '../settle/progress.ts';

const READ_BYTES = 256 * 1024;

/** A partition that is read, as barriers need to know it. */
export interface BarrierFeed {
  readonly progress: Progress;
  /** Everything below was read. */
  readonly offset: number;
}

export interface PastParts {
  readonly log: Pick<ChangeLog, 'read' | 'bounds' | 'writtenEnd' | 'offsetForTimestamp'>;
  readonly tail: Pick<Follower, 'beyond'>;
  readonly appended: Pick<Appended, 'whole'>;
  /** Ends the search. */
  readonly signal: AbortSignal;
}

/**
 * Finds the truncate's record in the partition: behind the feed's place or ahead of it. One that is nowhere was deleted by
 * the log's retention, which leaves what the feed has not read: the feed is past it, too. Only for this the search goes
 * on to the end of what was written, visible or not; mostly the record is the first one as late as itself.
 *
 * @param truncate read in another partition; `has`: the feed has come to it meanwhile
 */
export async function isPast(
  { log, tail, appended, signal }: PastParts,
  feed: BarrierFeed,
  truncate: { readonly id: string; readonly timestampMs: number; readonly has: () => boolean },
): Promise<boolean> {
  const { key } = feed.progress;
  let end = Infinity;
  let at = await log.offsetForTimestamp(key, truncate.timestampMs);
  while (at < end) {
    signal.throwIfAborted();
    if (truncate.has()) return false;
    const fetched = await readOrNull(log, key, at);
    // Retention was there between the two calls: on with what it left.
    if (fetched === null) {
      at = await log.offsetForTimestamp(key, truncate.timestampMs);
      continue;
    }
    const found = fetched.records.find(({ id }) => id === truncate.id);
    if (found !== undefined) return found.offset < feed.offset;
    if (fetched.nextOffset > at) {
      at = fetched.nextOffset;
    } else if (end === Infinity) {
      await appended.whole(truncate.id);
      end = await log.writtenEnd(key);
    } else {
      await tail.beyond(key, at);
    }
  }
  if (truncate.has()) return false;
  // What retention took before the feed has read it stops the feed, short of the truncate.
  return (await log.bounds(key)).start <= feed.offset;
}

async function readOrNull(
  log: PastParts['log'],
  at: TopicPartition,
  offset: number,
): Promise<Fetched | null> {
  try {
    return await log.read(at, offset, READ_BYTES);
  } catch (error) {
    if (error instanceof RowcallError && error.code === 'OFFSET_OUT_OF_RANGE') return null;
    throw error;
  }
}
