/** Columns of MariaDB that its binlog leaves open: what they can be, and what they become once that is told. */

import { RowcallError } from '../../errors.ts';
import type { Flavor } from './column-type.ts';
import {
  type Column,
  FIXED_BINARY,
  type FixedBinary,
  type OpenType,
  type PeriodRole,
  TYPE,
} from './column.ts';
import { END_OF_TIME } from './current-rows.ts';
import type { TableVersion } from './table-map.ts';

const BINARY_COLLATION = 63;

const OF_SIZE: ReadonlyMap<number, readonly FixedBinary[]> = new Map([
  [4, ['binary', 'inet4']],
  [16, ['binary', 'uuid', 'inet6']],
]);

const PERIOD: readonly PeriodRole[] = ['timestamp', 'row_end'];

/** The table with what its columns can be. */
export function withOpenColumns(
  table: TableVersion,
  flavor: Exclude<Flavor, 'mysql'>,
): TableVersion {
  const period = new Set(periodColumns(table));
  const columns = table.columns.map((column) => {
    const candidates = period.has(column) ? PERIOD : ofSize(column);
    return candidates === undefined ? column : { ...column, candidates };
  });
  return { ...table, columns, ...(period.size > 0 ? { endOfTime: END_OF_TIME[flavor] } : {}) };
}

function ofSize({ type, collation, size }: Column): readonly FixedBinary[] | undefined {
  return type === TYPE.STRING && collation === BINARY_COLLATION ? OF_SIZE.get(size) : undefined;
}

/**
 * Those that can be the two of a period: the server takes no other type, and puts one of the two into every unique key.
 * Tables whose period are numbers of transactions are not among them: it logs their changes as statements.
 */
function periodColumns({ columns, primaryKey }: TableVersion): readonly Column[] {
  const fit = columns.filter(
    ({ type, scale, nullable }) => type === TYPE.TIMESTAMP && scale === 6 && !nullable,
  );
  const inKey =
    primaryKey === null ||
    primaryKey.some(({ column }) => fit.some(({ index }) => index === column.index));
  return fit.length >= 2 && inKey ? fit : [];
}

export function mayBePeriod({ candidates }: Column): boolean {
  return candidates === PERIOD;
}

/** Its key without what may be of a period, for as long as that is open: nobody's key has it. */
export function withoutOpenPeriod(table: TableVersion): TableVersion {
  if (table.endOfTime === undefined) return table;
  const open = new Set(table.columns.filter(mayBePeriod).map(({ index }) => index));
  const primaryKey = table.primaryKey?.filter(({ column }) => !open.has(column.index)) ?? null;
  return { ...table, primaryKey };
}

/** By name, in lower case: no server tells two columns apart by the case of their letters. */
export type ToldTypes = ReadonlyMap<string, OpenType>;

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
  const ends = columns.filter(({ name }) => told.get(name.toLowerCase()) === 'row_end');
  if (ends.length > 1) throw unfit(table, 'columns.types has row_end for two columns');
  const [end] = ends;
  return end === undefined ? { ...table, columns } : versioned({ ...table, columns }, end);
}

/** A table has one period, and what ends its rows' time is in its keys on the server's own account. */
function versioned(table: TableVersion, { index: endIndex }: Column): TableVersion {
  const { endOfTime = 0, primaryKey } = table;
  const starts = periodColumns(table).filter(({ index }) => index !== endIndex);
  const startIndex = starts.length === 1 ? (starts[0]?.index ?? null) : null;
  const columns = table.columns.map((column) => {
    const { candidates, ...known } = column;
    return candidates === PERIOD ? known : column;
  });
  const key = primaryKey?.filter(({ column }) => column.index !== endIndex) ?? [];
  const period = { startIndex, endIndex, endOfTime };
  return { ...table, columns, primaryKey: key.length === 0 ? null : key, period };
}

function withToldType(table: TableVersion, column: Column, type: OpenType): Column {
  const { candidates, ...known } = column;
  if (candidates?.includes(type) !== true) {
    throw unfit(
      table,
      `columns.types calls ${column.name} ${type}, which it cannot be: ${described(candidates)}`,
    );
  }
  return type in FIXED_BINARY
    ? { ...known, type: FIXED_BINARY[type as keyof typeof FIXED_BINARY] }
    : known;
}

function unfit(table: TableVersion, message: string): RowcallError {
  return new RowcallError('COLUMN_RULE_UNFIT', message, { place: `table ${table.name}` });
}

function described(candidates: readonly OpenType[] | undefined): string {
  return candidates === undefined
    ? 'the binlog of the source tells its type, and it is another one'
    : `it is one of ${candidates.join(', ')}`;
}
