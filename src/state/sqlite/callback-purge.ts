/** Deletes what is left of a removed callback from the database, some rows at a time. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import type { Row } from '../../shared/sqlite-row.ts';
import { numberOf } from '../../shared/sqlite-row.ts';

/** An event's value lies in rows of so much, and costs as many. */
const CHUNK_BYTES = 1024 * 1024;

/**
 * Invariant: a step looks at no more rows than it deletes, and deletes about as many as it is told, however many
 * there are: others wait for its transaction. What belongs to a row goes before it, so that the next step finds the rest;
 * the head of a lane goes with its lane, which is shown until then.
 */
export class CallbackPurge {
  readonly #sql;

  constructor(db: DatabaseSync) {
    this.#sql = prepareAll(db);
  }

  /** @returns whether there may be more */
  step(name: string, limit: number): boolean {
    const { small, cursors, last } = this.#sql;
    let left = this.#letters(name, this.#lanes(name, limit));
    for (const statement of small) {
      if (left <= 0) return true;
      left -= Number(statement.run(name, left).changes);
    }
    if (left <= 0) return true;
    // Each is looked for in what refers to it.
    const few = Math.ceil(limit / 100);
    if (cursors.run(name, few).changes >= few) return true;
    last.run(name);
    return false;
  }

  /** Returns what is left of the limit. */
  #lanes(name: string, limit: number): number {
    let left = limit;
    for (const row of left > 0 ? this.#sql.lanes.all(name, left) : []) {
      if (left <= 0) break;
      const lane = numberOf(row, 'id');
      // From the back, and one more than may be deleted: the head stays as long as the lane does.
      for (const event of this.#sql.events.all(lane, left + 1)) {
        if (left <= 0) return 0;
        left -= this.#event(event);
      }
      this.#sql.lane.run(lane);
      left -= 1;
    }
    return left;
  }

  /** Dead letters with their events, but for the event of one that waits to be mirrored. */
  #letters(name: string, limit: number): number {
    let left = limit;
    for (const row of left > 0 ? this.#sql.letters.all(name, left) : []) {
      if (left <= 0) break;
      const letter = numberOf(row, 'id');
      if (numberOf(row, 'mirrors') === 0) {
        for (const event of this.#sql.events.all(-letter, 1)) left -= this.#event(event);
      }
      this.#sql.resending.run(letter);
      this.#sql.letter.run(letter);
      left -= 1;
    }
    return left;
  }

  /** Returns how many rows it was. */
  #event(row: Row): number {
    const seq = numberOf(row, 'seq');
    this.#sql.chunks.run(seq);
    this.#sql.event.run(seq);
    return 1 + Math.floor(numberOf(row, 'bytes') / CHUNK_BYTES);
  }
}

function prepareAll(db: DatabaseSync) {
  const prepare = (sql: string): StatementSync => db.prepare(sql);
  const some = (table: string, of = 'callback = ?'): StatementSync =>
    prepare(`DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} WHERE ${of} LIMIT ?)`);
  return {
    lanes: prepare('SELECT id FROM lanes WHERE callback = ? LIMIT ?'),
    events: prepare(
      'SELECT seq, bytes FROM lane_events WHERE lane = ? ORDER BY offset DESC LIMIT ?',
    ),
    chunks: prepare('DELETE FROM lane_chunks WHERE event = ?'),
    event: prepare('DELETE FROM lane_events WHERE seq = ?'),
    lane: prepare('DELETE FROM lanes WHERE id = ?'),
    letters: prepare(
      `SELECT id, EXISTS (SELECT 1 FROM unmirrored_letters u WHERE u.id = d.id) AS mirrors
       FROM dead_letters d WHERE callback = ? ORDER BY id LIMIT ?`,
    ),
    resending: prepare('DELETE FROM resend_letters WHERE dead_letter = ?'),
    letter: prepare('DELETE FROM dead_letters WHERE id = ?'),
    small: [
      some('resend_letters', 'resend IN (SELECT id FROM resends WHERE callback = ?)'),
      some('resends'),
      some('settlements'),
      some('skipped_events', 'cursor IN (SELECT id FROM cursors WHERE callback = ?)'),
      some('completions', 'cursor IN (SELECT id FROM cursors WHERE callback = ?)'),
    ],
    cursors: some('cursors'),
    // Who takes the name begins anew, and is neither disabled nor told to wait.
    last: prepare('DELETE FROM callback_holds WHERE callback = ?'),
  };
}
