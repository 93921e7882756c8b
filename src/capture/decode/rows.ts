/** Row events as row changes: each column's value as JSON text. */

import { RowcallError } from '../../errors.ts';
import type { BinlogEvent } from '../binlog/binlog-event.ts';
import { formatPlace } from '../../position.ts';
import { ByteCursor, located, malformed } from '../byte-cursor.ts';
import { valueReader, valueSkipper } from './column-reader.ts';
import type { Column } from './column.ts';
import type { JsonText } from './json-text.ts';
import type { TableVersion } from './table-map.ts';
import type { ValueReader } from './types/value-reader.ts';

export type RowsEvent = Extract<BinlogEvent, { readonly type: 'rows' }>;

/** JSON text per column index; undefined for a column that was not wanted. SQL NULL is `null`. */
export type RowImage = readonly (JsonText | undefined)[];

/** An insert has no `before`, a delete no `after`. */
export interface RowChange {
  readonly before: RowImage | null;
  readonly after: RowImage | null;
}

/** How to go through one row image: for each column of the table either read or skip. */
interface Step {
  readonly column: Column;
  readonly reader: ValueReader | null;
  readonly skip: ValueReader['skip'];
}

/** Plans hang on the list of wanted columns, which belongs to one table version and route. */
const plans = new WeakMap<readonly Column[], readonly Step[]>();

/**
 * Decodes a rows event of version 1 or 2 row by row; nothing is read before it is asked for.
 *
 * @param wanted columns of `table` to decode, the same array for the same table each time; the others are
 *   passed over by their width
 * @throws RowcallError with file, position, table and column: ROW_METADATA_MISSING, ROW_IMAGE_PARTIAL,
 *   COLUMN_TYPE_UNSUPPORTED, CHARSET_UNSUPPORTED, VALUE_INVALID, BINLOG_EVENT_MALFORMED
 */
export function* decodeRows(
  event: RowsEvent,
  table: TableVersion,
  wanted: readonly Column[],
): Generator<RowChange, void, undefined> {
  const where = `${formatPlace(event)}, table ${table.name}`;
  const plan = planOf(table, wanted, where);
  const reader = new ByteCursor(event.body);
  attempt(where, () => {
    readHeader(reader, event, table);
  });
  for (let row = 1; !reader.atEnd; row += 1) {
    const at = `${where}, row ${row}`;
    const before = event.operation === 'insert' ? null : readImage(reader, plan, at);
    const after = event.operation === 'delete' ? null : readImage(reader, plan, at);
    yield { before, after };
  }
}

/** Packed width, then one bitmap of present columns per image. */
function readHeader(reader: ByteCursor, event: RowsEvent, table: TableVersion): void {
  const width = reader.packed();
  if (width !== table.columns.length) {
    throw malformed(`The rows have ${width} columns and the table map has ${table.columns.length}`);
  }
  for (let images = event.operation === 'update' ? 2 : 1; images > 0; images -= 1) {
    const present = reader.slice((width + 7) >> 3);
    const absent = table.columns.find(
      ({ index }) => (present.readUInt8(index >> 3) & (1 << (index & 7))) === 0,
    );
    if (absent !== undefined) {
      throw new RowcallError('ROW_IMAGE_PARTIAL', `The rows lack the column ${absent.name}`);
    }
  }
}

function planOf(table: TableVersion, wanted: readonly Column[], place: string): readonly Step[] {
  if (table.defect !== null) {
    throw new RowcallError(table.defect.code, table.defect.message, { place });
  }
  const known = plans.get(wanted);
  if (known !== undefined) return known;
  const chosen = new Set(wanted);
  const plan = table.columns.map((column): Step =>
    attempt(`${place}, column ${column.name}`, () => ({
      column,
      reader: chosen.has(column) ? valueReader(column) : null,
      skip: valueSkipper(column),
    })),
  );
  plans.set(wanted, plan);
  return plan;
}

/** Null bitmap, then the values that are not NULL, in the table's order. */
function readImage(reader: ByteCursor, plan: readonly Step[], place: string): RowImage {
  const image = new Array<JsonText | undefined>(plan.length);
  let step: Step | undefined;
  try {
    const nulls = reader.claim((plan.length + 7) >> 3);
    for (step of plan) {
      const { index } = step.column;
      if ((reader.view.getUint8(nulls + (index >> 3)) & (1 << (index & 7))) !== 0) {
        if (step.reader !== null) image[index] = 'null';
      } else if (step.reader === null) {
        step.skip(reader);
      } else {
        image[index] = step.reader.read(reader);
      }
    }
  } catch (error) {
    throw located(error, step === undefined ? place : `${place}, column ${step.column.name}`);
  }
  return image;
}

function attempt<T>(place: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw located(error, place);
  }
}
