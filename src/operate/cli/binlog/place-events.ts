/** Events with what the ones before them tell: the transaction, its time, the table of the rows. */

import type { BinlogEvent } from '../../../capture/binlog/binlog-event.ts';
import { classifyQuery } from '../../../capture/binlog/classify-query.ts';
import { TableMaps, type TableVersion } from '../../../capture/decode/table-map.ts';
import { readXaStatement } from '../../../capture/xa/xid.ts';
import type { AnyGtid } from '../../../executed-gtids.ts';

export interface PlacedEvent {
  readonly event: BinlogEvent;
  /** Of its transaction; null outside of one, without GTIDs, and where the beginning was not read. */
  readonly gtid: AnyGtid | null;
  /** When its transaction was committed, else began; of an event outside of one, its own. */
  readonly timeMs: number;
  /** Of a TABLE_MAP and of rows; null where no map named it. */
  readonly table: TableVersion | null;
}

/** The file's own events, which belong to no transaction. */
const OF_THE_FILE: ReadonlySet<string> = new Set([
  'format-description',
  'previous-gtids',
  'gtid-list',
  'rotate',
  'stop',
  'heartbeat',
]);

const ENDS: ReadonlySet<string> = new Set(['commit', 'rollback']);
const OUTCOMES: ReadonlySet<string> = new Set(['COMMIT', 'ROLLBACK']);

/** Takes the events of one or several files in order. */
export class EventPlacer {
  readonly #tables = new TableMaps();
  #gtid: AnyGtid | null = null;
  #timeMs: number | null = null;
  /** A GTID event, or the one of an anonymous transaction, told of the transaction at hand. */
  #isAnnounced = false;
  #isOpen = false;

  /** Whether the last transaction that began was not committed yet. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** @throws RowcallError BINLOG_EVENT_MALFORMED of a table map */
  take(event: BinlogEvent): PlacedEvent {
    if (event.type === 'format-description') this.#tables.clear(event.serverVersion);
    if (OF_THE_FILE.has(event.type)) this.#end();
    if (event.type === 'gtid' || event.type === 'mariadb-gtid') this.#begin(event);
    if (event.type === 'query') this.#query(event);
    const placed = {
      event,
      gtid: this.#gtid,
      timeMs: this.#timeMs ?? event.timestamp * 1000,
      table: this.#table(event),
    };
    if (event.type === 'xid' || event.type === 'xa-prepare') this.#commit();
    return placed;
  }

  #begin(event: Extract<BinlogEvent, { type: 'gtid' | 'mariadb-gtid' }>): void {
    this.#gtid = event.gtid;
    const { commitUs, timestamp } = event;
    this.#timeMs = commitUs === null || commitUs === 0 ? timestamp * 1000 : commitUs / 1000;
    this.#isAnnounced = true;
    // MariaDB has no BEGIN.
    this.#isOpen = event.type === 'mariadb-gtid' && !event.standalone;
  }

  #commit(): void {
    this.#isAnnounced = false;
    this.#isOpen = false;
  }

  #query(event: Extract<BinlogEvent, { type: 'query' }>): void {
    if (!this.#isAnnounced && !this.#isOpen) {
      // Before 5.7, where GTIDs are off: the first statement is where it begins.
      this.#gtid = null;
      this.#timeMs = event.timestamp * 1000;
    }
    const kind = classifyQuery(event.sql, event.sqlMode);
    const verb = kind === 'xa' ? readXaStatement(event.sql)?.verb : undefined;
    // Its rows end at XA_PREPARE; how it ends is a transaction of its own.
    if (kind === 'begin' || verb === 'START') this.#isOpen = true;
    else if (ENDS.has(kind) || OUTCOMES.has(verb ?? '')) this.#commit();
  }

  #end(): void {
    this.#gtid = null;
    this.#timeMs = null;
    this.#commit();
  }

  #table(event: BinlogEvent): TableVersion | null {
    if (event.type === 'table-map') return this.#tables.put(event);
    return event.type === 'rows' ? (this.#tables.get(event.tableId) ?? null) : null;
  }
}
