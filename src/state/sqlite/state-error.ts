/** SQLite's errors as errors of the state store. */

import type { ErrorCode, RowcallError } from '../../errors.ts';
import {
  SQLITE_CONSTRAINT,
  SQLITE_CORRUPT,
  SQLITE_NOTADB,
  sqliteFailure,
} from '../../shared/sqlite-file.ts';

/** The error of a write that left nothing behind, or of which nobody knows. */
export function writeFailure(error: unknown, path: string): RowcallError {
  return sqliteFailure(error, path, (result) => codeOf(result, 'STATE_WRITE_FAILED'));
}

/** The error of opening or reading: a person has to look at the file. */
export function readFailure(error: unknown, path: string): RowcallError {
  return sqliteFailure(error, path, (result) => codeOf(result, 'STATE_UNUSABLE'));
}

/** A broken constraint is a defect of ours: the schema's checks are assertions. */
function codeOf(result: number, otherwise: ErrorCode): ErrorCode {
  if (result === SQLITE_CONSTRAINT) return 'INTERNAL';
  return result === SQLITE_CORRUPT || result === SQLITE_NOTADB ? 'STATE_UNUSABLE' : otherwise;
}
