/** Row events as row changes: each column's value as JSON text. */

import { RowcallError } from '../../errors.ts';
import { present } from '../../shared/assert.ts';
import type { BinlogEvent } from '../binlog/binlog-event.ts';
import { formatPlace } from '../../position.ts';
import { ByteCursor, located, malformed } from '../byte-cursor.ts';
import { valueReader, valueSkipper } from './column-reader.ts';
import { type Column, TYPE } from './column.ts';
import { currentChange, PeriodWatch } from './current-rows.ts';
import { patchedJson } from './json-patch.ts';
import type { JsonText } from './json-text.ts';
import type { TableVersion } from './table-map.ts';
import type { ValueReader } from './types/value-reader.ts';

export type RowsEvent = Extract<BinlogEvent, { readonly type: 'rows' }>;

/**
 * JSON text per column index. Undefined for a column that was not wanted, and for one that is absent from the
 * image (binlog_row_image MINIMAL or NOBLOB), which says nothing about its value. SQL NULL is `null`.
 */
export type RowImage = readonly (JsonText | undefined)[];

/**
 * An insert has no `before`, a delete no `after`. Neither has what MariaDB writes of the history of a system-versioned
 * table: it changes no row that the table has.
 */
export interface RowChange {
  readonly before: RowImage | null;
  readonly after: RowImage | null;
}

export interface DecodeOptions {
  /** An image that lacks a column is an error. Default: false. */
  readonly requireFullImage?: boolean;
}

/** How to go through one row image: for each column of the table either read or skip. */
interface Step {
  readonly column: Column;
  readonly reader: ValueReader | null;
  /** What stands for a value that was not read as it is stored. Null: the value itself. */
  readonly render: Column['render'] | null;
  readonly skip: ValueReader['skip'];
  /** Its number among the JSON columns of the table, from 0; null for other types. */
  readonly jsonNumber: number | null;
}

/** The columns that an image has, in the table's order. */
interface ImagePlan {
  readonly steps: readonly Step[];
  /** Columns of the table, present or not. */
  readonly width: number;
  /** JSON columns of the table, present or not. */
  readonly jsonColumns: number;
  /** Of a system-versioned table. */
  readonly period: PeriodWatch | null;
}

/** Where the stored bytes of a document stand in the event's body. */
interface DocumentPlace {
  readonly from: number;
  readonly to: number;
}

/** Plans hang on the list of wanted columns, which belongs to one table version and route. */
const plans = new WeakMap<readonly Column[], ImagePlan>();

/**
 * Decodes a rows event of version 1 or 2, or one with partial JSON updates, row by row; nothing is read before it
 * is asked for. A document that was changed in part comes out whole: it is rebuilt from the one in the before image.
 *
 * @param wanted columns of `table` to decode, perhaps rendered in a way of their own, the same array for the same
 *   table each time; the others are passed over by their width
 * @throws RowcallError with file, position, table and column: ROW_METADATA_MISSING, ROW_IMAGE_PARTIAL,
 *   COLUMN_TYPE_UNSUPPORTED, CHARSET_UNSUPPORTED, VALUE_INVALID, BINLOG_EVENT_MALFORMED, BINLOG_EVENT_UNSUPPORTED
 */
export function* decodeRows(
  event: RowsEvent,
  table: TableVersion,
  wanted: readonly Column[],
  { requireFullImage = false }: DecodeOptions = {},
): Generator<RowChange, void, undefined> {
  const where = `${formatPlace(event)}, table ${table.name}`;
  const plan = planOf(table, wanted, where);
  const reader = new ByteCursor(event.body);
  const images = attempt(where, () => readHeader(reader, event, plan));
  if (requireFullImage) {
    attempt(where, () => {
      requireAll(images, table);
    });
  }
  for (let row = 1; !reader.atEnd; row += 1) {
    const at = `${where}, row ${row}`;
    if (event.partialJson === true) {
      yield readPartialUpdate(reader, images, at);
      continue;
    }
    yield plan.period === null
      ? readChange(reader, images, at)
      : readTimed(reader, images, { at, event, period: plan.period });
  }
}

function readChange(reader: ByteCursor, images: Images, at: string): RowChange {
  const before = images.before === null ? null : readImage(reader, images.before, at);
  const after = images.after === null ? null : readImage(reader, images.after, at);
  fillUnchanged(images, before, after);
  return { before, after };
}

