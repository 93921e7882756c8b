/** What is to be written back of settled events, in the database. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import { assert, present, unreachable } from '../../shared/assert.ts';
import type { Row } from '../../shared/sqlite-row.ts';
import { numberOf, numberOrNull, textOf, textOrNull } from '../../shared/sqlite-row.ts';
import type {
  Settlement,
  SettlementAction,
  SettlementChange,
  SettlementCounts,
  SettlementHeads,
  SettlementMade,
  SettlementPage,
  SettlementSummary,
} from '../settlement-store.ts';
import type { Asked, LaneKey } from '../state-store.ts';
import type { AuditTable } from './audit-table.ts';

const STATUSES: readonly Settlement['status'][] = ['delivered', 'dead', 'skipped'];

/**
 * Invariant: of a key the row of the lowest id is its head, and it alone has a `next_at`. So what is due is found without
 * a look at those that wait behind it, however many, and one that fails for ever holds its own key alone.
 */
export class SettlementTable {
  readonly #audit: AuditTable;
  readonly #insert: StatementSync;
  readonly #heads: StatementSync;
  readonly #find: StatementSync;
  readonly #remove: StatementSync;
  readonly #promote: StatementSync;
  readonly #fail: StatementSync;
  readonly #retry: StatementSync;
  readonly #hasten: StatementSync;
  readonly #count: StatementSync;
  readonly #summaries: StatementSync;
  readonly #list: StatementSync;
  readonly #listOf: StatementSync;
  readonly #brief: StatementSync;

  constructor(db: DatabaseSync, audit: AuditTable) {
    this.#audit = audit;
    this.#insert = db.prepare(
      `INSERT INTO settlements (callback, topic, key, event_id, status, at, parameters, error, next_at)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,
         iif(EXISTS (SELECT 1 FROM settlements WHERE callback = ?1 AND topic = ?2 AND key = ?3), NULL, ?6)`,
    );
    this.#heads = db.prepare(
      `SELECT * FROM settlements WHERE callback = ? AND next_at IS NOT NULL
       ORDER BY next_at, id LIMIT ?`,
    );
    this.#find = db.prepare('SELECT callback, topic, key, event_id FROM settlements WHERE id = ?');
    this.#remove = db.prepare('DELETE FROM settlements WHERE id = ?');
    this.#promote = db.prepare(
      `UPDATE settlements SET next_at = at WHERE next_at IS NULL AND id =
         (SELECT id FROM settlements WHERE callback = ? AND topic = ? AND key = ? ORDER BY id LIMIT 1)`,
    );
    this.#fail = db.prepare(
      'UPDATE settlements SET failures = failures + 1, error = ?, next_at = ? WHERE id = ? AND next_at IS NOT NULL',
    );
    this.#retry = db.prepare(
      'UPDATE settlements SET next_at = min(next_at, ?) WHERE id = ? AND next_at IS NOT NULL',
    );
    this.#hasten = db.prepare(
      'UPDATE settlements SET next_at = ?2 WHERE callback = ?1 AND next_at > ?2',
    );
    this.#count = db.prepare(
      'SELECT count(*) AS waiting, count(error) AS failing FROM settlements WHERE callback = ?',
    );
    this.#summaries = db.prepare(
      `SELECT callback, count(*) AS waiting, count(error) AS failing, min(at) AS oldest_at,
         (SELECT error FROM settlements WHERE error IS NOT NULL AND callback = every.callback
          ORDER BY id LIMIT 1) AS last_error
       FROM settlements AS every GROUP BY callback ORDER BY callback`,
    );
    this.#list = db.prepare('SELECT * FROM settlements WHERE id > ? ORDER BY id LIMIT ?');
    // Parameters are the last column, and are not read for it.
    this.#brief = db.prepare(
      `SELECT id, callback, topic, key, event_id, status, at, failures, next_at, error, NULL AS parameters
       FROM settlements WHERE id > ?1 AND (?2 IS NULL OR +callback = ?2) ORDER BY id LIMIT ?3`,
    );
    this.#listOf = db.prepare(
      'SELECT * FROM settlements WHERE id > ? AND +callback = ? ORDER BY id LIMIT ?',
    );
  }

  change(change: SettlementChange): void {
    switch (change.type) {
      case 'settlement-made':
        this.#add(change);
        return;
      case 'settlement-failed':
        this.#fail.run(change.error, change.nextAt, change.id);
        return;
      case 'settlements-due':
        this.#hasten.run(change.callback, change.atMs);
        return;
      case 'settlement-ran': {
        const row = this.#find.get(change.id);
        if (row !== undefined) this.#leave(change.id, row);
        return;
      }
      default:
        unreachable(change);
    }
  }

  count(callback: string): SettlementCounts {
    const row = present(this.#count.get(callback), 'a count');
    return { waiting: numberOf(row, 'waiting'), failing: numberOf(row, 'failing') };
  }

  summaries(): SettlementSummary[] {
    return this.#summaries.all().map((row) => ({
      callback: textOf(row, 'callback'),
      waiting: numberOf(row, 'waiting'),
      failing: numberOf(row, 'failing'),
      oldestAtMs: numberOf(row, 'oldest_at'),
      lastError: textOrNull(row, 'last_error'),
    }));
  }

  list(page: SettlementPage | SettlementHeads): Settlement[] {
    if ('heads' in page) return this.#heads.all(page.callback, page.limit).map(settlementOf);
    const { callback, afterId = 0, limit, brief } = page;
    if (brief === true) {
      return this.#brief.all(afterId, callback ?? null, limit).map(settlementOf);
    }
    const rows =
      callback === undefined
        ? this.#list.all(afterId, limit)
        : this.#listOf.all(afterId, callback, limit);
    return rows.map(settlementOf);
  }

  act(id: number, action: SettlementAction, asked: Asked): void {
    const row = this.#find.get(id);
    if (row === undefined) {
      throw new RowcallError('SETTLEMENT_UNKNOWN', `There is no statement ${id} that waits`);
    }
    if (action === 'retry') this.#retry.run(asked.atMs, id);
    else this.#leave(id, row);
    const eventId = textOf(row, 'event_id');
    this.#audit.add({ ...asked, action: `settlement-${action}`, ...keyOf(row), eventId });
  }

  #add(change: SettlementMade): void {
    const { callback, topic, key, eventId, status, atMs, parameters, error } = change;
    this.#insert.run(callback, topic, key, eventId, status, atMs, parameters, error);
  }

  #leave(id: number, row: Row): void {
    const { callback, topic, key } = keyOf(row);
    this.#remove.run(id);
    this.#promote.run(callback, topic, key);
  }
}

function keyOf(row: Row): LaneKey {
  return {
    callback: textOf(row, 'callback'),
    topic: textOf(row, 'topic'),
    key: textOf(row, 'key'),
  };
}

function settlementOf(row: Row): Settlement {
  const text = textOf(row, 'status');
  const status = STATUSES.find((one) => one === text);
  assert(status !== undefined, `${text} is the end of an event`);
  return {
    ...keyOf(row),
    id: numberOf(row, 'id'),
    eventId: textOf(row, 'event_id'),
    status,
    atMs: numberOf(row, 'at'),
    parameters: textOrNull(row, 'parameters'),
    error: textOrNull(row, 'error'),
    failures: numberOf(row, 'failures'),
    nextAt: numberOrNull(row, 'next_at'),
  };
}
