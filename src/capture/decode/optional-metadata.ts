/**
 * The optional metadata of a TABLE_MAP: type, length, value fields in any order. Layouts: class
 * Table_map_event in mysql's libs/mysql/binlog/event/rows_event.h, `Optional_metadata_field_type`.
 */

import { malformed } from '../byte-cursor.ts';
import type { ByteCursor } from '../byte-cursor.ts';
import { isCharacter, isLabelled, isNumeric } from './column-type.ts';
import type { ColumnShape, Flavor } from './column-type.ts';
import { TYPE } from './column.ts';

const FIELD = {
  SIGNEDNESS: 1,
  DEFAULT_CHARSET: 2,
  COLUMN_CHARSET: 3,
  COLUMN_NAME: 4,
  SET_LABELS: 5,
  ENUM_LABELS: 6,
  GEOMETRY_TYPE: 7,
  SIMPLE_PRIMARY_KEY: 8,
  PRIMARY_KEY_WITH_PREFIX: 9,
  LABEL_DEFAULT_CHARSET: 10,
  LABEL_COLUMN_CHARSET: 11,
  COLUMN_VISIBILITY: 12,
  VECTOR_DIMENSIONALITY: 13,
} as const;

const KNOWN: ReadonlySet<number> = new Set(Object.values(FIELD));

/** Per column of the table, in its order; null where the map does not carry the field. */
export interface OptionalMetadata {
  readonly names: readonly string[] | null;
  readonly unsigned: readonly boolean[];
  readonly collations: readonly (number | null)[];
  readonly labels: readonly (readonly Buffer[] | null)[];
  /** Null from servers before 8.0.23. */
  readonly visible: readonly boolean[] | null;
  readonly key: readonly { readonly index: number; readonly prefix: number }[] | null;
  /** Fields of MINIMAL and FULL that are due for these columns and not there. */
  readonly missing: readonly string[];
  /** Field codes of a newer server. */
  readonly unknown: readonly number[];
}

/** Reads all fields up to the reader's end. @throws RowcallError BINLOG_EVENT_MALFORMED */
export function readOptionalMetadata(
  reader: ByteCursor,
  shapes: readonly ColumnShape[],
  flavor: Flavor,
): OptionalMetadata {
  const fields = new FieldSet(reader);
  const labelled = indexesOf(shapes, (type) => isLabelled(type));
  const collations = new Array<number | null>(shapes.length).fill(null);
  const characters = indexesOf(shapes, (type) => isCharacter(type, flavor));
  readCharsets(fields, CHARACTER_CHARSET, characters, collations);
  readCharsets(fields, LABEL_CHARSET, labelled, collations);
  const labels = new Array<readonly Buffer[] | null>(shapes.length).fill(null);
  readLabels(fields, FIELD.SET_LABELS, columnsOf(shapes, TYPE.SET), labels);
  readLabels(fields, FIELD.ENUM_LABELS, columnsOf(shapes, TYPE.ENUM), labels);
  skipPacked(fields, FIELD.GEOMETRY_TYPE, columnsOf(shapes, TYPE.GEOMETRY).length);
  skipPacked(fields, FIELD.VECTOR_DIMENSIONALITY, columnsOf(shapes, TYPE.VECTOR).length);
  const all = shapes.map((_shape, index) => index);
  const visibility = fields.find(FIELD.COLUMN_VISIBILITY);
  const numeric = indexesOf(shapes, isNumeric);
  const signedness =
    numeric.length === 0 ? undefined : fields.require(FIELD.SIGNEDNESS, 'signedness');
  return {
    names: readNames(fields, shapes.length),
    unsigned: readBits(signedness, numeric, shapes.length),
    collations,
    labels,
    visible: visibility === undefined ? null : readBits(visibility, all, shapes.length),
    key: readKey(fields, shapes.length),
    missing: fields.missing,
    unknown: fields.unknown,
  };
}

/** The fields as they stand, each once, and what was looked for in vain. */
class FieldSet {
  readonly missing: string[] = [];
  readonly unknown: number[] = [];
  readonly #fields = new Map<number, ByteCursor>();

