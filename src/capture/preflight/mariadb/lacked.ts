/** What one MariaDB server has logged and another has not, as far as the numbers of each writer tell. */

import { formatMariadbGtid, type MariadbGtid } from '../../../mariadb-gtid.ts';

/** Transactions of one writer in one domain: behind a number up to another. */
export interface LackedRange {
  /** The last of them. */
  readonly upTo: MariadbGtid;
  /** The last one that both have; null: none. */
  readonly behind: MariadbGtid | null;
}

/**
 * Numbers of one writer grow within a domain: who has logged a smaller one last lacks the ones behind it.
 *
 * @param one as `gtid_binlog_state` of the one that has them
 * @param other of the one that may lack some
 */
export function lackedBy(
  one: readonly MariadbGtid[],
  other: readonly MariadbGtid[],
): readonly LackedRange[] {
  return one.flatMap((upTo) => {
    const behind =
      other.find(({ domain, server }) => domain === upTo.domain && server === upTo.server) ?? null;
    return behind !== null && behind.seq >= upTo.seq ? [] : [{ upTo, behind }];
  });
}

/** `0-1-12 (behind 0-1-10)`, or `0-3-5 and all before it`. */
export function formatLacked(ranges: readonly LackedRange[]): string {
  return ranges
    .map(({ upTo, behind }) => {
      const from =
        behind === null ? ' and all before it' : ` (behind ${formatMariadbGtid(behind)})`;
      return `${formatMariadbGtid(upTo)}${from}`;
    })
    .join(', ');
}
