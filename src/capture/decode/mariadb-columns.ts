/** Columns of MariaDB that its binlog leaves open: what they can be, and what they become once that is told. */

import { RowcallError } from '../../errors.ts';
import type { Flavor } from './column-type.ts';
import {
  type Column,
  OPEN_BINARY,
  type OpenBinary,
  type OldTemporal,
  type OpenType,
  type PeriodRole,
  TYPE,
} from './column.ts';
import { END_OF_TIME } from './current-rows.ts';
import type { TableVersion } from './table-map.ts';

const BINARY_COLLATION = 63;

const OF_SIZE: ReadonlyMap<number, readonly OpenBinary[]> = new Map([
  [4, ['binary', 'inet4']],
  [16, ['binary', 'uuid', 'inet6']],
]);

/** Of a VECTOR, which is described as a VARBINARY with room for its numbers. */
const FLOAT_BYTES = 4;
const VARBINARY: readonly OpenBinary[] = ['binary', 'vector'];

const PERIOD: readonly PeriodRole[] = ['timestamp', 'row_end'];

const DIGITS = [1, 2, 3, 4, 5, 6] as const;

function temporals(name: 'time' | 'datetime' | 'timestamp'): readonly OldTemporal[] {
  return [name, ...DIGITS.map((digits) => `${name}(${digits})` as const)];
}

const OLD_TEMPORALS: ReadonlyMap<number, readonly OpenType[]> = new Map([
  [TYPE.OLD_TIME, temporals('time')],
  [TYPE.OLD_DATETIME, temporals('datetime')],
  [TYPE.OLD_TIMESTAMP, temporals('timestamp')],
]);

/** Where it can be the end of a period as well. */
const OLD_PERIOD: readonly OpenType[] = [...temporals('timestamp'), 'row_end'];

/** The table with what its columns can be. */
export function withOpenColumns(
  table: TableVersion,
  flavor: Exclude<Flavor, 'mysql'>,
): TableVersion {
  const shaped = table.columns.map((column) => {
    const candidates = ofShape(column, flavor);
    return candidates === undefined ? column : { ...column, candidates };
  });
  const period = new Set(periodColumns({ ...table, columns: shaped }));
  const columns = shaped.map((column) =>
    period.has(column) ? { ...column, candidates: periodRoles(column) } : column,
  );
  return { ...table, columns, ...(period.size > 0 ? { endOfTime: END_OF_TIME[flavor] } : {}) };
}

function ofShape(
  { type, collation, size }: Column,
  flavor: Flavor,
): readonly OpenType[] | undefined {
  if (collation === BINARY_COLLATION) {
    if (type === TYPE.STRING) return OF_SIZE.get(size);
    const mayBeVector = flavor === 'mariadb-11.7' && size > 0 && size % FLOAT_BYTES === 0;
    return type === TYPE.VARCHAR && mayBeVector ? VARBINARY : undefined;
  }
  return OLD_TEMPORALS.get(type);
}

function periodRoles({ type }: Column): readonly OpenType[] {
  return type === TYPE.OLD_TIMESTAMP ? OLD_PERIOD : PERIOD;
}

/** Whether its values are of a width that is not told: no column behind it can be read before it is. */
export function isOfOpenWidth({ type, candidates }: Column): boolean {
  return candidates !== undefined && OLD_TEMPORALS.has(type);
}

/**
 * Those that can be the two of a period: the server takes no other type, and puts one of the two into every unique key.
 * Tables whose period are numbers of transactions are not among them: it logs their changes as statements.
 */
function periodColumns({ columns, primaryKey }: TableVersion): readonly Column[] {
  const fit = columns.filter(
    (column) =>
      !column.nullable &&
      ((column.type === TYPE.TIMESTAMP && column.scale === 6) || mayBeOldTimestamp(column)),
  );
  const inKey =
    primaryKey === null ||
    primaryKey.some(({ column }) => fit.some(({ index }) => index === column.index));
  return fit.length >= 2 && inKey ? fit : [];
}

function mayBeOldTimestamp(column: Column): boolean {
  return column.type === TYPE.OLD_TIMESTAMP && isOfOpenWidth(column);
}

export function mayBePeriod({ candidates }: Column): boolean {
  return candidates?.includes('row_end') === true;
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

/** @param columnTypes of a rule */
export function toldByRule(columnTypes: Readonly<Record<string, OpenType>>): ToldTypes {
  return new Map(Object.entries(columnTypes).map(([name, type]) => [name.toLowerCase(), type]));
}

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
  if (ends.length > 1) {
    const cure = 'Say row_end of one column in columns.types: a table has one period.';
    throw unfit(table, 'columns.types has row_end for two columns', cure);
  }
  const [end] = ends;
  return end === undefined ? { ...table, columns } : versioned({ ...table, columns }, end);
}

/** A table has one period, and what ends its rows' time is in its keys on the server's own account. */
function versioned(table: TableVersion, { index: endIndex }: Column): TableVersion {
  const { endOfTime = 0, primaryKey } = table;
  const starts = periodColumns(table).filter(({ index }) => index !== endIndex);
  const startIndex = starts.length === 1 ? (starts[0]?.index ?? null) : null;
  // One in an old format stays open, as its width is.
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
      candidates === undefined
        ? `Take ${column.name} out of columns.types of the rule of the table.`
        : `Correct ${column.name} in columns.types of the rule of the table, or take it out.`,
    );
  }
  if (type in OPEN_BINARY) {
    return { ...known, type: OPEN_BINARY[type as keyof typeof OPEN_BINARY] };
  }
  return OLD_TEMPORALS.has(known.type) ? withDigits(known, type) : known;
}

/** With six digits a TIMESTAMP has the bytes of the newer format, which a period is looked for in. */
function withDigits(column: Column, type: OpenType): Column {
  const scale = type === 'row_end' ? 6 : Number(/\d/.exec(type)?.[0] ?? 0);
  const same = column.type === TYPE.OLD_TIMESTAMP && scale === 6;
  return { ...column, scale, type: same ? TYPE.TIMESTAMP : column.type };
}

function unfit(table: TableVersion, message: string, cure: string): RowcallError {
  return new RowcallError('COLUMN_RULE_UNFIT', message, { place: `table ${table.name}`, cure });
}

function described(candidates: readonly OpenType[] | undefined): string {
  return candidates === undefined
    ? 'the binlog of the source tells its type, and it is another one'
    : `it is one of ${candidates.join(', ')}`;
}
