/**
 * XA transactions: rows that stand in the binlog before it is known what becomes of them. The server writes, under a
 * GTID of its own, the QUERY `XA START`, the rows, `XA END`, and XA_PREPARE; the outcome, `XA COMMIT` or `XA ROLLBACK`,
 * is a transaction of its own and may come days later. ONE PHASE differs in a flag of XA_PREPARE alone. Measured on
 * 9.7: a compressed payload holds all of it from XA START to XA_PREPARE; changes of tables without transactions stand
 * in others before it. MariaDB writes no XA START: its GTID event has the xid, and tells which of the two parts it begins.
 */

import { RowcallError } from '../../errors.ts';
import { type FilePosition, formatPlace, type PreparedTransaction } from '../../position.ts';
import { present } from '../../shared/assert.ts';
import { failpoint } from '../../shared/failpoint.ts';
import type { Logger } from '../../shared/logger.ts';
import type { Place } from '../append/place.ts';
import type { HeldTransaction, Transaction } from '../append/transaction.ts';
import type { BinlogEvent, MariadbGtidEvent } from '../binlog/binlog-event.ts';
import { classifyQuery, type QueryKind } from '../binlog/classify-query.ts';
import type { TableMaps } from '../decode/table-map.ts';
import type { EventWork } from '../event-work.ts';
import { KeptEvents } from './kept-events.ts';
import { PreparedReading } from './prepared-reading.ts';
import type { PreparedSource, PreparedStream } from './prepared-source.ts';
import { preparedMissing } from './read-prepared.ts';
import { isXidOf, readXaStatement, xidOf } from './xid.ts';

type QueryEvent = Extract<BinlogEvent, { type: 'query' }>;
type RowsEvent = Extract<BinlogEvent, { type: 'rows' }>;
type TableMapEvent = Extract<BinlogEvent, { type: 'table-map' }>;
type XaPrepareEvent = Extract<BinlogEvent, { type: 'xa-prepare' }>;
type XidEvent = Extract<BinlogEvent, { type: 'xid' }>;

/** What stands within a transaction, and matters to one that is held. */
export type HeldEvent = RowsEvent | QueryEvent | TableMapEvent | XaPrepareEvent | XidEvent;

/** Everything else is the stream's own, and handled as ever. */
export function isWithin(event: BinlogEvent): event is HeldEvent {
  return WITHIN.has(event.type);
}

const WITHIN: ReadonlySet<string> = new Set<HeldEvent['type']>([
  'rows',
  'query',
  'table-map',
  'xa-prepare',
  'xid',
]);

const ENDS_TRANSACTION: ReadonlySet<string> = new Set<QueryKind>([
  'begin',
  'commit',
  'rollback',
  'create-select',
]);

export interface XaParts {
  readonly place: Place;
  readonly prepared: PreparedSource;
  readonly work: EventWork;
  readonly logger: Logger;
  /** Something came from the source. */
  readonly onHeard: () => void;
  /** Whether rows belong to a captured table, by the maps of the capture's own stream. */
  readonly captures: (event: RowsEvent) => boolean;
  /** Empty maps for what is read again, of the server that the capture's own stream is of. */
  readonly tablesBeside: () => TableMaps;
  /** Rows of the open transaction, by these maps; their events name `at`. */
  readonly rows: (
    event: RowsEvent,
    tables: TableMaps,
    at: FilePosition,
  ) => Promise<void> | undefined;
  /** A statement within the open transaction that is not XA's. */
  readonly statement: (event: QueryEvent) => Promise<void> | undefined;
  /** The open transaction is whole. */
  readonly commit: (end: BinlogEvent) => void;
}

/**
 * Invariant: no row of an XA transaction is handed on before its commit was read, and then under the GTID of the
 * commit. Until then the place alone knows of it, and what is read again is proven to be what was read before: a
 * row of a transaction that was rolled back would be a row that never was.
 */
export class XaTransactions {
  readonly #parts: XaParts;
  readonly #kept = new KeptEvents();

  constructor(parts: XaParts) {
    this.#parts = parts;
  }

  /** MariaDB writes no XA START: the GTID event tells that the rows behind it are those of an XA transaction. */
  begin(event: MariadbGtidEvent, transaction: Transaction): void {
    if (event.xa?.part === 'prepared') this.#hold(xidOf(event.xa.xid), transaction);
  }

