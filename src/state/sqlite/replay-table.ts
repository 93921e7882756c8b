/** Replays in the database. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import { assert, unreachable } from '../../shared/assert.ts';
import type { Row } from '../../shared/sqlite-row.ts';
import { numberOf, numberOrNull, textOf, textOrNull } from '../../shared/sqlite-row.ts';
import {
  type NewReplay,
  rangeOf,
  type Replay,
  type ReplayAction,
  type ReplayBook,
  replayName,
  type ReplayState,
} from '../replay-store.ts';
import type { Asked, Cursor } from '../state-store.ts';
import { aboutCallback, type AuditTable } from './audit-table.ts';
import type { CallbackTable } from './callback-table.ts';
import type { CursorTable } from './cursor-table.ts';

const STATES: readonly ReplayState[] = ['running', 'paused', 'cancelling', 'cancelled', 'done'];

/** What a replay was asked for with, as JSON. */
type Plan = Pick<Replay, 'filter' | 'ranges' | 'options'>;

interface Tables {
  readonly cursors: CursorTable;
  readonly callbacks: Pick<CallbackTable, 'dropLanes'>;
  readonly audit: AuditTable;
}

/**
 * Invariant: while a replay has not ended its books are those of its cursors, which the dispatcher moves; in the
 * transaction that ends it they are written beside it, and its cursors go, but for those that dead letters stand on:
 * what every look at callbacks reads must not grow with every replay there ever was.
 */
export class ReplayTable {
  readonly #tables: Tables;
  readonly #sql;

  constructor(db: DatabaseSync, tables: Tables) {
    this.#tables = tables;
    this.#sql = prepareAll(db);
  }

  start(next: NewReplay, asked: Asked): Replay {
    const { callback, version, filter, ranges, options, total } = next;
    const other = this.#sql.openOf.get(callback);
    if (other !== undefined) {
      const { id, state } = replayOf(other);
      throw new RowcallError('REPLAY_RUNNING', `Replay ${id} of ${callback} is ${state}`);
    }
    const plan: Plan = { filter, ranges, options };
    const { actor, reason, atMs } = asked;
    const { lastInsertRowid } = this.#sql.insert.run(
      callback,
      version,
      JSON.stringify(plan),
      total,
      actor,
      reason,
      atMs,
    );
    const id = Number(lastInsertRowid);
    const name = replayName({ callback, id });
    for (const { topic, topicId, partition, from } of ranges) {
      const at = { callback: name, topic, topicId, partition };
      this.#tables.cursors.open({ ...at, startOffset: from, next: from });
    }
    this.#tables.audit.add(aboutCallback('callback-replay', callback, asked));
    return this.#byId(id);
  }

  list(callback: string | undefined, beforeId: number, limit: number): Replay[] {
    return this.#sql.list
      .all({ before: beforeId, callback: callback ?? null, limit })
      .map(replayOf);
  }

  open(): Replay[] {
    return this.#sql.open.all().map(replayOf);
  }

  show(id: number): { replay: Replay; books: readonly ReplayBook[] } {
    const row = this.#row(id);
    const replay = replayOf(row);
    const kept = textOrNull(row, 'books');
    // Written by `#end` alone.
    const books = kept === null ? this.#books(replay) : (JSON.parse(kept) as ReplayBook[]);
    return { replay, books };
  }

  act(id: number, action: ReplayAction, asked: Asked): Replay {
    const { state, callback } = this.#byId(id);
    if (state !== 'running' && state !== 'paused') {
      throw new RowcallError('REPLAY_ENDED', `Replay ${id} of ${callback} is ${state}`);
    }
    switch (action) {
      case 'pause':
        this.#sql.setState.run('paused', null, id);
        break;
      case 'resume':
        this.#sql.setState.run('running', null, id);
        break;
      case 'cancel':
        this.#sql.setState.run('cancelling', asked.reason, id);
        break;
      default:
        unreachable(action);
    }
    this.#tables.audit.add(aboutCallback(`replay-${action}`, callback, asked));
    return this.#byId(id);
  }

  finish(id: number, nowMs: number): boolean {
    const replay = this.#byId(id);
    if (replay.state !== 'running') return replay.state === 'done';
    const ended = this.#books(replay).every(
      ({ next, to, ledger: { parked, awaiting, retrying, pending } }) =>
        next >= to && parked + awaiting + retrying + pending === 0,
    );
    if (ended) this.#end(replay, 'done', nowMs);
    return ended;
  }

  cancelled(id: number, nowMs: number): void {
    const replay = this.#byId(id);
    if (replay.state !== 'cancelling') return;
    const name = replayName(replay);
    this.#sql.skipLanes.run(name);
    this.#tables.callbacks.dropLanes(name);
    this.#end(replay, 'cancelled', nowMs);
  }

  #end(replay: Replay, state: 'done' | 'cancelled', nowMs: number): void {
    const name = replayName(replay);
    this.#sql.end.run(state, nowMs, JSON.stringify(this.#books(replay)), replay.id);
    this.#sql.dropHold.run(name);
    this.#sql.dropCompletions.run(name);
    this.#sql.dropCursors.run(name);
    this.#tables.cursors.forget(name);
  }

  #books(replay: Replay): ReplayBook[] {
    return this.#tables.cursors.of(replayName(replay)).map((cursor) => bookOf(replay, cursor));
  }

  #byId(id: number): Replay {
    return replayOf(this.#row(id));
  }

  #row(id: number): Row {
    const row = this.#sql.byId.get(id);
    if (row === undefined) throw new RowcallError('REPLAY_UNKNOWN', `There is no replay ${id}`);
    return row;
  }
}

