/** Rules that capture nothing, and tables that no rule captures. */

import type { Finding } from '../check-source.ts';
import type { SeenRule, Surroundings } from '../surroundings.ts';
import { listed, MAX_TABLES, quoted, tableMatcher } from '../tables-seen.ts';

export function checkTableRules({
  rules,
  tables,
  account,
  version: { isMariaDb },
}: Pick<Surroundings, 'rules' | 'tables' | 'account' | 'version'>): Finding[] {
  const grant = grantToSee(rules, account);
  if (tables.all.length === 0) return [unseen(grant, isMariaDb)];
  const used = new Set(tables.all.map(({ rule }) => rule));
  const idle = rules.filter((_, index) => !used.has(index));
  const behind = idle.filter((rule) => tables.all.some(({ name }) => tableMatcher(rule)(name)));
  const without = idle.filter((rule) => !behind.includes(rule));
  const left = tables.all.filter(({ rule }) => rule === null).map(({ name }) => name);
  return [
    ...(behind.length === 0 ? [] : [rulesBehind(behind.map(globsOf))]),
    ...(without.length === 0 ? [] : [idleRules(without.map(globsOf), grant, isMariaDb)]),
    ...(left.length === 0 ? [] : [tablesLeft(left)]),
    ...(tables.isCut ? [cut()] : []),
  ];
}

function globsOf({ match }: Pick<SeenRule, 'match'>): string {
  return match.join(', ');
}

/** On the schemas that the rules name; on all where one is a pattern. A name in quotes that is no schema's is taken, and gives nothing. */
function grantToSee(rules: readonly Pick<SeenRule, 'match'>[], account: string): string {
  const globs = rules.flatMap(({ match }) => match).filter((glob) => !glob.startsWith('!'));
  const schemas = new Set(globs.map((glob) => glob.split('.', 1)[0] ?? glob));
  const isKnown = globs.length > 0 && [...schemas].every((name) => !/[*?]/.test(name));
  const on = isKnown ? [...schemas].map((name) => `${quoted(name)}.*`) : ['*.*'];
  return on.map((what) => `GRANT REFERENCES ON ${what} TO ${account};`).join(' ');
}

const NEEDED_BY_MARIADB =
  'Capture itself needs a right on tables with UUID, INET4, INET6, VECTOR or other columns whose type it has to ask for: without one their first row stops it (COLUMN_TYPE_UNPROVEN).';

function unseen(grant: string, isMariaDb: boolean): Finding {
  const needed = isMariaDb ? NEEDED_BY_MARIADB : 'Capture itself needs no right on tables.';
  return {
    check: 'tables',
    value: 'none that this account may see',
    want: 'a right on the captured tables, to look',
    why: `Rules without tables, tables without a rule, foreign keys and large integers cannot be checked. ${needed} REFERENCES shows them and reads no row; with SELECT their largest integers are looked at too.`,
    sql: grant,
    severity: isMariaDb ? 'warning' : 'note',
  };
}

function idleRules(idle: readonly string[], grant: string, isMariaDb: boolean): Finding {
  return {
    check: 'tables[].match',
    value: `no table for: ${listed(idle)}`,
    want: 'a table for each rule',
    why: `The rule captures nothing: its globs are mistyped, the tables are yet to be made, or this account has no right on them and so cannot see them.${isMariaDb ? ` ${NEEDED_BY_MARIADB}` : ''}`,
    sql: `-- correct the globs; or let the account see the tables: ${grant}`,
    severity: 'warning',
  };
}

function rulesBehind(globs: readonly string[]): Finding {
  return {
    check: 'tables[].match',
    value: `of no effect behind other rules: ${listed(globs)}`,
    want: 'a table for each rule',
    why: 'The first rule that matches a table holds, and each table of these has one before them.',
    sql: '-- in the configuration: move the rule up, in front of the one that takes its tables',
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
