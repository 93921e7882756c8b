/** Tables folded from callbacks, and their comparison with what SELECT says. */

import type { Connection, RowDataPacket } from 'mysql2/promise';

import { parseExactly } from './receiver-journal.ts';
import type { Taken } from './receiver-journal.ts';

type Row = Readonly<Record<string, unknown>>;

/** A table as a receiver would have it: rows by key, or, without a key, how often each row stands there. */
export interface FoldedTable {
  readonly rows: Map<string, Row>;
  readonly keyless: Map<string, number>;
}

export interface Folded {
  readonly tables: ReadonlyMap<string, FoldedTable>;
  /** Events that do not fit the table as folded so far: before images that differ, inserts of a present key. */
  readonly misfits: readonly string[];
}

const MAX_DIFFERENCES = 20;

/**
 * Applies events in the order of taking. Within a key that is the order of commits, which is all that a
 * table needs; a change that does not fit the row before it is a misfit.
 */
export function fold(taken: Iterable<Taken>): Folded {
  const tables = new Map<string, FoldedTable>();
  const misfits: string[] = [];
  for (const event of taken) {
    if (event.operation === 'truncate') {
      tables.delete(event.table);
      continue;
    }
    let table = tables.get(event.table);
    if (table === undefined) {
      tables.set(event.table, (table = { rows: new Map(), keyless: new Map() }));
    }
    const misfit =
      event.key === null ? foldKeyless(table, event) : foldKeyed(table, event.key, event);
    if (misfit !== undefined && misfits.length < MAX_DIFFERENCES) {
      misfits.push(`${event.id} (${event.operation}): ${misfit}`);
    }
  }
  return { tables, misfits };
}

function foldKeyed(table: FoldedTable, key: string, event: Taken): string | undefined {
  const current = table.rows.get(key);
  if (event.after === null) table.rows.delete(key);
  else table.rows.set(key, event.after);
  if (event.before === null) return current === undefined ? undefined : 'the key was there before';
  if (current === undefined) return 'the key was not there before';
  return sameWhereShared(current, event.before) ? undefined : 'the before image is not the row';
}

function foldKeyless(table: FoldedTable, event: Taken): string | undefined {
  if (event.before !== null) {
    const row = canonical(event.before);
    const count = table.keyless.get(row) ?? 0;
    if (count === 0) return 'the row was not there before';
    if (count === 1) table.keyless.delete(row);
    else table.keyless.set(row, count - 1);
  }
  if (event.after !== null) {
    const row = canonical(event.after);
    table.keyless.set(row, (table.keyless.get(row) ?? 0) + 1);
  }
  return undefined;
}

/** A column added or dropped in between stands in one of the two only. */
function sameWhereShared(one: Row, other: Row): boolean {
  return Object.keys(one).every(
    (column) => !(column in other) || canonical(one[column]) === canonical(other[column]),
  );
}

/** JSON text with sorted object keys: equal values give equal text. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly fallback: string | null;
}

/**
 * Differences between every table of `database` and its folded twin, as sentences; none when they are
 * equal. A column added after a row's last event must hold its default there: ADD COLUMN writes no row events.
 */
export async function compareWithSelect(
  connection: Connection,
  database: string,
  folded: Folded,
): Promise<readonly string[]> {
  const differences: string[] = [...folded.misfits];
  const note = (text: string): void => {
    if (differences.length < MAX_DIFFERENCES) differences.push(text);
  };
  const [names] = await connection.query<RowDataPacket[]>(
    'SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? ORDER BY 1',
    [database],
  );
  const seen = new Set<string>();
  for (const { name } of names as { name: string }[]) {
    const table = `${database}.${name}`;
    seen.add(table);
    const columns = await columnsOf(connection, database, name);
    const rows = await selectRows(connection, table, columns);
    compareTable(table, { columns, rows }, folded.tables.get(table), note);
  }
  for (const table of folded.tables.keys()) {
    if (!seen.has(table)) note(`${table} was called back and does not exist`);
  }
  return differences;
}

