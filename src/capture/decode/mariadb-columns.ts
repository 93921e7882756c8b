/** Columns of MariaDB whose type its binlog leaves open: what they can be, and what they become once that is told. */

import { RowcallError } from '../../errors.ts';
import type { Flavor } from './column-type.ts';
import { type Column, FIXED_BINARY, type FixedBinary, TYPE } from './column.ts';
import type { TableVersion } from './table-map.ts';

const BINARY_COLLATION = 63;

const OF_SIZE: ReadonlyMap<number, readonly FixedBinary[]> = new Map([
  [4, ['binary', 'inet4']],
  [16, ['binary', 'uuid', 'inet6']],
]);

export function withCandidates(column: Column, flavor: Flavor): Column {
  if (flavor !== 'mariadb' || column.type !== TYPE.STRING) return column;
  const candidates = column.collation === BINARY_COLLATION ? OF_SIZE.get(column.size) : undefined;
  return candidates === undefined ? column : { ...column, candidates };
}

/** By name, in lower case: no server tells two columns apart by the case of their letters. */
export type ToldTypes = ReadonlyMap<string, FixedBinary>;

/**
 * The table with the columns that are told, which are open no more.
 *
 * @throws RowcallError COLUMN_RULE_UNFIT where a column cannot be what it is said to be
 */
export function withToldTypes(table: TableVersion, told: ToldTypes): TableVersion {
  if (told.size === 0) return table;
  const columns = table.columns.map((column) => {
    const type = told.get(column.name.toLowerCase());
    return type === undefined ? column : withToldType(table, column, type);
  });
  return { ...table, columns };
}

function withToldType(table: TableVersion, column: Column, type: FixedBinary): Column {
  const { candidates, ...known } = column;
  if (candidates?.includes(type) !== true) {
    throw new RowcallError(
      'COLUMN_RULE_UNFIT',
      `columns.types calls ${column.name} ${type}, which it cannot be: ${described(candidates)}`,
      { place: `table ${table.name}` },
    );
  }
  return type === 'binary' ? known : { ...known, type: FIXED_BINARY[type] };
}

function described(candidates: readonly FixedBinary[] | undefined): string {
  return candidates === undefined
    ? 'the binlog of the source tells its type, and it is another one'
    : `by its length it is one of ${candidates.join(', ')}`;
}
