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
import { encodeRow } from './encode/encode-row.ts';
import { aggregateTypeOf, encodeOutboxRow } from './encode/outbox.ts';
import { beginRecord, transactionsTopic } from './encode/transaction-record.ts';
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
}

/** Rows of one event. */
interface Rows {
  readonly event: RowsEvent;
  /** Where they are said to stand. */
  readonly place: FilePosition;
  readonly route: Route;
}

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

  constructor(parts: RowEventsParts, topics: Topics) {
    this.#parts = parts;
    this.#topics = topics;
  }

  /** The rows of one event, inside a transaction. @param place that they bear */
  async take(event: RowsEvent, route: Route, place: FilePosition): Promise<void> {
    const { name, appender, transactions, requireFullImage = false } = this.#parts;
    const rows = { event, place, route };
    if (transactions === true) await this.#topics.target(transactionsTopic(name), null);
    const ofTable = await this.#topics.ofTable(route);
    let index = 0;
    for (const change of decodeRows(event, route.table, route.columns, { requireFullImage })) {
      if (appender.mustFlush) await appender.flush();
      const target = ofTable ?? (await this.#outboxTarget(rows, change));
      const pending = this.#row(rows, { index, change, target });
      if (pending !== undefined) await pending;
      index += 1;
    }
  }

  /** A promise only where a value must be put elsewhere first: until then nothing is counted. */
  #row(rows: Rows, row: Row): Promise<void> | undefined {
    const { place, claimCheck } = this.#parts;
    const numbers = place.nextRow(rows.route.table.name);
    const { inLog } = numbers;
    const records = inLog || row.target === null ? [] : this.#encode(rows, row, numbers);
    const oversize = claimCheck?.someOver(records) === true;
    if (!oversize) {
      this.#count(rows.route, row.target, { records, inLog });
      return undefined;
    }
    return claimCheck.check(records, rows.route, row.change).then((checked) => {
      this.#count(rows.route, row.target, { records: checked, inLog });
    });
  }

  #encode(
    { event, place: at, route }: Rows,
    { index, change }: Row,
    { ordinal, total }: { readonly ordinal: number; readonly total: number },
  ): LogRecord[] {
    const { place, clock, name, version } = this.#parts;
    const transaction = present(place.transaction, 'the transaction of a row');
    const encode = route.outbox === null ? encodeRow : encodeOutboxRow;
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
    { table }: Route,
    target: Target | null,
    { records, inLog }: { readonly records: readonly LogRecord[]; readonly inLog: boolean },
  ): void {
    const { place, appender, counters, transactions } = this.#parts;
    const transaction = present(place.transaction, 'the transaction of a row');
    if (transactions === true && transaction.rows === 0 && !inLog) {
      appender.addTo(this.#topics.transactions(), [beginRecord(transaction)]);
    }
    if (target !== null) appender.addTo(target, records);
    place.countRow(table.name, table.primaryKey !== null);
    counters.rows += 1;
  }

  /** Where a row of an outbox table goes; null for what is no event of it. */
  #outboxTarget({ event, place, route }: Rows, change: RowChange): Target | Promise<Target> | null {
    const at = { file: place.file, pos: place.position };
    const aggregateType = aggregateTypeOf(route, change, at);
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
