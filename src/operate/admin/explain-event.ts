/** What became of an event for one callback, and why it has not reached it. */

import type { CallbackConfig } from '../../config/schema.ts';
import type { CallbackSnapshot } from '../../deliver/callback-runner.ts';
import { orderKey } from '../../deliver/lane/order-key.ts';
import { explainMatch, type MatchReason } from '../../deliver/match/explain-match.ts';
import type { Cursor, StateStore } from '../../state/state-store.ts';
import type { Whereabouts } from '../../state/whereabouts.ts';
import type { FoundEvent } from './find-events.ts';
import { isoOf } from './schemas.ts';

export const OUTCOMES = [
  'not-matched',
  'before-start',
  'not-read',
  'held',
  'retrying',
  'awaiting',
  'parked',
  'behind',
  'dead',
  'skipped',
  'settled',
] as const;

export interface Explanation {
  readonly callback: string;
  readonly outcome: (typeof OUTCOMES)[number];
  readonly reason: string;
  readonly match: MatchReason['by'];
  readonly lane: number | null;
  readonly dead_letter: number | null;
  /** Recorded attempts; null where none is recorded: a first try that succeeds is not. */
  readonly attempts: number | null;
  readonly next_attempt_at: string | null;
}

interface Place {
  readonly state: StateStore;
  readonly cursors: readonly Cursor[];
  /** As it runs in this process; null where it does not. */
  readonly running: CallbackSnapshot | null;
  /** Of the callback. */
  readonly version: number;
}

type Found = Pick<Explanation, 'outcome' | 'reason'> & Partial<Explanation>;

/** @throws RowcallError ENVELOPE_INVALID, FORMAT_INCOMPLETE */
export async function explainEvent(
  callback: CallbackConfig,
  found: FoundEvent,
  place: Place,
): Promise<Explanation> {
  const match = explainMatch(callback, found.record);
  const empty = { lane: null, dead_letter: null, attempts: null, next_attempt_at: null };
  const about = { ...empty, callback: callback.name, match: match.by };
  if (match.by !== 'matched' && match.by !== 'undecided') {
    return { ...about, outcome: 'not-matched', reason: match.reason };
  }
  const { topic, partition, record } = found;
  const cursor = place.cursors.find(
    (one) => one.callback === callback.name && one.topic === topic && one.partition === partition,
  );
  const whereabouts = await place.state.whereabouts({
    ...{ callback: callback.name, topic, partition, key: orderKey(record) },
    ...{ offset: record.offset, eventId: record.id },
  });
  return { ...about, ...kept(whereabouts, callback) };

  function kept(where: Whereabouts, { coalesceMs }: CallbackConfig): Found {
    const { lane, deadLetter, skipped } = where;
    if (lane?.holds === true) return inLane(lane, record.id);
    if (deadLetter !== null) {
      return {
        outcome: 'dead',
        reason: `Given up at ${isoOf(deadLetter.diedAt)}: ${deadLetter.error}`,
        ...{ dead_letter: deadLetter.id, attempts: deadLetter.attempts },
      };
    }
    if (skipped !== null) {
      const { actor, atMs, reason } = skipped;
      return { outcome: 'skipped', reason: `By ${actor} at ${isoOf(atMs)}: ${reason}` };
    }
    if (cursor !== undefined && record.offset < cursor.startOffset) {
      return { outcome: 'before-start', reason: `It begins at offset ${cursor.startOffset}` };
    }
    if (cursor !== undefined && isSettled(cursor, record.offset)) {
      return { outcome: 'settled', reason: settledAs(coalesceMs) };
    }
    return notSettled(cursor, place.running);
  }

  /** The store keeps no record of an event that is settled: all that it may have come to is told. */
  function settledAs(coalesceMs: number | undefined): string {
    const other = [
      ...(coalesceMs === undefined ? [] : ['superseded by a newer event of its key (coalesce)']),
      ...(place.version > 1 || match.by === 'undecided'
        ? ['filtered, where the callback did not ask for it when its turn came']
        : []),
    ];
    return ['Delivered', ...other].join(', or ');
  }
}

function inLane({ summary }: NonNullable<Whereabouts['lane']>, eventId: string): Found {
  const { id, headId, state, attempts, nextAttemptAt, lastError } = summary;
  const next = nextAttemptAt === null ? null : isoOf(nextAttemptAt);
  const why = lastError ?? 'no attempt has failed';
  const about = { lane: id, next_attempt_at: next };
  if (headId !== eventId) {
    const until = next === null ? `is ${state}` : `is tried again at ${next}`;
    return {
      ...about,
      outcome: 'behind',
      reason: `Waits behind ${headId}, which ${until}: ${why}`,
    };
  }
  if (state === 'parked') {
    return { ...about, attempts, outcome: 'parked', reason: `Held until a person acts: ${why}` };
  }
  if (state === 'awaiting') {
    const reason = 'Answered with 202: its completion is awaited';
    return { ...about, attempts, outcome: 'awaiting', reason };
  }
  const reason = `Is tried again at ${next ?? 'once'}: ${why}`;
  return { ...about, attempts, outcome: 'retrying', reason };
}

function isSettled({ next, beyond }: Cursor, offset: number): boolean {
  return offset < next || beyond.some(([from, to]) => offset >= from && offset < to);
}

function notSettled(cursor: Cursor | undefined, running: CallbackSnapshot | null): Found {
  const held = heldBy(cursor, running);
  if (held !== null) return { outcome: 'held', ...held };
  if (cursor === undefined) {
    return { outcome: 'not-read', reason: 'It has not begun with this topic' };
  }
  const reason = `Everything below offset ${cursor.next} is settled; this one is in flight, or not read yet`;
  return { outcome: 'not-read', reason };
}

function heldBy(
  cursor: Cursor | undefined,
  running: CallbackSnapshot | null,
): Pick<Found, 'reason' | 'next_attempt_at'> | null {
  if (running === null) return { reason: 'This process does not deliver to it now' };
  const { disabled, pause, partitions, lanesFull } = running;
  const stopped = partitions.find(
    ({ topic, partition }) => topic === cursor?.topic && partition === cursor.partition,
  )?.stopped;
  if (stopped !== undefined && stopped !== null) return { reason: stopped };
  if (disabled !== null) {
    const { actor, atMs, reason } = disabled;
    return { reason: `Disabled by ${actor} at ${isoOf(atMs)}: ${reason}` };
  }
  if (pause !== null) {
    const until = isoOf(pause.until);
    const what = running.breakerOpen ? 'The endpoint is down' : 'The endpoint asked to wait';
    return { reason: `${what} until ${until}: ${pause.reason}`, next_attempt_at: until };
  }
  return lanesFull ? { reason: 'Its lanes are at their limit' } : null;
}
