/** Binlog events of a table with an id, a name and perhaps a note, as the parser would give them. */
import type {
  BinlogEvent,
  EventPlace,
  RowOperation,
} from '../../src/capture/binlog/binlog-event.ts';
import { TYPE } from '../../src/capture/decode/column.ts';
import type { Gtid } from '../../src/gtid-set.ts';
import {
  field,
  littleEndian,
  msbBits,
  namesField,
  packed,
  rowsBody,
  tableMapBody,
  text,
} from '../unit/capture/decode/bytes.ts';

/** One row: BIGINT, VARCHAR, and a second VARCHAR once the table was altered. */
export interface SampleRow {
  readonly id: number;
  readonly name: string;
  readonly note?: string | null;
}

export interface SampleTable {
  readonly schema: string;
  readonly table: string;
  /** Has a primary key on `id`. */
  readonly keyed: boolean;
  /** Has the column `note`. */
  readonly wide: boolean;
  readonly tableId: number;
}

/** Bodies of events without their place. */
export type EventBody = BinlogEvent extends infer E
  ? E extends BinlogEvent
    ? Omit<E, keyof EventPlace | 'serverId' | 'bytes' | 'timestamp'>
    : never
  : never;

const COLLATION_UTF8MB4 = 255;

export function tableMap(table: SampleTable): EventBody {
  const columns = [
    { name: 'id', type: TYPE.LONGLONG },
    { name: 'name', type: TYPE.VARCHAR, metadata: [160, 0] },
    ...(table.wide ? [{ name: 'note', type: TYPE.VARCHAR, metadata: [160, 0] }] : []),
  ];
  const fields = [
    field(1, msbBits([false])),
    field(2, packed(COLLATION_UTF8MB4)),
    namesField(columns),
    ...(table.keyed ? [field(8, packed(0))] : []),
    field(12, msbBits(columns.map(() => true))),
  ];
  const body = tableMapBody(columns, fields, [table.schema, table.table]);
  return { type: 'table-map', tableId: table.tableId, body };
}

/** @param images before, after, before, after… for updates; else one image per row */
export function rows(
  table: SampleTable,
  operation: RowOperation,
  images: readonly SampleRow[],
): EventBody {
  const width = table.wide ? 3 : 2;
  const body = rowsBody(
    width,
    operation === 'update' ? 2 : 1,
    images.map((row) => [
      littleEndian(row.id, 8),
      text(row.name),
      ...(table.wide ? [typeof row.note === 'string' ? text(row.note) : null] : []),
    ]),
  );
  return { type: 'rows', operation, tableId: table.tableId, endOfStatement: true, body };
}

export function gtidEvent(gtid: Gtid | null, commitUs: number): EventBody {
  return { type: 'gtid', gtid, commitUs };
}

export function query(schema: string, sql: string): EventBody {
  return { type: 'query', schema, sql, sqlMode: 0, threadId: 9 };
}
