/** SQLite's errors as errors of the log. */

import type { RowcallError } from '../../errors.ts';
import { SQLITE_CORRUPT, SQLITE_NOTADB, sqliteFailure } from '../../shared/sqlite-file.ts';

/** The error of a write: its outcome is unknown, and it may succeed another time. */
export function writeFailure(error: unknown, path: string): RowcallError {
  return sqliteFailure(error, path, (result) =>
    result === SQLITE_CORRUPT || result === SQLITE_NOTADB ? 'LOG_UNUSABLE' : 'LOG_WRITE_FAILED',
  );
}

/** The error of opening or reading: a person has to look at the file. */
export function readFailure(error: unknown, path: string): RowcallError {
  return sqliteFailure(error, path, () => 'LOG_UNUSABLE');
}
