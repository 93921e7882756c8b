/** The file of the embedded log: made, recognised, and opened with the settings that its promises rest on. */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import { present } from '../../shared/assert.ts';
import { numberOf, readFailure } from './sqlite.ts';

/** 'RcLg' in the file's header tells our log from every other SQLite file. */
const APPLICATION_ID = 0x52634c67;
const FORMAT = 1;

/** No column holds more of a batch than this. */
export const CHUNK_BYTES = 1024 * 1024;

/** How long a connection waits for another one's transaction before it gives up. */
const BUSY_TIMEOUT_MS = 30_000;

/**
 * `partitions.start` and `.next` are the bounds; every offset between them is in exactly one batch.
 * `batches.seq` grows with time over all partitions: the oldest go first. The index covers whatever
 * is asked about batches without their bytes, because a batch's row spans many pages. `batches.bytes` is
 * the length of all; what is over CHUNK_BYTES stands in `chunks`, from n = 1 on, because SQLite holds
 * a row it writes or reads twice in memory.
 */
const SCHEMA = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
  CREATE TABLE checkpoints (name TEXT PRIMARY KEY, checkpoint TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE topics (
    seq INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, id TEXT NOT NULL, partitions INTEGER NOT NULL);
  CREATE TABLE partitions (
    id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, partition INTEGER NOT NULL,
    start INTEGER NOT NULL, next INTEGER NOT NULL, UNIQUE (topic, partition));
  CREATE TABLE batches (
    seq INTEGER PRIMARY KEY, partition INTEGER NOT NULL, base INTEGER NOT NULL, count INTEGER NOT NULL,
    max_ts REAL NOT NULL, bytes INTEGER NOT NULL, records BLOB NOT NULL);
  CREATE TABLE chunks (
    batch INTEGER NOT NULL, n INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (batch, n));
  CREATE INDEX batches_by_offset ON batches (partition, base, count, max_ts, bytes);
  CREATE TABLE consumers (
    name TEXT PRIMARY KEY, state_id TEXT NOT NULL, last_topic INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE marks (
    consumer TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, topic_id TEXT NOT NULL,
    next INTEGER NOT NULL, PRIMARY KEY (consumer, topic, partition)) WITHOUT ROWID;
  INSERT INTO meta (key, value) VALUES ('format', ${FORMAT}), ('epoch', 0);
  PRAGMA application_id = ${APPLICATION_ID};
`;

/**
 * Opens the log at `path`; with `create`, makes folder and file (0600) where there is none.
 *
 * @throws RowcallError LOG_UNUSABLE: the file cannot be opened, is not a log of ours, or a newer version wrote it.
 */
export function openDatabase(path: string, create: boolean): DatabaseSync {
  if (create) makeFile(path);
  else if (!existsSync(path)) throw new RowcallError('LOG_UNUSABLE', 'No log', { place: path });
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    // Before the file is known to be ours (or empty), nothing may write to it.
    if (isEmpty(db, path)) makeSchema(db, path);
    checkFormat(db, path);
    // FULL: a commit is on the disk before it is acknowledged. NORMAL could lose the last ones at a power cut.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    db.exec('PRAGMA wal_autocheckpoint = 2000; PRAGMA journal_size_limit = 67108864');
    return db;
  } catch (error) {
    db?.close();
    throw readFailure(error, path);
  }
}

function makeFile(path: string): void {
  if (existsSync(path)) return;
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
    throw new RowcallError('LOG_UNUSABLE', `The log cannot be made: ${reason}`, {
      place: path,
      cause: error,
    });
  }
}

function pragma(db: DatabaseSync, name: string): number {
  return numberOf(present(db.prepare(`PRAGMA ${name}`).get(), `pragma ${name}`), name);
}

/** Whether the file holds nothing yet. @throws RowcallError LOG_UNUSABLE when what it holds is not ours. */
function isEmpty(db: DatabaseSync, path: string): boolean {
  const application = pragma(db, 'application_id');
  if (application === APPLICATION_ID) return false;
  const things = db.prepare('SELECT count(*) AS n FROM sqlite_schema').get();
  if (application === 0 && numberOf(present(things, 'a count'), 'n') === 0) return true;
  throw new RowcallError('LOG_UNUSABLE', 'The file is a database, but not a log of Rowcall', {
    place: path,
    cure: 'Point log.path at a file of its own.',
  });
}

function makeSchema(db: DatabaseSync, path: string): void {
  // In this order: page size and vacuum mode are fixed once the first page is written, which WAL does.
  db.exec('PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL');
  db.exec('BEGIN IMMEDIATE');
  try {
    // Another process may have been first.
    if (isEmpty(db, path)) db.exec(SCHEMA);
    db.exec('COMMIT');
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}

function checkFormat(db: DatabaseSync, path: string): void {
  const row = db.prepare("SELECT value FROM meta WHERE key = 'format'").get();
  const format = numberOf(present(row, 'the format of the log'), 'value');
  if (format > FORMAT) {
    throw new RowcallError(
      'LOG_UNUSABLE',
      `The log has format ${format}; this version reads up to ${FORMAT}`,
      { place: path, cure: 'Use the version of Rowcall that wrote it.' },
    );
  }
}

/** Bytes of the file that hold something: free pages inside it do not count, for the next append takes them. */
export class SpaceUsed {
  readonly #pages;
  readonly #free;
  readonly #pageSize: number;

  constructor(db: DatabaseSync) {
    this.#pages = db.prepare('PRAGMA page_count');
    this.#free = db.prepare('PRAGMA freelist_count');
    this.#pageSize = pragma(db, 'page_size');
  }

  bytes(): number {
    return (this.#count() - this.freePages()) * this.#pageSize;
  }

  freePages(): number {
    return numberOf(present(this.#free.get(), 'a count of pages'), 'freelist_count');
  }

  #count(): number {
    return numberOf(present(this.#pages.get(), 'a count of pages'), 'page_count');
  }
}
