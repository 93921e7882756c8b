/** A table as MariaDB's information_schema has it, and what that says of the columns that the binlog leaves open. */

import type { SourceConnection, SourceRow } from '../../binlog/source-connection.ts';
import { type Column, OPEN_BINARY, type OpenType } from '../../decode/column.ts';
import { isOfOpenWidth, mayBePeriod } from '../../decode/mariadb-columns.ts';
import type { TableVersion } from '../../decode/table-map.ts';

interface DescribedColumn {
  /** As in CREATE TABLE. */
  readonly type: string;
  /** `ROW START` and `ROW END` are the columns of a period. */
  readonly expression: string | null;
}

export interface DescribedTable {
  readonly isVersioned: boolean;
  /** By name in lower case: those that the account sees. What the server added of its own accord is not among them. */
  readonly columns: ReadonlyMap<string, DescribedColumn>;
}

export async function readDescription(
  source: SourceConnection,
  { schema, table }: Pick<TableVersion, 'schema' | 'table'>,
): Promise<DescribedTable> {
  const at = [schema, table];
  const columns = await source.query(
    `SELECT TABLE_NAME AS t, COLUMN_NAME AS c, COLUMN_TYPE AS k, GENERATION_EXPRESSION AS g
     FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?`,
    at,
  );
  const tables = await source.query(
    `SELECT TABLE_NAME AS t, TABLE_TYPE AS y
     FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?`,
    at,
  );
  // A comparison of the server's may take two tables for one.
  const isIt = (row: SourceRow): boolean => row['t'] === table;
  return {
    isVersioned: tables.filter(isIt).some((row) => row['y'] === 'SYSTEM VERSIONED'),
    columns: new Map(
      columns
        .filter(isIt)
        .map((row) => [
          (row['c'] ?? '').toLowerCase(),
          { type: row['k'] ?? '', expression: row['g'] ?? null },
        ]),
    ),
  };
}

/** Null: it does not say. `otherwise`: a type that the column cannot have been. */
export function typeOf(
  column: Column,
  table: TableVersion,
  described: DescribedTable,
): OpenType | { readonly otherwise: string } | null {
  const found = described.columns.get(column.name.toLowerCase());
  if (found === undefined) return roleOfAdded(column, table, described);
  const type = told(column, found);
  return type !== null && column.candidates?.includes(type) === true
    ? type
    : { otherwise: found.type };
}

function told(column: Column, found: DescribedColumn): OpenType | null {
  if (isOfOpenWidth(column)) return roleOf(found) === 'row_end' ? 'row_end' : temporal(found.type);
  return mayBePeriod(column) ? roleOf(found) : openBinary(found.type);
}

/** The digits are the same in all storage formats, one of which may stand behind it as a comment. */
function temporal(text: string): OpenType | null {
  const [, name = '', digits] = /^(\w+)(?:\(([1-6])\))?(?![\w(])/.exec(text.toLowerCase()) ?? [];
  if (name !== 'time' && name !== 'datetime' && name !== 'timestamp') return null;
  return digits === undefined ? name : (`${name}(${digits})` as OpenType);
}

function roleOf({ type, expression }: DescribedColumn): OpenType | null {
  if (!/^timestamp\(6\)/i.test(type)) return null;
  return expression?.toUpperCase() === 'ROW END' ? 'row_end' : 'timestamp';
}

function openBinary(text: string): OpenType | null {
  const word = /^\w+/.exec(text)?.[0].toLowerCase() ?? '';
  if (word === 'binary' || word === 'varbinary') return 'binary';
  return (
    Object.keys(OPEN_BINARY).find((name): name is keyof typeof OPEN_BINARY => name === word) ?? null
  );
}

/** The names of the columns that the server adds where the table names no period; they are its last ones. */
const ADDED = ['row_start', 'row_end'];
/** Made by the server for a unique key over long values; it is not among the columns either. */
const OF_A_LONG_KEY = /^DB_ROW_HASH_\d+$/;

/**
 * Those that the server added are in no list of columns. Only where everything else is listed: an account with rights on
 * some columns sees no others, whatever they are.
 */
function roleOfAdded(
  column: Column,
  { columns }: TableVersion,
  { isVersioned, columns: listed }: DescribedTable,
): OpenType | null {
  const unlisted = columns
    .map(({ name }) => name)
    .filter((one) => !listed.has(one.toLowerCase()) && !OF_A_LONG_KEY.test(one));
  if (!isVersioned || unlisted.join() !== ADDED.join()) return null;
  if (column.name === 'row_end') return 'row_end';
  return isOfOpenWidth(column) ? 'timestamp(6)' : 'timestamp';
}
