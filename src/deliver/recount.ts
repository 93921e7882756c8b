/** Counts a callback's books again from the log: what was read and what matched. */

import { RowcallError } from '../errors.ts';
import type { ChangeLog } from '../log/change-log.ts';
import type { Cursor, StateStore } from '../state/state-store.ts';
import type { CallbackOptions } from './callback-options.ts';
import { countsIn } from './match/counting-partition.ts';
import { isClaim, resolveClaim } from '../claim-reference.ts';
import { ShapeFailure } from '../expression/fault.ts';
import { When } from '../expression/when.ts';
import type { ClaimSource } from './callback/claim-sender.ts';
import { type MatchedRecord, Matcher, partsOf } from './match/matcher.ts';
import { SettledOffsets } from './settle/settled-offsets.ts';

const READ_BYTES = 1024 * 1024;

interface Counts {
  readonly read: number;
  readonly matched: number;
  readonly filtered: number;
}

export interface Recount {
  readonly callback: string;
  readonly topic: string;
  readonly partition: number;
  readonly saved: Counts;
  readonly counted: Counts;
  /** false: retention took the first records, so that only the rest could be counted. */
  readonly complete: boolean;
  readonly agrees: boolean;
}

type Selection = Pick<CallbackOptions, 'name' | 'tables' | 'operations' | 'changed' | 'when'>;

interface Place {
  readonly log: ChangeLog;
  readonly claims: ClaimSource;
}

/**
 * Walks the log from each callback's beginning to what it has settled. Works beside a running daemon: the
 * cursors are taken once. A callback whose selection was changed since then disagrees, rightly: whoever shows it says so.
 */
export async function recountLedger(parts: {
  readonly log: ChangeLog;
  readonly state: StateStore;
  readonly callbacks: readonly Selection[];
  /** Where oversize values are: `when` may ask for them. */
  readonly claims: ClaimSource;
}): Promise<Recount[]> {
  const recounts: Recount[] = [];
  for (const cursor of await parts.state.cursors()) {
    const callback = parts.callbacks.find((one) => one.name === cursor.callback);
    if (callback !== undefined) recounts.push(await recount(parts, cursor, callback));
  }
  return recounts;
}

async function recount(place: Place, cursor: Cursor, callback: Selection): Promise<Recount> {
  const { start } = await place.log.bounds(cursor);
  const counted = await count(place, cursor, {
    from: Math.max(start, cursor.startOffset),
    callback,
  });
  const { read, matched, filtered } = cursor.ledger;
  const complete = start <= cursor.startOffset;
  return {
    callback: cursor.callback,
    topic: cursor.topic,
    partition: cursor.partition,
    saved: { read, matched, filtered },
    counted,
    complete,
    agrees: complete
      ? counted.read === read && counted.matched === matched && counted.filtered === filtered
      : counted.read <= read && counted.matched <= matched && counted.filtered <= filtered,
  };
}

async function count(
  { log, claims }: Place,
  cursor: Cursor,
  { from, callback }: { readonly from: number; readonly callback: Selection },
): Promise<Counts> {
  const matcher = new Matcher(callback);
  const when = callback.when === undefined ? null : new When(callback.when);
  const settled = new SettledOffsets(cursor.next, cursor.beyond);
  const end = cursor.beyond.at(-1)?.[1] ?? cursor.next;
  let read = 0;
  let matched = 0;
  for (let offset = from; offset < end;) {
    const fetched = await log.read(cursor, offset, READ_BYTES);
    for (const record of fetched.records) {
      if (record.offset < offset || !settled.has(record.offset)) continue;
      read += 1;
      const taken = countsIn(cursor.partition, record) ? matcher.take(record) : null;
      if (taken !== null && (await decided(taken, when, claims))) matched += 1;
    }
    if (fetched.nextOffset <= offset) break;
    offset = fetched.nextOffset;
  }
  return { read, matched, filtered: read - matched };
}

/** As delivery decides it before it sends: an event for which `when` has no answer is counted, it waits in its lane. */
async function decided(
  record: MatchedRecord,
  when: When | null,
  claims: ClaimSource,
): Promise<boolean> {
  if (when === null || record.undecided !== true || !isClaim(record.value)) return true;
  try {
    const value = await resolveClaim(record, record.value, (file) => claims.read(file));
    return when.holds(partsOf({ ...record, value }));
  } catch (error) {
    if (error instanceof ShapeFailure || error instanceof RowcallError) return true;
    throw error;
  }
}
