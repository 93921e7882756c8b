/** Who did what, when and why, in the database. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { assert } from '../../shared/assert.ts';
import type { Row } from '../../shared/sqlite-row.ts';
import { numberOf, textOf, textOrNull } from '../../shared/sqlite-row.ts';
import type { Asked, AuditEntry, CursorKey, PageOf } from '../state-store.ts';

const ACTIONS: readonly AuditEntry['action'][] = [
  ...(['lane-retry', 'lane-skip', 'lane-park'] as const),
  ...(['callback-enable', 'callback-disable', 'callback-resume'] as const),
  ...(['callback-register', 'callback-remove', 'callback-test'] as const),
  ...(['dead-letter-resend', 'resend-pause', 'resend-resume', 'resend-cancel'] as const),
  ...(['settlement-retry', 'settlement-skip'] as const),
  ...(['callback-replay', 'replay-pause', 'replay-resume', 'replay-cancel'] as const),
];

/** Invariant: a line is written in the transaction of what it tells of, and never changed. */
export class AuditTable {
  readonly #insert: StatementSync;
  readonly #list: StatementSync;
  readonly #listOf: StatementSync;
  readonly #skip: StatementSync;

  constructor(db: DatabaseSync) {
    this.#insert = db.prepare(
      `INSERT INTO audit (at, actor, action, callback, topic, key, event_id, reason)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#skip = db.prepare(
      `SELECT a.* FROM skipped_events s JOIN cursors c ON c.id = s.cursor JOIN audit a ON a.id = s.audit
       WHERE c.callback = ? AND c.topic = ? AND c.partition = ? AND s.offset = ?`,
    );
    this.#list = db.prepare('SELECT * FROM audit WHERE id > ? ORDER BY id LIMIT ?');
    // The plus keeps SQLite on the id: a page is then read without sorting.
    this.#listOf = db.prepare(
      'SELECT * FROM audit WHERE id > ? AND +callback = ? ORDER BY id LIMIT ?',
    );
  }

  /** Who asked that an event be passed over which was; null of one that was not, whoever asked for it. */
  skipOf(at: CursorKey & { readonly offset: number }): AuditEntry | null {
    const row = this.#skip.get(at.callback, at.topic, at.partition, at.offset);
    return row === undefined ? null : entryOf(row);
  }

  add(entry: Omit<AuditEntry, 'id'>): void {
    const { atMs, actor, action, callback, topic, key, eventId, reason } = entry;
    this.#insert.run(atMs, actor, action, callback, topic, key, eventId, reason);
  }

  list({ callback, afterId = 0, limit }: PageOf): AuditEntry[] {
    const rows =
      callback === undefined
        ? this.#list.all(afterId, limit)
        : this.#listOf.all(afterId, callback, limit);
    return rows.map(entryOf);
  }
}

/** A line about a callback as a whole. */
export function aboutCallback(
  action: AuditEntry['action'],
  callback: string,
  { actor, reason, atMs }: Asked,
): Omit<AuditEntry, 'id'> {
  return { action, callback, actor, reason, atMs, topic: null, key: null, eventId: null };
}

function entryOf(row: Row): AuditEntry {
  const text = textOf(row, 'action');
  const action = ACTIONS.find((one) => one === text);
  assert(action !== undefined, `${text} is an action`);
  return {
    id: numberOf(row, 'id'),
    atMs: numberOf(row, 'at'),
    actor: textOf(row, 'actor'),
    action,
    callback: textOf(row, 'callback'),
    topic: textOrNull(row, 'topic'),
    key: textOrNull(row, 'key'),
    eventId: textOrNull(row, 'event_id'),
    reason: textOf(row, 'reason'),
  };
}
