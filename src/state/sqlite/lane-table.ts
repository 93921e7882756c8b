/** Lanes and their events in the database. */
import type { DatabaseSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import { assert, present } from '../../shared/assert.ts';
import type { DueLane, LaneEvent, LaneKey, LaneSummary, StateChange } from '../state-store.ts';
import { laneEventBytes } from '../state-store.ts';
import type { CursorMoves, CursorTable } from './cursor-table.ts';
import { LaneEvents } from './lane-events.ts';
import type { Row } from '../../shared/sqlite-row.ts';
import { numberOf, numberOrNull, textOf, textOrNull } from '../../shared/sqlite-row.ts';

type Append = Extract<StateChange, { type: 'lane-append' }>;
type Failed = Extract<StateChange, { type: 'lane-failed' }>;
type Left = Extract<StateChange, { type: 'lane-delivered' | 'lane-filtered' }>;

/** At most this much of events is read at once for lanes that are due. */
const DUE_BYTES = 16 * 1024 * 1024;
/** At most so many events of a lane are shown. */
const SHOWN_EVENTS = 1_000;

/**
 * Each change here moves the ledger too, in `moves`, which the same transaction writes. Invariant: a lane
 * has at least one event; `retrying` counts the heads and `pending` the events behind them. Were a lane
 * written in another transaction than its counts, a crash between the two would lose an event from the books.
 */
export class LaneTable {
  readonly #cursors: CursorTable;
  readonly #events: LaneEvents;
  readonly #changes: ReturnType<typeof prepareChanges>;
  readonly #queries: ReturnType<typeof prepareQueries>;
  /** The time last asked about: what becomes due at once is due since then. */
  #lastNow = 0;

  constructor(db: DatabaseSync, cursors: CursorTable) {
    this.#cursors = cursors;
    this.#events = new LaneEvents(db);
    this.#changes = prepareChanges(db);
    this.#queries = prepareQueries(db);
  }

  append(change: Append, moves: CursorMoves): void {
    const { callback, topic, event } = change;
    const cursor = this.#cursors.idOf({ callback, topic, partition: event.partition });
    const bytes = laneEventBytes(event);
    const found = this.#find(change);
    if (found === undefined) {
      this.#events.insert(this.#insertLane(change, cursor, bytes), event);
      moves.count(cursor, 'retrying', 1);
      return;
    }
    const last = numberOf(found, 'last_offset');
    assert(change.failure === undefined, `event ${event.id} is the head of its lane`);
    assert(numberOf(found, 'cursor') === cursor, `event ${event.id} is of its lane's partition`);
    assert(event.offset > last, `event ${event.id} comes after offset ${last} of its lane`);
    const lane = numberOf(found, 'id');
    this.#changes.extend.run(bytes, event.offset, lane);
    this.#events.insert(lane, event);
    moves.count(cursor, 'pending', 1);
  }

  failed(change: Failed): void {
    const lane = numberOf(this.#headed(change), 'id');
    const { attempts, firstAttemptAt, nextAttemptAt, error } = change.failure;
    this.#changes.fail.run(attempts, firstAttemptAt, nextAttemptAt, error, lane);
  }

  /** The head leaves. */
  left(change: Left, moves: CursorMoves): void {
    const found = this.#headed(change);
    const lane = numberOf(found, 'id');
    const cursor = numberOf(found, 'cursor');
    const bytes = this.#events.remove(lane, change.offset);
    moves.count(cursor, 'retrying', -1);
    if (change.type === 'lane-delivered') {
      moves.count(cursor, 'delivered', 1);
    } else {
      moves.count(cursor, 'matched', -1);
      moves.count(cursor, 'filtered', 1);
    }
    if (numberOf(found, 'depth') === 1) {
      this.#changes.removeLane.run(lane);
      return;
    }
    this.#changes.advance.run(bytes, this.#events.firstOffset(lane), this.#lastNow, lane);
    moves.count(cursor, 'pending', -1);
    moves.count(cursor, 'retrying', 1);
  }

  due(callback: string, nowMs: number, limit: number, busy: ReadonlySet<number>): DueLane[] {
    this.#lastNow = nowMs;
    const due: DueLane[] = [];
    let bytes = 0;
    for (const row of this.#queries.due.all(callback, nowMs, limit + busy.size)) {
      const lane = summaryOf(row);
      if (busy.has(lane.id)) continue;
      if (due.length >= limit || bytes >= DUE_BYTES) break;
      const head = this.#events.whole(
        lane.id,
        numberOf(row, 'head_offset'),
        numberOf(row, 'partition'),
      );
      bytes += laneEventBytes(head);
      due.push({ ...lane, head });
    }
    return due;
  }

  nextDueAt(callback: string): number | null {
    const row = this.#queries.nextDue.get(callback);
    return row === undefined ? null : numberOf(row, 'next_attempt_at');
  }

  list(callback: string | undefined, afterId: number, limit: number): LaneSummary[] {
    const rows =
      callback === undefined
        ? this.#queries.list.all(afterId, limit)
        : this.#queries.listOf.all(afterId, callback, limit);
    return rows.map(summaryOf);
  }

  show(id: number): { lane: LaneSummary; events: Omit<LaneEvent, 'value'>[] } {
    const row = this.#queries.byId.get(id);
    if (row === undefined) throw unknownLane(id);
    const partition = numberOf(row, 'partition');
    return { lane: summaryOf(row), events: this.#events.list(id, partition, SHOWN_EVENTS) };
  }

  retry(id: number, nowMs: number): void {
    if (this.#changes.retry.run(nowMs, id).changes !== 1) throw unknownLane(id);
  }

  #find({ callback, topic, key }: LaneKey): Row | undefined {
    return this.#changes.find.get(callback, topic, key);
  }

  /** The lane whose head stands at the change's offset. */
  #headed(change: Failed | Left): Row {
    const found = present(this.#find(change), `lane ${change.callback} ${change.key}`);
    const head = numberOf(found, 'head_offset');
    assert(head === change.offset, `offset ${change.offset} is the lane's head, which is ${head}`);
    return found;
  }

  #insertLane(change: Append, cursor: number, bytes: number): number {
    const { callback, topic, key, event, failure } = change;
    const { lastInsertRowid } = this.#changes.insertLane.run(
      cursor,
      callback,
      topic,
      key,
      bytes,
      event.offset,
      event.offset,
      failure?.attempts ?? 0,
      failure?.firstAttemptAt ?? null,
      failure?.nextAttemptAt ?? this.#lastNow,
      failure?.error ?? null,
    );
    return Number(lastInsertRowid);
  }
}

