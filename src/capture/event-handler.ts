/** One binlog event after another: transactions begin and end, rows become records. */

import type { LogRecord } from '../change-event.ts';
import { RowcallError } from '../errors.ts';
import type { ChangeLogWriter } from '../log/change-log.ts';
import { partitionOf } from '../log/partition.ts';
import { type FilePosition, madeTopic, type TableName } from '../position.ts';
import { present, unreachable } from '../shared/assert.ts';
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/logger.ts';
import type { Appender } from './append/appender.ts';
import type { ClaimCheck } from './append/claim-check.ts';
import type { Place } from './append/place.ts';
import type { BinlogEvent } from './binlog/binlog-event.ts';
import { classifyQuery, type QueryKind } from './binlog/classify-query.ts';
import { statementTarget } from './binlog/statement-target.ts';
import { DdlEvents } from './ddl-events.ts';
import { decodeRows, type RowChange } from './decode/rows.ts';
import { TableMaps, type TableVersion } from './decode/table-map.ts';
import { encodeRow } from './encode/encode-row.ts';
import { aggregateTypeOf, encodeOutboxRow } from './encode/outbox.ts';
import { beginRecord, endRecord, transactionsTopic } from './encode/transaction-record.ts';
import type { EventWork } from './event-work.ts';
import { type Route, type Router, SYSTEM_SCHEMAS } from './route/router.ts';
import type { TopicSource } from './route/topic-name.ts';
import { SchemaChanges } from './schema-changes.ts';
import type { PreparedSource } from './xa/prepared-source.ts';
import { isWithin, XaTransactions } from './xa/xa-transactions.ts';

type QueryEvent = Extract<BinlogEvent, { type: 'query' }>;
type RowsEvent = Extract<BinlogEvent, { type: 'rows' }>;

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

export interface EventHandlerParts {
  readonly name: string;
  readonly version: string;
  /** Partitions of a topic that is made now. */
  readonly partitions: number;
  readonly place: Place;
  readonly appender: Appender;
  readonly writer: ChangeLogWriter;
  readonly router: Router;
  /** A row that lacks columns (binlog_row_image other than FULL) is an error. Default: false. */
  readonly requireFullImage?: boolean;
  /** The server compares names of tables without regard to case. Default: false. */
  readonly foldNames?: boolean;
  /** DDL and the shapes of tables go to a topic of their own. Default: false. */
  readonly schemaChanges?: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: CaptureCounters;
  /** Where transactions begin and end stands in a topic of its own. */
  readonly transactions?: boolean;
  /** Where the value of an oversize record goes; without it, it stays in the record, and the log may refuse that. */
  readonly claimCheck?: ClaimCheck | null;
  /** Where the rows of XA transactions are read again. */
  readonly prepared: PreparedSource;
  /** Works off what is read again as what is read the first time. */
  readonly work: EventWork;
  /** Something came from the source, beside the events of the capture's own stream. */
  readonly onHeard: () => void;
}

/** A topic, and the count that its keys are hashed over. */
interface Target {
  readonly topic: string;
  readonly partitions: number;
}

/** Rows of one event. */
interface Rows {
  readonly event: RowsEvent;
  /** Where they are said to stand. */
  readonly place: FilePosition;
  readonly table: TableVersion;
  readonly route: Route;
  readonly encode: typeof encodeRow;
}

/**
 * The state of one connection to the source: its table maps, and through `place` the open transaction. Made
 * anew for each connection, because table ids mean nothing on another. Invariant: whenever it awaits or throws,
 * the rows counted in `place` are those whose records the appender has.
 */
export class EventHandler {
  readonly #parts: EventHandlerParts;
  readonly #tables = new TableMaps();
  /** Outbox tables of whose updates a person was told. */
  readonly #updatedOutboxes = new WeakSet<Route>();
  readonly #ddl: DdlEvents;
  readonly #schemaChanges: SchemaChanges | null;
  /** Their tables are known to their topics. */
  readonly #placed = new WeakSet<Route>();
  readonly #xa: XaTransactions;

