/** Which of the events that come an onlooker wants to see. */

import { OPERATION_OF, type Operation } from '../../change-event.ts';
import { countsIn } from '../../deliver/match/counting-partition.ts';
import { Matcher } from '../../deliver/match/matcher.ts';
import { RowcallError } from '../../errors.ts';
import { globPattern } from '../../shared/glob.ts';
import type { Callbacks } from './api-parts.ts';
import type { FoundEvent } from './find-events.ts';

/** What is absent leaves all in. */
export interface TailQuery {
  readonly topic?: string | undefined;
  /** A glob on schema.table, as in the configuration. */
  readonly table?: string | undefined;
  readonly key?: string | undefined;
  readonly operation?: Operation | undefined;
  /** What this callback asks for. */
  readonly callback?: string | undefined;
}

export type TailFilter = (found: FoundEvent) => boolean;

/** @throws RowcallError CALLBACK_UNKNOWN */
export function tailFilter(query: TailQuery, callbacks: Callbacks): TailFilter {
  const { topic, table, key, operation, callback } = query;
  const tables = table === undefined ? null : globPattern(table);
  const asksFor = callback === undefined ? null : selection(callback, callbacks);
  return (found) => {
    const { record } = found;
    return (
      (topic === undefined || found.topic === topic) &&
      (tables === null || tables.test(record.table)) &&
      (key === undefined || record.key === key) &&
      (operation === undefined || OPERATION_OF[record.operation] === operation) &&
      (asksFor === null || asksFor(found))
    );
  };
}

/** As the callback is when an event comes: it may be changed while somebody looks on. */
function selection(name: string, callbacks: Callbacks): TailFilter {
  let config = callbacks.get(name)?.config;
  if (config === undefined) {
    throw new RowcallError('CALLBACK_UNKNOWN', `There is no callback ${name}`);
  }
  let matcher = new Matcher(config);
  return ({ partition, record }) => {
    const now = callbacks.get(name)?.config;
    if (now === undefined) return false;
    if (now !== config) {
      config = now;
      matcher = new Matcher(now);
    }
    try {
      return matcher.take(record) !== null && countsIn(partition, record);
    } catch (error) {
      // What cannot be read is not known to be none of it, and delivery stops at it.
      if (error instanceof RowcallError) return true;
      throw error;
    }
  };
}
