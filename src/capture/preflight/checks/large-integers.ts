/** BIGINT values that a reader which keeps numbers as doubles would round: most JSON readers do. */

import { RowcallError } from '../../../errors.ts';
import type { SourceRow } from '../../binlog/source-connection.ts';
import type { Finding } from '../check-source.ts';
import type { Surroundings } from '../surroundings.ts';
import { listed, NOT_OF_THE_SYSTEM, quoted, type SeenTable } from '../tables-seen.ts';

const LARGEST_EXACT = 2n ** 53n;
/** Each costs a look into an index. */
const MAX_LOOKS = 200;

interface BigColumn {
  readonly seen: SeenTable;
  readonly column: string;
  readonly isAutoIncrement: boolean;
  /** First of some index: its largest value is found there at once. */
  readonly isIndexed: boolean;
}

export async function checkLargeIntegers(
  on: Pick<Surroundings, 'source' | 'tables' | 'rules'>,
): Promise<Finding[]> {
  const large: string[] = [];
  const unknown: string[] = [];
  let looks = 0;
  for (const big of await bigColumns(on)) {
    const name = `${big.seen.name}.${big.column}`;
    const isLarge = fromAutoIncrement(big) ?? (looks++ < MAX_LOOKS ? await look(on, big) : null);
    if (isLarge === true) large.push(name);
    if (isLarge === null) unknown.push(name);
  }
  return [
    ...(large.length === 0 ? [] : [over(large)]),
    ...(unknown.length === 0 ? [] : [notChecked(unknown)]),
  ];
}

async function bigColumns({
  source,
  tables,
  rules,
}: Pick<Surroundings, 'source' | 'tables' | 'rules'>): Promise<BigColumn[]> {
  const captured = new Map(
    tables.all.filter(({ rule }) => rule !== null).map((seen) => [seen.name, seen]),
  );
  if (captured.size === 0) return [];
  const rows = await source.query(
    `SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, COLUMN_NAME AS c, EXTRA AS e
     FROM information_schema.COLUMNS WHERE DATA_TYPE = 'bigint' AND ${NOT_OF_THE_SYSTEM}
     ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION`,
  );
  if (rows.length === 0) return [];
  // Beside the columns and not within: MariaDB would open every table anew for each of them.
  const leading = await source.query(
    `SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, COLUMN_NAME AS c
     FROM information_schema.STATISTICS WHERE SEQ_IN_INDEX = 1 AND ${NOT_OF_THE_SYSTEM}`,
  );
  const indexed = new Set(leading.map(placeOf));
  return rows.flatMap((row) => toColumn(row, captured, rules, indexed.has(placeOf(row))));
}

function placeOf(row: SourceRow): string {
  return JSON.stringify([row['s'], row['t'], row['c']]);
}

function toColumn(
  row: SourceRow,
  captured: ReadonlyMap<string, SeenTable>,
  rules: Surroundings['rules'],
  isIndexed: boolean,
): BigColumn[] {
  const seen = captured.get(`${row['s'] ?? ''}.${row['t'] ?? ''}`);
  const column = row['c'] ?? '';
  if (seen === undefined || seen.rule === null) return [];
  const rule = rules[seen.rule];
  if (rule?.bigint === 'string' || rule?.excludeColumns.includes(column) === true) return [];
  const isAutoIncrement = (row['e'] ?? '').toLowerCase().includes('auto_increment');
  return [{ seen, column, isAutoIncrement, isIndexed }];
}

/** Values that were given by hand may be larger, but then the counter follows them. Null where it does not tell. */
function fromAutoIncrement({ seen, isAutoIncrement }: BigColumn): boolean | null {
  if (!isAutoIncrement || seen.autoIncrement === null) return null;
  return seen.autoIncrement > LARGEST_EXACT;
}

/** Null where it would cost a scan, or needs a right that the account does not have. */
async function look(
  { source }: Pick<Surroundings, 'source'>,
  { seen, column, isIndexed }: BigColumn,
): Promise<boolean | null> {
  if (!isIndexed) return null;
  const name = quoted(column);
  try {
    const [row] = await source.query(
      `SELECT MIN(${name}) AS low, MAX(${name}) AS high FROM ${quoted(seen.schema)}.${quoted(seen.table)}`,
    );
    return [row?.['low'], row?.['high']].some((value) => {
      const number = BigInt(value ?? 0);
      return number > LARGEST_EXACT || number < -LARGEST_EXACT;
    });
  } catch (error) {
    if (error instanceof RowcallError && error.code === 'SOURCE_ACCESS_DENIED') return null;
    throw error;
  }
}

function over(names: readonly string[]): Finding {
  return {
    check: 'BIGINT over 2^53',
    value: listed(names),
    want: 'receivers that keep all digits',
    why: 'Events have all digits, but a JSON reader that keeps numbers as doubles (JavaScript, jq and others) rounds these, keys among them.',
    sql: '-- in the rule of the table: bigint: string; or let receivers read them exactly',
    severity: 'warning',
  };
}

function notChecked(names: readonly string[]): Finding {
  return {
    check: 'BIGINT over 2^53',
    value: `not checked: ${listed(names)}`,
    want: 'known',
    why: 'The largest value is looked up where the column leads an index and the account may SELECT; elsewhere it would cost a scan.',
    sql: '-- where it matters: SELECT MIN(column), MAX(column) FROM the table',
    severity: 'note',
  };
}
