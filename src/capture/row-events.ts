/** Rows events of captured tables: row after row becomes records with the appender. */

import type { LogRecord } from '../change-event.ts';
import type { FilePosition } from '../position.ts';
import { present } from '../shared/assert.ts';
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/logger.ts';
import type { Appender, Target } from './append/appender.ts';
import type { ClaimCheck } from './append/claim-check.ts';
import type { Place } from './append/place.ts';
import type { CaptureCounters } from './capture-counters.ts';
import { decodeRows, type RowChange, type RowsEvent } from './decode/rows.ts';
import { encodeRow, type EventContext } from './encode/encode-row.ts';
import { aggregateTypeOf, encodeOutboxRow } from './encode/outbox.ts';
import { beginRecord, transactionsTopic } from './encode/transaction-record.ts';
import { canCompile } from './fast/compile-image.ts';
import { FastRows } from './fast/fast-rows.ts';
import type { Route, Router } from './route/router.ts';
import { sourceOf, type Topics } from './topics.ts';

export interface RowEventsParts {
  readonly name: string;
  readonly version: string;
  readonly place: Place;
  readonly appender: Appender;
  readonly router: Router;
  /** A row that lacks columns (binlog_row_image other than FULL) is an error. Default: false. */
  readonly requireFullImage?: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: CaptureCounters;
  /** Where transactions begin and end stands in a topic of its own. */
  readonly transactions?: boolean;
  /** Where the value of an oversize record goes; without it, it stays in the record, and the log may refuse that. */
  readonly claimCheck?: ClaimCheck | null;
  /**
   * How rows are read. `fast`, the default where code may be made at run time, leaves to the plain decoder what is
   * unusual, and tables with few rows; `fast at once` none of the latter. Both make the same records.
   */
  readonly decoder?: 'fast' | 'fast at once' | 'plain';
}

/** Rows of one event, and what all of them share. */
interface Rows {
  readonly event: RowsEvent;
  readonly route: Route;
  readonly context: EventContext;
  /** Null for an outbox table, where each row has one of its own. */
  readonly target: Target | null;
}

/** Why the fast decoder came no further: the event's end, a full appender, or a row that is not usual. */
type FastEnd = 'done' | 'full' | 'plain';

interface Row {
  /** Its place in its event, from 0. */
  readonly index: number;
  readonly change: RowChange;
  /** Null for a row of an outbox table that is no event of it. */
  readonly target: Target | null;
}

/** Invariant: whenever it awaits or throws, the rows counted in `place` are those whose records the appender has. */
export class RowEvents {
  readonly #parts: RowEventsParts;
  readonly #topics: Topics;
  /** Outbox tables of whose updates a person was told. */
  readonly #updatedOutboxes = new WeakSet<Route>();
  readonly #fast: FastRows | null;
  /** The transaction with which the topic of transactions began: some of its rows may be in the log, without a BEGIN. */
  #firstTold: string | null = null;
  /** Of the row at hand, used again for each. */
  readonly #numbers = { ordinal: 0, total: 0, nowMs: 0 };

  constructor(parts: RowEventsParts, topics: Topics) {
    this.#parts = parts;
    this.#topics = topics;
    const { decoder = 'fast', appender, claimCheck } = parts;
    this.#fast =
      decoder === 'plain' || !canCompile()
        ? null
        : new FastRows(appender.blocks, {
            ...(decoder === 'fast at once' ? { warmBytes: 0 } : {}),
            maxValueBytes: claimCheck?.overBytes ?? Infinity,
          });
  }

  /**
   * The rows of one event, inside a transaction; a promise only where something has to be waited for.
   *
   * @param place that they bear
   */
  take(event: RowsEvent, route: Route, place: FilePosition): Promise<void> | undefined {
    const { name, transactions } = this.#parts;
    if (transactions === true) {
      const boundaries = this.#topics.target(transactionsTopic(name), null);
      if (boundaries instanceof Promise) {
        this.#firstTold = this.#parts.place.transaction?.id ?? null;
        return boundaries.then(() => this.#ofTable(event, route, place));
      }
    }
    return this.#ofTable(event, route, place);
  }

  #ofTable(event: RowsEvent, route: Route, place: FilePosition): Promise<void> | undefined {
    const context = this.#context(event, place);
    const target = this.#topics.ofTable(route);
    return target instanceof Promise
      ? target.then((made) => this.#rows({ event, route, context, target: made }))
      : this.#rows({ event, route, context, target });
  }

  #rows(rows: Rows): Promise<void> | undefined {
    const fast = this.#fast;
    if (fast?.begin(rows.event, rows.route, rows.context) !== true) return this.#plainRows(rows, 0);
    const reached = this.#fastRows(fast, rows);
    return reached === 'done' ? undefined : this.#slowRows(fast, rows, reached);
  }

