/** What a file of the binlog says of one xid. */

import { formatAnyGtid } from '../../executed-gtids.ts';
import type { PreparedTransaction } from '../../position.ts';
import type { BinlogEvent } from '../binlog/binlog-event.ts';
import { isXidOf, readXaStatement, xidOf } from './xid.ts';

type GtidEvent = Extract<BinlogEvent, { type: 'gtid' | 'mariadb-gtid' }>;
type QueryEvent = Extract<BinlogEvent, { type: 'query' }>;
type XaPrepareEvent = Extract<BinlogEvent, { type: 'xa-prepare' }>;

/** Takes a file's events in order. Invariant: `found` is the last thing said, since an xid is used again and again. */
export class XidSearch {
  readonly #xid: string;
  #fileCreated = 0;
  #begin: GtidEvent | null = null;
  /** The transaction at hand is one of this xid. */
  #started = false;
  #found: PreparedTransaction | 'ended' | null = null;

  constructor(xid: string) {
    this.#xid = xid;
  }

  /** That it is prepared, or over; null where nothing was said of it. */
  get found(): PreparedTransaction | 'ended' | null {
    return this.#found;
  }

  take(event: BinlogEvent): void {
    if (event.type === 'format-description') this.#fileCreated = event.created;
    else if (event.type === 'query') this.#query(event);
    else if (event.type === 'xa-prepare') this.#prepare(event);
    else if (event.type === 'gtid') this.#beginBy(event, false);
    else if (event.type === 'mariadb-gtid') {
      const { xa } = event;
      this.#beginBy(event, xa?.part === 'prepared' && xidOf(xa.xid) === this.#xid);
    }
  }

  #beginBy(event: GtidEvent, started: boolean): void {
    this.#begin = event;
    this.#started = started;
  }

  #query(event: QueryEvent): void {
    const statement = readXaStatement(event.sql);
    if (statement?.xid !== this.#xid) return;
    if (statement.verb === 'START') this.#started = true;
    if (statement.verb === 'COMMIT' || statement.verb === 'ROLLBACK') this.#found = 'ended';
  }

  #prepare(event: XaPrepareEvent): void {
    if (this.#begin === null || !this.#started || !isXidOf(event.xid, this.#xid)) return;
    if (event.onePhase) {
      this.#found = 'ended';
      return;
    }
    const { file, position, commitUs, timestamp, gtid } = this.#begin;
    this.#found = {
      ...{ xid: this.#xid, gtid: gtid === null ? null : formatAnyGtid(gtid), commitUs, timestamp },
      captured: true,
      at: { file, position, fileCreated: this.#fileCreated },
    };
  }
}
