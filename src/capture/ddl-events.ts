/** DDL of captured tables: a TRUNCATE or DROP becomes an event, what changes rows unseen is told. */

import type { TableName } from '../position.ts';
import { RowcallError } from '../errors.ts';
import { formatPlace, isAmong, tablesOf } from '../position.ts';
import { present } from '../shared/assert.ts';
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/logger.ts';
import type { Appender } from './append/appender.ts';
import type { Place } from './append/place.ts';
import type { Transaction } from './append/transaction.ts';
import type { BinlogEvent } from './binlog/binlog-event.ts';
import { type DdlHint, ddlHint, type DdlTarget } from './binlog/ddl-hint.ts';
import { renamedColumns } from './binlog/renamed-columns.ts';
import { encodeTruncate } from './encode/encode-row.ts';
import { refuseRenaming } from './hidden-columns.ts';
import type { Router, TopicRoute } from './route/router.ts';
import type { SchemaChanges } from './schema-changes.ts';

type QueryEvent = Extract<BinlogEvent, { type: 'query' }>;

export interface DdlEventsParts {
  readonly name: string;
  readonly version: string;
  readonly place: Place;
  readonly appender: Pick<Appender, 'add'>;
  readonly router: Router;
  /** The server compares names of tables without regard to case (lower_case_table_names other than 0). */
  readonly foldNames: boolean;
  /** Null where nobody wants them; else its topic is there whenever a statement comes. */
  readonly schemaChanges: SchemaChanges | null;
  readonly clock: Pick<Clock, 'now'>;
  readonly logger: Logger;
}

/**
 * Invariant: the events of a statement are handed to the appender in one go with the end of its transaction, so that
 * they are in the log with the place behind it, in every partition, or not at all. Their ordinal, 0, need therefore
 * stand in no checkpoint. The text is a hint: what it does not tell is no event, and never an error.
 */
export class DdlEvents {
  readonly #parts: DdlEventsParts;

  constructor(parts: DdlEventsParts) {
    this.#parts = parts;
  }

  /** A statement that is its own transaction, which its caller ends with nothing awaited in between. */
  take(event: QueryEvent): void {
    const { transaction } = this.#parts.place;
    if (transaction === null) return;
    // Behind BEGIN it is about temporary tables: any other DDL ends the transaction before it.
    const { begin } = transaction;
    if (transaction.explicit) {
      if (begin.type === 'mariadb-gtid') this.#refuseReplaced(event);
      return;
    }
    if (begin.type === 'mariadb-gtid' && begin.unfinishedAlter) return;
    const hint = ddlHint(event.sql, event.schema, event.sqlMode);
    if (hint === null) return;
    this.#refuseRenaming(event, hint);
    this.#parts.schemaChanges?.statement(event, transaction, event.sql, hint);
    if (hint.effect === 'truncate') this.#truncate(event, transaction, hint);
    if (hint.effect === 'some') this.#warn(event, hint);
  }

  /** MariaDB's CREATE OR REPLACE TABLE … SELECT: the rows that go and those that come are one transaction. */
  #refuseReplaced(event: QueryEvent): void {
    const hint = ddlHint(event.sql, event.schema, event.sqlMode);
    if (hint?.effect !== 'truncate' || this.#routesOf(hint.targets).length === 0) return;
    throw new RowcallError(
      'BINLOG_EVENT_UNSUPPORTED',
      `${hint.kind} within a transaction takes all rows of a captured table`,
      {
        place: formatPlace(event),
        cure: 'Use TRUNCATE TABLE and INSERT … SELECT instead. Bring the rows over by hand, then rowcall position set behind the place named.',
      },
    );
  }

  /** Of every table named: with RENAME TO in the same statement the rows come under the new name. */
  #refuseRenaming(event: QueryEvent, { targets }: DdlHint): void {
    const renamed = renamedColumns(event.sql, event.sqlMode);
    if (renamed.length === 0) return;
    for (const table of targets.flatMap((target) => this.#tablesOf(target))) {
      const rule = this.#parts.router.ruleOf(table);
      const name = `${table.schema}.${table.table}`;
      if (rule !== null) refuseRenaming(renamed, rule, { name, at: event });
    }
  }

  #truncate(event: QueryEvent, transaction: Transaction, { kind, targets }: DdlHint): void {
    const { place, appender, logger } = this.#parts;
    const routes = this.#routesOf(targets);
    routes.forEach((route, index) => {
      const record = encodeTruncate(this.#context(event, transaction, index + 1), route);
      const { partitions } = present(place.topic(route.topic), 'the topic of a captured table');
      for (let at = 0; at < partitions; at += 1) appender.add(route.topic, at, record);
      if (kind.startsWith('DROP')) place.tableDropped(route.topic, namesOf(route.table));
      const table = route.table.name;
      logger.info(
        { table, statement: kind, place: formatPlace(event) },
        `${kind} took all rows of ${table}: a truncate event is in the log`,
      );
    });
  }

  #context(event: QueryEvent, transaction: Transaction, totalOrder: number) {
    const { name, version, clock } = this.#parts;
    return {
      ...{ name, version, totalOrder, row: 0, ordinal: 0 },
      transaction: transaction.id,
      gtid: transaction.gtid,
      file: event.file,
      pos: event.position,
      serverId: event.serverId,
      thread: event.threadId,
      commitUs: transaction.commitUs,
      nowMs: clock.now(),
    };
  }

  /** Of a table without a topic nothing was ever captured, so that there is nothing to take back. */
  #routesOf(targets: readonly DdlTarget[]): readonly TopicRoute[] {
    const { place, router } = this.#parts;
    const routes = new Map<string, TopicRoute>();
    for (const table of targets.flatMap((target) => this.#tablesOf(target))) {
      const route = router.truncation(table);
      if (route === null || place.topic(route.topic) === undefined) continue;
      routes.set(JSON.stringify(table), route);
    }
    return [...routes.values()];
  }

  /** A database's are those that have a topic; a table's name is as row events spell it. */
  #tablesOf({ schema, table }: DdlTarget): readonly TableName[] {
    const topics = [...this.#parts.place.topics.values()];
    const captured = topics.flatMap((made) =>
      // A table that was dropped is not in its database; one that a statement names is there, or was made since.
      tablesOf(made).filter((one) => table !== null || !isAmong(one, made.dropped)),
    );
    const same = (one: string, other: string): boolean => this.#fold(one) === this.#fold(other);
    const inSchema = captured.filter((one) => same(one.schema, schema));
    if (table === null) return inSchema;
    const known = inSchema.filter((one) => same(one.table, table));
    return known.length > 0 ? known : [{ schema: this.#fold(schema), table: this.#fold(table) }];
  }

  #fold(name: string): string {
    return this.#parts.foldNames ? name.toLowerCase() : name;
  }

  /** Rows that went or came without an event: a person must know, because no callback will. */
  #warn(event: QueryEvent, { kind, targets }: DdlHint): void {
    const { router, logger } = this.#parts;
    for (const { schema, table } of targets) {
      if (table === null || !router.couldCapture(schema, table)) continue;
      const name = `${schema}.${table}`;
      logger.warn(
        { table: name, statement: kind, place: formatPlace(event) },
        `${kind} changed rows of ${name} without row events: nothing is sent for it`,
      );
    }
  }
}

function namesOf({ schema, table }: TableName): TableName {
  return { schema, table };
}
