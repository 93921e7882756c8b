/** What was told of events that were answered with 202, in the database. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { assert } from '../../shared/assert.ts';
import type { Row } from '../../shared/sqlite-row.ts';
import { numberOf, numberOrNull, textOf, textOrNull } from '../../shared/sqlite-row.ts';
import type {
  AttemptKey,
  Completion,
  CompletionAnswer,
  CompletionRecord,
  Ending,
} from '../completion.ts';
import type { PageOf } from '../state-store.ts';
import type { CursorTable } from './cursor-table.ts';

const MAX_RECORDS = 100_000;
const KEPT_MS = 7 * 86_400_000;
/** Each new record takes at most so many old ones with it: no commit ever waits for a great cleaning. */
const PRUNED_AT_ONCE = 8;

interface At {
  readonly nowMs: number;
  readonly early: boolean;
}

/**
 * Invariant: the first ending of an attempt counts, and every later one is told what became of it. It stands in its lane
 * until the dispatcher settles it; where it came before the answer that it ends, in its record until then. Both are written
 * in the transaction whose end the receiver's 200 waits for.
 */
export class CompletionTable {
  readonly #cursors: CursorTable;
  readonly #findLane: StatementSync;
  readonly #progress: StatementSync;
  readonly #end: StatementSync;
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  readonly #prune: StatementSync;
  readonly #list: StatementSync;
  readonly #listOf: StatementSync;

  constructor(db: DatabaseSync, cursors: CursorTable) {
    this.#cursors = cursors;
    this.#findLane = db.prepare(
      `SELECT id, awaiting_attempt, deadline_at, heartbeat_ms, next_attempt_at, ending FROM lanes
       WHERE cursor = ? AND head_offset = ? AND awaiting_attempt IS NOT NULL`,
    );
    this.#progress = db.prepare('UPDATE lanes SET next_attempt_at = ? WHERE id = ?');
    this.#end = db.prepare(
      'UPDATE lanes SET ending = ?, next_attempt_at = min(next_attempt_at, ?) WHERE id = ?',
    );
    this.#find = db.prepare(
      `SELECT status, reason, retryable, result FROM completions
       WHERE cursor = ? AND offset = ? AND attempt = ? AND late = 0`,
    );
    this.#insert = db.prepare(
      `INSERT INTO completions (cursor, offset, attempt, late, event_id, at, status, retryable, reason, result)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    );
    this.#prune = db.prepare(
      `DELETE FROM completions WHERE id IN (SELECT id FROM completions ORDER BY id LIMIT ${PRUNED_AT_ONCE})
         AND (at < ? OR id <= ?)`,
    );
    const records =
      'SELECT r.*, c.callback, c.topic, c.partition FROM completions r JOIN cursors c ON c.id = r.cursor';
    this.#list = db.prepare(`${records} WHERE r.id > ? ORDER BY r.id LIMIT ?`);
    // The plus keeps SQLite on the id: a page is then read without sorting.
    this.#listOf = db.prepare(
      `${records} WHERE r.id > ? AND +c.callback = ? ORDER BY r.id LIMIT ?`,
    );
  }

  complete(key: AttemptKey, completion: Completion, at: At): CompletionAnswer {
    const cursor = this.#cursors.find(key);
    if (cursor === undefined) return 'unknown';
    const lane = this.#findLane.get(cursor, key.offset);
    const awaited = lane !== undefined && numberOf(lane, 'awaiting_attempt') === key.attempt;
    if (awaited && textOrNull(lane, 'ending') === null) {
      return this.#take({ cursor, row: lane }, key, completion, at);
    }
    return this.#afterwards(cursor, key, completion, at);
  }

  /** What ended the attempt before its answer was stored; null where nothing did. */
  endingOf(
    cursor: number | undefined,
    { offset, attempt }: Pick<AttemptKey, 'offset' | 'attempt'>,
  ): Ending | null {
    const row = cursor === undefined ? undefined : this.#find.get(cursor, offset, attempt);
    if (row === undefined) return null;
    return {
      status: statusOf(row),
      reason: textOrNull(row, 'reason'),
      retryable: numberOf(row, 'retryable') === 1,
      result: textOrNull(row, 'result'),
    };
  }

  list({ callback, afterId = 0, limit }: PageOf): CompletionRecord[] {
    const rows =
      callback === undefined
        ? this.#list.all(afterId, limit)
        : this.#listOf.all(afterId, callback, limit);
    return rows.map(recordOf);
  }

  /** The attempt is awaited, and has not ended. */
  #take(
    { cursor, row: lane }: { readonly cursor: number; readonly row: Row },
    key: AttemptKey,
    completion: Completion,
    { nowMs }: At,
  ): CompletionAnswer {
    const id = numberOf(lane, 'id');
    if (completion.status === 'progress') {
      const heartbeatMs = numberOrNull(lane, 'heartbeat_ms') ?? Infinity;
      this.#progress.run(Math.min(numberOf(lane, 'deadline_at'), nowMs + heartbeatMs), id);
      return 'taken';
    }
    if (completion.status === 'overdue' && numberOf(lane, 'next_attempt_at') > nowMs) return 'late';
    this.#end.run(JSON.stringify(completion), nowMs, id);
    this.#record(cursor, key, { ...completion, result: null }, { nowMs, late: false });
    return 'taken';
  }

  /** Before its answer, after its end, or after it was given up. */
  #afterwards(
    cursor: number,
    key: AttemptKey,
    completion: Completion,
    { nowMs, early }: At,
  ): CompletionAnswer {
    const first = this.#find.get(cursor, key.offset, key.attempt);
    if (completion.status === 'progress') return early && first === undefined ? 'taken' : 'late';
    if (completion.status === 'overdue') return 'late';
    if (first !== undefined && statusOf(first) === completion.status) return 'repeated';
    const isEarly = early && first === undefined;
    const ending = isEarly ? completion : { ...completion, result: null };
    this.#record(cursor, key, ending, { nowMs, late: !isEarly });
    return isEarly ? 'taken' : 'late';
  }

  #record(
    cursor: number,
    key: AttemptKey,
    { status, retryable, reason, result }: Ending,
    { nowMs, late }: { readonly nowMs: number; readonly late: boolean },
  ): void {
    const { lastInsertRowid } = this.#insert.run(
      cursor,
      key.offset,
      key.attempt,
      late ? 1 : 0,
      key.eventId,
      nowMs,
      status,
      retryable ? 1 : 0,
      reason,
      result,
    );
    this.#prune.run(nowMs - KEPT_MS, Number(lastInsertRowid) - MAX_RECORDS);
  }
}

const STATUSES: readonly Ending['status'][] = ['succeeded', 'failed', 'overdue'];

function statusOf(row: Row): Ending['status'] {
  const text = textOf(row, 'status');
  const status = STATUSES.find((one) => one === text);
  assert(status !== undefined, `${text} is an ending`);
  return status;
}

function recordOf(row: Row): CompletionRecord {
  return {
    id: numberOf(row, 'id'),
    callback: textOf(row, 'callback'),
    topic: textOf(row, 'topic'),
    partition: numberOf(row, 'partition'),
    offset: numberOf(row, 'offset'),
    eventId: textOf(row, 'event_id'),
    attempt: numberOf(row, 'attempt'),
    atMs: numberOf(row, 'at'),
    status: statusOf(row),
    reason: textOrNull(row, 'reason'),
    late: numberOf(row, 'late') === 1,
  };
}
