/** What the decoder makes of the rows that a piece of SQL writes on a real server. */
import type { RowDataPacket } from 'mysql2/promise';
import { inspect, isDeepStrictEqual } from 'node:util';
import type { BinlogEvent } from '../../../src/capture/binlog/binlog-event.ts';
import { openBinlogStream } from '../../../src/capture/binlog/binlog-stream.ts';
import { textOf } from '../../../src/capture/decode/json-text.ts';
import { decodeRows } from '../../../src/capture/decode/rows.ts';
import type { RowImage, RowsEvent } from '../../../src/capture/decode/rows.ts';
import { TableMaps } from '../../../src/capture/decode/table-map.ts';
import type { TableVersion } from '../../../src/capture/decode/table-map.ts';
import { firstRow } from '../../../src/capture/fast/row-header.ts';
import type { FilePosition } from '../../../src/position.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import { fastOutcome, plainOutcome, routeOfTable } from '../../support/fast-rows.ts';
import { withConnection } from '../../support/mysql.ts';

/** Column name and JSON text, in the table's order; hidden columns, and those absent from the image, are left out. */
export type ReadImage = readonly (readonly [name: string, json: string])[];

export interface ReadRow {
  readonly operation: RowsEvent['operation'];
  readonly table: TableVersion;
  readonly before: ReadImage | null;
  readonly after: ReadImage | null;
}

export interface RowsOfTable {
  readonly event: RowsEvent;
  readonly table: TableVersion;
}

async function endOfBinlog(url: string): Promise<FilePosition> {
  return withConnection(url, async (connection) => {
    const [rows] = await connection.query<RowDataPacket[]>('SHOW BINARY LOGS');
    const last = rows.at(-1);
    return { file: String(last?.['Log_name']), position: Number(last?.['File_size']) };
  });
}

/** All events written while `work` ran, other sessions' included. */
async function eventsOf(url: string, work: () => Promise<unknown>): Promise<BinlogEvent[]> {
  const start = await endOfBinlog(url);
  await work();
  const signal = new AbortController().signal;
  const stream = await openBinlogStream(
    {
      connection: { uri: url },
      serverId: 1_000_000 + Math.floor(Math.random() * 1_000_000_000),
      heartbeatMs: 1000,
      start,
      maxQueueBytes: 256 * 1024 * 1024,
      clock: systemClock,
      nonBlocking: true,
    },
    signal,
  );
  const all: BinlogEvent[] = [];
  try {
    for (;;) {
      const batch = await stream.next();
      if (batch.length === 0) return all;
      all.push(...batch);
    }
  } finally {
    await stream.close();
  }
}

/** The row events of one schema written while `work` ran, with their tables. */
export async function rowEventsOf(
  url: string,
  schema: string,
  work: () => Promise<unknown>,
): Promise<RowsOfTable[]> {
  const tables = new TableMaps();
  const found: RowsOfTable[] = [];
  for (const event of await eventsOf(url, work)) {
    if (event.type === 'format-description') tables.clear(event.serverVersion);
    if (event.type === 'table-map') tables.put(event);
    if (event.type !== 'rows') continue;
    const table = tables.get(event.tableId);
    if (table?.schema === schema) found.push({ event, table });
  }
  return found;
}

function imageOf(table: TableVersion, image: RowImage | null): ReadImage | null {
  if (image === null) return null;
  return table.columns.flatMap(({ hidden, index, name }) => {
    const value = image[index];
    return hidden || value === undefined ? [] : [[name, textOf(value)] as const];
  });
}

/** The fast decoder has to make of a real event what the plain one makes of it, without leaving it one row of whole images. */
function requireFast({ event, table }: RowsOfTable, rows: number): void {
  const route = routeOfTable(table);
  const { fastRows, ...fast } = fastOutcome(event, route);
  const plain = plainOutcome(event, route);
  if (!isDeepStrictEqual(fast, plain)) {
    throw new Error(`The decoders differ at ${table.name}: ${inspect({ fast, plain })}`);
  }
  const images = event.operation === 'update' ? 2 : 1;
  const whole = firstRow(event.body, table.columns.length, images) > 0;
  const forFast = whole && event.partialJson !== true && event.body.length < FAST_BYTES;
  if (forFast && fastRows !== rows) {
    throw new Error(
      `${rows - fastRows} rows of ${table.name} were left to the plain decoder: ${inspect(plain.records[fastRows])}`,
    );
  }
}

/** Below it no value can be one that is large. */
const FAST_BYTES = 64 * 1024;

/** The row changes of one schema made by `work`, every column decoded. */
export async function readRows(
  url: string,
  schema: string,
  work: () => Promise<unknown>,
  onEvent: (event: RowsEvent) => void = () => undefined,
): Promise<ReadRow[]> {
  const rows: ReadRow[] = [];
  for (const { event, table } of await rowEventsOf(url, schema, work)) {
    onEvent(event);
    const wanted = table.columns.filter(({ hidden }) => !hidden);
    const first = rows.length;
    for (const { before, after } of decodeRows(event, table, wanted)) {
      rows.push({
        operation: event.operation,
        table,
        before: imageOf(table, before),
        after: imageOf(table, after),
      });
    }
    requireFast({ event, table }, rows.length - first);
  }
  return rows;
}
