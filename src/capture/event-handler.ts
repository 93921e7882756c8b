/** One binlog event after another: transactions begin and end, rows become records. */

import { RowcallError } from '../errors.ts';
import type { FilePosition } from '../position.ts';
import { unreachable } from '../shared/assert.ts';
import type { BinlogEvent } from './binlog/binlog-event.ts';
import { isAside } from './binlog/aside.ts';
import { classifyQuery, type QueryKind } from './binlog/classify-query.ts';
import { statementTarget } from './binlog/statement-target.ts';
import { DdlEvents } from './ddl-events.ts';
import type { RowsEvent } from './decode/rows.ts';
import { TableMaps, type TableVersion } from './decode/table-map.ts';
import { endRecord } from './encode/transaction-record.ts';
import type { EventWork } from './event-work.ts';
import { HiddenColumns } from './hidden-columns.ts';
import { type ColumnTypeSource, OpenColumns } from './open-columns.ts';
import { requireOneMeaning } from './require-one-meaning.ts';
import { type Route, SYSTEM_SCHEMAS } from './route/router.ts';
import { SchemaChanges } from './schema-changes.ts';
import { RowEvents, type RowEventsParts } from './row-events.ts';
import { Topics, type TopicsParts } from './topics.ts';
import type { PreparedSource } from './xa/prepared-source.ts';
import { isWithin, XaTransactions } from './xa/xa-transactions.ts';

type QueryEvent = Extract<BinlogEvent, { type: 'query' }>;

export interface EventHandlerParts extends RowEventsParts, TopicsParts {
  /** The server compares names of tables without regard to case. Default: false. */
  readonly foldNames?: boolean;
  /** DDL and the shapes of tables go to a topic of their own. Default: false. */
  readonly schemaChanges?: boolean;
  /** Tells the types that MariaDB's binlog leaves open. */
  readonly columnTypes?: ColumnTypeSource;
  /** Where the rows of XA transactions are read again. */
  readonly prepared: PreparedSource;
  /** Works off what is read again as what is read the first time. */
  readonly work: EventWork;
  /** Something came from the source, beside the events of the capture's own stream. */
  readonly onHeard: () => void;
}

/**
 * The state of one connection to the source: its table maps, and through `place` the open transaction. Made
 * anew for each connection, because table ids mean nothing on another. Invariant: whenever it awaits or throws,
 * the rows counted in `place` are those whose records the appender has.
 */
export class EventHandler {
  readonly #parts: EventHandlerParts;
  readonly #tables = new TableMaps();
  readonly #topics: Topics;
  readonly #rowEvents: RowEvents;
  readonly #ddl: DdlEvents;
  readonly #schemaChanges: SchemaChanges | null;
  readonly #xa: XaTransactions;
  readonly #openColumns: OpenColumns;
  readonly #hiddenColumns: HiddenColumns;

