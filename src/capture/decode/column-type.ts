/** The fixed part of a TABLE_MAP: type bytes with their metadata, and the real types behind them. */

import type { ByteCursor } from '../byte-cursor.ts';
import { TYPE } from './column.ts';

export interface ColumnShape {
  readonly type: number;
  readonly size: number;
  readonly scale: number;
}

type ShapeReader = (metadata: ByteCursor, type: number) => ColumnShape;

/** Nothing in the metadata: the type byte says all. */
const plain: ShapeReader = (_metadata, type) => ({ type, size: 0, scale: 0 });

/** FLOAT and DOUBLE: their own width, known from the type. */
const widthAgain: ShapeReader = (metadata, type) => ({ type, size: metadata.u8(), scale: 0 });

/** Beyond these no column can be: a reader made for more would read past its value. */
const MAX_FRACTION = 6;
const MAX_LENGTH_BYTES = 4;
const MAX_DIGITS = 65;
const MAX_BITS = 64;
const MAX_LABEL_BYTES = { [TYPE.ENUM]: 2, [TYPE.SET]: 8 } as const;

function within(metadata: ByteCursor, value: number, from: number, to: number): number {
  if (value >= from && value <= to) return value;
  throw metadata.fail(`${value} stands in the column metadata where ${from} to ${to} can be`);
}

const fraction: ShapeReader = (metadata, type) => {
  return { type, size: 0, scale: within(metadata, metadata.u8(), 0, MAX_FRACTION) };
};

const lengthBytes: ShapeReader = (metadata, type) => {
  return { type, size: within(metadata, metadata.u8(), 1, MAX_LENGTH_BYTES), scale: 0 };
};

const maxBytes: ShapeReader = (metadata, type) => ({ type, size: metadata.u16(), scale: 0 });

const digits: ShapeReader = (metadata, type) => {
  const size = within(metadata, metadata.u8(), 1, MAX_DIGITS);
  return { type, size, scale: within(metadata, metadata.u8(), 0, size) };
};

/** Low byte: bits over whole bytes; high byte: whole bytes. */
const bits: ShapeReader = (metadata, type) => {
  const over = metadata.u8();
  const size = within(metadata, metadata.u8() * 8 + over, 1, MAX_BITS);
  return { type, size, scale: 0 };
};

/**
 * CHAR, BINARY, ENUM and SET all travel as STRING. The first metadata byte is the real type, but for a CHAR
 * over 255 bytes two of its bits are taken, inverted, as bits 8 and 9 of the length.
 */
const stringFamily: ShapeReader = (metadata) => {
  const first = metadata.u8();
  const second = metadata.u8();
  if ((first & 0x30) !== 0x30) {
    return { type: first | 0x30, size: second | (((first & 0x30) ^ 0x30) << 4), scale: 0 };
  }
  if (first === TYPE.ENUM || first === TYPE.SET) {
    within(metadata, second, 1, MAX_LABEL_BYTES[first]);
  }
  return { type: first, size: second, scale: 0 };
};

/** A multi-valued index's hidden column: the element's type, then that type's own metadata. */
const typedArray: ShapeReader = (metadata, type) => {
  const element = metadata.u8();
  // An array's VARCHAR has three bytes of length where a column's has two.
  if (element === TYPE.VARCHAR) metadata.claim(3);
  else SHAPES.get(element)?.(metadata, element);
  return { type, size: 4, scale: 0 };
};

const SHAPES: ReadonlyMap<number, ShapeReader> = new Map<number, ShapeReader>([
  [TYPE.TINY, plain],
  [TYPE.SHORT, plain],
  [TYPE.INT24, plain],
  [TYPE.LONG, plain],
  [TYPE.LONGLONG, plain],
  [TYPE.YEAR, plain],
  [TYPE.DATE, plain],
  [TYPE.OLD_TIME, plain],
  [TYPE.OLD_DATETIME, plain],
  [TYPE.OLD_TIMESTAMP, plain],
  [TYPE.FLOAT, widthAgain],
  [TYPE.DOUBLE, widthAgain],
  [TYPE.DECIMAL, digits],
  [TYPE.BIT, bits],
  [TYPE.TIMESTAMP, fraction],
  [TYPE.DATETIME, fraction],
  [TYPE.TIME, fraction],
  [TYPE.VARCHAR, maxBytes],
  [TYPE.VAR_STRING, maxBytes],
  [TYPE.STRING, stringFamily],
  [TYPE.ENUM, stringFamily],
  [TYPE.SET, stringFamily],
  [TYPE.BLOB, lengthBytes],
  [TYPE.BLOB_COMPRESSED, lengthBytes],
  [TYPE.VARCHAR_COMPRESSED, maxBytes],
  [TYPE.JSON, lengthBytes],
  [TYPE.GEOMETRY, lengthBytes],
  [TYPE.VECTOR, lengthBytes],
  [TYPE.TYPED_ARRAY, typedArray],
]);

/** Null for a type byte that is not known: then not even the length of its metadata is. */
export function readColumnShape(type: number, metadata: ByteCursor): ColumnShape | null {
  return SHAPES.get(type)?.(metadata, type) ?? null;
}

const NUMERIC: ReadonlySet<number> = new Set([
  TYPE.TINY,
  TYPE.SHORT,
  TYPE.INT24,
  TYPE.LONG,
  TYPE.LONGLONG,
  TYPE.FLOAT,
  TYPE.DOUBLE,
  TYPE.DECIMAL,
  TYPE.YEAR,
]);

/** Has a bit in SIGNEDNESS: YEAR, FLOAT, DOUBLE and DECIMAL too. */
export function isNumeric(type: number): boolean {
  return NUMERIC.has(type);
}

const CHARACTER: ReadonlySet<number> = new Set([
  TYPE.STRING,
  TYPE.VAR_STRING,
  TYPE.VARCHAR,
  TYPE.VARCHAR_COMPRESSED,
  TYPE.BLOB,
  TYPE.BLOB_COMPRESSED,
  TYPE.VECTOR,
]);

/**
 * Whose binlog it is. They write one format with differences that only the format description tells apart. From 11.5 on
 * MariaDB's TIMESTAMP goes to 2106; from 11.7 on it has VECTOR.
 */
export type Flavor = 'mysql' | 'mariadb' | 'mariadb-11.5' | 'mariadb-11.7';

/** By the server version of a format description. */
export function flavorOf(serverVersion: string): Flavor {
  if (!/mariadb/i.test(serverVersion)) return 'mysql';
  // Some are written with the version in front that old replicas take MariaDB for.
  const [, major, minor] = /^(?:5\.5\.5-)?(\d+)\.(\d+)\./.exec(serverVersion) ?? [];
  const release = Number(major) * 100 + Number(minor);
  if (release >= 1107) return 'mariadb-11.7';
  return release >= 1105 ? 'mariadb-11.5' : 'mariadb';
}

/**
 * Has an entry in the charset fields; binary strings are among them, with collation 63, and so is VECTOR, and
 * GEOMETRY in MariaDB. One too few or too many, and every column behind is read in its neighbour's character set.
 */
export function isCharacter(type: number, flavor: Flavor): boolean {
  return CHARACTER.has(type) || (flavor !== 'mysql' && type === TYPE.GEOMETRY);
}

export function isLabelled(type: number): boolean {
  return type === TYPE.ENUM || type === TYPE.SET;
}