function compareTable(
  table: string,
  selected: { readonly columns: readonly Column[]; readonly rows: readonly Row[] },
  folded: FoldedTable | undefined,
  note: (text: string) => void,
): void {
  const { rows, keyless } = folded ?? { rows: new Map<string, Row>(), keyless: new Map() };
  if (keyless.size > 0) {
    compareKeyless(table, selected.rows, { rows: keyless, note });
    return;
  }
  const firstKey = rows.keys().next();
  const keyColumns =
    firstKey.done === true ? [] : Object.keys(JSON.parse(firstKey.value) as object);
  const left = new Map(rows);
  for (const row of selected.rows) {
    const key = JSON.stringify(Object.fromEntries(keyColumns.map((name) => [name, row[name]])));
    const mine = left.get(key);
    left.delete(key);
    if (mine === undefined) note(`${table} ${key}: in MySQL, not in the callbacks`);
    else compareRow(`${table} ${key}`, { row, mine, columns: selected.columns }, note);
  }
  for (const key of left.keys()) note(`${table} ${key}: in the callbacks, not in MySQL`);
}

function compareKeyless(
  table: string,
  selected: readonly Row[],
  folded: { readonly rows: ReadonlyMap<string, number>; readonly note: (text: string) => void },
): void {
  const counts = new Map<string, number>();
  for (const row of selected) {
    const text = canonical(row);
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  for (const text of new Set([...counts.keys(), ...folded.rows.keys()])) {
    const [inMysql, called] = [counts.get(text) ?? 0, folded.rows.get(text) ?? 0];
    if (inMysql !== called) {
      folded.note(`${table} ${text}: ${inMysql} times in MySQL, ${called} in the callbacks`);
    }
  }
}

function compareRow(
  place: string,
  { row, mine, columns }: { row: Row; mine: Row; columns: readonly Column[] },
  note: (text: string) => void,
): void {
  for (const column of columns) {
    const inMysql = row[column.name];
    const called = column.name in mine ? mine[column.name] : valueOf(column.type, column.fallback);
    if (canonical(inMysql) !== canonical(called)) {
      note(`${place}.${column.name}: ${canonical(inMysql)} in MySQL, ${canonical(called)} called`);
    }
  }
}

async function columnsOf(
  connection: Connection,
  database: string,
  table: string,
): Promise<readonly Column[]> {
  const [columns] = await connection.query<RowDataPacket[]>(
    `SELECT COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_DEFAULT AS fallback
       FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`,
    [database, table],
  );
  return columns as unknown as Column[];
}

const BYTE_TYPES = new Set(['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob']);
const NUMBER_TYPES = new Set(
  'tinyint smallint mediumint int bigint float double bit year'.split(' '),
);

/** Every row as the envelope would have it, from the texts that SELECT prints in a UTC session. */
async function selectRows(
  connection: Connection,
  table: string,
  columns: readonly Column[],
): Promise<readonly Row[]> {
  await connection.query("SET time_zone = '+00:00'");
  const list = columns.map(({ name, type }) => {
    if (BYTE_TYPES.has(type)) return `HEX(\`${name}\`) AS \`${name}\``;
    return type === 'bit' ? `CAST(\`${name}\` AS UNSIGNED) AS \`${name}\`` : `\`${name}\``;
  });
  const quoted = table.split('.').map((part) => `\`${part}\``);
  const [rows] = await connection.query<RowDataPacket[]>({
    sql: `SELECT ${list.join(', ')} FROM ${quoted.join('.')}`,
    typeCast: (field) => field.string('utf8'),
  });
  return rows.map((row) =>
    Object.fromEntries(
      columns.map(({ name, type }) => [name, valueOf(type, row[name] as string | null)]),
    ),
  );
}

function valueOf(type: string, text: string | null): unknown {
  if (text === null) return null;
  if (BYTE_TYPES.has(type)) return Buffer.from(text, 'hex').toString('base64');
  if (NUMBER_TYPES.has(type)) return parseExactly(text.replace(/^0+(?=\d)/, ''));
  if (type === 'json') return parseExactly(text);
  return type === 'timestamp' ? `${text.replace(' ', 'T')}Z` : text;
}
