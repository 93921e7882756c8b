/** Columns that a rule hides by name: what they held must not come out under another name. */

import { RowcallError } from '../errors.ts';
import type { FilePosition, HidingTable, TableName } from '../position.ts';
import { formatPlace } from '../position.ts';
import type { RenamedColumn } from './binlog/renamed-columns.ts';
import { folded } from './route/event-columns.ts';
import type { Route } from './route/router.ts';
import type { FullTableRule } from './route/table-rule.ts';

/** Where the columns of tables are kept over restarts, from the table's first row on. */
export interface HidingTables {
  of: (table: TableName) => HidingTable | undefined;
  /** The table as it is now; it is forgotten where nothing of it is hidden. */
  note: (table: HidingTable) => void;
}

/**
 * A rule hides columns by their names, and a binlog does not tell that a column has another name now: it stands in the
 * next row as if it had always been called so. Invariant: no row of a table goes on in which a column that was hidden
 * is gone and one that nobody knew stands in the open, until a person has said in the rule what that one is.
 */
export class HiddenColumns {
  readonly #tables: HidingTables;
  readonly #passed = new WeakSet<Route>();

  constructor(tables: HidingTables) {
    this.#tables = tables;
  }

  /** In front of each rows event of a captured table. @throws RowcallError HIDDEN_COLUMN_RENAMED */
  require(route: Route, at: FilePosition): void {
    if (this.#passed.has(route)) return;
    const { table, rule } = route;
    const hiding = hidingOf(rule);
    const before = this.#tables.of(table);
    if (before !== undefined) refuseRenamed(before, route, { hiding, at });
    const columns = table.columns.map(({ name }) => folded(name));
    const hidden = columns.filter((name) => hiding.has(name));
    this.#tables.note({ schema: table.schema, table: table.table, columns, hidden });
    this.#passed.add(route);
  }
}

/**
 * The statement says what the next row cannot: that a column of the old name is another one, as where names are
 * swapped, or where a new column takes the old name. @throws RowcallError HIDDEN_COLUMN_RENAMED
 */
export function refuseRenaming(
  renamed: readonly RenamedColumn[],
  rule: FullTableRule,
  { name, at }: { readonly name: string; readonly at: FilePosition },
): void {
  const hiding = hidingOf(rule);
  const open = renamed.filter(
    ({ from, to }) => hiding.has(folded(from)) && !hiding.has(folded(to)) && isIncluded(rule, to),
  );
  const [first] = open;
  if (first === undefined) return;
  throw failure({ name, gone: [first.from], appeared: [first.to], at });
}

function refuseRenamed(
  before: HidingTable,
  { table, columns }: Route,
  { hiding, at }: { readonly hiding: ReadonlySet<string>; readonly at: FilePosition },
): void {
  const now = new Set(table.columns.map(({ name }) => folded(name)));
  // What the rule names no more is a person's decision.
  const gone = before.hidden.filter((name) => hiding.has(name) && !now.has(name));
  if (gone.length === 0) return;
  const known = new Set(before.columns);
  const appeared = columns
    .map(({ name }) => name)
    .filter((name) => !known.has(folded(name)) && !hiding.has(folded(name)));
  if (appeared.length > 0) throw failure({ name: table.name, gone, appeared, at });
}

function failure(what: {
  readonly name: string;
  readonly gone: readonly string[];
  readonly appeared: readonly string[];
  readonly at: FilePosition;
}): RowcallError {
  const { name, gone, appeared, at } = what;
  return new RowcallError(
    'HIDDEN_COLUMN_RENAMED',
    `The rule hides ${gone.join(', ')}, which the table has no more under that name, and it has ${appeared.join(', ')} now, which no rule hides`,
    {
      place: `${formatPlace(at)}, table ${name}`,
      cure: `Add ${appeared.join(', ')} to columns.mask, hash, truncate or exclude beside ${gone.join(', ')}, as far as it holds the same. Where nothing new is to be hidden, give the table a rule of its own that does not name ${gone.join(', ')}.`,
    },
  );
}

/** Whether anything of a table's rows is hidden by the rule, whole or in part. */
export function hides(rule: FullTableRule): boolean {
  return hidingOf(rule).size > 0 || rule.includeColumns !== null;
}

/** Folded names of what the rule hides, whole or in part. */
function hidingOf(rule: FullTableRule): ReadonlySet<string> {
  return new Set(
    [
      ...rule.excludeColumns,
      ...rule.maskColumns,
      ...(rule.hashColumns?.columns ?? []),
      ...Object.keys(rule.truncateColumns),
    ].map(folded),
  );
}

function isIncluded({ includeColumns }: FullTableRule, name: string): boolean {
  return includeColumns?.some((one) => folded(one) === folded(name)) !== false;
}
