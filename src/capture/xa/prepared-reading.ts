/** Whether what is read again is the transaction that was prepared, and where it ends. */

import { RowcallError } from '../../errors.ts';
import { formatAnyGtid } from '../../executed-gtids.ts';
import { formatPlace, type PreparedTransaction } from '../../position.ts';
import type { BinlogEvent, MariadbGtidEvent } from '../binlog/binlog-event.ts';
import { isXidOf, readXaStatement, xidOf } from './xid.ts';

type GtidEvent = Extract<BinlogEvent, { type: 'gtid' | 'mariadb-gtid' }>;
type FormatDescription = Extract<BinlogEvent, { type: 'format-description' }>;

/** Of the dump and the file, wherever they stand. */
const OF_THE_DUMP: ReadonlySet<string> = new Set<BinlogEvent['type']>([
  'format-description',
  'rotate',
  'previous-gtids',
  'gtid-list',
  'heartbeat',
  'harmless',
]);

/**
 * - before: nothing of it came yet; its GTID event must be the first that belongs to any transaction.
 * - begun: its GTID event was the one that was noted; XA START of its xid must be next.
 * - within: everything up to XA_PREPARE is its own.
 * - over: XA_PREPARE came; what follows is another's.
 *
 * Invariant: `take` is true of the transaction's own events only. A source that lost its last transactions in a crash
 * gives their numbers and places to others, whose rows would pass for those that were committed.
 */
export class PreparedReading {
  readonly #prepared: PreparedTransaction;
  #state: 'before' | 'begun' | 'within' | 'over' = 'before';

  constructor(prepared: PreparedTransaction) {
    this.#prepared = prepared;
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  /**
   * Whether the event belongs to the transaction.
   *
   * @throws RowcallError POSITION_UNPROVEN: something else stands there
   */
  take(event: BinlogEvent): boolean {
    if (event.type === 'format-description') this.#proveFile(event);
    if (OF_THE_DUMP.has(event.type)) return false;
    const begins = event.type === 'gtid' || event.type === 'mariadb-gtid';
    return begins ? this.#begin(event) : this.#takeWithin(event);
  }

  /** The log ended before the transaction did. */
  endedEarly(): RowcallError {
    return this.#unproven('the binlog ends before its XA_PREPARE', null);
  }

  /** The server does not send what stands there. */
  refused(cause: RowcallError): RowcallError {
    return this.#unproven(`the source refuses to send it: ${cause.message}`, null, cause);
  }

  #begin(event: GtidEvent): boolean {
    if (this.#state === 'over') return false;
    if (this.#state !== 'before') throw this.#unproven('another transaction begins within', event);
    const { gtid, commitUs, timestamp, at } = this.#prepared;
    const found = event.gtid === null ? null : formatAnyGtid(event.gtid);
    if (found !== gtid) {
      throw this.#unproven(`${found ?? 'an anonymous transaction'} stands there`, event);
    }
    // The header's timestamp is a server's own, the commit time the same on all.
    const byCommit = commitUs !== null && event.commitUs !== null;
    const isSame = byCommit
      ? commitUs === event.commitUs
      : at === null || timestamp === event.timestamp;
    if (!isSame) throw this.#unproven('a transaction of another time stands there', event);
    this.#state = event.type === 'gtid' ? 'begun' : this.#startedBy(event);
    return false;
  }

  /** MariaDB's GTID event has the xid, and no XA START follows. */
  #startedBy(event: MariadbGtidEvent): 'within' {
    const { xa } = event;
    if (xa?.part === 'prepared' && xidOf(xa.xid) === this.#prepared.xid) return 'within';
    throw this.#unproven('it is not one of that xid', event);
  }

  #takeWithin(event: BinlogEvent): boolean {
    const { xid } = this.#prepared;
    switch (this.#state) {
      case 'over':
        return false;
      case 'before':
        throw this.#unproven(`no transaction begins there, but ${event.type}`, event);
      case 'begun': {
        const statement = event.type === 'query' ? readXaStatement(event.sql) : null;
        if (statement?.verb !== 'START' || statement.xid !== xid) {
          throw this.#unproven('it does not begin with its XA START', event);
        }
        this.#state = 'within';
        return true;
      }
      case 'within':
        if (event.type !== 'xa-prepare') return true;
        if (!isXidOf(event.xid, xid)) throw this.#unproven('it ends as another', event);
        this.#state = 'over';
        return false;
    }
  }

  #proveFile(event: FormatDescription): void {
    const { at } = this.#prepared;
    if (this.isOver || at?.file !== event.file) return;
    if (event.created === at.fileCreated) return;
    throw this.#unproven(
      `${at.file} was created at ${event.created} s, the one that was read at ${at.fileCreated} s`,
      event,
    );
  }

  #unproven(what: string, event: BinlogEvent | null, cause?: RowcallError): RowcallError {
    const { xid, gtid, at } = this.#prepared;
    const place = event ?? at;
    return new RowcallError(
      'POSITION_UNPROVEN',
      `The rows of XA transaction ${xid} cannot be read again: ${what}`,
      { place: place === null ? (gtid ?? xid) : formatPlace(place), cause },
    );
  }
}
