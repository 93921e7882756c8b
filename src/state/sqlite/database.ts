/** The file of the state store: made, recognised, brought to this version's format, and opened durably. */
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import { present } from '../../shared/assert.ts';
import { MIGRATIONS } from './migrations.ts';
import { type FileKind, isEmpty, makeDatabase } from '../../shared/sqlite-file.ts';
import { pragma, textOf } from '../../shared/sqlite-row.ts';
import { readFailure } from './state-error.ts';

export const STATE_FILE: FileKind = {
  // 'RcSt'
  applicationId: 0x52635374,
  noun: 'state store',
  option: 'state.path',
  unusable: 'STATE_UNUSABLE',
};

/** A store without a file, for simulations. */
export const MEMORY = ':memory:';

/**
 * Opens the store at `path`; with `create`, makes folder and file (0600) where there is none.
 *
 * @throws RowcallError STATE_UNUSABLE: no file, not a store of ours, or a newer version wrote it.
 */
export function openDatabase(
  path: string,
  { create, busyTimeoutMs }: { readonly create: boolean; readonly busyTimeoutMs: number },
): DatabaseSync {
  if (path !== MEMORY) {
    if (create) {
      makeDatabase(path, STATE_FILE, (made) => {
        migrate(made, path);
        made.exec('PRAGMA journal_mode = WAL');
      });
    } else if (!existsSync(path)) {
      throw new RowcallError('STATE_UNUSABLE', 'No state store', { place: path });
    }
  }
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: busyTimeoutMs });
    // Before the file is known to be ours (or empty), nothing may write to it.
    const empty = isEmpty(db, path, STATE_FILE);
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

/** The key that completion URLs are signed with: made when it is first asked for. Within a transaction. */
export function completionKey(db: DatabaseSync): Uint8Array {
  db.prepare(
    "INSERT INTO meta (key, value) VALUES ('completion_key', ?) ON CONFLICT DO NOTHING",
  ).run(randomBytes(32).toString('base64url'));
  const row = db.prepare("SELECT value FROM meta WHERE key = 'completion_key'").get();
  const key = textOf(present(row, 'the key of completions'), 'value');
  return Uint8Array.from(Buffer.from(key, 'base64url'));
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
    const fresh = isEmpty(db, path, STATE_FILE);
    for (const step of MIGRATIONS.slice(formatOf(db, path))) db.exec(step);
    if (fresh) db.prepare("INSERT INTO meta (key, value) VALUES ('id', ?)").run(randomUUID());
    db.exec(
      `PRAGMA application_id = ${STATE_FILE.applicationId}; PRAGMA user_version = ${MIGRATIONS.length}`,
    );
    db.exec('COMMIT');
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}
