/** What was read, for metrics. Plain cells: they are counted on the hot path. */
export interface CaptureCounters {
  events: number;
  bytes: number;
  rows: number;
  /** Row events, each with one row or many, of tables that no rule captures. */
  filteredRowEvents: number;
  transactions: number;
  /** Commit time of the newest transaction read, milliseconds; 0 before the first. */
  lastCommitMs: number;
}