function bookOf(replay: Replay, cursor: Cursor): ReplayBook {
  const range = rangeOf(replay, cursor);
  assert(range !== undefined, `replay ${replay.id} has a range for each of its cursors`);
  const { topic, partition, from, to } = range;
  return { topic, partition, from, to, next: cursor.next, ledger: cursor.ledger };
}

function replayOf(row: Row): Replay {
  const text = textOf(row, 'state');
  const state = STATES.find((one) => one === text);
  assert(state !== undefined, `${text} is a state of replays`);
  // Written by `start` alone.
  const plan = JSON.parse(textOf(row, 'plan')) as Plan;
  return {
    ...plan,
    id: numberOf(row, 'id'),
    callback: textOf(row, 'callback'),
    version: numberOf(row, 'version'),
    state,
    total: numberOrNull(row, 'total'),
    asked: {
      actor: textOf(row, 'actor'),
      reason: textOf(row, 'reason'),
      atMs: numberOf(row, 'asked_at'),
    },
    why: textOrNull(row, 'why'),
    endedAtMs: numberOrNull(row, 'ended_at'),
  };
}

function prepareAll(db: DatabaseSync) {
  const prepare = (sql: string): StatementSync => db.prepare(sql);
  return {
    insert: prepare(
      `INSERT INTO replays (callback, version, plan, total, actor, reason, asked_at)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ),
    byId: prepare('SELECT * FROM replays WHERE id = ?'),
    openOf: prepare('SELECT * FROM replays WHERE callback = ? AND ended_at IS NULL'),
    open: prepare('SELECT * FROM replays WHERE ended_at IS NULL ORDER BY id'),
    list: prepare(
      `SELECT * FROM replays WHERE id < :before AND (:callback IS NULL OR +callback = :callback)
       ORDER BY id DESC LIMIT :limit`,
    ),
    setState: prepare('UPDATE replays SET state = ?, why = ? WHERE id = ?'),
    end: prepare('UPDATE replays SET state = ?, ended_at = ?, books = ? WHERE id = ?'),
    skipLanes: prepare(
      `UPDATE cursors SET skipped = skipped + parked + awaiting + retrying + pending,
       parked = 0, awaiting = 0, retrying = 0, pending = 0 WHERE callback = ?`,
    ),
    dropHold: prepare('DELETE FROM callback_holds WHERE callback = ?'),
    dropCompletions: prepare(
      'DELETE FROM completions WHERE cursor IN (SELECT id FROM cursors WHERE callback = ?)',
    ),
    dropCursors: prepare(
      `DELETE FROM cursors WHERE callback = ? AND NOT EXISTS (
         SELECT 1 FROM dead_letters WHERE dead_letters.cursor = cursors.id)`,
    ),
  };
}