/** What changes use, with the look-ups that they begin with. */
function prepareChanges(db: DatabaseSync) {
  return {
    find: db.prepare(
      `SELECT id, cursor, depth, head_offset, last_offset FROM lanes
       WHERE callback = ? AND topic = ? AND key = ?`,
    ),
    insertLane: db.prepare(
      `INSERT INTO lanes (cursor, callback, topic, key, depth, bytes, head_offset, last_offset,
         attempts, first_attempt_at, next_attempt_at, last_error)
       VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    extend: db.prepare(
      'UPDATE lanes SET depth = depth + 1, bytes = bytes + ?, last_offset = ? WHERE id = ?',
    ),
    fail: db.prepare(
      `UPDATE lanes SET attempts = ?, first_attempt_at = ?, next_attempt_at = ?, last_error = ?
       WHERE id = ?`,
    ),
    removeLane: db.prepare('DELETE FROM lanes WHERE id = ?'),
    advance: db.prepare(
      `UPDATE lanes SET depth = depth - 1, bytes = bytes - ?, head_offset = ?, attempts = 0,
         first_attempt_at = NULL, next_attempt_at = ?, last_error = NULL
       WHERE id = ?`,
    ),
    retry: db.prepare('UPDATE lanes SET next_attempt_at = min(next_attempt_at, ?) WHERE id = ?'),
  };
}

function prepareQueries(db: DatabaseSync) {
  const lanes = 'SELECT l.*, c.partition FROM lanes l JOIN cursors c ON c.id = l.cursor';
  return {
    due: db.prepare(
      `${lanes} WHERE l.callback = ? AND l.next_attempt_at <= ?
       ORDER BY l.next_attempt_at, l.id LIMIT ?`,
    ),
    nextDue: db.prepare(
      'SELECT next_attempt_at FROM lanes WHERE callback = ? ORDER BY next_attempt_at LIMIT 1',
    ),
    list: db.prepare(`${lanes} WHERE l.id > ? ORDER BY l.id LIMIT ?`),
    // The plus keeps SQLite on the id: a page is then read without sorting all lanes of the callback.
    listOf: db.prepare(`${lanes} WHERE l.id > ? AND +l.callback = ? ORDER BY l.id LIMIT ?`),
    byId: db.prepare(`${lanes} WHERE l.id = ?`),
  };
}

function unknownLane(id: number): RowcallError {
  return new RowcallError('LANE_UNKNOWN', `There is no lane ${id}`);
}

function summaryOf(row: Row): LaneSummary {
  return {
    id: numberOf(row, 'id'),
    callback: textOf(row, 'callback'),
    topic: textOf(row, 'topic'),
    key: textOf(row, 'key'),
    state: 'retrying',
    depth: numberOf(row, 'depth'),
    bytes: numberOf(row, 'bytes'),
    attempts: numberOf(row, 'attempts'),
    firstAttemptAt: numberOrNull(row, 'first_attempt_at'),
    nextAttemptAt: numberOf(row, 'next_attempt_at'),
    lastError: textOrNull(row, 'last_error'),
  };
}
