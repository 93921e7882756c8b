/** What the state store asks of node:sqlite: typed columns, and errors told apart by their result code. */
import type { SQLOutputValue } from 'node:sqlite';

import type { ErrorCode } from '../../errors.ts';
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

export function numberOrNull(row: Row, column: string): number | null {
  return row[column] === null ? null : numberOf(row, column);
}

export function textOrNull(row: Row, column: string): string | null {
  return row[column] === null ? null : textOf(row, column);
}

export function bytesOf(row: Row, column: string): Uint8Array {
  const value = row[column];
  assert(value instanceof Uint8Array, `column ${column} is a blob`);
  return value;
}

/** Primary result codes, https://sqlite.org/rescode.html. */
const SQLITE_CORRUPT = 11;
const SQLITE_CONSTRAINT = 19;
const SQLITE_NOTADB = 26;

/** SQLite's primary result code; undefined for an error that is not SQLite's. */
function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined;
}

/** The error of a write that left nothing behind, or of which nobody knows. */
export function writeFailure(error: unknown, path: string): RowcallError {
  return failure(error, path, 'STATE_WRITE_FAILED');
}

/** The error of opening or reading: a person has to look at the file. */
export function readFailure(error: unknown, path: string): RowcallError {
  return failure(error, path, 'STATE_UNUSABLE');
}

/** A broken constraint is a defect of ours: the schema's checks are assertions. */
function codeOf(result: number, otherwise: ErrorCode): ErrorCode {
  if (result === SQLITE_CONSTRAINT) return 'INTERNAL';
  return result === SQLITE_CORRUPT || result === SQLITE_NOTADB ? 'STATE_UNUSABLE' : otherwise;
}

function failure(error: unknown, path: string, otherwise: ErrorCode): RowcallError {
  if (error instanceof RowcallError) return error;
  const result = resultCode(error);
  if (result === undefined) return toRowcallError(error);
  const message = error instanceof Error ? error.message : String(error);
  return new RowcallError(codeOf(result, otherwise), `SQLite: ${message}`, {
    place: path,
    cause: error,
  });
}