  /** An XA statement outside of a held transaction: its beginning, or an outcome. */
  query(event: QueryEvent): Promise<void> | undefined {
    const statement = readXaStatement(event.sql);
    const transaction = this.#parts.place.transaction;
    // Each of the three is, or begins, a transaction of its own: within another none can stand.
    if (statement === null || transaction === null || transaction.explicit) {
      throw unsupported(event);
    }
    switch (statement.verb) {
      case 'START':
        this.#hold(statement.xid, transaction);
        this.#kept.add(event);
        return undefined;
      case 'COMMIT':
        return this.#commit(statement.xid, event);
      case 'ROLLBACK':
        this.#end(statement.xid, event);
        return undefined;
      case 'END':
      case 'PREPARE':
        throw unsupported(event);
    }
  }

  /** The next event of the transaction that is held. */
  takeHeld(event: HeldEvent, held: HeldTransaction): Promise<void> | undefined {
    switch (event.type) {
      case 'rows':
        if (!this.#parts.captures(event)) return undefined;
        held.captured = true;
        this.#kept.add(event);
        return undefined;
      case 'table-map':
        this.#kept.add(event);
        return undefined;
      case 'query':
        this.#kept.add(event);
        this.#queryWithin(event, held);
        return undefined;
      case 'xa-prepare':
        this.#kept.add(event);
        return this.#prepare(event, held);
      case 'xid':
        throw malformed(event, `XID within XA transaction ${held.xid}`);
    }
  }

  #hold(xid: string, transaction: Transaction): void {
    transaction.explicit = true;
    transaction.held = { xid, captured: false };
    this.#kept.begin(transaction.begin);
  }

