/** Cursors and their ledgers in the database. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import { assert } from '../../shared/assert.ts';
import type {
  Cursor,
  CursorKey,
  LaneSuperseded,
  LedgerCounts,
  StateChange,
} from '../state-store.ts';
import { LEDGER_FIELDS } from '../state-store.ts';
import { decodeRuns, encodeRuns } from './offset-runs.ts';
import type { Row } from '../../shared/sqlite-row.ts';
import { numberOf, textOf } from '../../shared/sqlite-row.ts';

type Progress = Extract<StateChange, { type: 'progress' }>;
type Counts = Partial<LedgerCounts>;

/** What one commit does to one cursor. `next` is null where only lanes moved. */
interface Moves {
  next: number | null;
  beyond: string | null;
  readonly counts: Counts;
}

/**
 * Gathers what the changes of one commit do to the cursors, so that each cursor is written once, at the
 * end. Invariant: nothing is written before all changes were taken; half of a commit (a lane's event without
 * the `matched` that its progress brings) does not balance, and the table would refuse it.
 */
export class CursorMoves {
  readonly #moves = new Map<number, Moves>();
  /** Events of lanes that the changes superseded. */
  readonly superseded: LaneSuperseded[] = [];

  [Symbol.iterator](): Iterator<[number, Moves]> {
    return this.#moves.entries();
  }

  progress(cursor: number, change: Progress): void {
    const moves = this.#of(cursor);
    assert(change.next >= (moves.next ?? 0), `the cursor does not go back to ${change.next}`);
    moves.next = change.next;
    moves.beyond = encodeRuns(change.next, change.beyond);
    for (const field of LEDGER_FIELDS) {
      const count = change.counts[field];
      if (count !== undefined) add(moves.counts, field, count);
    }
  }

  count(cursor: number, field: keyof LedgerCounts, count: number): void {
    add(this.#of(cursor).counts, field, count);
  }

  #of(cursor: number): Moves {
    let moves = this.#moves.get(cursor);
    if (moves === undefined) {
      moves = { next: null, beyond: null, counts: {} };
      this.#moves.set(cursor, moves);
    }
    return moves;
  }
}

function add(counts: Counts, field: keyof LedgerCounts, count: number): void {
  counts[field] = (counts[field] ?? 0) + count;
}

/** Which cursors there are, by callback, topic and partition, and how they and their ledgers change. */
export class CursorTable {
  readonly #all: StatementSync;
  readonly #of: StatementSync;
  readonly #handOver: StatementSync;
  readonly #count: StatementSync;
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  /** Ids of committed rows alone: those of a callback that is removed are forgotten before. */
  readonly #ids = new Map<string, number>();