  constructor(parts: EventHandlerParts) {
    this.#parts = parts;
    this.#schemaChanges = parts.schemaChanges === true ? new SchemaChanges(parts) : null;
    this.#ddl = new DdlEvents({ foldNames: false, ...parts, schemaChanges: this.#schemaChanges });
    this.#xa = new XaTransactions({
      ...parts,
      captures: (event) => this.#captures(event),
      rows: (event, tables, at) => this.#rows(event, tables, at),
      statement: (event) => this.#query(event),
      commit: (end) => {
        this.#commit(end);
      },
    });
    this.#keepTopics();
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
    if (event.type === 'gtid' && this.#schemaChanges?.ready === false) {
      return this.#schemaChanges.makeTopic().then(() => {
        this.#takeNow(event);
      });
    }
    this.#takeNow(event);
    return undefined;
  }

  #takeNow(event: Exclude<BinlogEvent, RowsEvent | QueryEvent>): void {
    const { place } = this.#parts;
    switch (event.type) {
      case 'format-description':
        this.#tables.clear(event.serverVersion);
        place.enterFile(event);
        return;
      case 'gtid':
        place.begin(event);
        return;
      case 'table-map':
        this.#tables.put(event);
        return;
      case 'xid':
        this.#commit(event);
        return;
      case 'xa-prepare':
        throw malformed(event, 'XA_PREPARE without an XA START before it');
      // The file's own place changes with its format description; the rest says nothing about rows.
      case 'rotate':
      case 'previous-gtids':
      case 'rows-query':
      case 'heartbeat':
      case 'stop':
      case 'harmless':
        return;
      default:
        unreachable(event);
    }
  }

  #query(event: QueryEvent): Promise<void> | undefined {
    const kind = classifyQuery(event.sql, event.sqlMode);
    if (kind === 'xa') return this.#xa.query(event);
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
    // Behind a BEGIN it can only be a temporary table: any other CREATE TABLE ends the transaction before it.
    if (kind === 'create-query' && this.#parts.place.transaction?.explicit === true) return;
    const target = statementTarget(event.sql, event.schema);
    if (target !== null && SYSTEM_SCHEMAS.has(target.schema)) return;
    const table = target === null ? '' : ` of ${target.schema}.${target.table}`;
    throw new RowcallError(
      'STATEMENT_LOGGED',
      `A change${table} was logged as a statement, so its rows are not in the binlog`,
      {
        place: at(event),
        cure: 'A session ran with binlog_format other than ROW; views and triggers can lead from any table to a captured one. Set ROW for every session, then rowcall position set behind the place named.',
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
      const tables = [...transaction.tables].map(([table, { ordinal }]) => ({
        table,
        rows: ordinal,
      }));
      this.#add(this.#transactions(), [endRecord(transaction, tables)]);
    }
  }

  #captures(event: RowsEvent): boolean {
    const { router, counters } = this.#parts;
    if (router.route(tableOf(event, this.#tables)) !== null) return true;
    counters.filteredRowEvents += 1;
    return false;
  }

  /** @param place that its rows bear */
  async #rows(
    event: RowsEvent,
    tables: TableMaps = this.#tables,
    place: FilePosition = event,
  ): Promise<void> {
    const table = tableOf(event, tables);
    const route = this.#parts.router.route(table);
    if (route !== null) {
      const encode = route.outbox === null ? encodeRow : encodeOutboxRow;
      await this.#rowsOf({ event, place, table, route, encode });
    } else if (tables === this.#tables) {
      // What is read again was counted when it was read first.
      this.#parts.counters.filteredRowEvents += 1;
    }
  }

  async #rowsOf(rows: Rows): Promise<void> {
    const { event, place, table, route } = rows;
    if (this.#parts.place.transaction === null) {
      throw malformed(event, 'Rows outside a transaction');
    }
    this.#schemaChanges?.shape(place, route);
    if (this.#parts.transactions === true) {
      await this.#target(transactionsTopic(this.#parts.name), null);
    }
    const { appender, requireFullImage = false } = this.#parts;
    const ofTable = await this.#tableTarget(route);
    let index = 0;
    for (const change of decodeRows(event, table, route.columns, { requireFullImage })) {
      if (appender.mustFlush) await appender.flush();
      const target = ofTable ?? (await this.#outboxTarget(rows, change));
      const pending = this.#row(rows, { index, change, target });
      if (pending !== undefined) await pending;
      index += 1;
    }
  }

  /** A promise only where a value must be put elsewhere first: until then nothing is counted. */
  #row(
    rows: Rows,
    row: { readonly index: number; readonly change: RowChange; readonly target: Target | null },
  ): Promise<void> | undefined {
    const { place, claimCheck } = this.#parts;
    const numbers = place.nextRow(rows.table.name);
    const { inLog } = numbers;
    const records = inLog || row.target === null ? [] : this.#encode(rows, row, numbers);
    const oversize = claimCheck?.someOver(records) === true;
    if (!oversize) {
      this.#count(rows, row.target, { records, inLog });
      return undefined;
    }
    return claimCheck.check(records, rows.route, row.change).then((checked) => {
      this.#count(rows, row.target, { records: checked, inLog });
    });
  }

  #encode(
    { event, place: at, route, encode }: Rows,
    { index, change }: { readonly index: number; readonly change: RowChange },
    { ordinal, total }: { readonly ordinal: number; readonly total: number },
  ): LogRecord[] {
    const { place, clock, name, version } = this.#parts;
    const transaction = present(place.transaction, 'the transaction of a row');
    return encode(
      {
        name,
        version,
        transaction: transaction.id,
        gtid: transaction.gtid,
        file: at.file,
        pos: at.position,
        row: index,
        serverId: event.serverId,
        thread: transaction.thread,
        commitUs: transaction.commitUs,
        nowMs: clock.now(),
        ordinal,
        totalOrder: total,
      },
      route,
      change,
    );
  }

  /** Neither awaits nor throws: a counted row has its records with the appender, and the reverse. */
  #count(
    { table }: Rows,
    target: Target | null,
    { records, inLog }: { readonly records: readonly LogRecord[]; readonly inLog: boolean },
  ): void {
    const { place, counters, transactions } = this.#parts;
    const transaction = present(place.transaction, 'the transaction of a row');
    if (transactions === true && transaction.rows === 0 && !inLog) {
      this.#add(this.#transactions(), [beginRecord(transaction)]);
    }
    if (target !== null) this.#add(target, records);
    place.countRow(table.name, table.primaryKey !== null);
    counters.rows += 1;
  }

  #add({ topic, partitions }: Target, records: readonly LogRecord[]): void {
    for (const record of records) {
      this.#parts.appender.add(topic, partitionOf(record.key, partitions), record);
    }
  }

  #transactions(): Target {
    const topic = transactionsTopic(this.#parts.name);
    const { partitions } = present(this.#parts.place.topic(topic), 'the transactions topic');
    return { topic, partitions };
  }

  /** Where a row of an outbox table goes; null for what is no event of it. */
  #outboxTarget({ event, place, table, route }: Rows, change: RowChange): Promise<Target> | null {
    const at = { file: place.file, pos: place.position };
    const aggregateType = aggregateTypeOf(route, change, at);
    if (aggregateType === null) {
      if (change.after !== null) this.#warnOfUpdatedOutbox(event, route);
      return null;
    }
    const topic = this.#parts.router.outboxTopic(route, aggregateType);
    return this.#target(topic, sourceOf(table, aggregateType));
  }

  #warnOfUpdatedOutbox(event: RowsEvent, route: Route): void {
    if (this.#updatedOutboxes.has(route)) return;
    this.#updatedOutboxes.add(route);
    this.#parts.logger.warn(
      { table: route.table.name, place: at(event) },
      'Rows of an outbox table were updated: an update is no event, and nothing is sent for it. Insert a new row instead',
    );
  }

  /** The topic with the partition count that its keys are hashed over; makes it when it is new. */
  async #target(topic: string, source: TopicSource | null): Promise<Target> {
    const { place, writer, partitions } = this.#parts;
    const known = place.topic(topic);
    const table = source === null ? null : { schema: source.schema, table: source.table };
    if (known !== undefined) {
      if (known.table === null && table !== null) {
        place.giveTopic(topic, table, source?.aggregateType);
      }
      return { topic, partitions: known.partitions };
    }
    const [made] = await writer.createTopics([{ name: topic, partitions }]);
    const info = present(made, 'the topic just made');
    place.topicMade(topic, madeTopic(info, table, source?.aggregateType));
    return { topic, partitions: info.partitions };
  }

  /** Where the rows of a table go; null for an outbox, each row of which has a target of its own. */
  async #tableTarget(route: Route): Promise<Target | null> {
    if (route.topic === null) return null;
    const source = sourceOf(route.table, undefined);
    const target = await this.#target(route.topic, source);
    if (!this.#placed.has(route)) this.#parts.place.tableSeen(route.topic, source);
    this.#placed.add(route);
    return target;
  }

  /** Tables seen at an earlier start keep their topics; one that the rules lead elsewhere leaves its own. */
  #keepTopics(): void {
    const { place, router } = this.#parts;
    for (const [topic, { table, aggregateType }] of place.topics) {
      if (table === null) continue;
      if (!router.keepTopic(topic, sourceOf(table, aggregateType))) place.giveTopic(topic, null);
    }
  }
}

function sourceOf({ schema, table }: TableName, aggregateType: string | undefined): TopicSource {
  return { schema, table, ...(aggregateType === undefined ? {} : { aggregateType }) };
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
