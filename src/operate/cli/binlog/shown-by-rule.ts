/** What the rules of a configuration hide of a binlog: who may look at the events is not to see more here. */

import type { Column } from '../../../capture/decode/column.ts';
import type { TableVersion } from '../../../capture/decode/table-map.ts';
import { hides } from '../../../capture/hidden-columns.ts';
import { shownColumns } from '../../../capture/route/event-columns.ts';
import type { Router } from '../../../capture/route/router.ts';
import { type FullTableRule, fullRule, type TableRule } from '../../../capture/route/table-rule.ts';
import type { PlacedEvent } from './place-events.ts';

/** Stands for a statement that may bear values of rows. */
const HIDDEN_STATEMENT = '(hidden: it may bear values that tables[].columns hides)';

/** First words of statements that bear no row, but for a CREATE TABLE … SELECT. */
const WITHOUT_ROWS: ReadonlySet<string> = new Set([
  ...['BEGIN', 'START', 'COMMIT', 'ROLLBACK', 'SAVEPOINT', 'RELEASE', 'XA'],
  ...[
    'CREATE',
    'ALTER',
    'DROP',
    'RENAME',
    'TRUNCATE',
    'FLUSH',
    'ANALYZE',
    'OPTIMIZE',
    'GRANT',
    'REVOKE',
  ],
]);

export class ShownByRule {
  readonly #router: Pick<Router, 'ruleOf'>;
  /** Whether any rule hides anything: statements do not tell their tables for certain. */
  readonly #hides: boolean;
  readonly #tables = new WeakMap<TableVersion, TableVersion>();

  constructor(router: Pick<Router, 'ruleOf'>, rules: readonly TableRule[]) {
    this.#router = router;
    this.#hides = rules.map(fullRule).some(hides);
  }

  /** The event without what the rule hides; as it is where that is nothing. */
  shown(placed: PlacedEvent): PlacedEvent {
    const { event, table } = placed;
    if (!this.#hides) return placed;
    if (event.type === 'rows-query' || (event.type === 'query' && mayBearRows(event.sql))) {
      return { ...placed, event: { ...event, sql: HIDDEN_STATEMENT } };
    }
    return event.type === 'rows' && table !== null
      ? { ...placed, table: this.#withoutHidden(table) }
      : placed;
  }

  #withoutHidden(table: TableVersion): TableVersion {
    let shown = this.#tables.get(table);
    if (shown === undefined) {
      const rule = this.#router.ruleOf(table);
      shown = rule === null || !hides(rule) ? table : withoutHidden(table, rule);
      this.#tables.set(table, shown);
    }
    return shown;
  }
}

function withoutHidden(table: TableVersion, rule: FullTableRule): TableVersion {
  if (table.columns.some(({ name }: Column) => name === '')) {
    const message = `The rule of ${table.name} hides columns, and the binlog does not tell their names`;
    return { ...table, defect: { code: 'COLUMN_RULE_UNFIT', message } };
  }
  return { ...table, columns: shownColumns(table, rule) };
}

function mayBearRows(sql: string): boolean {
  const [first = ''] = /^\w+/.exec(sql.trimStart()) ?? [];
  return !WITHOUT_ROWS.has(first.toUpperCase());
}