  /** What a statement did is looked at when the transaction is committed: it may be none of ours by then. */
  #queryWithin(event: QueryEvent, held: HeldTransaction): void {
    const kind = classifyQuery(event.sql, event.sqlMode);
    if (kind === 'xa') {
      const statement = readXaStatement(event.sql);
      if (statement?.verb !== 'END' || statement.xid !== held.xid) throw unsupported(event);
    } else if (ENDS_TRANSACTION.has(kind)) {
      throw malformed(event, `A statement that ends a transaction stands within ${held.xid}`);
    } else if (kind === 'statement-dml' || kind === 'create-query') held.captured = true;
  }

  #prepare(event: XaPrepareEvent, held: HeldTransaction): Promise<void> | undefined {
    const { place, logger, commit } = this.#parts;
    if (!isXidOf(event.xid, held.xid)) {
      throw malformed(event, `XA_PREPARE of another transaction than ${held.xid}`);
    }
    if (held.captured) this.#kept.end(held.xid);
    else this.#kept.drop(held.xid);
    const prepared = place.asPrepared();
    if (event.onePhase) return this.#commitAtOnce(prepared, event);
    const before = place.prepared.get(held.xid);
    if (before !== undefined) {
      logger.warn(
        { xid: held.xid, gtid: before.gtid, place: event.file },
        `XA transaction ${held.xid} is prepared again, and how the one before it ended is not in the binlog`,
      );
    }
    // Between the two nothing is awaited: a checkpoint has both, or neither.
    commit(event);
    if (!place.prepared.add(prepared)) {
      logger.warn(
        { xid: held.xid, prepared: place.prepared.size },
        'So many XA transactions are prepared that no more are noted: they are searched for at their XA COMMIT',
      );
    }
    failpoint('after-xa-prepare');
    return undefined;
  }

  async #commitAtOnce(prepared: PreparedTransaction, event: XaPrepareEvent): Promise<void> {
    if (prepared.captured) await this.#deliver(prepared, event, null);
    this.#end(prepared.xid, event);
  }

  async #commit(xid: string, event: QueryEvent): Promise<void> {
    const { place, prepared: source } = this.#parts;
    // From here on it is one with rows: no statement among them ends it.
    present(place.transaction, 'the transaction of the commit').explicit = true;
    let prepared = place.prepared.get(xid);
    // Without GTIDs a place on another server is no place.
    if (prepared === undefined || (prepared.at === null && prepared.gtid === null)) {
      prepared = (await source.find(xid, event)) ?? undefined;
    }
    if (prepared === undefined) throw this.#missing(xid, event);
    if (prepared.captured) await this.#deliver(prepared, event, event);
    this.#end(xid, event);
  }

  /** As when it was prepared: a checkpoint has both the outcome and that it is over, or neither. */
  #end(xid: string, event: BinlogEvent): void {
    const { place, commit } = this.#parts;
    failpoint('after-xa-rows-before-their-end');
    commit(event);
    place.prepared.delete(xid);
    this.#kept.drop(xid);
    failpoint('after-xa-outcome');
  }

  /**
   * Reads the rows again, and hands them on as rows of the open transaction.
   *
   * @param at the place that they bear; null: each its own
   */
  async #deliver(
    prepared: PreparedTransaction,
    outcome: BinlogEvent,
    at: FilePosition | null,
  ): Promise<void> {
    const stream = await this.#open(prepared, outcome);
    const reading = new PreparedReading(prepared);
    const tables = this.#parts.tablesBeside();
    try {
      while (!reading.isOver) {
        const events = (await nextOf(stream, reading)).toReversed();
        this.#parts.onHeard();
        if (events.length === 0) throw reading.endedEarly();
        await this.#parts.work.takeAll(events, (event) =>
          reading.take(event) ? this.#takeAgain(event, tables, at) : undefined,
        );
      }
    } finally {
      await stream.close();
    }
  }

  async #open(prepared: PreparedTransaction, outcome: BinlogEvent): Promise<PreparedStream> {
    const kept = this.#kept.stream(prepared.xid);
    if (kept !== null) return kept;
    try {
      return await this.#parts.prepared.open(prepared);
    } catch (error) {
      const isMissing = error instanceof RowcallError && error.code === 'XA_PREPARE_MISSING';
      throw isMissing ? this.#withCure(error, outcome) : error;
    }
  }

  /** An event of the transaction, which is now the open one's. */
  #takeAgain(
    event: BinlogEvent,
    tables: TableMaps,
    at: FilePosition | null,
  ): Promise<void> | undefined {
    const { place, rows, statement } = this.#parts;
    failpoint('while-xa-rows-are-read-again');
    if (event.type === 'rows') return rows(event, tables, at ?? event);
    if (event.type === 'table-map') tables.put(event);
    if (event.type !== 'query') return undefined;
    if (classifyQuery(event.sql, event.sqlMode) !== 'xa') return statement(event);
    // The session that changed the rows, which need not be the one that committed them.
    present(place.transaction, 'the transaction of the commit').thread = event.threadId;
    return undefined;
  }

  #missing(xid: string, event: QueryEvent): RowcallError {
    const what = 'none of its binlog files tells where it was prepared';
    return this.#withCure(preparedMissing(xid, what, null), event);
  }

  /** Names the place behind the commit, which nobody else can work out. */
  #withCure(error: RowcallError, outcome: BinlogEvent): RowcallError {
    const { transaction, gtidSet } = this.#parts.place;
    const gtid = transaction?.begin.gtid ?? null;
    const prepared = error.place === undefined ? null : `prepared at ${error.place}`;
    const places = [transaction?.gtid, `XA COMMIT at ${formatPlace(outcome)}`, prepared];
    let behind = `--file ${outcome.file} --position ${outcome.endPosition}`;
    if (gtid !== null && gtidSet !== null) {
      const set = gtidSet.clone();
      set.add(gtid);
      behind = `--gtid '${set.toString()}'`;
    }
    return new RowcallError('XA_PREPARE_MISSING', error.message, {
      place: places.filter((place) => typeof place === 'string').join(', '),
      cure: `Restore the binlog files of the source, or read from a server that still has them, and start again. Or bring its rows over by hand, then go on behind the XA COMMIT: rowcall position set -c FILE ${behind}`,
      cause: error,
    });
  }
}

/** A server that does not send from there has something else there; that is no cut of the capture's own dump. */
async function nextOf(
  stream: PreparedStream,
  reading: PreparedReading,
): Promise<readonly BinlogEvent[]> {
  try {
    return await stream.next();
  } catch (error) {
    const isRefused = error instanceof RowcallError && error.code === 'BINLOG_DUMP_REFUSED';
    throw isRefused ? reading.refused(error) : error;
  }
}

function unsupported(event: QueryEvent): RowcallError {
  return new RowcallError(
    'BINLOG_EVENT_UNSUPPORTED',
    `An XA statement that does not belong there: ${event.sql.slice(0, 300)}`,
    {
      place: formatPlace(event),
      cure: "Report it with the server's version. Then go on behind the transaction: rowcall position set.",
    },
  );
}

function malformed(event: BinlogEvent, message: string): RowcallError {
  return new RowcallError('BINLOG_EVENT_MALFORMED', message, { place: formatPlace(event) });
}
