/** What a replay would send: which part of the log, and the events of it, counted a bounded part at a time. */

import { recordBytes } from '../../change-event.ts';
import type { CallbackConfig } from '../../config/schema.ts';
import { ReplayMatcher } from '../../deliver/match/replay-matcher.ts';
import { RowcallError } from '../../errors.ts';
import type { ChangeLog, StoredRecord, TopicInfo, TopicPartition } from '../../log/change-log.ts';
import type { ReplayFilter, ReplayRange } from '../../state/replay-store.ts';
import type { Cursor } from '../../state/state-store.ts';
import type { EventPlace, FoundEvent } from './find-events.ts';

/** One question looks at no more than this: the log answers others, too. */
const LOOK_BYTES = 64 * 1024 * 1024;
const READ_BYTES = 512 * 1024;
const SAMPLE = 5;
/** Keys told apart in one look; about 20 MiB. */
const MAX_KEYS = 100_000;

/** Where in the log; what is absent leaves all in. */
export interface ReplayExtent {
  readonly topic?: string | undefined;
  /** With `topic` alone. */
  readonly partition?: number | undefined;
  /** With `partition` alone. */
  readonly fromOffset?: number | undefined;
  readonly toOffset?: number | undefined;
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
}

/** Events that were asked for, and that the log's retention has deleted. */
export interface MissingEvents extends TopicPartition {
  /** How many; null where only their time is known. */
  readonly count: number | null;
  /** Where the log begins now: offset, and the time of the event there. */
  readonly start: number;
  readonly startMs: number | null;
}

export interface ReplayExtentFound {
  /** None of them empty. */
  readonly ranges: readonly ReplayRange[];
  readonly missing: readonly MissingEvents[];
}

/**
 * Times and offsets as ranges of the log as it is now. What is behind the callback's own cursor is not in them: that goes
 * the normal way.
 *
 * @throws RowcallError REPLAY_REFUSED: a topic that the callback does not read
 */
export async function findExtent(
  log: ChangeLog,
  extent: ReplayExtent,
  cursors: readonly Cursor[],
): Promise<ReplayExtentFound> {
  const topics = await log.topics();
  const wanted = cursors.filter(
    ({ topic, partition }) =>
      (extent.topic === undefined || topic === extent.topic) &&
      (extent.partition === undefined || partition === extent.partition),
  );
  if (extent.topic !== undefined && wanted.length === 0) {
    const what = extent.partition === undefined ? '' : `/${extent.partition}`;
    throw new RowcallError('REPLAY_REFUSED', `The callback reads no ${extent.topic}${what}`, {
      place: 'body/topic',
    });
  }
  const found = await Promise.all(wanted.map((cursor) => rangeIn(log, topics, cursor, extent)));
  return {
    ranges: found.flatMap(({ range }) => (range === null ? [] : [range])),
    missing: found.flatMap(({ missing }) => (missing === null ? [] : [missing])),
  };
}

interface RangeFound {
  readonly range: ReplayRange | null;
  readonly missing: MissingEvents | null;
}

async function rangeIn(
  log: ChangeLog,
  topics: readonly TopicInfo[],
  { topic, topicId, partition, next }: Cursor,
  extent: ReplayExtent,
): Promise<RangeFound> {
  const at = { topic, partition };
  // Not there any more, or made anew: none of what the callback read is in it.
  if (topics.find(({ name }) => name === topic)?.id !== topicId) {
    return { range: null, missing: null };
  }
  const { fromMs, toMs, fromOffset, toOffset } = extent;
  const { start } = await log.bounds(at);
  const byTime = fromMs === undefined ? start : await log.offsetForTimestamp(at, fromMs);
  const asked = Math.max(fromOffset ?? 0, byTime);
  const from = Math.max(start, asked);
  const ends = [next, toOffset ?? next];
  if (toMs !== undefined) ends.push(await log.offsetForTimestamp(at, toMs));
  const to = Math.min(...ends);
  const range = from < to ? { topic, topicId, partition, from, to } : null;
  return { range, missing: await missingBefore(log, at, { start, next, extent }) };
}

/** Null where all that was asked for is there, as far as can be known. */
async function missingBefore(
  log: ChangeLog,
  at: TopicPartition,
  { start, next, extent }: { start: number; next: number; extent: ReplayExtent },
): Promise<MissingEvents | null> {
  const { fromOffset, fromMs } = extent;
  // Who says neither means what there is.
  if (start === 0 || (fromOffset === undefined && fromMs === undefined)) return null;
  const first = (await log.read(at, start, 1)).records[0];
  const startMs = first?.timestampMs ?? null;
  if (fromOffset !== undefined) {
    const count = Math.min(start, extent.toOffset ?? next) - fromOffset;
    return count > 0 ? { ...at, count, start, startMs } : null;
  }
  // What was before the first one may have been later than the time that was asked for.
  if (fromMs !== undefined && startMs !== null && fromMs >= startMs) return null;
  return { ...at, count: null, start, startMs };
}

