/**
 * A table as a person can read its rows, also where the map lacks what exact values need: names are `@1`, `@2` then,
 * and what the bytes leave open is told as open. For looking at a binlog, never for capturing it.
 */

import { RowcallError } from '../../errors.ts';
import { valueReader, valueSkipper } from './column-reader.ts';
import { isLabelled } from './column-type.ts';
import { type Column, TYPE } from './column.ts';
import { type JsonText, textOf } from './json-text.ts';
import type { TableVersion } from './table-map.ts';

/** One column that rows are shown with. */
export interface LegibleColumn {
  readonly column: Column;
  /** The column alone, the same array each time: decodeRows keeps its plan by it. */
  readonly alone: readonly Column[];
  /** `@n` where the map has no names. */
  readonly name: string;
  /** Why no value of it can be read; null when they can. */
  readonly refused: RowcallError | null;
  /** What is told instead of the value read, where the map leaves its meaning open. */
  readonly told: ((value: JsonText) => JsonText) | null;
}

export interface LegibleTable {
  /** What the rows are decoded with. */
  readonly version: TableVersion;
  readonly columns: readonly LegibleColumn[];
  /** Those that can be read, the same array each time. */
  readonly wanted: readonly Column[];
  /** Why no row can be read at all; null when they can. */
  readonly refused: RowcallError | null;
}

/** Of a TABLE_MAP: which fields it has. */
interface Known {
  readonly signs: boolean;
  readonly names: boolean;
}

const BINARY_COLLATION = 63;

const tables = new WeakMap<TableVersion, LegibleTable>();

export function legibleTable(table: TableVersion): LegibleTable {
  let known = tables.get(table);
  if (known === undefined) {
    known = build(table);
    tables.set(table, known);
  }
  return known;
}

function build(table: TableVersion): LegibleTable {
  const { defect } = table;
  if (defect !== null && defect.code !== 'ROW_METADATA_MISSING') {
    const refused = new RowcallError(defect.code, defect.message);
    return { version: table, columns: [], wanted: [], refused };
  }
  const missing = new Set(defect?.missing);
  const known = { signs: !missing.has('signedness'), names: !missing.has('column names') };
  const columns = table.columns.map((column) => toLegible(column, known));
  const version = { ...table, columns: columns.map(({ column }) => column), defect: null };
  const shown = columns.filter(({ column }) => !column.hidden);
  const wanted = shown.flatMap(({ column, refused }) => (refused === null ? [column] : []));
  return { version, columns: shown, wanted, refused: passable(version.columns) };
}

/** Rows are read past each column: one whose width is not known hides all behind it. */
function passable(columns: readonly Column[]): RowcallError | null {
  for (const column of columns) {
    const refused = refusal(() => valueSkipper(column));
    if (refused !== null) return refused;
  }
  return null;
}

function toLegible(original: Column, { signs, names }: Known): LegibleColumn {
  const column = names ? original : { ...original, name: `@${original.index + 1}` };
  const { told, ...changes } = openMeaning(column, signs);
  const changed = { ...column, ...changes };
  const refused = refusal(() => valueReader(changed));
  return { column: changed, alone: [changed], name: changed.name, refused, told };
}

function refusal(attempt: () => unknown): RowcallError | null {
  try {
    attempt();
    return null;
  } catch (error) {
    if (error instanceof RowcallError) return error;
    throw error;
  }
}

type Opening = Partial<Column> & Pick<LegibleColumn, 'told'>;

/** How to read a column whose sign, charset or members the map does not tell. */
function openMeaning(column: Column, signs: boolean): Opening {
  const { type, size, collation, labels } = column;
  const bits = INTEGER_BITS.get(type);
  if (bits !== undefined) {
    return signs ? { told: null } : { unsigned: true, told: (value) => eitherSign(value, bits) };
  }
  if (isLabelled(type)) {
    return labels === null || collation === null ? numberOf(type, size) : { told: null };
  }
  if (!TEXTS.has(type) || collation !== null) return { told: null };
  // A CHAR of unknown charset is read as a VARCHAR is: as BINARY it would be filled up with zero bytes.
  const read = type === TYPE.STRING ? TYPE.VAR_STRING : type;
  return { type: read, collation: BINARY_COLLATION, told: textOrBytes };
}

/** Columns that hold text or bytes, which their collation alone tells apart. */
const TEXTS: ReadonlySet<number> = new Set([TYPE.STRING, TYPE.VAR_STRING, TYPE.VARCHAR, TYPE.BLOB]);

const INTEGER_BITS: ReadonlyMap<number, number> = new Map([
  [TYPE.TINY, 8],
  [TYPE.SHORT, 16],
  [TYPE.INT24, 24],
  [TYPE.LONG, 32],
  [TYPE.LONGLONG, 64],
]);

/** What has its highest bit set is one number or another: both are told. */
function eitherSign(value: JsonText, bits: number): JsonText {
  const unsigned = BigInt(textOf(value));
  if (unsigned < 1n << BigInt(bits - 1)) return value;
  return `{"signed":${unsigned - (1n << BigInt(bits))},"unsigned":${unsigned}}`;
}

const INTEGER_OF_BYTES: ReadonlyMap<number, number> = new Map([
  [1, TYPE.TINY],
  [2, TYPE.SHORT],
  [3, TYPE.INT24],
  [4, TYPE.LONG],
  [8, TYPE.LONGLONG],
]);

/** The number of an ENUM's member, the bits of a SET's. */
function numberOf(type: number, size: number): Opening {
  return { type: INTEGER_OF_BYTES.get(size) ?? type, unsigned: true, told: null };
}

/** Plain ASCII is the same in every charset that a column of bytes can mean; anything else stays bytes. */
function textOrBytes(value: JsonText): JsonText {
  if (typeof value !== 'string') return wrapped(value);
  const bytes = Buffer.from(value.slice(1, -1), 'base64');
  const plain = bytes.every(
    (byte) => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d,
  );
  if (plain && bytes.every((byte) => byte < 0x7f)) return JSON.stringify(bytes.toString('latin1'));
  return `{"base64":${value}}`;
}

const OPEN = '{"base64":';

function wrapped(value: Exclude<JsonText, string>): Exclude<JsonText, string> {
  return {
    byteLength: OPEN.length + value.byteLength + 1,
    writeTo: (target, at) => {
      const end = value.writeTo(target, target.write(OPEN, at, 'latin1') + at);
      return end + target.write('}', end, 'latin1');
    },
  };
}