  constructor(reader: ByteCursor) {
    while (!reader.atEnd) {
      const code = reader.u8();
      const value = reader.inner(reader.packed());
      if (this.#fields.has(code)) throw malformed(`The metadata field ${code} stands there twice`);
      this.#fields.set(code, value);
      if (!KNOWN.has(code)) this.unknown.push(code);
    }
  }

  find(code: number): ByteCursor | undefined {
    return this.#fields.get(code);
  }

  require(code: number, name: string): ByteCursor | undefined {
    const field = this.#fields.get(code);
    if (field === undefined) this.missing.push(name);
    return field;
  }
}

function indexesOf(shapes: readonly ColumnShape[], has: (type: number) => boolean): number[] {
  return shapes.flatMap((shape, index) => (has(shape.type) ? [index] : []));
}

function columnsOf(shapes: readonly ColumnShape[], type: number): number[] {
  return indexesOf(shapes, (other) => other === type);
}

function readNames(fields: FieldSet, columns: number): string[] | null {
  const field = fields.require(FIELD.COLUMN_NAME, 'column names');
  if (field === undefined) return null;
  const names: string[] = [];
  for (let i = 0; i < columns; i += 1) names.push(field.slice(field.packed()).toString('utf8'));
  field.expectEnd('the column names');
  return names;
}

/** One bit per column of `indexes`, most significant bit first. */
function readBits(
  field: ByteCursor | undefined,
  indexes: readonly number[],
  columns: number,
): boolean[] {
  const result = new Array<boolean>(columns).fill(false);
  if (field === undefined) return result;
  for (let i = 0; i < indexes.length; i += 8) {
    const byte = field.u8();
    indexes.slice(i, i + 8).forEach((index, bit) => {
      result[index] = (byte & (0x80 >> bit)) !== 0;
    });
  }
  field.expectEnd('a bitmap of the metadata');
  return result;
}

interface CharsetForm {
  readonly name: string;
  readonly byDefault: number;
  readonly byColumn: number;
}

const CHARACTER_CHARSET: CharsetForm = {
  name: 'column charsets',
  byDefault: FIELD.DEFAULT_CHARSET,
  byColumn: FIELD.COLUMN_CHARSET,
};
const LABEL_CHARSET: CharsetForm = {
  name: 'ENUM and SET charsets',
  byDefault: FIELD.LABEL_DEFAULT_CHARSET,
  byColumn: FIELD.LABEL_COLUMN_CHARSET,
};

/** One form lists a collation per column; the other a default, then pairs of (n-th such column, collation). */
function readCharsets(
  fields: FieldSet,
  form: CharsetForm,
  indexes: readonly number[],
  into: (number | null)[],
): void {
  if (indexes.length === 0) return;
  const byColumn = fields.find(form.byColumn);
  if (byColumn !== undefined) {
    for (const index of indexes) into[index] = byColumn.packed();
    byColumn.expectEnd(form.name);
    return;
  }
  const byDefault = fields.require(form.byDefault, form.name);
  if (byDefault === undefined) return;
  const common = byDefault.packed();
  for (const index of indexes) into[index] = common;
  while (!byDefault.atEnd) {
    const index = indexes[byDefault.packed()];
    if (index === undefined) throw malformed('A charset names a column that is not there');
    into[index] = byDefault.packed();
  }
}

function readLabels(
  fields: FieldSet,
  code: number,
  indexes: readonly number[],
  into: (readonly Buffer[] | null)[],
): void {
  if (indexes.length === 0) return;
  const field = fields.require(code, code === FIELD.SET_LABELS ? 'SET members' : 'ENUM members');
  if (field === undefined) return;
  for (const index of indexes) {
    const labels: Buffer[] = [];
    for (let left = field.packed(); left > 0; left -= 1) {
      // Copied: the table version outlives the packet that the event came in.
      labels.push(Buffer.from(field.slice(field.packed())));
    }
    into[index] = labels;
  }
  field.expectEnd('the members of ENUM and SET');
}

/** One packed integer per column, which no value of ours depends on. */
function skipPacked(fields: FieldSet, code: number, columns: number): void {
  const field = fields.find(code);
  if (field === undefined) return;
  for (let i = 0; i < columns; i += 1) field.packed();
  field.expectEnd(`field ${code}`);
}

function readKey(
  fields: FieldSet,
  columns: number,
): readonly { readonly index: number; readonly prefix: number }[] | null {
  const simple = fields.find(FIELD.SIMPLE_PRIMARY_KEY);
  const prefixed = fields.find(FIELD.PRIMARY_KEY_WITH_PREFIX);
  const field = simple ?? prefixed;
  if (field === undefined) return null;
  const key: { index: number; prefix: number }[] = [];
  while (!field.atEnd) {
    const index = field.packed();
    if (index >= columns) throw malformed('The primary key names a column that is not there');
    key.push({ index, prefix: simple === undefined ? field.packed() : 0 });
  }
  return key.length === 0 ? null : key;
}
