/** One dispatcher per state store: a lock that the kernel gives up when its holder dies, so that none is ever stale. */

import { DatabaseSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import { makeFile, resultCode, SQLITE_BUSY } from '../../shared/sqlite-file.ts';
import { STATE_FILE } from './database.ts';
import { readFailure } from './state-error.ts';

/**
 * Held from `take` to `release` or the end of the process, kill -9 included. Two dispatchers on one store would each
 * send a key's next event, and the books would count what the other settled.
 *
 * An empty SQLite file beside the store carries it, as an exclusive transaction: Node offers no flock, and the store
 * itself must stay open to the commands that inspect it.
 */
export class DispatcherLock {
  readonly #db: DatabaseSync;

  private constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** @throws RowcallError STATE_UNUSABLE: another process dispatches, or the file cannot be made or locked. */
  static take(statePath: string): DispatcherLock {
    const path = `${statePath}-lock`;
    makeFile(path, STATE_FILE);
    let db: DatabaseSync | undefined;
    try {
      db = new DatabaseSync(path, { timeout: 0 });
      db.exec('BEGIN EXCLUSIVE');
      return new DispatcherLock(db);
    } catch (error) {
      db?.close();
      if (resultCode(error) !== SQLITE_BUSY) throw readFailure(error, path);
      throw new RowcallError('STATE_UNUSABLE', 'Another process delivers from this state store', {
        place: statePath,
        cure: 'Stop the other rowcall run or rowcall deliver, or give this one a state.path and a log of its own.',
        cause: error,
      });
    }
  }

  release(): void {
    if (this.#db.isOpen) this.#db.close();
  }
}
