/** Rules that do not fit a table of theirs: judged as the capture judges them at the table's first row, which they would stop. */

import { type ErrorCode, RowcallError } from '../../../errors.ts';
import { present } from '../../../shared/assert.ts';
import type { TableVersion } from '../../decode/table-map.ts';
import { flat } from '../../encode/flat.ts';
import { fitted } from '../../route/router.ts';
import { type FullTableRule, fullRule } from '../../route/table-rule.ts';
import type { Finding } from '../check-source.ts';
import type { Surroundings } from '../surroundings.ts';
import { listed } from '../tables-seen.ts';
import { describedTables } from './described-columns.ts';

/** A warning, since a start goes well: it is the first row of the table that would stop. */
export async function checkUnfitRules(
  on: Pick<Surroundings, 'source' | 'version' | 'rules' | 'tables'>,
): Promise<Finding[]> {
  const full = on.rules.map((rule) => withoutPeriod(fullRule({ topic: '', key: null, ...rule })));
  const rules = new Map(
    on.tables.all.flatMap(({ name, rule }): [string, FullTableRule][] => {
      const found = full[rule ?? -1];
      return found !== undefined && asksOfColumns(found) ? [[name, found]] : [];
    }),
  );
  const asked = on.tables.all.filter(({ name }) => rules.has(name));
  const unfit = (await describedTables(on, asked)).flatMap((table) =>
    judge(table, present(rules.get(table.name), 'the rule of a table that is asked for')),
  );
  const alike = Map.groupBy(unfit, ({ code, cure }) => JSON.stringify([code, cure]));
  return [...alike.values()].flatMap(toFinding);
}

/** Which columns can be of a period, the keys of the binlog tell, and information_schema does not. */
function withoutPeriod(rule: FullTableRule): FullTableRule {
  const told = Object.entries(rule.columnTypes);
  const others = told.filter(([, type]) => type !== 'row_end' && type !== 'timestamp');
  return { ...rule, columnTypes: Object.fromEntries(others) };
}

function asksOfColumns(rule: FullTableRule): boolean {
  const { key, outbox, format, maskColumns, hashColumns, truncateColumns, columnTypes } = rule;
  return (
    (key ?? outbox ?? hashColumns) !== null ||
    format === 'flat' ||
    [maskColumns, truncateColumns, columnTypes].some((named) => Object.keys(named).length > 0)
  );
}

interface Unfit {
  readonly code: ErrorCode;
  readonly message: string;
  readonly cure: string;
  readonly table: string;
}

function judge(table: TableVersion, rule: FullTableRule): Unfit[] {
  try {
    const { typed, shape } = fitted(table, rule);
    if (rule.format === 'flat') flat({ table: typed, ...shape, topic: null, rule, open: [] });
    return [];
  } catch (error) {
    if (!(error instanceof RowcallError) || error.code === 'INTERNAL') throw error;
    const { code, message, cure } = error;
    return [{ code, message, cure, table: table.name }];
  }
}

function toFinding(unfit: readonly Unfit[]): Finding[] {
  const [first] = unfit;
  if (first === undefined) return [];
  return [
    {
      check: `tables[]: ${first.code}`,
      value: listed(unfit.map(({ table, message }) => `${table}: ${message}`)),
      want: 'rules that fit each of their tables',
      why: 'The first row of such a table stops the capture, as far as this account sees the columns.',
      sql: `-- ${first.cure}`,
      severity: 'warning',
    },
  ];
}
