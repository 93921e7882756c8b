/** Which kind of JSON a column's values have, and what stands for a masked one. */

import { OPEN_BINARY, RENDERED, TYPE, type Column } from '../column.ts';

export type JsonKind = 'number' | 'text' | 'boolean' | 'geometry' | 'vector' | 'document';

/** A mask has the kind of the values it hides, so that who reads the event need not know of it. */
export const MASKS: Readonly<Record<JsonKind, string>> = {
  number: '0',
  text: '"****"',
  boolean: 'false',
  geometry: '{"wkb":"","srid":0}',
  vector: '[]',
  // A JSON column may hold any kind.
  document: '"****"',
};

const NUMBERS: ReadonlySet<number> = new Set([
  TYPE.TINY,
  TYPE.SHORT,
  TYPE.INT24,
  TYPE.LONG,
  TYPE.LONGLONG,
  TYPE.BIT,
  TYPE.YEAR,
  TYPE.FLOAT,
  TYPE.DOUBLE,
]);

const OTHERS: ReadonlyMap<number, JsonKind> = new Map<number, JsonKind>([
  [TYPE.GEOMETRY, 'geometry'],
  [TYPE.VECTOR, 'vector'],
  [OPEN_BINARY.vector, 'vector'],
  [TYPE.JSON, 'document'],
]);

/** Of Rowcall's own encoding (docs/VALUES.md). */
export function jsonKind({ type }: Column): JsonKind {
  if (NUMBERS.has(type)) return 'number';
  return OTHERS.get(type) ?? 'text';
}

/** CHAR, VARCHAR, TEXT, ENUM and SET: what has characters that can be counted. */
export function isText({ type, collation }: Column): boolean {
  return type !== RENDERED && CHARACTERS.has(type) && collation !== BINARY_COLLATION;
}

const BINARY_COLLATION = 63;
const CHARACTERS: ReadonlySet<number> = new Set([
  TYPE.VARCHAR,
  TYPE.VAR_STRING,
  TYPE.STRING,
  TYPE.BLOB,
  TYPE.BLOB_COMPRESSED,
  TYPE.VARCHAR_COMPRESSED,
  TYPE.ENUM,
  TYPE.SET,
]);

/** BIGINT, and BIT whose values can pass what a double holds. */
export function passesDouble({ type, size }: Column): boolean {
  return type === TYPE.LONGLONG || (type === TYPE.BIT && size > 53);
}
