/** Captured tables as information_schema has them, in the shape that the binlog would tell: what rules are judged by. */

import type { SourceRow } from '../../binlog/source-connection.ts';
import { type Column, TYPE } from '../../decode/column.ts';
import { flavorOf } from '../../decode/column-type.ts';
import { withOpenColumns } from '../../decode/mariadb-columns.ts';
import type { KeyPart, TableVersion } from '../../decode/table-map.ts';
import type { Surroundings } from '../surroundings.ts';
import { NOT_OF_THE_SYSTEM, type SeenTable } from '../tables-seen.ts';

const BINARY_COLLATION = 63;
/** Any that is not binary: which one it is makes no difference to a rule. */
const SOME_COLLATION = 45;

/** How MariaDB marks columns in the storage formats of before MySQL 5.6.4, while it makes others. */
const OLD_FORMAT = '/* mariadb-5.3 */';

const TYPES: ReadonlyMap<string, number> = new Map([
  ['tinyint', TYPE.TINY],
  ['smallint', TYPE.SHORT],
  ['mediumint', TYPE.INT24],
  ['int', TYPE.LONG],
  ['bigint', TYPE.LONGLONG],
  ['float', TYPE.FLOAT],
  ['double', TYPE.DOUBLE],
  ['decimal', TYPE.DECIMAL],
  ['bit', TYPE.BIT],
  ['year', TYPE.YEAR],
  ['date', TYPE.DATE],
  ['time', TYPE.TIME],
  ['datetime', TYPE.DATETIME],
  ['timestamp', TYPE.TIMESTAMP],
  ['char', TYPE.STRING],
  ['binary', TYPE.STRING],
  ['uuid', TYPE.STRING],
  ['inet4', TYPE.STRING],
  ['inet6', TYPE.STRING],
  ['varchar', TYPE.VARCHAR],
  ['varbinary', TYPE.VARCHAR],
  // As MariaDB has it.
  ['vector', TYPE.VARCHAR],
  ...['tiny', '', 'medium', 'long'].flatMap((size): [string, number][] => [
    [`${size}text`, TYPE.BLOB],
    [`${size}blob`, TYPE.BLOB],
  ]),
  ['enum', TYPE.ENUM],
  ['set', TYPE.SET],
  ['json', TYPE.JSON],
]);

const OLD_TYPES: ReadonlyMap<string, number> = new Map([
  ['time', TYPE.OLD_TIME],
  ['datetime', TYPE.OLD_DATETIME],
  ['timestamp', TYPE.OLD_TIMESTAMP],
]);

/** Of each number of a vector. */
const FLOAT_BYTES = 4;

/** Bytes of those that the binlog has as BINARY. */
const BYTES: ReadonlyMap<string, number> = new Map([
  ['uuid', 16],
  ['inet6', 16],
  ['inet4', 4],
]);

/**
 * With the columns that the account may see, and PRIMARY alone as the key: which other one stands in for it, the server
 * tells in its binlog.
 */
export async function describedTables(
  { source, version }: Pick<Surroundings, 'source' | 'version'>,
  tables: readonly SeenTable[],
): Promise<readonly TableVersion[]> {
  if (tables.length === 0) return [];
  const columns = await source.query(
    `SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, COLUMN_NAME AS c, DATA_TYPE AS d, COLUMN_TYPE AS k,
       CHARACTER_SET_NAME AS h, CHARACTER_OCTET_LENGTH AS o, NUMERIC_PRECISION AS p, IS_NULLABLE AS n,
       COALESCE(DATETIME_PRECISION, NUMERIC_SCALE, 0) AS f
     FROM information_schema.COLUMNS WHERE ${NOT_OF_THE_SYSTEM}
     ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION`,
  );
  const keys = await source.query(
    `SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, COLUMN_NAME AS c
     FROM information_schema.STATISTICS WHERE INDEX_NAME = 'PRIMARY' AND ${NOT_OF_THE_SYSTEM}
     ORDER BY TABLE_SCHEMA, TABLE_NAME, SEQ_IN_INDEX`,
  );
  const [columnsOf, keysOf] = [columns, keys].map((rows) => Map.groupBy(rows, nameOf));
  const flavor = flavorOf(version.text);
  return tables.map((seen) => {
    const table = versionOf(seen, columnsOf?.get(seen.name) ?? [], keysOf?.get(seen.name) ?? []);
    return flavor === 'mysql' ? table : withOpenColumns(table, flavor);
  });
}

function nameOf(row: SourceRow): string {
  return `${row['s'] ?? ''}.${row['t'] ?? ''}`;
}

function versionOf(
  { schema, table, name }: SeenTable,
  rows: readonly SourceRow[],
  key: readonly SourceRow[],
): TableVersion {
  const columns = rows.map(columnOf);
  const parts = key.flatMap((row): KeyPart[] => {
    const column = columns.find((one) => one.name === row['c']);
    return column === undefined ? [] : [{ column, prefix: 0 }];
  });
  const primaryKey = parts.length === 0 ? null : parts;
  return { schema, table, name, columns, primaryKey, defect: null };
}

const BINARY: ReadonlySet<string> = new Set([
  ...['binary', 'varbinary', 'uuid', 'inet4', 'inet6', 'vector'],
  ...['tinyblob', 'blob', 'mediumblob', 'longblob'],
]);

function collationOf(kind: string, charset: string | null): number | null {
  if (BINARY.has(kind)) return BINARY_COLLATION;
  return charset === null ? null : SOME_COLLATION;
}

function sizeOf(kind: string, row: SourceRow): number {
  const [, numbers] = /^vector\((\d+)\)/.exec(row['k'] ?? '') ?? [];
  if (numbers !== undefined) return FLOAT_BYTES * Number(numbers);
  return BYTES.get(kind) ?? Number(row['o'] ?? row['p'] ?? 0);
}

function columnOf(row: SourceRow, index: number): Column {
  const full = row['k'] ?? '';
  // The mark of an old format stands in both.
  const [kind = ''] = /^\w+/.exec(row['d'] ?? '') ?? [];
  const type = full.endsWith(OLD_FORMAT) ? OLD_TYPES.get(kind) : TYPES.get(kind);
  return {
    index,
    name: row['c'] ?? '',
    // What is in no list is a geometry, which has no characters.
    type: type ?? TYPE.GEOMETRY,
    size: sizeOf(kind, row),
    scale: Number(row['f'] ?? 0),
    unsigned: full.includes('unsigned'),
    nullable: row['n'] === 'YES',
    collation: collationOf(kind, row['h'] ?? null),
    labels: null,
    visible: true,
    hidden: false,
  };
}
