/** A SQLite file of our own: made for its owner alone, told apart from others, its errors told by result code. */

import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { type ErrorCode, RowcallError, toRowcallError } from '../errors.ts';
import { present } from './assert.ts';
import { numberOf, pragma } from './sqlite-row.ts';

/** What SQLite writes beside a database, and takes for the database's own. */
const LEFTOVERS = ['-wal', '-journal'] as const;

/** What the log's file and the state's differ in. */
export interface FileKind {
  /** In the file's header: tells ours from every other SQLite file, the other kind among them. */
  readonly applicationId: number;
  /** For messages: `log`. */
  readonly noun: string;
  /** The option that names the file. */
  readonly option: string;
  readonly unusable: ErrorCode;
}

/**
 * Makes folder (0700) and file (0600) where there is no file.
 *
 * @throws RowcallError of the kind's `unusable`
 */
export function makeFile(path: string, kind: FileKind): void {
  if (existsSync(path)) return;
  const folder = dirname(resolve(path));
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // SQLite gives -wal and -shm the mode of the file itself.
    closeSync(openSync(path, 'a', 0o600));
    syncFolder(folder);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RowcallError(kind.unusable, `The ${kind.noun} cannot be made: ${reason}`, {
      place: path,
      cause: error,
    });
  }
}

/**
 * Makes the database where there is no file: built under another name and put in its place whole, so that whoever
 * opens it meanwhile finds all of it or nothing. Built in place, the first two to open it would lock each other out,
 * because SQLite does not wait for the lock that a change to WAL needs.
 *
 * @throws RowcallError of the kind's `unusable`
 */
export function makeDatabase(
  path: string,
  kind: FileKind,
  build: (db: DatabaseSync) => void,
): void {
  if (existsSync(path)) return;
  const part = `${path}.new-${process.pid}-${randomUUID().slice(0, 8)}`;
  makeFile(part, kind);
  try {
    const db = new DatabaseSync(part);
    try {
      build(db);
    } finally {
      // The last to close a file takes its -wal and -shm away.
      db.close();
    }
    refuseLeftovers(path, kind);
    linkUnlessThere(part, path);
  } catch (error) {
    if (error instanceof RowcallError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const message = `The ${kind.noun} cannot be made: ${reason}`;
    throw new RowcallError(kind.unusable, message, { place: path, cause: error });
  } finally {
    rmSync(part, { force: true });
  }
  syncFolder(dirname(resolve(path)));
}

/**
 * SQLite would play another file's write-ahead log back onto the new one: old pages, an old checkpoint among them.
 *
 * @throws RowcallError of the kind's `unusable`
 */
function refuseLeftovers(path: string, kind: FileKind): void {
  const left = LEFTOVERS.map((suffix) => path + suffix).filter((file) => existsSync(file));
  // In this order: another process that made the file meanwhile has a log of its own beside it.
  if (left.length === 0 || existsSync(path)) return;
  throw new RowcallError(
    kind.unusable,
    `There is no ${kind.noun}, but ${left.join(' and ')} of an earlier one`,
    {
      place: path,
      cure: `Put ${path} back beside what is left of it. To begin with a new ${kind.noun}, move that away first.`,
    },
  );
}

function linkUnlessThere(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    // Another process was first.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/**
 * Whether the file holds nothing yet. Until this is known, nothing may write to it.
 *
 * @throws RowcallError of the kind's `unusable` when what it holds is not ours
 */
export function isEmpty(db: DatabaseSync, path: string, kind: FileKind): boolean {
  const application = pragma(db, 'application_id');
  if (application === kind.applicationId) return false;
  const things = db.prepare('SELECT count(*) AS n FROM sqlite_schema').get();
  if (application === 0 && numberOf(present(things, 'a count'), 'n') === 0) return true;
  const message = `The file is a database, but not a ${kind.noun} of Rowcall`;
  const cure = `Point ${kind.option} at a file of its own.`;
  throw new RowcallError(kind.unusable, message, { place: path, cure });
}

/** Primary result codes, https://sqlite.org/rescode.html. */
export const SQLITE_BUSY = 5;
export const SQLITE_CORRUPT = 11;
export const SQLITE_CONSTRAINT = 19;
export const SQLITE_NOTADB = 26;

/** SQLite's primary result code; undefined for an error that is not SQLite's. */
export function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined;
}

/** SQLite's error as one of ours, by its result code; another's is INTERNAL, ours stays as it is. */
export function sqliteFailure(
  error: unknown,
  path: string,
  codeOf: (result: number) => ErrorCode,
): RowcallError {
  if (error instanceof RowcallError) return error;
  const result = resultCode(error);
  if (result === undefined) return toRowcallError(error);
  const message = error instanceof Error ? error.message : String(error);
  return new RowcallError(codeOf(result), `SQLite: ${message}`, { place: path, cause: error });
}
