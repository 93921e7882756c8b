/** Dead letters in the database: events that were given up, set aside with their values. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import type { Row } from '../../shared/sqlite-row.ts';
import { numberOf, numberOrNull, textOf } from '../../shared/sqlite-row.ts';
import type { DeadLetter, Failure, LaneEvent, LaneKey, PageOf } from '../state-store.ts';
import { causeOf } from './failure-cause.ts';
import type { LaneEvents } from './lane-events.ts';

type Given = LaneKey & {
  readonly cursor: number;
  readonly offset: number;
  readonly failure: Failure;
};

/**
 * Invariant: a dead letter and its event come in the transaction that counts it as dead, so that what the ledger calls
 * dead can be shown, whatever happens to the process. Its event stands among those of lanes, under its negative id.
 */
export class DeadLetterTable {
  readonly #events: LaneEvents;
  readonly #insert: StatementSync;
  readonly #list: StatementSync;
  readonly #listOf: StatementSync;
  readonly #byId: StatementSync;

  constructor(db: DatabaseSync, events: LaneEvents) {
    this.#events = events;
    this.#insert = db.prepare(
      `INSERT INTO dead_letters (cursor, callback, topic, key, offset, attempts, first_attempt_at, died_at, error, cause,
         version)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    const letters = 'SELECT d.*, c.partition FROM dead_letters d JOIN cursors c ON c.id = d.cursor';
    this.#list = db.prepare(`${letters} WHERE d.id > ? ORDER BY d.id LIMIT ?`);
    this.#listOf = db.prepare(`${letters} WHERE d.callback = ? AND d.id > ? ORDER BY d.id LIMIT ?`);
    this.#byId = db.prepare(`${letters} WHERE d.id = ?`);
  }

  /** An event that was in no lane. Returns the dead letter's id. */
  add(given: Given, event: LaneEvent): number {
    const id = this.#write(given);
    this.#events.insert(-id, event);
    return id;
  }

  /** The event of a lane; with what it counted for in the lane's bytes. */
  take(given: Given, lane: number): { readonly id: number; readonly bytes: number } {
    const id = this.#write(given);
    return { id, bytes: this.#events.setAside(lane, given.offset, id) };
  }

  list({ callback, afterId = 0, limit }: PageOf): DeadLetter[] {
    const rows =
      callback === undefined
        ? this.#list.all(afterId, limit)
        : this.#listOf.all(callback, afterId, limit);
    return rows.map((row) => this.#letter(row).deadLetter);
  }

  /** @throws RowcallError DEAD_LETTER_UNKNOWN */
  show(id: number): { deadLetter: DeadLetter; value: Uint8Array | null } {
    const row = this.#byId.get(id);
    if (row !== undefined) return this.#letter(row);
    throw new RowcallError('DEAD_LETTER_UNKNOWN', `There is no dead letter ${id}`);
  }

  #write({ cursor, callback, topic, key, offset, failure }: Given): number {
    const { attempts, firstAttemptAt, nextAttemptAt, error, cause } = failure;
    const { lastInsertRowid } = this.#insert.run(
      cursor,
      callback,
      topic,
      key,
      offset,
      attempts,
      firstAttemptAt,
      nextAttemptAt,
      error,
      cause,
      failure.version ?? null,
    );
    return Number(lastInsertRowid);
  }

  #letter(row: Row): { deadLetter: DeadLetter; value: Uint8Array | null } {
    const id = numberOf(row, 'id');
    const { value, ...event } = this.#events.whole(
      -id,
      numberOf(row, 'offset'),
      numberOf(row, 'partition'),
    );
    const deadLetter = {
      id,
      callback: textOf(row, 'callback'),
      topic: textOf(row, 'topic'),
      key: textOf(row, 'key'),
      event,
      attempts: numberOf(row, 'attempts'),
      firstAttemptAt: numberOf(row, 'first_attempt_at'),
      diedAt: numberOf(row, 'died_at'),
      error: textOf(row, 'error'),
      cause: causeOf(textOf(row, 'cause')),
      version: numberOrNull(row, 'version'),
    };
    return { deadLetter, value };
  }
}
