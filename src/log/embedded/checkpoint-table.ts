/** Checkpoints in the file of the embedded log: of a long one, what stays the same is written once. */
import { createHash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import { textOf, textOrNull } from '../../shared/sqlite-row.ts';

/** Characters from which on a text is kept in two parts. */
const SPLIT_FROM = 128 * 1024;
/** The most that is written with each append of such a one. */
const MAX_HEAD = 64 * 1024;
/** What changes from one checkpoint to the next may be a little longer than it was just now. */
const SLACK = 64;

/** Of a name: the end of its text that stands in a row of its own, or the last text, to find such an end by. */
type Known =
  { readonly tail: string; readonly id: string } | { readonly tail: null; readonly text: string };

/**
 * A source with ten thousand topics has a checkpoint of a megabyte, of which each append changes some hundred characters
 * near its beginning: the list of the topics is the end of it. So the end that stays the same from one text to the
 * next stands in a row of its own, written once, and each append writes what stands before it.
 *
 * Invariant: what `read` gives is, letter by letter, what the last `save` of a committed transaction was given. Hence
 * the end is named by its hash and never altered, and a row that names one is only written where it is there: what
 * was rolled back, or was written by another process, cannot put another end to it.
 */
export class CheckpointTable {
  readonly #db: DatabaseSync;
  readonly #known = new Map<string, Known>();
  #isSplit: boolean;
  #sql;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#isSplit = hasTails(db);
    this.#sql = prepareAll(db, this.#isSplit);
  }

  /** @throws RowcallError CHECKPOINT_UNREADABLE where the end of it is missing */
  read(name: string): string | null {
    this.#look();
    const row = this.#sql.read.get(name);
    if (row === undefined) return null;
    const head = textOf(row, 'checkpoint');
    if (textOrNull(row, 'tail') === null) return head;
    const end = textOrNull(row, 'text');
    if (end !== null) return head + end;
    throw new RowcallError('CHECKPOINT_UNREADABLE', `The checkpoint of ${name} lacks its end`);
  }

  /** Within the transaction of what it covers. */
  save(name: string, text: string): void {
    this.#look();
    if (!this.#isSplit || text.length < SPLIT_FROM) {
      this.#saveWhole(name, text);
      return;
    }
    const known = this.#known.get(name);
    if (known === undefined || !this.#saveSplit(name, text, known)) {
      this.#saveWhole(name, text);
      this.#known.set(name, { tail: null, text });
    }
  }

  /** Another process may have brought the file to the format that has ends. */
  #look(): void {
    if (this.#isSplit || !hasTails(this.#db)) return;
    this.#isSplit = true;
    this.#sql = prepareAll(this.#db, true);
  }

  #saveWhole(name: string, text: string): void {
    this.#sql.saveWhole.run(name, text);
    if (this.#known.delete(name)) this.#sql.forget?.run();
  }

  #saveSplit(name: string, text: string, known: Known): boolean {
    if (known.tail !== null && text.endsWith(known.tail)) {
      return this.#saveHead(name, text.slice(0, text.length - known.tail.length), known.id);
    }
    // Shorter each time that it must be, so that it ends up behind all that changes.
    const at = text.length - commonEnd(known.tail ?? known.text, text);
    const from = wholeCharacter(text, Math.min(at + SLACK, text.length));
    if (from > MAX_HEAD) return false;
    const tail = text.slice(from);
    const id = createHash('sha256').update(tail).digest('hex');
    this.#sql.saveTail?.run(id, tail);
    if (!this.#saveHead(name, text.slice(0, from), id)) return false;
    this.#sql.forget?.run();
    this.#known.set(name, { tail, id });
    return true;
  }

  #saveHead(name: string, head: string, id: string): boolean {
    if (head.length > MAX_HEAD) return false;
    return this.#sql.saveHead?.run(name, head, id).changes === 1;
  }
}

function commonEnd(one: string, other: string): number {
  const most = Math.min(one.length, other.length);
  let same = 0;
  while (
    same < most &&
    one.charCodeAt(one.length - 1 - same) === other.charCodeAt(other.length - 1 - same)
  ) {
    same += 1;
  }
  return same;
}

/** The file has UTF-8: the halves of a character, each for itself, would not come back. */
function wholeCharacter(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff ? at + 1 : at;
}

/** A log of before, that is only looked at, has none. */
function hasTails(db: DatabaseSync): boolean {
  const found = db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'checkpoint_tails'").get();
  return found !== undefined;
}

function prepareAll(db: DatabaseSync, split: boolean) {
  return {
    // One statement: what it reads is of one moment.
    read: db.prepare(
      split
        ? `SELECT c.checkpoint, c.tail, t.text FROM checkpoints c
           LEFT JOIN checkpoint_tails t ON t.id = c.tail WHERE c.name = ?`
        : 'SELECT checkpoint, NULL AS tail, NULL AS text FROM checkpoints WHERE name = ?',
    ),
    saveWhole: db.prepare('INSERT OR REPLACE INTO checkpoints (name, checkpoint) VALUES (?, ?)'),
    saveHead: split
      ? db.prepare(
          `INSERT OR REPLACE INTO checkpoints (name, checkpoint, tail)
           SELECT ?, ?, id FROM checkpoint_tails WHERE id = ?`,
        )
      : null,
    saveTail: split
      ? db.prepare('INSERT OR IGNORE INTO checkpoint_tails (id, text) VALUES (?, ?)')
      : null,
    forget: split
      ? db.prepare(
          `DELETE FROM checkpoint_tails
           WHERE id NOT IN (SELECT tail FROM checkpoints WHERE tail IS NOT NULL)`,
        )
      : null,
  };
}
