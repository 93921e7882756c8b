/** Where one event of one callback is, in the database. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { numberOf } from '../../shared/sqlite-row.ts';
import type { EventAt, Whereabouts } from '../whereabouts.ts';
import type { AuditTable } from './audit-table.ts';
import type { DeadLetterTable } from './dead-letter-table.ts';
import { LANES, summaryOf } from './lane-rows.ts';

export class WhereaboutsTable {
  readonly #audit: AuditTable;
  readonly #letters: DeadLetterTable;
  readonly #lane: StatementSync;
  readonly #event: StatementSync;
  readonly #letter: StatementSync;

  constructor(db: DatabaseSync, letters: DeadLetterTable, audit: AuditTable) {
    this.#letters = letters;
    this.#audit = audit;
    this.#lane = db.prepare(`${LANES} WHERE l.callback = ? AND l.topic = ? AND l.key = ?`);
    this.#event = db.prepare('SELECT id FROM lane_events WHERE lane = ? AND offset = ?');
    this.#letter = db.prepare(
      `SELECT d.id FROM dead_letters d JOIN cursors c ON c.id = d.cursor
       WHERE c.callback = ? AND c.topic = ? AND c.partition = ? AND d.offset = ? ORDER BY d.id DESC LIMIT 1`,
    );
  }

  find({ callback, topic, key, partition, offset }: EventAt): Whereabouts {
    const letter = this.#letter.get(callback, topic, partition, offset);
    return {
      lane: this.#laneOf({ callback, topic, key, offset }),
      deadLetter:
        letter === undefined ? null : this.#letters.summary(numberOf(letter, 'id')).deadLetter,
      skipped: this.#audit.skipOf({ callback, topic, partition, offset }),
    };
  }

  #laneOf(at: Pick<EventAt, 'callback' | 'topic' | 'key' | 'offset'>): Whereabouts['lane'] {
    const row = this.#lane.get(at.callback, at.topic, at.key);
    if (row === undefined) return null;
    const lane = numberOf(row, 'id');
    return {
      summary: summaryOf(row),
      holds: this.#event.get(lane, at.offset) !== undefined,
    };
  }
}