  /** Goes on where the appender is full, or a row is not for the fast decoder. */
  async #slowRows(fast: FastRows, rows: Rows, reached: FastEnd): Promise<void> {
    let state = reached;
    while (state === 'full') {
      await this.#parts.appender.flush();
      state = this.#fastRows(fast, rows);
    }
    if (state === 'done') return;
    const first = fast.row;
    fast.end();
    await this.#plainRows(rows, first);
  }

  /** Writes rows, which bear one time, up to the event's end, until the appender is full, or up to a row that is not usual. */
  #fastRows(fast: FastRows, rows: Rows): FastEnd {
    const { appender, clock } = this.#parts;
    this.#numbers.nowMs = clock.now();
    while (!fast.atEnd) {
      if (appender.mustFlush) return 'full';
      if (!this.#fastRow(fast, rows)) return 'plain';
    }
    fast.end();
    return 'done';
  }

  #fastRow(fast: FastRows, { route, target }: Rows): boolean {
    const { ordinal, total, inLog } = this.#parts.place.nextRow(route.table);
    const numbers = this.#numbers;
    numbers.ordinal = ordinal;
    numbers.total = total;
    const records = fast.next(inLog ? null : numbers);
    if (records === null) return false;
    this.#count(route, target, records, inLog);
    return true;
  }

  /** The rows from `first` on, through the decoder that knows all of them, and why one cannot be read. */
  async #plainRows(rows: Rows, first: number): Promise<void> {
    const { appender, requireFullImage = false } = this.#parts;
    const { event, route } = rows;
    let index = 0;
    for (const change of decodeRows(event, route.table, route.columns, { requireFullImage })) {
      // The history of a system-versioned table: no change of its rows, and nothing that counts.
      const isHistory = change.before === null && change.after === null;
      if (index >= first && !isHistory) {
        if (appender.mustFlush) await appender.flush();
        const target = rows.target ?? (await this.#outboxTarget(rows, change));
        const pending = this.#row(rows, { index, change, target });
        if (pending !== undefined) await pending;
      }
      index += 1;
    }
  }

  /** A promise only where a value must be put elsewhere first: until then nothing is counted. */
  #row({ route, context }: Rows, { index, change, target }: Row): Promise<void> | undefined {
    const { place, claimCheck, clock } = this.#parts;
    const { ordinal, total, inLog } = place.nextRow(route.table);
    const row = { ...context, row: index, nowMs: clock.now(), ordinal, totalOrder: total };
    const encode = route.outbox === null ? encodeRow : encodeOutboxRow;
    const records = inLog || target === null ? [] : encode(row, route, change);
    const oversize = claimCheck?.someOver(records) === true;
    if (!oversize) {
      this.#count(route, target, records, inLog);
      return undefined;
    }
    return claimCheck.check(records, route, change).then((checked) => {
      this.#count(route, target, checked, inLog);
    });
  }

  #context({ serverId }: RowsEvent, { file, position }: FilePosition): EventContext {
    const { place, name, version } = this.#parts;
    const transaction = present(place.transaction, 'the transaction of a row');
    const { id, gtid, thread, commitUs } = transaction;
    return {
      ...{ name, version, transaction: id, gtid, file, pos: position },
      ...{ serverId, thread, commitUs },
    };
  }

  /** Neither awaits nor throws: a counted row has its records with the appender, and the reverse. */
  #count(
    { table }: Route,
    target: Target | null,
    records: readonly LogRecord[],
    inLog: boolean,
  ): void {
    const { place, appender, counters, transactions } = this.#parts;
    const transaction = present(place.transaction, 'the transaction of a row');
    const begins = !inLog || transaction.id === this.#firstTold;
    if (transactions === true && transaction.rows === 0 && begins) {
      appender.addTo(this.#topics.transactions(), [beginRecord(transaction)]);
    }
    if (target !== null) appender.addTo(target, records);
    place.countRow(table);
    counters.rows += 1;
  }

  /** Where a row of an outbox table goes; null for what is no event of it. */
  #outboxTarget(
    { event, route, context }: Rows,
    change: RowChange,
  ): Target | Promise<Target> | null {
    const aggregateType = aggregateTypeOf(route, change, context);
    if (aggregateType === null) {
      if (change.after !== null) this.#warnOfUpdatedOutbox(event, route);
      return null;
    }
    const topic = this.#parts.router.outboxTopic(route, aggregateType);
    return this.#topics.target(topic, sourceOf(route.table, aggregateType));
  }

  #warnOfUpdatedOutbox({ file, position }: RowsEvent, route: Route): void {
    if (this.#updatedOutboxes.has(route)) return;
    this.#updatedOutboxes.add(route);
    this.#parts.logger.warn(
      { table: route.table.name, place: `${file}:${position}` },
      'Rows of an outbox table were updated: an update is no event, and nothing is sent for it. Insert a new row instead',
    );
  }
}
