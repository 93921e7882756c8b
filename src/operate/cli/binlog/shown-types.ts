/** What MariaDB's binlog leaves open of columns, as the source tells it: rows are shown as the capture would read them. */

import { mayChangeTypes } from '../../../capture/binlog/may-change-types.ts';
import type { Column, OpenType } from '../../../capture/decode/column.ts';
import {
  isOfOpenWidth,
  mayBePeriod,
  type ToldTypes,
  toldByRule,
} from '../../../capture/decode/mariadb-columns.ts';
import type { TableVersion } from '../../../capture/decode/table-map.ts';
import { AskedColumnTypes } from '../../../capture/preflight/mariadb/column-types.ts';
import type { DumpAccess } from '../../../capture/preflight/read-place.ts';
import type { Router } from '../../../capture/route/router.ts';
import { TypedTables } from '../../../capture/typed-tables.ts';
import { type ErrorCode, RowcallError } from '../../../errors.ts';
import { silentLogger } from '../../../shared/logger.ts';
import type { CliIo } from '../io.ts';
import type { PlacedEvent } from './place-events.ts';

export interface ShownTypes {
  /** The event with what is told of its table; as it is where nothing can be told. */
  readonly typed: (placed: PlacedEvent) => Promise<PlacedEvent>;
  /** A statement that is no row change came by. */
  readonly statement: (sql: string) => void;
}

/** What leaves the values as the bytes that they are: they are shown all the same. */
const UNTOLD: ReadonlySet<ErrorCode> = new Set(['COLUMN_TYPE_UNPROVEN', 'COLUMN_RULE_UNFIT']);

/** Says once of each table what cannot be told of it. */
export function shownTypes(
  access: DumpAccess,
  router: Pick<Router, 'ruleOf'>,
  io: CliIo,
): ShownTypes {
  const tables = new TypedTables({
    source: new AskedColumnTypes(access, silentLogger, io.signal),
    told: (table) => toldByRule(router.ruleOf(table)?.columnTypes ?? {}),
    wanted: (column) => !mayBePeriod(column) || isOfOpenWidth(column),
    meaning: withoutPeriod,
  });
  const said = new Set<string>();
  /** Asked in vain: the answer is the same until a statement comes by that may have been why. */
  const untold = new Set<TableVersion>();
  return {
    statement: (sql) => {
      tables.statement(sql);
      for (const table of untold) {
        if (mayChangeTypes(sql, table.table, { times: true })) untold.delete(table);
      }
    },
    typed: async (placed) => {
      const { event, table } = placed;
      if (table === null || event.type !== 'rows' || untold.has(table)) return placed;
      try {
        return { ...placed, table: await tables.typed(table, event) };
      } catch (error) {
        if (!(error instanceof RowcallError) || !UNTOLD.has(error.code)) throw error;
        if (!said.has(table.name)) io.err(`note: ${error.code}: ${error.message}\n`);
        said.add(table.name);
        untold.add(table);
        return placed;
      }
    },
  };
}

/** What is history is shown as what it is: a row in the binlog. */
function withoutPeriod(types: ToldTypes, { columns }: TableVersion): ToldTypes {
  const old = new Set(columns.filter(isOfOpenWidth).map(nameOf));
  return new Map(
    [...types].map(([name, type]): [string, OpenType] => {
      if (type !== 'row_end') return [name, type];
      return [name, old.has(name) ? 'timestamp(6)' : 'timestamp'];
    }),
  );
}

function nameOf({ name }: Column): string {
  return name.toLowerCase();
}
