/** Columns that a rule names and no table of it has: what it was to hide or leave out then stands in the events. */

import { folded } from '../../route/event-columns.ts';
import type { SourceRow } from '../../binlog/source-connection.ts';
import type { Finding } from '../check-source.ts';
import type { Surroundings } from '../surroundings.ts';
import { listed, NOT_OF_THE_SYSTEM, VERSIONED } from '../tables-seen.ts';

type Rule = Surroundings['rules'][number];

/** What is named where: no error in itself, since one rule may be for many tables. */
function namedBy(rule: Rule): readonly (readonly [option: string, columns: readonly string[]])[] {
  return [
    ['include', rule.includeColumns ?? []],
    ['exclude', rule.excludeColumns],
    ['mask', rule.maskColumns ?? []],
    ['hash', rule.hashColumns?.columns ?? []],
    ['truncate', Object.keys(rule.truncateColumns ?? {})],
    ['types', Object.keys(rule.columnTypes ?? {})],
  ];
}

export async function checkRuleColumns({
  source,
  version,
  rules,
  tables,
}: Pick<Surroundings, 'source' | 'version' | 'rules' | 'tables'>): Promise<Finding[]> {
  const names = new Set(rules.flatMap((rule) => namedBy(rule).flatMap(([, columns]) => columns)));
  if (names.size === 0) return [];
  const rows = await source.query(
    `SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, COLUMN_NAME AS c FROM information_schema.COLUMNS
     WHERE COLUMN_NAME IN (${[...names].map(() => '?').join(', ')}) AND ${NOT_OF_THE_SYSTEM}`,
    [...names],
  );
  const ruleOf = new Map(tables.all.map(({ name, rule }) => [name, rule]));
  const unlisted = version.isMariaDb ? await addedColumns(source) : [];
  const there = new Set(
    [...rows, ...unlisted].map(
      (row) =>
        `${ruleOf.get(`${row['s'] ?? ''}.${row['t'] ?? ''}`) ?? ''} ${folded(row['c'] ?? '')}`,
    ),
  );
  const used = new Set(ruleOf.values());
  const missing = rules.flatMap((rule, index) =>
    // A rule without tables is a finding of its own.
    used.has(index) ? missingOf(rule, (name) => there.has(`${index} ${folded(name)}`)) : [],
  );
  return missing.length === 0 ? [] : [finding(missing)];
}

/** The period of a table with history that names none: the server adds its columns, and lists them nowhere. */
async function addedColumns(source: Surroundings['source']): Promise<SourceRow[]> {
  const own = await source.query(
    `SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t FROM information_schema.COLUMNS
     WHERE GENERATION_EXPRESSION = 'ROW END' AND ${NOT_OF_THE_SYSTEM}`,
  );
  const versioned = await source.query(
    `SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t FROM information_schema.TABLES
     WHERE TABLE_TYPE = '${VERSIONED}' AND ${NOT_OF_THE_SYSTEM}`,
  );
  const named = new Set(own.map(({ s, t }) => `${s ?? ''}.${t ?? ''}`));
  return versioned
    .filter(({ s, t }) => !named.has(`${s ?? ''}.${t ?? ''}`))
    .flatMap((row) => ['row_start', 'row_end'].map((c) => ({ ...row, c })));
}

function missingOf(rule: Rule, isThere: (name: string) => boolean): string[] {
  return namedBy(rule).flatMap(([option, columns]) =>
    columns
      .filter((name) => !isThere(name))
      .map((name) => `${option} ${name} (${rule.match.join(', ')})`),
  );
}

function finding(missing: readonly string[]): Finding {
  return {
    check: 'tables[].columns',
    value: `in no table of its rule: ${listed(missing)}`,
    want: 'a column for each name',
    why: 'The name is mistyped, or the column has another by now: whatever it holds is then in the events as it is. Or this account may not see the column.',
    sql: '-- correct the names in tables[].columns, or remove those whose column is gone',
    severity: 'warning',
  };
}
