/** Why a callback gets an event or does not, as its selection says. */

import { OPERATION_OF } from '../../change-event.ts';
import { ShapeFailure } from '../../expression/fault.ts';
import { When } from '../../expression/when.ts';
import type { StoredRecord } from '../../log/change-log.ts';
import { isUnread, isUnreadable, readAgain } from '../../unread-record.ts';
import { type MatchedRecord, Matcher, partsOf, type Selection } from './matcher.ts';

/** `undecided`: `when` has no value for it, or it cannot be read, so that it goes to its lane. */
export interface MatchReason {
  readonly by: 'matched' | 'value' | 'operation' | 'table' | 'changed' | 'when' | 'undecided';
  readonly reason: string;
}

/** Asks part after part, each as delivery asks it. @throws RowcallError ENVELOPE_INVALID */
export function explainMatch(selection: Selection, record: StoredRecord): MatchReason {
  const operation = OPERATION_OF[record.operation];
  const { operations, tables, changed, when } = selection;
  if (record.value === null || record.table === '') {
    return {
      by: 'value',
      reason: 'It is no row change: a tombstone, or a record about the schema',
    };
  }
  if (!operations.includes(operation)) {
    return { by: 'operation', reason: `operations has no ${operation}` };
  }
  const some = { ...selection, changed: [], when: undefined };
  if (new Matcher(some).take(record) === null) {
    return { by: 'table', reason: `tables (${tables.join(', ')}) has no ${record.table}` };
  }
  const matched = new Matcher({ ...some, changed }).take(record);
  if (matched === null) {
    return { by: 'changed', reason: `None of changed (${changed.join(', ')}) has another value` };
  }
  const decided = new Matcher(selection).take(record);
  if (decided === null) return { by: 'when', reason: `when is false for it: ${when ?? ''}` };
  if (decided.undecided !== true) return { by: 'matched', reason: 'It asks for this event' };
  if (isUnread(decided.value)) {
    return { by: 'undecided', reason: `It cannot be read: ${whyUnread(decided)}` };
  }
  return { by: 'undecided', reason: `when has no value for it: ${whyUndecided(when, matched)}` };
}

function whyUnread(record: MatchedRecord): string {
  try {
    readAgain(record, record.value);
    return 'its value is not what its format says';
  } catch (error) {
    if (isUnreadable(error)) return `${error.code}: ${error.message}`;
    throw error;
  }
}

function whyUndecided(when: string | undefined, record: Parameters<typeof partsOf>[0]): string {
  try {
    return new When(when ?? 'true').holds(partsOf(record))
      ? 'it holds now'
      : 'it does not hold now';
  } catch (error) {
    if (error instanceof ShapeFailure) return error.message;
    return 'its value is not in the log but in a file (claim check)';
  }
}
