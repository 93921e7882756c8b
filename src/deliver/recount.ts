/** Counts a callback's books again from the log: what was read and what matched. */

import type { ChangeLog } from '../log/change-log.ts';
import type { Cursor, StateStore } from '../state/state-store.ts';
import type { CallbackOptions } from './callback-options.ts';
import { countsIn } from './match/counting-partition.ts';
import { Matcher } from './match/matcher.ts';
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

type Selection = Pick<CallbackOptions, 'name' | 'tables' | 'operations' | 'changed'>;

/**
 * Walks the log from each callback's beginning to what it has settled. Works beside a running daemon: the
 * cursors are taken once. A callback whose selection was changed since then disagrees, rightly.
 */
export async function recountLedger(parts: {
  readonly log: ChangeLog;
  readonly state: StateStore;
  readonly callbacks: readonly Selection[];
}): Promise<Recount[]> {
  const recounts: Recount[] = [];
  for (const cursor of await parts.state.cursors()) {
    const callback = parts.callbacks.find((one) => one.name === cursor.callback);
    if (callback !== undefined) recounts.push(await recount(parts.log, cursor, callback));
  }
  return recounts;
}

async function recount(log: ChangeLog, cursor: Cursor, callback: Selection): Promise<Recount> {
  const { start } = await log.bounds(cursor);
  const counted = await count(log, cursor, { from: Math.max(start, cursor.startOffset), callback });
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
  log: ChangeLog,
  cursor: Cursor,
  { from, callback }: { readonly from: number; readonly callback: Selection },
): Promise<Counts> {
  const matcher = new Matcher(callback);
  const settled = new SettledOffsets(cursor.next, cursor.beyond);
  const end = cursor.beyond.at(-1)?.[1] ?? cursor.next;
  let read = 0;
  let matched = 0;
  for (let offset = from; offset < end;) {
    const fetched = await log.read(cursor, offset, READ_BYTES);
    for (const record of fetched.records) {
      if (record.offset < offset || !settled.has(record.offset)) continue;
      read += 1;
      if (countsIn(cursor.partition, record) && matcher.take(record) !== null) matched += 1;
    }
    if (fetched.nextOffset <= offset) break;
    offset = fetched.nextOffset;
  }
  return { read, matched, filtered: read - matched };
}
