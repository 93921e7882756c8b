/** The tables that the account may see, and which of them the rules capture. */

import { globPattern } from '../../shared/glob.ts';
import type { SourceConnection } from '../binlog/source-connection.ts';
import { SYSTEM_SCHEMAS } from '../route/router.ts';
import type { TableRule } from '../route/table-rule.ts';

/** More are not looked at: their names alone would be megabytes. */
export const MAX_TABLES = 50_000;

export interface SeenTable {
  readonly schema: string;
  readonly table: string;
  /** `schema.table`. */
  readonly name: string;
  /** Of the rule that captures it; null where none does. */
  readonly rule: number | null;
  /** The next value, where a column has AUTO_INCREMENT. */
  readonly autoIncrement: bigint | null;
}

export interface SeenTables {
  readonly all: readonly SeenTable[];
  /** There are more than were looked at. */
  readonly isCut: boolean;
}

/**
 * For the WHERE of a question to information_schema. MariaDB opens each table that it tells of, and those of its own
 * schemas, with all that their views look at, take it many seconds.
 */
export const NOT_OF_THE_SYSTEM = `TABLE_SCHEMA NOT IN (${[...SYSTEM_SCHEMAS].map((name) => `'${name}'`).join(', ')})`;

/** What MariaDB calls a table with history, which is a table like any other here. */
export const VERSIONED = 'SYSTEM VERSIONED';

/** information_schema shows a table to whoever has any right on it, and to nobody else. */
export async function readTables(
  source: SourceConnection,
  rules: readonly Pick<TableRule, 'match'>[],
): Promise<SeenTables> {
  const rows = await source.query(
    `SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, AUTO_INCREMENT AS n FROM information_schema.TABLES
     WHERE TABLE_TYPE IN ('BASE TABLE', '${VERSIONED}') AND ${NOT_OF_THE_SYSTEM}
     ORDER BY TABLE_SCHEMA, TABLE_NAME LIMIT ${MAX_TABLES + 1}`,
  );
  const matchers = rules.map(tableMatcher);
  const all = rows.slice(0, MAX_TABLES).map((row): SeenTable => {
    const schema = row['s'] ?? '';
    const table = row['t'] ?? '';
    const name = `${schema}.${table}`;
    const rule = matchers.findIndex((matches) => matches(name));
    const next = row['n'] ?? null;
    return {
      schema,
      table,
      name,
      rule: rule < 0 ? null : rule,
      autoIncrement: next === null ? null : BigInt(next),
    };
  });
  return { all, isCut: rows.length > MAX_TABLES };
}

/** Whether a rule is for `schema.table`, whatever rules stand before it. */
export function tableMatcher({ match }: Pick<TableRule, 'match'>): (name: string) => boolean {
  const included = match.filter((glob) => !glob.startsWith('!')).map(globPattern);
  const excluded = match.filter((glob) => glob.startsWith('!'));
  const out = excluded.map((glob) => globPattern(glob.slice(1)));
  return (name) => included.some((glob) => glob.test(name)) && !out.some((glob) => glob.test(name));
}

const SHOWN = 20;

/** `a, b and 5 more`. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN).join(', ');
  return names.length > SHOWN ? `${shown} and ${names.length - SHOWN} more` : shown;
}

/** An identifier as SQL takes it. */
export function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
