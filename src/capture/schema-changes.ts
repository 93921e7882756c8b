/** The topic `<name>.schema_changes`: DDL of captured tables, and each shape of a table with its first row. */

import { createHash } from 'node:crypto';
import { encodeIdPart, type LogRecord } from '../change-event.ts';
import type { ChangeLogWriter } from '../log/change-log.ts';
import type { FilePosition } from '../position.ts';
import { present } from '../shared/assert.ts';
import type { Appender } from './append/appender.ts';
import type { Place } from './append/place.ts';
import type { Transaction } from './append/transaction.ts';
import type { DdlHint, DdlTarget } from './binlog/ddl-hint.ts';
import { type Column, OPEN_BINARY, TYPE } from './decode/column.ts';
import { folded } from './route/event-columns.ts';
import type { Route, Router } from './route/router.ts';

/** A longer statement is left out, and its length told: no DDL may be too large for the log. */
const MAX_STATEMENT_CHARACTERS = 128 * 1024;
/** Tables whose columns are remembered for `columns_before`; the one longest unused goes first. */
const MAX_KNOWN = 2_000;

const TYPE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries({ ...TYPE, ...OPEN_BINARY }).map(([name, code]) => [code, name.toLowerCase()]),
);

export interface SchemaChangesParts {
  /** The configuration's `name`. */
  readonly name: string;
  readonly place: Place;
  readonly appender: Pick<Appender, 'add'>;
  readonly writer: Pick<ChangeLogWriter, 'createTopics'>;
  readonly router: Router;
}

/** What happened, apart from the columns. */
interface Change {
  /** `0` for a statement, else the ordinal of the row in front of which it stands. */
  readonly ordinal: number;
  readonly kind: string | null;
  readonly statement: string | null;
}

/**
 * A statement is recorded where it stands, with the columns that its table was last seen with on this connection. What
 * it made of them no event tells before the next row: that row's shape, where it is not the last one recorded, is a
 * record of its own. Invariant: the checkpoint names the shape recorded for each table, in the append that brings the
 * record, so that each change of shape is there once, over restarts as well.
 */
export class SchemaChanges {
  readonly #parts: SchemaChangesParts;
  readonly #topic: string;
  /** By `schema.table`, the version of the row that came last. */
  readonly #known = new Map<string, Route>();

  constructor(parts: SchemaChangesParts) {
    this.#parts = parts;
    this.#topic = `${parts.name}.schema_changes`;
  }

  /** The topic is there. */
  get ready(): boolean {
    return this.#parts.place.topic(this.#topic) !== undefined;
  }

  /** One partition, so that changes stand in commit order. */
  async makeTopic(): Promise<void> {
    const { place, writer } = this.#parts;
    const [made] = await writer.createTopics([{ name: this.#topic, partitions: 1 }]);
    const { id, partitions } = present(made, 'the topic just made');
    place.topicMade(this.#topic, { id, partitions, table: null });
  }

  /** Of the captured tables and databases that the statement names. */
  statement(at: FilePosition, transaction: Transaction, sql: string, hint: DdlHint): void {
    for (const target of hint.targets) {
      if (!this.#isCaptured(target)) continue;
      const before = this.#columnsOf(target);
      const change = { ordinal: 0, kind: hint.kind, statement: sql };
      this.#add(at, transaction, { ...change, ...target, before, after: null });
    }
  }

  /** In front of each rows event of a captured table; nothing happens where its table is as in the one before. */
  shape(at: FilePosition, route: Route): void {
    const { schema, table, name } = route.table;
    if (this.#known.get(name) === route) return;
    const { place } = this.#parts;
    const before = this.#columnsOf({ schema, table });
    this.#remember(route);
    const after = described(route);
    if (!place.shapeSeen(this.#topic, JSON.stringify([schema, table]), shapeHash(after))) return;
    const transaction = present(place.transaction, 'the transaction of rows');
    const change = { ordinal: place.nextRow(route.table).ordinal, kind: null, statement: null };
    this.#add(at, transaction, { ...change, schema, table, before, after });
  }

  /** Joined by a dot, the names of two tables may be spelled alike. */
  #columnsOf({ schema, table }: DdlTarget): Shape | null {
    const known = this.#known.get(`${schema}.${table}`);
    return known?.table.schema === schema ? described(known) : null;
  }

  #isCaptured({ schema, table }: DdlTarget): boolean {
    const { router } = this.#parts;
    return table === null ? router.couldCaptureSchema(schema) : router.couldCapture(schema, table);
  }

  #remember(route: Route): void {
    this.#known.delete(route.table.name);
    this.#known.set(route.table.name, route);
    if (this.#known.size <= MAX_KNOWN) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }

  #add(
    at: FilePosition,
    transaction: Transaction,
    change: Change &
      DdlTarget & {
        readonly before: Shape | null;
        readonly after: Shape | null;
      },
  ): void {
    const { schema, table, ordinal, kind, statement, before, after } = change;
    const isLong = statement !== null && statement.length > MAX_STATEMENT_CHARACTERS;
    const value = {
      gtid: transaction.gtid,
      file: at.file,
      pos: at.position,
      ts_ms: Math.floor(transaction.commitUs / 1000),
      schema,
      table,
      kind,
      statement: isLong ? null : statement,
      ...(isLong ? { statement_characters: statement.length } : {}),
      columns_before: before,
      columns_after: after,
    };
    const record: LogRecord = {
      key: JSON.stringify({ schema, table }),
      value: Buffer.from(JSON.stringify(value), 'utf8'),
      timestampMs: value.ts_ms,
      id: `${transaction.id}:${encodeIdPart(schema)}/${encodeIdPart(table ?? '')}:${ordinal}:s`,
      // Of no table: it matches no callback.
      table: '',
      operation: 'c',
    };
    this.#parts.appender.add(this.#topic, 0, record);
  }
}

type Shape = readonly Readonly<Record<string, unknown>>[];

/** The columns of a table's events, as the table has them, however they are rendered. */
function described({ table, columns, rule }: Route): Shape {
  const hidden = new Set([...rule.maskColumns, ...(rule.hashColumns?.columns ?? [])].map(folded));
  return columns.map(({ index }) => {
    const column = present(table.columns[index], 'a column of the table');
    return describe(column, hidden.has(folded(column.name)));
  });
}

/** As the binlog tells it; `members` are bytes in the column's character set, and no one's to read of a hidden column. */
function describe(column: Column, isHidden: boolean): Readonly<Record<string, unknown>> {
  const { name, type, size, scale, unsigned, nullable, collation, labels } = column;
  return {
    name,
    type: TYPE_NAMES.get(type) ?? String(type),
    ...{ size, scale, unsigned, nullable, collation },
    ...(labels === null || isHidden
      ? {}
      : { members: labels.map((label) => label.toString('base64')) }),
  };
}

function shapeHash(shape: Shape): string {
  return createHash('sha256').update(JSON.stringify(shape)).digest('base64url').slice(0, 16);
}
