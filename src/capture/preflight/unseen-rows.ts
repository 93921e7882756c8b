/** What statements did to rows of captured tables without a row event, which a count of rows alone would call nothing. */

import type { BinlogEvent } from '../binlog/binlog-event.ts';
import { classifyQuery } from '../binlog/classify-query.ts';
import { ddlHint, type DdlTarget } from '../binlog/ddl-hint.ts';
import { statementTarget } from '../binlog/statement-target.ts';
import { SYSTEM_SCHEMAS } from '../route/router.ts';

type QueryEvent = Extract<BinlogEvent, { type: 'query' }>;
type AnyGtidEvent = Extract<BinlogEvent, { type: 'gtid' | 'mariadb-gtid' }>;

/** Which tables a rule could capture. */
export interface CouldCapture {
  readonly captured: (schema: string, table: string) => boolean;
  /** Whether a rule could capture any table of the schema. Default: one could. */
  readonly capturedSchema?: (schema: string) => boolean;
}

/**
 * Reads the statements of one transaction after another. Invariant: what may concern a captured table is told, perhaps
 * also what does not: a view or a trigger leads from any table to a captured one.
 */
export class UnseenRows {
  readonly #could: CouldCapture;
  #begin: AnyGtidEvent | null = null;
  /** BEGIN was read. */
  #explicit = false;

  constructor(could: CouldCapture) {
    this.#could = could;
  }

  begin(event: AnyGtidEvent): void {
    this.#begin = event;
    this.#explicit = false;
  }

  /** What it did, as a person reads it, once for each table: `TRUNCATE TABLE shop.orders`. */
  of(event: QueryEvent): readonly string[] {
    const kind = classifyQuery(event.sql, event.sqlMode);
    // Of MySQL what follows BEGIN is about temporary tables: any other DDL ends the transaction before it.
    const temporary = this.#explicit && this.#begin?.type === 'gtid';
    if (kind === 'begin') this.#explicit = true;
    if (kind === 'statement-dml') return changeOf(event);
    if (temporary) return [];
    if (kind === 'create-query') return changeOf(event);
    return kind === 'other' ? this.#ddl(event) : [];
  }

  #ddl(event: QueryEvent): readonly string[] {
    if (this.#begin?.type === 'mariadb-gtid' && this.#begin.unfinishedAlter) return [];
    const hint = ddlHint(event.sql, event.schema, event.sqlMode);
    if (hint === null || hint.effect === 'none') return [];
    return hint.targets
      .filter((target) => this.#couldConcern(target))
      .map(({ schema, table }) => `${hint.kind} ${table === null ? schema : `${schema}.${table}`}`);
  }

  /** A server may compare names without regard to case, and a statement spells them as it likes. */
  #couldConcern({ schema, table }: DdlTarget): boolean {
    const { captured, capturedSchema = () => true } = this.#could;
    const could = (one: string, other: string | null): boolean =>
      other === null ? capturedSchema(one) : captured(one, other);
    return could(schema, table) || could(schema.toLowerCase(), table?.toLowerCase() ?? null);
  }
}

function changeOf({ sql, schema }: QueryEvent): readonly string[] {
  const target = statementTarget(sql, schema);
  if (target === null) {
    return ['a change logged as a statement, of tables that it does not tell plainly'];
  }
  if (SYSTEM_SCHEMAS.has(target.schema)) return [];
  return [`a change of ${target.schema}.${target.table} logged as a statement`];
}