/** Of a system-versioned table: what it does to the rows that the table has. */
function readTimed(
  reader: ByteCursor,
  images: Images,
  { at, event, period }: { at: string; event: RowsEvent; period: PeriodWatch },
): RowChange {
  const before = images.before === null ? null : readImage(reader, images.before, at);
  const timeBefore = period.take();
  const after = images.after === null ? null : readImage(reader, images.after, at);
  const times = { before: timeBefore, after: period.take(), timestamp: event.timestamp };
  fillUnchanged(images, before, after);
  return attempt(at, () =>
    currentChange({ change: { before, after }, ...times }, period.endOfTime),
  );
}

function fillUnchanged(
  { unchanged }: Images,
  before: RowImage | null,
  after: (JsonText | undefined)[] | null,
): void {
  for (const index of unchanged) {
    if (before !== null && after !== null) after[index] = before[index];
  }
}

interface Images {
  readonly before: ImagePlan | null;
  readonly after: ImagePlan | null;
  /** Columns that the after image leaves out because they are as in the before image, which has all of them. */
  readonly unchanged: readonly number[];
}

/** Packed width, then one bitmap of present columns per image. */
function readHeader(reader: ByteCursor, event: RowsEvent, plan: ImagePlan): Images {
  const width = reader.packed();
  if (width !== plan.width) {
    throw malformed(`The rows have ${width} columns and the table map has ${plan.width}`);
  }
  const before = event.operation === 'insert' ? null : presentOf(reader, plan);
  const after = event.operation === 'delete' ? null : presentOf(reader, plan);
  if ((before?.steps.length ?? 0) + (after?.steps.length ?? 0) === 0) {
    // Such rows take no bytes, so that nobody can tell how many they are.
    throw partialImage('The rows have no column at all');
  }
  return { before, after, unchanged: unchangedIn(before, after) };
}

/**
 * An after image lacks what the statement did not change. Where the before image has every column (MariaDB's
 * binlog_row_image FULL_NODUP) nothing is unknown.
 */
function unchangedIn(before: ImagePlan | null, after: ImagePlan | null): readonly number[] {
  if (before === null || after === null || !isWhole(before) || isWhole(after)) return [];
  const present = new Set(after.steps.map(({ column }) => column));
  return before.steps
    .map(({ column }) => column)
    .filter((column) => !present.has(column))
    .map(({ index }) => index);
}

function isWhole({ steps, width }: ImagePlan): boolean {
  return steps.length === width;
}

function presentOf(reader: ByteCursor, plan: ImagePlan): ImagePlan {
  const bitmap = reader.slice((plan.width + 7) >> 3);
  const isPresent = ({ column: { index } }: Step): boolean =>
    (bitmap.readUInt8(index >> 3) & (1 << (index & 7))) !== 0;
  return plan.steps.every(isPresent) ? plan : { ...plan, steps: plan.steps.filter(isPresent) };
}

function requireAll({ before, after, unchanged }: Images, table: TableVersion): void {
  for (const image of unchanged.length > 0 ? [before] : [before, after]) {
    if (image === null || isWhole(image)) continue;
    const columns = new Set(image.steps.map(({ column }) => column));
    const absent = table.columns.filter((column) => !columns.has(column));
    const names = absent.map(({ name }) => name).join(', ');
    throw partialImage(
      `The rows lack ${absent.length} columns, and source.require_full_image asks for all: ${names}`,
    );
  }
}

function partialImage(message: string): RowcallError {
  return new RowcallError('ROW_IMAGE_PARTIAL', message);
}

function planOf(table: TableVersion, wanted: readonly Column[], place: string): ImagePlan {
  if (table.defect !== null) {
    const { code, message, cure } = table.defect;
    throw new RowcallError(code, message, { place, ...(cure === undefined ? {} : { cure }) });
  }
  const known = plans.get(wanted);
  if (known !== undefined) return known;
  const chosen = new Map(wanted.map((column) => [column.index, column]));
  const period = table.period === undefined ? null : new PeriodWatch(table.period);
  let jsonColumns = 0;
  const steps = table.columns.map((column): Step =>
    attempt(`${place}, column ${column.name}`, () => {
      const asWanted = chosen.get(column.index);
      const reader = asWanted === undefined ? null : valueReader(asWanted);
      const skip = valueSkipper(column);
      return {
        column,
        reader: reader === null ? null : watched(reader, column, period),
        render: asWanted?.render ?? null,
        skip: period?.over(column.index, skip) ?? skip,
        jsonNumber: column.type === TYPE.JSON ? jsonColumns++ : null,
      };
    }),
  );
  const plan = { steps, width: steps.length, jsonColumns, period };
  plans.set(wanted, plan);
  return plan;
}

