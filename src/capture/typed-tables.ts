/** Tables with the types that MariaDB's binlog leaves open, for whoever looks at rows rather than capturing them. */

import { comparePlaces, type FilePosition } from '../position.ts';
import { mayChangeTypes } from './binlog/may-change-types.ts';
import type { Column } from './decode/column.ts';
import {
  isOfOpenWidth,
  mayBePeriod,
  type ToldTypes,
  toldByRule,
  withToldTypes,
} from './decode/mariadb-columns.ts';
import type { TableVersion } from './decode/table-map.ts';
import type { ColumnTypeSource } from './open-columns.ts';
import type { Router } from './route/router.ts';

/** Tables kept; the one longest unused is asked for again. */
const MAX_KNOWN = 2_000;

export interface TypedTablesParts {
  readonly source: ColumnTypeSource;
  /** What the rule of a table says of its columns. */
  readonly told: (table: TableVersion) => ToldTypes;
  /** Which of the columns that are open are of interest. */
  readonly wanted: (column: Column) => boolean;
  /** What is made of the answer. */
  readonly meaning?: (type: ToldTypes, table: TableVersion) => ToldTypes;
}

interface Known {
  readonly typed: TableVersion;
  readonly since: FilePosition;
  readonly times: boolean;
}

/**
 * Invariant: what is kept of a table holds from the rows that it was asked for up to those at hand, as every statement
 * between them went through `statement`. Without that a count or a printed value would be by what the table was before.
 */
export class TypedTables {
  readonly #parts: TypedTablesParts;
  readonly #known = new Map<TableVersion, Known>();

  constructor(parts: TypedTablesParts) {
    this.#parts = parts;
  }

  /**
   * The table with what is told of its columns.
   *
   * @throws RowcallError COLUMN_TYPE_UNPROVEN, COLUMN_RULE_UNFIT; what questions and a dump throw
   */
  async typed(table: TableVersion, at: FilePosition): Promise<TableVersion> {
    if (!table.columns.some(({ candidates }) => candidates !== undefined)) return table;
    const known = this.#known.get(table);
    if (known !== undefined && comparePlaces(known.since, at) <= 0) return known.typed;
    const { source, told, wanted, meaning = (types: ToldTypes): ToldTypes => types } = this.#parts;
    const byRule = withToldTypes(table, meaning(told(table), table));
    const open = byRule.columns.filter(
      (column) => column.candidates !== undefined && wanted(column),
    );
    if (open.length === 0) return this.#keep(table, byRule, at);
    const types = await source.typesOf(byRule, open, at);
    return this.#keep(table, withToldTypes(byRule, meaning(types, byRule)), at);
  }

  /** A statement that is no row change came by. */
  statement(sql: string): void {
    for (const [table, { times }] of this.#known) {
      if (mayChangeTypes(sql, table.table, { times })) this.#known.delete(table);
    }
  }

  #keep(table: TableVersion, typed: TableVersion, since: FilePosition): TableVersion {
    const [oldest] = this.#known.keys();
    if (this.#known.size >= MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(table, { typed, since, times: table.columns.some(isOfOpenWidth) });
    return typed;
  }
}

/** For who counts rows: which are history, and where each value ends. */
export function countedTypes(
  source: ColumnTypeSource,
  router: Pick<Router, 'ruleOf'>,
): TypedTables {
  return new TypedTables({
    source,
    told: (table) => toldByRule(router.ruleOf(table)?.columnTypes ?? {}),
    wanted: (column) => mayBePeriod(column) || isOfOpenWidth(column),
  });
}
