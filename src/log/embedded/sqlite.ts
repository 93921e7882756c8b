/** What the embedded log asks of node:sqlite: typed columns, and errors told apart by their result code. */
import type { SQLOutputValue } from 'node:sqlite';

import { RowcallError, toRowcallError } from '../../errors.ts';
import { assert } from '../../shared/assert.ts';

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

export function blobOf(row: Row, column: string): Uint8Array {
  const value = row[column];
  assert(value instanceof Uint8Array, `column ${column} is a blob`);
  return value;
}

/** Primary result codes (https://sqlite.org/rescode.html) that say: this file is not, or no longer, a log of ours. */
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** SQLite's primary result code; undefined for an error that is not SQLite's. */
function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined;
}

/** The error of a write: its outcome is unknown, and it may succeed another time. */
export function writeFailure(error: unknown, path: string): RowcallError {
  return failure(error, path, 'LOG_WRITE_FAILED');
}

/** The error of opening or reading: a person has to look at the file. */
export function readFailure(error: unknown, path: string): RowcallError {
  return failure(error, path, 'LOG_UNUSABLE');
}

function failure(
  error: unknown,
  path: string,
  code: 'LOG_WRITE_FAILED' | 'LOG_UNUSABLE',
): RowcallError {
  if (error instanceof RowcallError) return error;
  const result = resultCode(error);
  if (result === undefined) return toRowcallError(error);
  const unusable = result === SQLITE_CORRUPT || result === SQLITE_NOTADB;
  const message = error instanceof Error ? error.message : String(error);
  return new RowcallError(unusable ? 'LOG_UNUSABLE' : code, `SQLite: ${message}`, {
    place: path,
    cause: error,
  });
}
