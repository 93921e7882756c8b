/** One process per file: a lock that the kernel gives up when its holder dies, so that none is ever stale. */

import { DatabaseSync } from 'node:sqlite';

import { RowcallError } from '../errors.ts';
import { type FileKind, makeFile, resultCode, SQLITE_BUSY, sqliteFailure } from './sqlite-file.ts';

/** What is said to the second process. */
export interface LockTaken {
  readonly message: string;
  readonly cure: string;
}

/**
 * Held from `take` to `release` or the end of the process, kill -9 included. An empty SQLite file beside the
 * guarded one carries it, as an exclusive transaction: Node offers no flock, and the guarded file itself must stay
 * open to the commands that inspect it.
 */
export class ProcessLock {
  readonly #db: DatabaseSync;

  private constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** @throws RowcallError of the kind's `unusable`: another process holds it, or the file cannot be made or locked. */
  static take(guarded: string, kind: FileKind, taken: LockTaken): ProcessLock {
    const path = `${guarded}-lock`;
    makeFile(path, kind);
    let db: DatabaseSync | undefined;
    try {
      db = new DatabaseSync(path, { timeout: 0 });
      db.exec('BEGIN EXCLUSIVE');
      return new ProcessLock(db);
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

  release(): void {
    if (this.#db.isOpen) this.#db.close();
  }
}
