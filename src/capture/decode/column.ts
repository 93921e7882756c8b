/** A column as a TABLE_MAP describes it. Type codes: mysql's include/field_types.h. */

import type { JsonText } from './json-text.ts';
import type { ValueReader } from './types/value-reader.ts';

/**
 * A column that its route renders in a way of its own (masked, as text, …). No code of MySQL's, which are bytes: whoever
 * reads columns by their type alone meets one that it does not know, rather than giving away what is to be hidden.
 */
export const RENDERED = 0x100;

/**
 * What a binary column of MariaDB can be. Its binlog has BINARY for all of them, and VARBINARY for VECTOR, in type and
 * metadata: which one it is, something else has to tell (mariadb-columns.ts). No codes of the server's.
 */
export const OPEN_BINARY = { uuid: 0x101, inet4: 0x102, inet6: 0x103, vector: 0x104 } as const;

export type OpenBinary = keyof typeof OPEN_BINARY | 'binary';

/**
 * What a TIMESTAMP(6) of MariaDB can be: an ordinary column, or where the period of a system-versioned table ends. The
 * binlog describes both alike.
 */
export type PeriodRole = 'timestamp' | 'row_end';

/**
 * What a column in one of the storage formats of before MySQL 5.6.4 can be in MariaDB, which has them with fractions
 * too (`mysql56_temporal_format=OFF`): each number of digits has a width of its own, and the binlog tells none.
 */
export type OldTemporal =
  `${'time' | 'datetime' | 'timestamp'}${'' | `(${1 | 2 | 3 | 4 | 5 | 6})`}`;

/** What the binlog of MariaDB leaves open of a column. */
export type OpenType = OpenBinary | PeriodRole | OldTemporal;

/** Type codes as they stand in a TABLE_MAP, the real ones of ENUM and SET included. */
export const TYPE = {
  TINY: 1,
  SHORT: 2,
  LONG: 3,
  FLOAT: 4,
  DOUBLE: 5,
  OLD_TIMESTAMP: 7,
  LONGLONG: 8,
  INT24: 9,
  DATE: 10,
  OLD_TIME: 11,
  OLD_DATETIME: 12,
  YEAR: 13,
  VARCHAR: 15,
  BIT: 16,
  TIMESTAMP: 17,
  DATETIME: 18,
  TIME: 19,
  TYPED_ARRAY: 20,
  /** MariaDB. */
  BLOB_COMPRESSED: 140,
  /** MariaDB. */
  VARCHAR_COMPRESSED: 141,
  VECTOR: 242,
  JSON: 245,
  DECIMAL: 246,
  ENUM: 247,
  SET: 248,
  BLOB: 252,
  VAR_STRING: 253,
  STRING: 254,
  GEOMETRY: 255,
} as const;

export interface Column {
  /** Place in the table and in every row image, from 0. */
  readonly index: number;
  readonly name: string;
  /** One of TYPE, or a code that this version does not know. */
  readonly type: number;
  /**
   * Most bytes of CHAR, VARCHAR and BINARY; bytes of the length in front of BLOB, JSON, GEOMETRY, VECTOR and
   * arrays; bytes of ENUM and SET; bits of BIT; digits of DECIMAL. 0 for the others.
   */
  readonly size: number;
  /** Digits behind the point: of DECIMAL, and of the seconds of DATETIME, TIMESTAMP and TIME. */
  readonly scale: number;
  /** Of numeric columns. */
  readonly unsigned: boolean;
  readonly nullable: boolean;
  /** Collation id of character columns, ENUM and SET; 63 is binary. Null for other types. */
  readonly collation: number | null;
  /** Members of ENUM and SET as bytes in the column's charset. */
  readonly labels: readonly Buffer[] | null;
  readonly visible: boolean;
  /** Made by the server for a functional index: nobody's column, and in no event. */
  readonly hidden: boolean;
  /** What it can be, where the binlog leaves that open; until it is told, it is read as the first of them. */
  readonly candidates?: readonly OpenType[];
  /** Of a column of the type RENDERED alone: makes what reads it. May throw as `valueReader`. */
  readonly reader?: () => ValueReader;
  /** As `reader`, of a value that does not stand in the row as such: a document that is rebuilt from its changes. */
  readonly render?: (value: () => JsonText) => JsonText;
}
