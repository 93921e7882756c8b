/** A transaction as it is read. */

import type { BinlogEvent } from '../binlog/binlog-event.ts';

export type GtidEvent = Extract<BinlogEvent, { type: 'gtid' | 'mariadb-gtid' }>;

/** The transaction being read. */
export interface Transaction {
  /** GTID text, or the file place without GTIDs: the first part of its rows' event ids. */
  readonly id: string;
  readonly gtid: string | null;
  readonly begin: GtidEvent;
  /** Commit time: microseconds since the epoch, with the resolution that the source gives. */
  readonly commitUs: number;
  readonly tables: Map<string, TableCount>;
  /** Captured rows so far. */
  rows: number;
  /** BEGIN was read: only XID, COMMIT or ROLLBACK ends it. */
  explicit: boolean;
  thread: number | null;
  /** Of an XA transaction: its rows are passed over until its outcome is known. */
  held: HeldTransaction | null;
}

/** Captured rows of one table so far. */
export interface TableCount {
  /** `schema.table`. */
  readonly name: string;
  ordinal: number;
  readonly keyed: boolean;
}

export interface HeldTransaction {
  readonly xid: string;
  /** It has something for a captured table. */
  captured: boolean;
}
