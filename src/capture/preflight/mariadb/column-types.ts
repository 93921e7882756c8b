/** What a MariaDB server says of columns whose type its binlog leaves open, and whether it was so for rows of before. */

import { RowcallError } from '../../../errors.ts';
import { formatPlace, type FilePosition } from '../../../position.ts';
import type { Logger } from '../../../shared/logger.ts';
import { mayChangeTypes } from '../../binlog/may-change-types.ts';
import { answerLimit, SourceConnection } from '../../binlog/source-connection.ts';
import type { Column, OpenType } from '../../decode/column.ts';
import { isOfOpenWidth, type ToldTypes } from '../../decode/mariadb-columns.ts';
import type { TableVersion } from '../../decode/table-map.ts';
import type { ColumnTypeSource } from '../../open-columns.ts';
import type { DumpAccess } from '../read-place.ts';
import { readDescription, typeOf } from './described-table.ts';
import type { DescribedTable } from './described-table.ts';
import { StatementsAhead } from './statements-ahead.ts';

/**
 * Asks information_schema, which tells of now, then reads on in the binlog from the rows to where it ended after the
 * answer: where no statement between them can have changed the columns, they were the same. So neither clocks
 * nor the time of the table's files are part of the proof. Where one can, nobody can tell any more.
 */
export class AskedColumnTypes implements ColumnTypeSource {
  readonly #access: DumpAccess;
  readonly #signal: AbortSignal;
  readonly #ahead: StatementsAhead;

  /** @param signal ends what is asked and read */
  constructor(access: DumpAccess, logger: Logger, signal: AbortSignal) {
    this.#access = access;
    this.#signal = signal;
    this.#ahead = new StatementsAhead(access, logger, signal);
  }

  async typesOf(
    table: TableVersion,
    columns: readonly Column[],
    at: FilePosition,
  ): Promise<ToldTypes> {
    const { described, end } = await this.#ask(table);
    // Before the answer is judged: a table that is gone or another by now is told by what was done to it.
    const open = { times: columns.some(isOfOpenWidth) };
    const altered = await this.#ahead.find(at, end, ({ sql }) =>
      mayChangeTypes(sql, table.table, open),
    );
    if (altered !== undefined) {
      const what = `the table may have been altered since, at ${formatPlace(altered)}`;
      throw unproven({ table, at }, columns, what);
    }
    return new Map(
      columns.map((column) => [lower(column), fitting({ table, at }, column, described)]),
    );
  }

  /** The end of the binlog is asked for behind the types: nothing can come between that stands behind the end. */
  async #ask(
    table: TableVersion,
  ): Promise<{ readonly described: DescribedTable; readonly end: FilePosition }> {
    const { connection, heartbeatMs } = this.#access;
    const limit = answerLimit(heartbeatMs);
    const source = await SourceConnection.open(connection, this.#signal, limit);
    try {
      const described = await readDescription(source, table);
      return { described, end: await endOfBinlog(source) };
    } finally {
      await source.close();
    }
  }
}

async function endOfBinlog(source: SourceConnection): Promise<FilePosition> {
  const [row] = await source.query('SHOW MASTER STATUS');
  if (row === undefined) throw new RowcallError('SOURCE_UNFIT', 'The source writes no binlog');
  return { file: row['File'] ?? '', position: Number(row['Position']) };
}

function lower({ name }: Column): string {
  return name.toLowerCase();
}

/** Rows, as an error names them. */
interface RowsAt {
  readonly table: TableVersion;
  readonly at: FilePosition;
}

function fitting(rows: RowsAt, column: Column, described: DescribedTable): OpenType {
  const type = typeOf(column, rows.table, described);
  if (type === null) {
    const what = 'this account does not see the table, or it is gone';
    throw unproven(rows, [column], what, {
      cure: `GRANT REFERENCES ON \`${rows.table.schema}\`.* to the account that source names, or say it in the rule of the table: columns: { types: { ${column.name}: ${listed(column)} } }.`,
    });
  }
  if (typeof type !== 'string') {
    const what = `it is ${type.otherwise} by now, which is not what stands there`;
    throw unproven(rows, [column], what);
  }
  return type;
}

function listed({ candidates }: Column): string {
  return (candidates ?? []).join(' | ');
}

function unproven(
  { table, at }: RowsAt,
  columns: readonly Column[],
  what: string,
  cure: { readonly cure?: string } = {},
): RowcallError {
  const names = columns.map((column) => `${column.name} (${listed(column)})`).join(', ');
  return new RowcallError(
    'COLUMN_TYPE_UNPROVEN',
    `The binlog of MariaDB writes the same for ${names}, and the server cannot tell which one it was when these rows were written: ${what}`,
    { place: `${formatPlace(at)}, table ${table.name}`, ...cure },
  );
}
