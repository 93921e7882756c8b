/** Dead letters in the database: events that were given up, set aside with their values. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import { present } from '../../shared/assert.ts';
import type { Row } from '../../shared/sqlite-row.ts';
import { numberOf, numberOrNull, textOf } from '../../shared/sqlite-row.ts';
import type { DeadLetterScan } from '../resend-store.ts';
import type { DeadLetter, Failure, LaneEvent, LaneKey, PageOf } from '../state-store.ts';
import { causeOf } from './failure-cause.ts';
import { DeadLetterScanner } from './dead-letter-scan.ts';
import type { LaneEvents } from './lane-events.ts';
import type { MirrorTable } from './mirror-table.ts';

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
  readonly #mirror: Pick<MirrorTable, 'holds' | 'note'>;
  readonly #insert: StatementSync;
  readonly #list: StatementSync;
  readonly #listOf: StatementSync;
  readonly #byId: StatementSync;
  readonly #failed: StatementSync;
  readonly #remove: StatementSync;
  readonly #scanner: DeadLetterScanner;

  constructor(db: DatabaseSync, events: LaneEvents, mirror: Pick<MirrorTable, 'holds' | 'note'>) {
    this.#events = events;
    this.#mirror = mirror;
    this.#insert = db.prepare(
      `INSERT INTO dead_letters (cursor, callback, topic, key, offset, attempts, first_attempt_at, died_at, error, cause,
         version)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    const letters = 'SELECT d.*, c.partition FROM dead_letters d JOIN cursors c ON c.id = d.cursor';
    this.#list = db.prepare(`${letters} WHERE d.id > ? ORDER BY d.id LIMIT ?`);
    this.#listOf = db.prepare(`${letters} WHERE d.callback = ? AND d.id > ? ORDER BY d.id LIMIT ?`);
    this.#byId = db.prepare(`${letters} WHERE d.id = ?`);
    this.#failed = db.prepare(
      `UPDATE dead_letters SET attempts = ?, error = ?, cause = ?, version = ?, died_at = iif(?, ?, died_at) WHERE id = ?`,
    );
    this.#remove = db.prepare('DELETE FROM dead_letters WHERE id = ?');
    this.#scanner = new DeadLetterScanner(db);
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
    return rows.map((row) => this.#summary(row));
  }

  scan(scan: DeadLetterScan, limit: number): { letters: DeadLetter[]; next: number | null } {
    const { rows, next } = this.#scanner.rows(scan, limit);
    return { letters: rows.map((row) => this.#summary(row)), next };
  }

  count(scan: DeadLetterScan): { count: number; last: number; next: number | null } {
    return this.#scanner.count(scan);
  }

  /** As `scan`, without what stands there. */
  ids(scan: DeadLetterScan, limit: number): { ids: number[]; next: number | null } {
    const { rows, next } = this.#scanner.rows(scan, limit);
    return { ids: rows.map((row) => numberOf(row, 'id')), next };
  }

  /** Sent again, it failed again. */
  failedAgain(
    id: number,
    { attempts, error, cause, version, nextAttemptAt }: Failure,
    ended: boolean,
  ): void {
    this.#failed.run(attempts, error, cause, version ?? null, ended ? 1 : 0, nextAttemptAt, id);
  }

  /** It was delivered after all. */
  remove(id: number): void {
    const offset = numberOf(this.#row(id), 'offset');
    if (!this.#mirror.holds(id)) this.#events.remove(-id, offset);
    this.#remove.run(id);
  }

  /** @throws RowcallError DEAD_LETTER_UNKNOWN */
  show(id: number): { deadLetter: DeadLetter; value: Uint8Array | null } {
    const row = this.#row(id);
    const offset = numberOf(row, 'offset');
    const { value, ...event } = this.#events.whole(-id, offset, numberOf(row, 'partition'));
    return { deadLetter: letterOf(row, event), value };
  }

  /** Without its value. @throws RowcallError DEAD_LETTER_UNKNOWN */
  summary(id: number): { deadLetter: DeadLetter } {
    return { deadLetter: this.#summary(this.#row(id)) };
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
    const id = Number(lastInsertRowid);
    this.#mirror.note(id);
    return id;
  }

  #row(id: number): Row {
    const row = this.#byId.get(id);
    if (row !== undefined) return row;
    throw new RowcallError('DEAD_LETTER_UNKNOWN', `There is no dead letter ${id}`);
  }

  /** Its value may be large, and is not read. */
  #summary(row: Row): DeadLetter {
    const [event] = this.#events.list(-numberOf(row, 'id'), numberOf(row, 'partition'), 1);
    return letterOf(row, present(event, 'the event of a dead letter'));
  }
}

function letterOf(row: Row, event: DeadLetter['event']): DeadLetter {
  return {
    id: numberOf(row, 'id'),
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
}
