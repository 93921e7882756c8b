/** Calls of the state store as transactions of its database. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import type { RowcallError } from '../../errors.ts';
import { readFailure, writeFailure } from './state-error.ts';

/**
 * Runs every call to its end before it returns (node:sqlite is synchronous), so that calls never mix.
 * Invariant: between two calls no transaction is open. After a COMMIT that failed nobody knows whether the
 * disk has it, so the store answers nothing more; reading on could count an event twice.
 */
export class Transactions {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  #broken: RowcallError | undefined;

  constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#path = path;
    // Not deferred: a transaction that reads before it writes would fail where another process wrote between.
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
  }

  read<T>(query: () => T): Promise<T> {
    return this.#settled(() => {
      try {
        return query();
      } catch (error) {
        throw readFailure(error, this.#path);
      }
    });
  }

  write<T>(work: () => T): Promise<T> {
    return this.#settled(() => {
      let result: T;
      try {
        this.#begin.run();
        result = work();
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
      return result;
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
