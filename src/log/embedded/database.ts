/** The file of the embedded log: made, recognised, and opened with the settings that its promises rest on. */
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import { present } from '../../shared/assert.ts';
import { type FileKind, isEmpty, makeDatabase } from '../../shared/sqlite-file.ts';
import { numberOf, pragma } from '../../shared/sqlite-row.ts';
import { readFailure } from './log-error.ts';

export const LOG_FILE: FileKind = {
  // 'RcLg'
  applicationId: 0x52634c67,
  noun: 'log',
  option: 'log.path',
  unusable: 'LOG_UNUSABLE',
};
const FORMAT = 2;

/** No column holds more of a batch than this. */
export const CHUNK_BYTES = 1024 * 1024;

/** How long a connection waits for another one's transaction before it gives up. */
const BUSY_TIMEOUT_MS = 30_000;

/** A checkpoint is `checkpoint` and, where `tail` names one, the text of that behind it (checkpoint-table.ts). */
const TAILS = `
  ALTER TABLE checkpoints ADD COLUMN tail TEXT;
  CREATE TABLE checkpoint_tails (id TEXT PRIMARY KEY, text TEXT NOT NULL);`;

/**
 * `partitions.start` and `.next` are the bounds; every offset between them is in exactly one batch.
 * `batches.seq` grows with time over all partitions: the oldest go first. The index covers whatever
 * is asked about batches without their bytes, because a batch's row spans many pages. `batches.bytes` is
 * the length of all; of a batch over CHUNK_BYTES a first part stands in `records` and what follows in `chunks`, from
 * n = 1 on, in parts of any length up to CHUNK_BYTES, because SQLite holds a row it writes or reads twice in memory.
 */
const SCHEMA = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
  CREATE TABLE checkpoints (name TEXT PRIMARY KEY, checkpoint TEXT NOT NULL) WITHOUT ROWID;
  ${TAILS}
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
    name TEXT PRIMARY KEY, state_id TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE marks (
    consumer TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, topic_id TEXT NOT NULL,
    next INTEGER NOT NULL, PRIMARY KEY (consumer, topic, partition)) WITHOUT ROWID;
  INSERT INTO meta (key, value) VALUES ('format', ${FORMAT}), ('epoch', 0);
  PRAGMA application_id = ${LOG_FILE.applicationId};
`;

/**
 * Opens the log at `path`; with `create`, makes folder and file (0600) where there is none.
 *
 * @throws RowcallError LOG_UNUSABLE: the file cannot be opened, is not a log of ours, or a newer version wrote it.
 */
export function openDatabase(path: string, create: boolean): DatabaseSync {
  if (create) {
    makeDatabase(path, LOG_FILE, (made) => {
      makeSchema(made, path);
    });
  } else if (!existsSync(path)) {
    throw new RowcallError('LOG_UNUSABLE', 'No log', { place: path });
  }
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    // Before the file is known to be ours (or empty), nothing may write to it.
    if (isEmpty(db, path, LOG_FILE)) {
      if (!create) throw new RowcallError('LOG_UNUSABLE', 'The log is empty', { place: path });
      makeSchema(db, path);
    }
    if (formatOf(db, path) < FORMAT && create) upgrade(db, path);
    // FULL: a commit is on the disk before it is acknowledged. NORMAL could lose the last ones at a power cut.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    db.exec('PRAGMA wal_autocheckpoint = 2000; PRAGMA journal_size_limit = 67108864');
    return db;
  } catch (error) {
    db?.close();
    throw readFailure(error, path);
  }
}

function makeSchema(db: DatabaseSync, path: string): void {
  // In this order: page size and vacuum mode are fixed once the first page is written, which WAL does.
  db.exec('PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL');
  db.exec('BEGIN IMMEDIATE');
  try {
    // Another process may have been first.
    if (isEmpty(db, path, LOG_FILE)) db.exec(SCHEMA);
    db.exec('COMMIT');
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}

/** Only where a log may be made: what is merely looked at stays as the version that wrote it knows it. */
function upgrade(db: DatabaseSync, path: string): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    // Another process may have been first.
    if (formatOf(db, path) < FORMAT) {
      db.exec(`${TAILS} UPDATE meta SET value = ${FORMAT} WHERE key = 'format'`);
    }
    db.exec('COMMIT');
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}

function formatOf(db: DatabaseSync, path: string): number {
  const row = db.prepare("SELECT value FROM meta WHERE key = 'format'").get();
  const format = numberOf(present(row, 'the format of the log'), 'value');
  if (format <= FORMAT) return format;
  throw new RowcallError(
    'LOG_UNUSABLE',
    `The log has format ${format}; this version reads up to ${FORMAT}`,
    { place: path, cure: 'Use the version of Rowcall that wrote it.' },
  );
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
