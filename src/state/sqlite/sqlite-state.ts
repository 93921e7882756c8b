/** The state store in one SQLite file: cursors, ledgers and lanes, changed in one durable transaction. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import type { RowcallError } from '../../errors.ts';
import { unreachable } from '../../shared/assert.ts';
import type { Cursor, DueLane, LaneSummary, StateChange, StateStore } from '../state-store.ts';
import { CursorMoves, CursorTable } from './cursor-table.ts';
import { MEMORY, openDatabase, STATE_FILE, storeId } from './database.ts';
import { LaneTable } from './lane-table.ts';
import { type LockTaken, ProcessLock } from '../../shared/process-lock.ts';
import { readFailure, writeFailure } from './state-error.ts';

export interface SqliteStateOptions {
  /** The file, or `:memory:` for a store that goes when it is closed. */
  readonly path: string;
  /** Whether to make the file where there is none; else that is an error. True unless said otherwise. */
  readonly create?: boolean;
  /** Whether this process dispatches: then no other may until the store is closed or the process ends. */
  readonly exclusive?: boolean;
  /** How long a call waits for another process's transaction, in ms; it blocks the event loop. 5,000 unless said otherwise. */
  readonly busyTimeoutMs?: number;
}

/** Two dispatchers on one store would each send a key's next event, and the books would count the other's. */
const TAKEN: LockTaken = {
  message: 'Another process delivers from this state store',
  cure: 'Stop the other rowcall run or rowcall deliver, or give this one a state.path and a log of its own.',
};

/** Transactions of ours take milliseconds, an operator's as well. */
const BUSY_TIMEOUT_MS = 5_000;

/**
 * Opens the store. Several processes may have it open; one of them dispatches, the one that opened it `exclusive`.
 *
 * @throws RowcallError STATE_UNUSABLE: cannot be opened, is not a state of ours, or a newer version wrote it;
 *   with `exclusive`, also when another process dispatches.
 */
export function openSqliteState(options: SqliteStateOptions): Promise<StateStore> {
  const { path, create = true, exclusive = false, busyTimeoutMs = BUSY_TIMEOUT_MS } = options;
  return new Promise((resolve) => {
    const lock = exclusive && path !== MEMORY ? ProcessLock.take(path, STATE_FILE, TAKEN) : null;
    let db: DatabaseSync | undefined;
    try {
      db = openDatabase(path, { create, busyTimeoutMs });
      resolve(new SqliteState(db, path, lock));
    } catch (error) {
      db?.close();
      lock?.release();
      throw readFailure(error, path);
    }
  });
}

/**
 * Runs every call to its end before it returns (node:sqlite is synchronous), so that calls never mix.
 * Invariant: between two calls no transaction is open. After a COMMIT that failed nobody knows whether the
 * disk has it, so the store answers nothing more; reading on could count an event twice.
 */
class SqliteState implements StateStore {
  readonly id: string;
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #lock: ProcessLock | null;
  readonly #cursors: CursorTable;
  readonly #lanes: LaneTable;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  #broken: RowcallError | undefined;

  constructor(db: DatabaseSync, path: string, lock: ProcessLock | null) {
    this.#path = path;
    this.#lock = lock;
    this.#db = db;
    this.id = storeId(db);
    this.#cursors = new CursorTable(db);
    this.#lanes = new LaneTable(db, this.#cursors);
    // Not deferred: a transaction that reads before it writes would fail where another process wrote between.
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
  }

  cursors(): Promise<readonly Cursor[]> {
    return this.#read(() => this.#cursors.all());
  }

  openCursors(cursors: readonly Omit<Cursor, 'ledger' | 'beyond'>[]): Promise<void> {
    return this.#write(() => {
      for (const cursor of cursors) this.#cursors.open(cursor);
    });
  }

  commit(changes: readonly StateChange[]): Promise<void> {
    if (changes.length === 0) return Promise.resolve();
    return this.#write(() => {
      const moves = new CursorMoves();
      for (const change of changes) this.#apply(change, moves);
      this.#cursors.write(moves);
    });
  }

  dueLanes(
    callback: string,
    nowMs: number,
    limit: number,
    busy: ReadonlySet<number>,
  ): Promise<readonly DueLane[]> {
    return this.#read(() => this.#lanes.due(callback, nowMs, limit, busy));
  }

  nextDueAt(callback: string): Promise<number | null> {
    return this.#read(() => this.#lanes.nextDueAt(callback));
  }

  lanes(filter: {
    readonly callback?: string;
    readonly afterId?: number;
    readonly limit: number;
  }): Promise<readonly LaneSummary[]> {
    return this.#read(() => this.#lanes.list(filter.callback, filter.afterId ?? 0, filter.limit));
  }

  lane(id: number): ReturnType<StateStore['lane']> {
    return this.#read(() => this.#lanes.show(id));
  }

  retryLane(id: number, nowMs: number): Promise<void> {
    return this.#write(() => {
      this.#lanes.retry(id, nowMs);
    });
  }

  close(): Promise<void> {
    if (this.#db.isOpen) this.#db.close();
    this.#lock?.release();
    return Promise.resolve();
  }

  #apply(change: StateChange, moves: CursorMoves): void {
    switch (change.type) {
      case 'progress':
        moves.progress(this.#cursors.idOf(change), change);
        return;
      case 'lane-append':
        this.#lanes.append(change, moves);
        return;
      case 'lane-failed':
        this.#lanes.failed(change);
        return;
      case 'lane-delivered':
      case 'lane-filtered':
        this.#lanes.left(change, moves);
        return;
      default:
        unreachable(change);
    }
  }

  #read<T>(query: () => T): Promise<T> {
    return this.#settled(() => {
      try {
        return query();
      } catch (error) {
        throw readFailure(error, this.#path);
      }
    });
  }

  #write(work: () => void): Promise<void> {
    return this.#settled(() => {
      try {
        this.#begin.run();
        work();
      } catch (error) {
        this.#rollBack();
        throw writeFailure(error, this.#path);
      }
      try {
        this.#commit.run();
      } catch (error) {
        this.#broken = writeFailure(error, this.#path);
        throw this.#broken;
      }
    });
  }

  #rollBack(): void {
    // SQLite ends the transaction itself after some errors (disk full, I/O).
    if (!this.#db.isOpen || !this.#db.isTransaction) return;
    try {
      this.#db.exec('ROLLBACK');
    } catch (error) {
      this.#broken = writeFailure(error, this.#path);
      throw this.#broken;
    }
  }

  /** The outcome as a promise: a port's caller awaits, whatever the adapter does at once. */
  #settled<T>(call: () => T): Promise<T> {
    return new Promise((resolve) => {
      if (this.#broken !== undefined) throw this.#broken;
      resolve(call());
    });
  }
}
