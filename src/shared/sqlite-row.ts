/** Rows of node:sqlite with typed columns: what the schema promises is asserted, not assumed. */

import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';

import { assert, present } from './assert.ts';

export type Row = Record<string, SQLOutputValue>;

export function numberOf(row: Row, column: string): number {
  const value = row[column];
  assert(typeof value === 'number', `column ${column} is a number`);
  return value;
}

export function textOf(row: Row, column: string): string {
  const value = row[column];
  assert(typeof value === 'string', `column ${column} is text`);
  return value;
}

export function bytesOf(row: Row, column: string): Uint8Array {
  const value = row[column];
  assert(value instanceof Uint8Array, `column ${column} is a blob`);
  return value;
}

export function numberOrNull(row: Row, column: string): number | null {
  return row[column] === null ? null : numberOf(row, column);
}

export function textOrNull(row: Row, column: string): string | null {
  return row[column] === null ? null : textOf(row, column);
}

/** The value of a pragma that is a number. */
export function pragma(db: DatabaseSync, name: string): number {
  return numberOf(present(db.prepare(`PRAGMA ${name}`).get(), `pragma ${name}`), name);
}