  constructor(parts: EventHandlerParts) {
    this.#parts = parts;
    this.#topics = new Topics(parts);
    this.#hiddenColumns = new HiddenColumns(parts.place.hiding);
    this.#openColumns = new OpenColumns(parts.router, parts.columnTypes ?? null);
    this.#rowEvents = new RowEvents(parts, this.#topics);
    this.#schemaChanges = parts.schemaChanges === true ? new SchemaChanges(parts) : null;
    this.#ddl = new DdlEvents({ foldNames: false, ...parts, schemaChanges: this.#schemaChanges });
    this.#xa = new XaTransactions({
      ...parts,
      captures: (event) => this.#captures(event),
      tablesBeside: () => this.#tables.beside(),
      rows: (event, tables, at) => this.#rows(event, tables, at),
      statement: (event) => this.#query(event),
      commit: (end) => {
        this.#commit(end);
      },
    });
  }

  /** Handles one event; a promise only where it must wait for the log. */
  take(event: BinlogEvent): Promise<void> | undefined {
    const { counters, place } = this.#parts;
    counters.events += 1;
    counters.bytes += event.bytes;
    const held = place.transaction?.held ?? null;
    if (held !== null && isWithin(event)) {
      if (event.type === 'table-map') this.#tables.put(event);
      return this.#xa.takeHeld(event, held);
    }
    if (event.type === 'rows') return this.#rows(event);
    if (event.type === 'query') return this.#query(event);
    // Once in the life of a log: every transaction begins with a GTID event, so that it is there for all that follows.
    const begins = event.type === 'gtid' || event.type === 'mariadb-gtid';
    if (begins && this.#schemaChanges?.ready === false) {
      return this.#schemaChanges.makeTopic().then(() => {
        this.#takeNow(event);
      });
    }
    this.#takeNow(event);
    return undefined;
  }

  #takeNow(event: Exclude<BinlogEvent, RowsEvent | QueryEvent>): void {
    const { place } = this.#parts;
    if (isAside(event)) {
      if (event.type !== 'rotate' && event.type !== 'stop') place.pass(event);
      return;
    }
    switch (event.type) {
      case 'format-description':
        this.#tables.clear(event.serverVersion);
        place.enterFile(event);
        return;
      case 'gtid':
        this.#tables.clear();
        place.begin(event);
        return;
      case 'mariadb-gtid':
        this.#tables.clear();
        this.#xa.begin(event, place.begin(event));
        return;
      case 'table-map':
        this.#tables.put(event);
        return;
      case 'xid':
        this.#commit(event);
        return;
      case 'xa-prepare':
        throw malformed(event, 'XA_PREPARE without an XA START before it');
      default:
        unreachable(event);
    }
  }

  #query(event: QueryEvent): Promise<void> | undefined {
    requireOneMeaning(event, this.#parts.router);
    const kind = classifyQuery(event.sql, event.sqlMode);
    if (kind === 'xa') return this.#xa.query(event);
    this.#openColumns.statement(event.sql);
    this.#statement(event, kind);
    return undefined;
  }

  #statement(event: QueryEvent, kind: Exclude<QueryKind, 'xa'>): void {
    switch (kind) {
      case 'begin':
        this.#beginExplicitly(event);
        return;
      case 'commit':
        this.#commit(event);
        return;
      case 'rollback':
        this.#refuseUndo(event, 'ROLLBACK');
        this.#commit(event);
        return;
      case 'rollback-to':
        this.#refuseUndo(event, 'ROLLBACK TO');
        return;
      case 'savepoint':
        return;
      case 'create-select':
        // CREATE TABLE … SELECT: it stands behind a BEGIN; rows and XID follow under the same GTID.
        this.#endOfStatement(event);
        return;
      case 'create-query':
      case 'statement-dml':
        this.#refuseStatement(event, kind);
        this.#endOfStatement(event);
        return;
      case 'other':
        this.#ddl.take(event);
        this.#endOfStatement(event);
        return;
      default:
        unreachable(kind);
    }
  }

  #beginExplicitly(event: QueryEvent): void {
    const transaction = this.#parts.place.transaction;
    if (transaction === null) throw malformed(event, 'BEGIN without a GTID event before it');
    transaction.explicit = true;
    transaction.thread = event.threadId;
  }

  /** Rows that a later event takes back: only transactions over non-transactional tables are logged so. */
  #refuseUndo(event: QueryEvent, what: string): void {
    if ((this.#parts.place.transaction?.rows ?? 0) === 0) return;
    throw new RowcallError(
      'BINLOG_EVENT_UNSUPPORTED',
      `${what} follows rows of captured tables: the transaction also changed non-transactional tables`,
      {
        place: at(event),
        cure: 'Convert the non-transactional (MyISAM) tables to InnoDB, then rowcall position set behind the place named.',
      },
    );
  }

  /** A statement outside BEGIN (DDL above all) has no commit event: it is its own transaction. */
  #endOfStatement(event: QueryEvent): void {
    const transaction = this.#parts.place.transaction;
    if (transaction !== null && !transaction.explicit) this.#commit(event);
  }

  /**
   * The text cannot tell a view from a table, nor what a trigger changes: only the server's own schemas, whose
   * tables have neither of a captured table, are passed over.
   */
  #refuseStatement(event: QueryEvent, kind: 'create-query' | 'statement-dml'): void {
    const transaction = this.#parts.place.transaction;
    // Behind a BEGIN it can only be a temporary table: any other CREATE TABLE ends the transaction before it. MariaDB
    // has no BEGIN, and logs such a statement as a transaction like any other.
    const isBehindBegin = transaction?.explicit === true && transaction.begin.type === 'gtid';
    if (kind === 'create-query' && isBehindBegin) return;
    const target = statementTarget(event.sql, event.schema);
    if (target !== null && SYSTEM_SCHEMAS.has(target.schema)) return;
    const table = target === null ? '' : ` of ${target.schema}.${target.table}`;
    throw new RowcallError(
      'STATEMENT_LOGGED',
      `A change${table} was logged as a statement, so its rows are not in the binlog`,
      {
        place: at(event),
        cure: 'A session ran with binlog_format other than ROW; views and triggers can lead from any table to a captured one. Set ROW, have every open session reconnect (each keeps the format that it began with), then rowcall position set behind the place named.',
      },
    );
  }

  #commit(event: BinlogEvent): void {
    const { place, counters } = this.#parts;
    const transaction = place.transaction;
    if (transaction === null) throw malformed(event, 'A commit without a GTID event before it');
    counters.transactions += 1;
    counters.lastCommitMs = Math.floor(transaction.commitUs / 1000);
    place.commit(event);
    if (this.#parts.transactions === true && transaction.rows > 0) {
      const tables = [...transaction.tables.values()].map(({ name, ordinal }) => ({
        table: name,
        rows: ordinal,
      }));
      this.#parts.appender.addTo(this.#topics.transactions(), [endRecord(transaction, tables)]);
    }
  }

  #captures(event: RowsEvent): boolean {
    const { router, counters } = this.#parts;
    if (router.route(tableOf(event, this.#tables)) !== null) return true;
    counters.filteredRowEvents += 1;
    return false;
  }

  /** @param place that its rows bear */
  #rows(
    event: RowsEvent,
    tables: TableMaps = this.#tables,
    place: FilePosition = event,
  ): Promise<void> | undefined {
    const route = this.#parts.router.route(tableOf(event, tables));
    if (route === null) {
      // What is read again was counted when it was read first.
      if (tables === this.#tables) this.#parts.counters.filteredRowEvents += 1;
      return undefined;
    }
    if (this.#parts.place.transaction === null) {
      throw malformed(event, 'Rows outside a transaction');
    }
    const settled = this.#openColumns.settled(route, event);
    if (!(settled instanceof Promise)) return this.#records(event, settled, place);
    return settled.then((known) => this.#records(event, known, place));
  }

  #records(event: RowsEvent, route: Route, place: FilePosition): Promise<void> | undefined {
    this.#hiddenColumns.require(route, event);
    this.#schemaChanges?.shape(place, route);
    return this.#rowEvents.take(event, route, place);
  }
}

function at(event: BinlogEvent): string {
  return `${event.file}:${event.position}`;
}

function tableOf(event: RowsEvent, tables: TableMaps): TableVersion {
  const table = tables.get(event.tableId);
  if (table !== undefined) return table;
  throw malformed(event, `Rows of table id ${event.tableId}, which no TABLE_MAP named`);
}

function malformed(event: BinlogEvent, message: string): RowcallError {
  return new RowcallError('BINLOG_EVENT_MALFORMED', message, { place: at(event) });
}
