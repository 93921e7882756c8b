/** The file of the state store: made, recognised, brought to this version's format, and opened durably. */
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import { present } from '../../shared/assert.ts';
import { MIGRATIONS } from './migrations.ts';
import { numberOf, readFailure, textOf } from './sqlite.ts';

/** 'RcSt' in the file's header tells our state from every other SQLite file, our log among them. */
const APPLICATION_ID = 0x52635374;

/** A store without a file, for simulations. */
const MEMORY = ':memory:';

/**
 * Opens the store at `path`; with `create`, makes folder and file (0600) where there is none.
 *
 * @throws RowcallError STATE_UNUSABLE: no file, not a store of ours, or a newer version wrote it.
 */
export function openDatabase(
  path: string,
  { create, busyTimeoutMs }: { readonly create: boolean; readonly busyTimeoutMs: number },
): DatabaseSync {
  if (path !== MEMORY) prepareFile(path, create);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: busyTimeoutMs });
    // Before the file is known to be ours (or empty), nothing may write to it.
    const empty = isEmpty(db, path);
    if (empty && !create) {
      throw new RowcallError('STATE_UNUSABLE', 'The state store is empty', { place: path });
    }
    if (empty || formatOf(db, path) < MIGRATIONS.length) migrate(db, path);
    // FULL: a commit is on the disk before it is acknowledged. NORMAL could lose the last ones at a power cut.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    db.exec('PRAGMA journal_size_limit = 67108864');
    return db;
  } catch (error) {
    db?.close();
    throw readFailure(error, path);
  }
}

/** The identity that the store got when it was made. */
export function storeId(db: DatabaseSync): string {
  const row = db.prepare("SELECT value FROM meta WHERE key = 'id'").get();
  return textOf(present(row, 'the identity of the state store'), 'value');
}

function prepareFile(path: string, create: boolean): void {
  if (existsSync(path)) return;
  if (!create) throw new RowcallError('STATE_UNUSABLE', 'No state store', { place: path });
  const folder = dirname(resolve(path));
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // SQLite gives -wal and -shm the mode of the file itself.
    closeSync(openSync(path, 'a', 0o600));
    const handle = openSync(folder, 'r');
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RowcallError('STATE_UNUSABLE', `The state store cannot be made: ${reason}`, {
      place: path,
      cause: error,
    });
  }
}

function pragma(db: DatabaseSync, name: string): number {
  return numberOf(present(db.prepare(`PRAGMA ${name}`).get(), `pragma ${name}`), name);
}

/** Whether the file holds nothing yet. @throws RowcallError STATE_UNUSABLE when what it holds is not ours. */
function isEmpty(db: DatabaseSync, path: string): boolean {
  const application = pragma(db, 'application_id');
  if (application === APPLICATION_ID) return false;
  const things = db.prepare('SELECT count(*) AS n FROM sqlite_schema').get();
  if (application === 0 && numberOf(present(things, 'a count'), 'n') === 0) return true;
  throw new RowcallError('STATE_UNUSABLE', 'The file is a database, but not a state of Rowcall', {
    place: path,
    cure: 'Point state.path at a file of its own.',
  });
}

function formatOf(db: DatabaseSync, path: string): number {
  const format = pragma(db, 'user_version');
  if (format > MIGRATIONS.length) {
    throw new RowcallError(
      'STATE_UNUSABLE',
      `The state has format ${format}; this version reads up to ${MIGRATIONS.length}`,
      { place: path, cure: 'Use the version of Rowcall that wrote it.' },
    );
  }
  return format;
}

function migrate(db: DatabaseSync, path: string): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    // Another process may have been first, also with a newer version.
    const fresh = isEmpty(db, path);
    for (const step of MIGRATIONS.slice(formatOf(db, path))) db.exec(step);
    if (fresh) db.prepare("INSERT INTO meta (key, value) VALUES ('id', ?)").run(randomUUID());
    db.exec(
      `PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}`,
    );
    db.exec('COMMIT');
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}