function watched(reader: ValueReader, { index }: Column, period: PeriodWatch | null): ValueReader {
  if (period === null) return reader;
  const { read, skip } = reader;
  return { read: period.over(index, read), skip: period.over(index, skip) };
}

/**
 * Null bitmap over the columns that are present, then the values that are not NULL, in the table's order.
 *
 * @param documents takes the places of JSON documents, by column index
 */
function readImage(
  reader: ByteCursor,
  { steps, width }: ImagePlan,
  place: string,
  documents?: DocumentPlace[],
): (JsonText | undefined)[] {
  const image = new Array<JsonText | undefined>(width);
  let step: Step | undefined;
  try {
    const nulls = reader.claim((steps.length + 7) >> 3);
    let bit = 0;
    for (step of steps) {
      const { index, size } = step.column;
      const from = reader.at;
      if (isSet(reader, nulls, bit)) {
        if (step.reader !== null) image[index] = 'null';
      } else if (step.reader === null) {
        step.skip(reader);
      } else {
        image[index] = step.reader.read(reader);
        if (documents !== undefined && step.jsonNumber !== null) {
          documents[index] = { from: from + size, to: reader.at };
        }
      }
      bit += 1;
    }
  } catch (error) {
    throw located(error, step === undefined ? place : `${place}, column ${step.column.name}`);
  }
  return image;
}

function isSet(reader: ByteCursor, bitmap: number, bit: number): boolean {
  return (reader.view.getUint8(bitmap + (bit >> 3)) & (1 << (bit & 7))) !== 0;
}

const PARTIAL_JSON = 1;

/** A before image as ever; the after image may hold changes of documents in the documents' place. */
function readPartialUpdate(
  reader: ByteCursor,
  { before: beforePlan, after: afterPlan }: Images,
  place: string,
): RowChange {
  const documents: DocumentPlace[] = [];
  const before = readImage(reader, present(beforePlan, 'a before image'), place, documents);
  const { steps, width, jsonColumns } = present(afterPlan, 'an after image');
  const after = new Array<JsonText | undefined>(width);
  let step: Step | undefined;
  try {
    const options = reader.packed('the value options');
    if (options > PARTIAL_JSON) {
      throw new RowcallError('BINLOG_EVENT_UNSUPPORTED', `Value options ${options} are not known`);
    }
    // One bit for each JSON column of the table, whether the image has it or not.
    const marks = options === PARTIAL_JSON ? reader.claim((jsonColumns + 7) >> 3) : null;
    const nulls = reader.claim((steps.length + 7) >> 3);
    let bit = 0;
    for (step of steps) {
      const { index } = step.column;
      const { jsonNumber } = step;
      if (isSet(reader, nulls, bit)) {
        if (step.reader !== null) after[index] = 'null';
      } else if (step.reader === null) {
        step.skip(reader);
      } else if (marks !== null && jsonNumber !== null && isSet(reader, marks, jsonNumber)) {
        after[index] = readPatched(reader, step, before[index], documents[index]);
      } else {
        after[index] = step.reader.read(reader);
      }
      bit += 1;
    }
  } catch (error) {
    throw located(error, step === undefined ? place : `${place}, column ${step.column.name}`);
  }
  return { before, after };
}

/** No diff at all means that the document stayed as it was. */
function readPatched(
  reader: ByteCursor,
  { column, render }: Step,
  before: JsonText | undefined,
  document: DocumentPlace | undefined,
): JsonText {
  const length = reader.length(column.size);
  const from = reader.claim(length);
  if (before === undefined) {
    throw new RowcallError(
      'ROW_IMAGE_PARTIAL',
      'The row holds changes of the JSON document, and not the document before them',
      { cure: DOCUMENT_CURE },
    );
  }
  if (document === undefined) throw malformed('Changes of a JSON document that was NULL');
  if (length === 0) return before;
  const patched = (): JsonText =>
    patchedJson(
      reader.bytes.subarray(document.from, document.to),
      reader.bytes.subarray(from, from + length),
    );
  return render === null || render === undefined ? patched() : render(patched);
}

const DOCUMENT_CURE =
  "SET PERSIST binlog_row_image = 'FULL', or SET PERSIST binlog_row_value_options = '' (and in every session that sets its own), then rowcall position set behind the place.";

function attempt<T>(place: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw located(error, place);
  }
}
