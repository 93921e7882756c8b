/** One process per file: a lock that the kernel gives up when its holder dies, so that none is ever stale. */

import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

import { RowcallError } from '../errors.ts';
import { type FileKind, makeFile, resultCode, SQLITE_BUSY, sqliteFailure } from './sqlite-file.ts';

/** What is said to the second process. */
export interface LockTaken {
  readonly message: string;
  readonly cure: string;
}

/** A look (`isHeld`) holds the file for less than this; another process holds it for as long as it lives. */
const LOOK_MS = 200;

/**
 * Held from `take` to `release` or the end of the process, kill -9 included. An empty SQLite file beside the
 * guarded one carries it, as an exclusive transaction: Node offers no flock, and the guarded file itself must stay
 * open to the commands that inspect it.
 */
export class ProcessLock {
  /** The lock's own file. */
  readonly path: string;
  readonly #db: DatabaseSync;

  private constructor(path: string, db: DatabaseSync) {
    this.path = path;
    this.#db = db;
  }

  /** @throws RowcallError of the kind's `unusable`: another process holds it, or the file cannot be made or locked. */
  static take(guarded: string, kind: FileKind, taken: LockTaken): ProcessLock {
    const path = lockFile(guarded);
    makeFile(path, kind);
    let db: DatabaseSync | undefined;
    try {
      db = new DatabaseSync(path, { timeout: LOOK_MS });
      db.exec('BEGIN EXCLUSIVE');
      return new ProcessLock(path, db);
    } catch (error) {
      db?.close();
      if (resultCode(error) !== SQLITE_BUSY) throw sqliteFailure(error, path, () => kind.unusable);
      throw new RowcallError(kind.unusable, taken.message, {
        place: guarded,
        cure: taken.cure,
        cause: error,
      });
    }
  }

  /**
   * Whether a process holds the lock of the guarded file now. Takes nothing and makes nothing.
   *
   * @throws RowcallError of the kind's `unusable`: the lock's file cannot be read
   */
  static isHeld(guarded: string, kind: FileKind): boolean {
    const path = lockFile(guarded);
    if (!existsSync(path)) return false;
    let db: DatabaseSync | undefined;
    try {
      db = new DatabaseSync(path, { timeout: 0, readOnly: true });
      db.prepare('SELECT count(*) FROM sqlite_schema').get();
      return false;
    } catch (error) {
      if (resultCode(error) === SQLITE_BUSY) return true;
      throw sqliteFailure(error, path, () => kind.unusable);
    } finally {
      db?.close();
    }
  }

  release(): void {
    if (this.#db.isOpen) this.#db.close();
  }
}

function lockFile(guarded: string): string {
  return `${guarded}-lock`;
}
