/** Dead letters that have yet to be mirrored, in the database. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { present } from '../../shared/assert.ts';
import { numberOf, numberOrNull, textOf, type Row } from '../../shared/sqlite-row.ts';
import type { UnmirroredCount, UnmirroredLetter } from '../mirror-store.ts';
import { causeOf } from './failure-cause.ts';
import type { LaneEvents } from './lane-events.ts';

const PAGE_BYTES = 4 * 1024 * 1024;

const TAKE = `INSERT INTO unmirrored_letters (id, callback, topic, key, partition, offset, attempts, first_attempt_at,
    died_at, error, cause, version)
  SELECT d.id, d.callback, d.topic, d.key, c.partition, d.offset, d.attempts, d.first_attempt_at, d.died_at, d.error,
    d.cause, d.version
  FROM dead_letters d JOIN cursors c ON c.id = d.cursor JOIN mirroring m`;

/**
 * Invariant: the event of a dead letter stays in `lane_events`, under the negative id of the letter, as long as the letter
 * is there or waits here; whoever ends the second of the two removes it. So that a letter waits costs no copy of its
 * value, and none that was sent again in the meantime is missing where others read it.
 */
export class MirrorTable {
  readonly #events: LaneEvents;
  readonly #note: StatementSync;
  readonly #isOn: StatementSync;
  readonly #turnOn: StatementSync;
  readonly #takeMissed: StatementSync;
  readonly #turnOff: StatementSync;
  readonly #find: StatementSync;
  readonly #list: StatementSync;
  readonly #count: StatementSync;
  readonly #remove: StatementSync;
  readonly #letter: StatementSync;

  constructor(db: DatabaseSync, events: LaneEvents) {
    this.#events = events;
    this.#note = db.prepare(`${TAKE} WHERE d.id = ? AND m.is_on = 1`);
    this.#isOn = db.prepare('SELECT is_on FROM mirroring');
    this.#turnOn = db.prepare('UPDATE mirroring SET is_on = 1');
    this.#takeMissed = db.prepare(`${TAKE} WHERE d.id > m.taken_to`);
    this.#turnOff = db.prepare(
      `UPDATE mirroring SET is_on = 0,
         taken_to = coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'dead_letters'), 0)`,
    );
    this.#find = db.prepare('SELECT offset FROM unmirrored_letters WHERE id = ?');
    this.#list = db.prepare(
      'SELECT * FROM unmirrored_letters WHERE callback = ? ORDER BY id LIMIT ?',
    );
    this.#count = db.prepare(
      `SELECT callback, count(*) AS waiting, min(died_at) AS oldest FROM unmirrored_letters
       GROUP BY callback ORDER BY callback`,
    );
    this.#remove = db.prepare('DELETE FROM unmirrored_letters WHERE id = ?');
    this.#letter = db.prepare('SELECT 1 FROM dead_letters WHERE id = ?');
  }

  /** A dead letter was made; it waits where that is asked for. */
  note(deadLetter: number): void {
    this.#note.run(deadLetter);
  }

  /** Whether the letter's event is needed here. */
  holds(deadLetter: number): boolean {
    return this.#find.get(deadLetter) !== undefined;
  }

  set(on: boolean): void {
    const wasOn = numberOf(present(this.#isOn.get(), 'the row of mirroring'), 'is_on') === 1;
    if (on === wasOn) return;
    if (on) {
      this.#takeMissed.run();
      this.#turnOn.run();
    } else {
      this.#turnOff.run();
    }
  }

  list(callback: string, limit: number): UnmirroredLetter[] {
    const letters: UnmirroredLetter[] = [];
    let bytes = 0;
    for (const row of this.#list.iterate(callback, limit)) {
      const letter = this.#letterOf(row);
      letters.push(letter);
      bytes += letter.event.value?.byteLength ?? 0;
      if (bytes >= PAGE_BYTES) break;
    }
    return letters;
  }

  count(): UnmirroredCount[] {
    return this.#count.all().map((row) => ({
      callback: textOf(row, 'callback'),
      waiting: numberOf(row, 'waiting'),
      oldestAt: numberOf(row, 'oldest'),
    }));
  }

  done(ids: readonly number[]): void {
    for (const id of ids) {
      const row = this.#find.get(id);
      if (row === undefined) continue;
      this.#remove.run(id);
      if (this.#letter.get(id) === undefined) this.#events.remove(-id, numberOf(row, 'offset'));
    }
  }

  #letterOf(row: Row): UnmirroredLetter {
    const id = numberOf(row, 'id');
    return {
      id,
      callback: textOf(row, 'callback'),
      topic: textOf(row, 'topic'),
      key: textOf(row, 'key'),
      event: this.#events.whole(-id, numberOf(row, 'offset'), numberOf(row, 'partition')),
      attempts: numberOf(row, 'attempts'),
      firstAttemptAt: numberOf(row, 'first_attempt_at'),
      diedAt: numberOf(row, 'died_at'),
      error: textOf(row, 'error'),
      cause: causeOf(textOf(row, 'cause')),
      version: numberOrNull(row, 'version'),
    };
  }
}