  constructor(db: DatabaseSync) {
    this.#all = db.prepare(
      'SELECT * FROM cursors WHERE handed_over = ? ORDER BY callback, topic, partition',
    );
    this.#of = db.prepare('SELECT * FROM cursors WHERE callback = ? ORDER BY topic, partition');
    this.#handOver = db.prepare(
      `INSERT INTO cursors (callback, topic, partition, topic_id, start_offset, next, handed_over)
       VALUES (?, ?, ?, '', 0, 0, 1)`,
    );
    this.#count = db.prepare('UPDATE cursors SET next = next + 1 WHERE id = ?');
    this.#find = db.prepare(
      'SELECT id, next FROM cursors WHERE callback = ? AND topic = ? AND partition = ?',
    );
    this.#insert = db.prepare(
      'INSERT INTO cursors (callback, topic, partition, topic_id, start_offset, next) VALUES (?, ?, ?, ?, ?, ?)',
    );
    const counts = LEDGER_FIELDS.map((field) => `${field} = ${field} + ?`).join(', ');
    this.#update = db.prepare(
      `UPDATE cursors SET next = coalesce(?, next), beyond = coalesce(?, beyond), ${counts}
       WHERE id = ? AND next <= coalesce(?, next)`,
    );
  }

  all(): Cursor[] {
    return this.#all.all(0).map(cursorOf);
  }

  of(callback: string): Cursor[] {
    return this.#of.all(callback).map(cursorOf);
  }

  handedOver(): Cursor[] {
    return this.#all.all(1).map(cursorOf);
  }

  /** One more event is handed over here: where its books are, and its number. */
  handOver(key: CursorKey): { readonly cursor: number; readonly offset: number } {
    // Not from `#ids`: this transaction may be undone, and the row with it.
    const found = this.#find.get(key.callback, key.topic, key.partition);
    const cursor =
      found === undefined
        ? Number(this.#handOver.run(key.callback, key.topic, key.partition).lastInsertRowid)
        : numberOf(found, 'id');
    const offset = found === undefined ? 0 : numberOf(found, 'next');
    this.#count.run(cursor);
    return { cursor, offset };
  }

  /** @throws RowcallError STATE_UNUSABLE for one that exists. */
  open(cursor: Omit<Cursor, 'ledger' | 'beyond'>): void {
    const { callback, topic, partition, topicId, startOffset, next } = cursor;
    if (this.#lookUp(cursor) !== undefined) {
      throw new RowcallError(
        'STATE_UNUSABLE',
        `The cursor of ${nameOf(cursor)} is opened a second time`,
        { cure: 'Another dispatcher may use this state: let only one of them run.' },
      );
    }
    this.#insert.run(callback, topic, partition, topicId, startOffset, next);
  }

  idOf(key: CursorKey): number {
    const name = `${key.callback}\0${key.topic}\0${key.partition}`;
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const id = this.#lookUp(key);
    assert(id !== undefined, `the cursor of ${nameOf(key)} was opened`);
    this.#ids.set(name, id);
    return id;
  }

  /** Undefined where it was never opened. */
  find(key: CursorKey): number | undefined {
    return this.#lookUp(key);
  }

  /** The callback's rows are about to be deleted. */
  forget(callback: string): void {
    for (const name of [...this.#ids.keys()]) {
      if (name.startsWith(`${callback}\0`)) this.#ids.delete(name);
    }
  }

  write(moves: CursorMoves): void {
    for (const [cursor, { next, beyond, counts }] of moves) {
      const { changes } = this.#update.run(
        next,
        beyond,
        ...LEDGER_FIELDS.map((field) => counts[field] ?? 0),
        cursor,
        next,
      );
      assert(changes === 1, `cursor ${cursor} does not go back to ${next ?? 'nothing'}`);
    }
  }

  #lookUp(key: CursorKey): number | undefined {
    const row = this.#find.get(key.callback, key.topic, key.partition);
    return row === undefined ? undefined : numberOf(row, 'id');
  }
}

function nameOf(key: CursorKey): string {
  return `${key.callback} ${key.topic}/${key.partition}`;
}

function cursorOf(row: Row): Cursor {
  const next = numberOf(row, 'next');
  return {
    callback: textOf(row, 'callback'),
    topic: textOf(row, 'topic'),
    partition: numberOf(row, 'partition'),
    topicId: textOf(row, 'topic_id'),
    startOffset: numberOf(row, 'start_offset'),
    next,
    beyond: decodeRuns(next, textOf(row, 'beyond')),
    ledger: {
      read: numberOf(row, 'read'),
      filtered: numberOf(row, 'filtered'),
      matched: numberOf(row, 'matched'),
      delivered: numberOf(row, 'delivered'),
      superseded: numberOf(row, 'superseded'),
      skipped: numberOf(row, 'skipped'),
      dead: numberOf(row, 'dead'),
      parked: numberOf(row, 'parked'),
      awaiting: numberOf(row, 'awaiting'),
      retrying: numberOf(row, 'retrying'),
      pending: numberOf(row, 'pending'),
    },
  };
}
