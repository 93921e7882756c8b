/** Which events a replay sends: those that the callback gets, as far as they were asked for. */

import type { StoredRecord } from '../../log/change-log.ts';
import type { ReplayFilter } from '../../state/replay-store.ts';
import { type MatchedRecord, Matcher, type Selection } from './matcher.ts';

/**
 * A truncate is none of them: it tells the receiver that all rows are gone, and those that were written since are not.
 */
export class ReplayMatcher {
  readonly #matcher: Matcher;
  readonly #asked: Matcher;
  readonly #filter: ReplayFilter;

  /** @throws ExpressionFault, which the configuration has told before */
  constructor(selection: Selection, filter: ReplayFilter) {
    const operations = selection.operations.filter((one) => one !== 'truncate');
    this.#matcher = new Matcher({ ...selection, operations });
    this.#asked = new Matcher({
      tables: filter.tables ?? ['*'],
      operations: filter.operations ?? operations,
      changed: [],
      when: undefined,
    });
    this.#filter = filter;
  }

  /** As `Matcher.take`. */
  take(record: StoredRecord): MatchedRecord | null {
    const { key, gtid, fromMs, toMs } = this.#filter;
    if (
      (key !== undefined && record.key !== key) ||
      (gtid !== undefined && !record.id.startsWith(`${gtid}:`)) ||
      (fromMs !== undefined && record.timestampMs < fromMs) ||
      (toMs !== undefined && record.timestampMs >= toMs)
    ) {
      return null;
    }
    return this.#asked.take(record) === null ? null : this.#matcher.take(record);
  }
}
