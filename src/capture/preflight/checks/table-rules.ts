/** Rules that capture nothing, and tables that no rule captures. */

import type { Finding } from '../check-source.ts';
import type { Surroundings } from '../surroundings.ts';
import { listed, MAX_TABLES } from '../tables-seen.ts';

export function checkTableRules({
  rules,
  tables,
  account,
}: Pick<Surroundings, 'rules' | 'tables' | 'account'>): Finding[] {
  if (tables.all.length === 0) return [unseen(account)];
  const used = new Set(tables.all.map(({ rule }) => rule));
  const idle = rules.flatMap(({ match }, index) => (used.has(index) ? [] : [match.join(', ')]));
  const left = tables.all.filter(({ rule }) => rule === null).map(({ name }) => name);
  return [
    ...(idle.length === 0 ? [] : [idleRules(idle, account)]),
    ...(left.length === 0 ? [] : [tablesLeft(left)]),
    ...(tables.isCut ? [cut()] : []),
  ];
}

function unseen(account: string): Finding {
  return {
    check: 'tables',
    value: 'none that this account may see',
    want: 'a right on the captured tables, to look',
    why: 'Rules without tables, tables without a rule, foreign keys and large integers cannot be checked. Capture itself needs no right on tables. REFERENCES shows them and reads no row; with SELECT their largest integers are looked at too.',
    sql: `GRANT REFERENCES ON \`schema\`.* TO ${account};`,
    severity: 'note',
  };
}

function idleRules(idle: readonly string[], account: string): Finding {
  return {
    check: 'tables[].match',
    value: `no table for: ${listed(idle)}`,
    want: 'a table for each rule',
    why: 'The rule captures nothing: its globs are mistyped, another rule stands before it, the tables are yet to be made, or this account has no right on them and so cannot see them.',
    sql: `-- correct the globs; or let the account see the tables: GRANT REFERENCES ON \`schema\`.* TO ${account};`,
    severity: 'warning',
  };
}

function tablesLeft(names: readonly string[]): Finding {
  return {
    check: 'tables without a rule',
    value: listed(names),
    want: 'as meant',
    why: 'Their changes are passed over.',
    sql: '-- add a rule to tables where one was meant to be captured',
    severity: 'note',
  };
}

function cut(): Finding {
  return {
    check: 'tables',
    value: `more than ${MAX_TABLES}`,
    want: 'any number',
    why: `Only the first ${MAX_TABLES} were looked at.`,
    sql: '-- nothing to do',
    severity: 'note',
  };
}