/** What ranges given by a plan are worth now. @throws RowcallError REPLAY_STALE, REPLAY_GONE */
export async function checkRanges(
  log: ChangeLog,
  ranges: readonly ReplayRange[],
  cursors: readonly Cursor[],
): Promise<void> {
  const seen = new Set<string>();
  for (const { topic, topicId, partition, from, to } of ranges) {
    const place = `${topic}/${partition}`;
    const cursor = cursors.find((one) => one.topic === topic && one.partition === partition);
    if (cursor?.topicId !== topicId) {
      throw new RowcallError('REPLAY_STALE', `The callback does not read that ${place}`, { place });
    }
    if (from >= to || to > cursor.next || seen.has(place)) {
      const text = `${from} to ${to} is no range of ${place} that the callback has settled`;
      throw new RowcallError('REPLAY_STALE', text, { place });
    }
    seen.add(place);
    const { start } = await log.bounds({ topic, partition });
    if (from >= start) continue;
    const text = `Retention has deleted ${Math.min(start, to) - from} records of ${place} since the plan`;
    throw new RowcallError('REPLAY_GONE', text, {
      place,
      cure: 'Ask for a plan again: it tells what is left.',
    });
  }
}

export interface ReplayCount {
  readonly records: number;
  readonly matched: number;
  /** Of those, for which only the attempt decides: `when` has no value, or the value is in a file. */
  readonly undecided: number;
  /** Different keys among them; at least so many where `keysComplete` is false. */
  readonly keys: number;
  readonly keysComplete: boolean;
  readonly sample: readonly FoundEvent[];
  /** Where to count on; null: all was looked at. */
  readonly next: EventPlace | null;
}

/**
 * Counts as a replay reads. Invariant: a count ends behind what it looked at, so that the next one passes over nothing
 * and repeats nothing: the sum of all is what a replay of these ranges sends.
 *
 * @throws RowcallError OFFSET_OUT_OF_RANGE: retention took some meanwhile
 */
export async function countReplay(
  log: ChangeLog,
  config: CallbackConfig,
  asked: {
    readonly ranges: readonly ReplayRange[];
    readonly filter: ReplayFilter;
    readonly from: EventPlace | null;
    /** Other work between two reads. */
    readonly pause: () => Promise<void>;
  },
): Promise<ReplayCount> {
  const counting = new Counting(new ReplayMatcher(config, asked.filter));
  for (const { topic, partition, from, to } of rangesFrom(asked.ranges, asked.from)) {
    const at = { topic, partition };
    for (let offset = from; offset < to;) {
      if (counting.left <= 0) return counting.count({ ...at, offset });
      await asked.pause();
      const { records, nextOffset } = await log.read(at, offset, READ_BYTES);
      if (nextOffset <= offset) break;
      for (const record of records) {
        if (record.offset >= offset && record.offset < to) counting.look(at, record);
      }
      offset = nextOffset;
    }
  }
  return counting.count(null);
}

/** What was seen so far. */
class Counting {
  /** Bytes that may still be looked at. */
  left = LOOK_BYTES;
  readonly #matcher: ReplayMatcher;
  readonly #keys = new Set<string>();
  readonly #sample: FoundEvent[] = [];
  #records = 0;
  #matched = 0;
  #undecided = 0;

  constructor(matcher: ReplayMatcher) {
    this.#matcher = matcher;
  }

  look(at: TopicPartition, record: StoredRecord): void {
    this.#records += 1;
    this.left -= recordBytes(record);
    const matched = this.#matcher.take(record);
    if (matched === null) return;
    this.#matched += 1;
    if (matched.undecided === true) this.#undecided += 1;
    if (this.#keys.size < MAX_KEYS) this.#keys.add(`${at.topic} ${record.key ?? record.table}`);
    if (this.#sample.length < SAMPLE) this.#sample.push({ ...at, record });
  }

  count(next: EventPlace | null): ReplayCount {
    const { size } = this.#keys;
    return {
      ...{ records: this.#records, matched: this.#matched, undecided: this.#undecided },
      ...{ keys: size, keysComplete: size < MAX_KEYS, sample: this.#sample, next },
    };
  }
}

/** In the order of topics and partitions, from the place on. */
function rangesFrom(ranges: readonly ReplayRange[], from: EventPlace | null): ReplayRange[] {
  const sorted = [...ranges].sort((a, b) =>
    a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
  );
  if (from === null) return sorted;
  const isBefore = ({ topic, partition }: ReplayRange): boolean =>
    topic === from.topic ? partition < from.partition : topic < from.topic;
  return sorted
    .filter((range) => !isBefore(range))
    .map((range) =>
      range.topic === from.topic && range.partition === from.partition
        ? { ...range, from: Math.max(range.from, from.offset) }
        : range,
    );
}
