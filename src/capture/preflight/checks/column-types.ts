/** Columns of MariaDB that its binlog does not tell from BINARY or VARBINARY, or whose digits it does not tell: which there are, and rules that call them otherwise. */

import type { SourceRow } from '../../binlog/source-connection.ts';
import type { Finding } from '../check-source.ts';
import type { Surroundings } from '../surroundings.ts';
import { listed, NOT_OF_THE_SYSTEM } from '../tables-seen.ts';

const TOLD_BY_THE_SERVER = ['uuid', 'inet4', 'inet6', 'vector'];

/** How the server marks columns in the storage formats of before MySQL 5.6.4, while it makes others. */
const OLD_FORMAT = '/* mariadb-5.3 */';

interface OpenColumn {
  /** `schema.table.column`. */
  readonly name: string;
  readonly type: string;
  /** What the rule says; null where it says nothing. */
  readonly told: string | null;
}

export async function checkColumnTypes({
  source,
  version,
  rules,
  tables,
}: Pick<Surroundings, 'source' | 'version' | 'rules' | 'tables'>): Promise<Finding[]> {
  if (!version.isMariaDb) return [];
  const rows = await source.query(
    `SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, COLUMN_NAME AS c, COLUMN_TYPE AS k
     FROM information_schema.COLUMNS
     WHERE ${NOT_OF_THE_SYSTEM}
       AND (DATA_TYPE IN ('uuid', 'inet4', 'inet6', 'vector', 'varbinary')
         OR COLUMN_TYPE IN ('binary(4)', 'binary(16)') OR COLUMN_TYPE LIKE ?)
     ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION`,
    [`%${OLD_FORMAT}`],
  );
  const ruleOf = new Map(tables.all.map(({ name, rule }) => [name, rule]));
  const columns = rows.flatMap((row) => captured(row, ruleOf, rules));
  const asked = columns.filter(({ type, told }) => told === null && type !== 'binary');
  const wrong = columns.filter(({ type, told }) => told !== null && told !== type);
  return [
    ...(asked.length === 0 ? [] : [note(asked)]),
    ...(wrong.length === 0 ? [] : [otherwise(wrong)]),
  ];
}

function captured(
  row: SourceRow,
  ruleOf: ReadonlyMap<string, number | null>,
  rules: Surroundings['rules'],
): OpenColumn[] {
  const table = `${row['s'] ?? ''}.${row['t'] ?? ''}`;
  const column = row['c'] ?? '';
  const rule = rules[ruleOf.get(table) ?? -1];
  if (rule === undefined || rule.excludeColumns.includes(column)) return [];
  const type = typeIn(row['k'] ?? '');
  const told = Object.entries(rule.columnTypes ?? {}).find(
    ([name]) => name.toLowerCase() === column.toLowerCase(),
  );
  return [{ name: `${table}.${column}`, type, told: told?.[1] ?? null }];
}

function typeIn(text: string): string {
  if (text.endsWith(OLD_FORMAT)) return text.slice(0, -OLD_FORMAT.length).trim();
  return TOLD_BY_THE_SERVER.find((name) => text.startsWith(name)) ?? 'binary';
}

function note(columns: readonly OpenColumn[]): Finding {
  return {
    check: 'types that the binlog leaves open',
    value: listed(columns.map(({ name, type }) => `${name} (${type})`)),
    want: 'as it is: the server is asked',
    why: 'The binlog has BINARY or VARBINARY for them, or does not tell their digits. Their types are asked for when their rows come, which stops the capture where a table was altered while it was behind.',
    sql: '-- to need no question: tables[].columns.types in the rule of the table',
    severity: 'note',
  };
}

function otherwise(columns: readonly OpenColumn[]): Finding {
  return {
    check: 'tables[].columns.types',
    value: listed(columns.map(({ name, type, told }) => `${name} is ${type}, not ${told ?? ''}`)),
    want: 'what the columns are',
    why: 'The rule wins over the server: values come out as the type that it names, whatever they are.',
    sql: '-- correct tables[].columns.types; it is right only while rows of before a change are still to be read',
    severity: 'warning',
  };
}
