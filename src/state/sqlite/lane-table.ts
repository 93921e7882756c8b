/** Lanes and their events in the database. */
import type { DatabaseSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import { assert, present, unreachable } from '../../shared/assert.ts';
import type {
  DueLane,
  LaneAction,
  LaneEvent,
  LaneKey,
  LaneSummary,
  StateChange,
} from '../state-store.ts';
import { laneEventBytes } from '../state-store.ts';
import type { Accepted } from '../completion.ts';
import type { CompletionTable } from './completion-table.ts';
import type { CursorMoves, CursorTable } from './cursor-table.ts';
import type { DeadLetterTable } from './dead-letter-table.ts';
import type { LaneEvents } from './lane-events.ts';
import { headField, isAwaited, isParked, laneStatements, summaryOf } from './lane-rows.ts';
import type { Row } from '../../shared/sqlite-row.ts';
import { numberOf, numberOrNull } from '../../shared/sqlite-row.ts';

type Append = Extract<StateChange, { type: 'lane-append' }>;
type Failed = Extract<StateChange, { type: 'lane-failed' }>;
type Awaiting = Extract<StateChange, { type: 'lane-awaiting' }>;
type Dead = Extract<StateChange, { type: 'lane-dead' }>;
/** An event that joins a lane: its value is put there by another hand. */
type Joining = Omit<Append, 'type' | 'event'> & {
  readonly event: Pick<LaneEvent, 'id' | 'offset'>;
};
type Headed = LaneKey & { readonly offset: number };

/** At most this much of events is read at once for lanes that are due. */
const DUE_BYTES = 16 * 1024 * 1024;
/** At most so many events of a lane are shown. */
const SHOWN_EVENTS = 1_000;

export interface JoiningParts {
  readonly cursor: number;
  /** `laneEventBytes`. */
  readonly bytes: number;
  readonly insert: (lane: number) => void;
}

export interface LaneTableParts {
  readonly cursors: CursorTable;
  readonly events: LaneEvents;
  readonly deadLetters: DeadLetterTable;
  readonly completions: CompletionTable;
}

/**
 * Each change here moves the ledger too, in `moves`, which the same transaction writes. Invariant: a lane
 * has at least one event; of a retrying one `retrying` counts the head (`awaiting` of an awaiting one) and `pending` the
 * events behind it, of a parked one `parked` counts them all. Were a lane written in another transaction than its counts, a crash between
 * the two would lose an event from the books.
 */
export class LaneTable {
  readonly #cursors: CursorTable;
  readonly #events: LaneEvents;
  readonly #deadLetters: DeadLetterTable;
  readonly #completions: CompletionTable;
  readonly #statements: ReturnType<typeof laneStatements>;
  /** The time last asked about: what becomes due at once is due since then. */
  #lastNow = 0;

  constructor(db: DatabaseSync, { cursors, events, deadLetters, completions }: LaneTableParts) {
    this.#cursors = cursors;
    this.#events = events;
    this.#deadLetters = deadLetters;
    this.#completions = completions;
    this.#statements = laneStatements(db);
  }

  append(change: Append, moves: CursorMoves): void {
    const { callback, topic, event } = change;
    const cursor = this.#cursors.idOf({ callback, topic, partition: event.partition });
    const insert = (lane: number): void => {
      this.#events.insert(lane, event);
    };
    this.join(change, { cursor, bytes: laneEventBytes(event), insert }, moves);
  }

  /** @param joining.insert puts the event there; for one of another callback */
  join(change: Joining, { cursor, bytes, insert }: JoiningParts, moves: CursorMoves): void {
    const { event } = change;
    const found = this.#find(change);
    if (found === undefined) {
      const made = this.#insertLane(change, cursor, bytes);
      insert(made);
      const { accepted } = change;
      if (accepted !== undefined) {
        this.#await(made, { cursor, offset: event.offset, accepted });
        moves.count(cursor, 'awaiting', 1);
      } else {
        moves.count(cursor, change.exhausted === true ? 'parked' : 'retrying', 1);
      }
      return;
    }
    const last = numberOf(found, 'last_offset');
    const first = change.failure !== undefined || change.accepted !== undefined;
    assert(!first, `event ${event.id} is the head of its lane`);
    assert(numberOf(found, 'cursor') === cursor, `event ${event.id} is of its lane's partition`);
    assert(event.offset > last, `event ${event.id} comes after offset ${last} of its lane`);
    const lane = numberOf(found, 'id');
    const coalesces = change.coalesces === true;
    const replaced = coalesces ? this.#supersede(change, found, moves) : null;
    const depth = replaced === null ? 1 : 0;
    const coalescing = coalesces ? 1 : 0;
    this.#statements.extend.run(depth, bytes - (replaced ?? 0), event.offset, coalescing, lane);
    insert(lane);
    moves.count(cursor, isParked(found) ? 'parked' : 'pending', depth);
  }

  /** The last event gives way to the one that comes: returns its bytes. Null where it stays, as the head does: an
   *  attempt for it may be in flight, and its budget is what a failing key is judged by. */
  #supersede({ callback, topic, key }: LaneKey, found: Row, moves: CursorMoves): number | null {
    if (numberOf(found, 'depth') === 1 || numberOf(found, 'last_coalesces') === 0) return null;
    const bytes = this.#events.remove(numberOf(found, 'id'), numberOf(found, 'last_offset'));
    moves.count(numberOf(found, 'cursor'), 'superseded', 1);
    moves.superseded.push({ callback, topic, key, bytes });
    return bytes;
  }

  /** The head was answered with 202. One that a person parked meanwhile is awaited all the same. */
  awaiting(change: Awaiting, moves: CursorMoves): void {
    const found = this.#headed(change);
    assert(!isAwaited(found), `offset ${change.offset} is not awaited already`);
    const { accepted, offset } = change;
    const cursor = numberOf(found, 'cursor');
    this.#await(numberOf(found, 'id'), { cursor, offset, accepted });
    // Who asked that it be skipped is not to wait for its end.
    if (numberOrNull(found, 'skip_offset') !== null) {
      this.#statements.dueNow.run(numberOf(found, 'next_attempt_at'), null, numberOf(found, 'id'));
    }
    if (isParked(found)) return;
    moves.count(cursor, 'retrying', -1);
    moves.count(cursor, 'awaiting', 1);
  }

  #await(
    lane: number,
    of: { readonly cursor: number; readonly offset: number; readonly accepted: Accepted },
  ): void {
    const { attempt, atMs, deadlineMs, heartbeatMs, statusUrl, version } = of.accepted;
    const deadlineAt = atMs + deadlineMs;
    const ending = this.#completions.endingOf(of.cursor, { offset: of.offset, attempt });
    const wakeAt = ending === null ? Math.min(deadlineAt, atMs + (heartbeatMs ?? Infinity)) : atMs;
    this.#statements.await.run(
      attempt,
      atMs,
      deadlineAt,
      heartbeatMs,
      statusUrl,
      wakeAt,
      ending === null ? null : JSON.stringify(ending),
      version ?? null,
      lane,
    );
  }

  failed(change: Failed, moves: CursorMoves): void {
    const found = this.#headed(change);
    if (isAwaited(found) && !isParked(found)) {
      moves.count(numberOf(found, 'cursor'), 'awaiting', -1);
      moves.count(numberOf(found, 'cursor'), 'retrying', 1);
    }
    const { attempts, usedAttempts, firstAttemptAt, nextAttemptAt, error, cause } = change.failure;
    // Who asked that the head be skipped is not to wait for the next attempt, which will not be made.
    const skip = numberOrNull(found, 'skip_offset') !== null;
    const next = skip ? numberOf(found, 'next_attempt_at') : nextAttemptAt;
    const lane = numberOf(found, 'id');
    this.#statements.fail.run(
      attempts,
      usedAttempts,
      firstAttemptAt,
      next,
      error,
      cause,
      change.failure.version ?? null,
      change.failure.notBefore ?? 0,
      lane,
    );
    const failed = { ...found, awaiting_attempt: null };
    if (change.exhausted === true && !skip && !isParked(found)) this.#park(failed, moves);
  }

  /** `when` did not hold for it after all: it is none of the callback's. */
  filtered(change: Headed, moves: CursorMoves): void {
    const found = this.#headed(change);
    const bytes = this.#events.remove(numberOf(found, 'id'), change.offset);
    moves.count(numberOf(found, 'cursor'), 'matched', -1);
    this.#leave(found, { bytes, as: 'filtered' }, moves);
  }

  delivered(change: Headed, moves: CursorMoves): void {
    const found = this.#headed(change);
    const bytes = this.#events.remove(numberOf(found, 'id'), change.offset);
    this.#leave(found, { bytes, as: 'delivered' }, moves);
  }

  skipped(change: Headed, moves: CursorMoves): void {
    const found = this.#headed(change);
    const asked = numberOrNull(found, 'skip_offset');
    assert(asked === change.offset, `somebody asked that offset ${change.offset} be skipped`);
    const { callback, offset } = change;
    const cursor = numberOf(found, 'cursor');
    this.#events.noteSkip(numberOf(found, 'id'), offset, { cursor, callback });
    const bytes = this.#events.remove(numberOf(found, 'id'), change.offset);
    this.#leave(found, { bytes, as: 'skipped' }, moves);
  }

  /** Returns the dead letter's id, and its partition. */
  dead(change: Dead, moves: CursorMoves): { readonly id: number; readonly partition: number } {
    const found = this.#headed(change);
    const given = { ...change, cursor: numberOf(found, 'cursor') };
    const { id, bytes } = this.#deadLetters.take(given, numberOf(found, 'id'));
    this.#leave(found, { bytes, as: 'dead', notBefore: change.failure.notBefore }, moves);
    return { id, partition: numberOf(found, 'partition') };
  }

  due(callback: string, nowMs: number, limit: number, busy: ReadonlySet<number>): DueLane[] {
    this.#lastNow = nowMs;
    const rows = this.#statements.due.all(callback, nowMs, limit + busy.size);
    return this.#withHeads(rows, limit, busy);
  }

  toSkip(callback: string, limit: number, busy: ReadonlySet<number>): DueLane[] {
    return this.#withHeads(this.#statements.toSkip.all(callback, limit + busy.size), limit, busy);
  }

  awaited(
    callback: string,
    nowMs: number,
    limit: number,
    busy: ReadonlySet<number>,
  ): { lanes: DueLane[]; nextAt: number | null } {
    const rows = this.#statements.awaited.all(callback, nowMs, limit + busy.size);
    const lanes = this.#withHeads(rows, limit, busy);
    const next = this.#statements.nextAwaited.get(callback, nowMs);
    return { lanes, nextAt: next === undefined ? null : numberOf(next, 'next_attempt_at') };
  }

  #withHeads(rows: readonly Row[], limit: number, busy: ReadonlySet<number>): DueLane[] {
    const due: DueLane[] = [];
    let bytes = 0;
    for (const row of rows) {
      const lane = summaryOf(row);
      if (busy.has(lane.id)) continue;
      if (due.length >= limit || bytes >= DUE_BYTES) break;
      const head = this.#events.whole(
        lane.id,
        numberOf(row, 'head_offset'),
        numberOf(row, 'partition'),
      );
      bytes += laneEventBytes(head);
      const suspect = numberOf(row, 'suspect') > 0;
      due.push({ ...lane, head, ...(suspect ? { suspect } : {}) });
    }
    return due;
  }

  /** Null where the event is not the head of its lane any more. */
  headAt({ callback, topic, key, offset }: Headed): DueLane | null {
    const row = this.#statements.headAt.get(callback, topic, key, offset);
    return row === undefined ? null : (this.#withHeads([row], 1, new Set())[0] ?? null);
  }

  /** Nothing where the event is not the head of its lane. */
  suspect({ callback, topic, key, offset }: Headed, level: 1 | 2): void {
    this.#statements.suspect.run(level, callback, topic, key, offset);
  }

  nextDueAt(callback: string): number | null {
    const row = this.#statements.nextDue.get(callback);
    return row === undefined ? null : numberOf(row, 'next_attempt_at');
  }

  list(callback: string | undefined, afterId: number, limit: number): LaneSummary[] {
    const rows =
      callback === undefined
        ? this.#statements.list.all(afterId, limit)
        : this.#statements.listOf.all(afterId, callback, limit);
    return rows.map(summaryOf);
  }

  show(id: number): { lane: LaneSummary; events: Omit<LaneEvent, 'value'>[] } {
    const row = this.#byId(id);
    const partition = numberOf(row, 'partition');
    return { lane: summaryOf(row), events: this.#events.list(id, partition, SHOWN_EVENTS) };
  }

  /** Returns the lane as it was, with the id of its head's event. */
  act(
    id: number,
    action: LaneAction,
    { atMs: nowMs, headId }: { readonly atMs: number; readonly headId: string | undefined },
    moves: CursorMoves,
  ): LaneKey & { readonly eventId: string } {
    const row = this.#byId(id);
    const { callback, topic, key, headId: eventId } = summaryOf(row);
    assert(action !== 'skip' || headId !== undefined, 'a skip names the head that is meant');
    if (headId !== undefined && headId !== eventId) {
      const text = `The head of lane ${id} is ${eventId}, not ${headId}`;
      throw new RowcallError('LANE_HEAD_CHANGED', text);
    }
    const parked = isParked(row);
    switch (action) {
      case 'retry':
        if (parked) this.#unpark(row, moves);
        this.#giveUp(row, moves);
        this.#statements.dueNow.run(nowMs, null, id);
        this.#statements.hurry.run(id);
        break;
      case 'skip':
        if (parked) this.#unpark(row, moves);
        this.#statements.dueNow.run(nowMs, numberOf(row, 'head_offset'), id);
        break;
      case 'park':
        if (!parked) this.#park(row, moves);
        break;
      default:
        unreachable(action);
    }
    return { callback, topic, key, eventId };
  }

  /** Its end is not awaited any more; one that has come already counts. */
  #giveUp(row: Row, moves: CursorMoves): void {
    if (!isAwaited(row) || row['ending'] !== null) return;
    const cursor = numberOf(row, 'cursor');
    this.#statements.giveUp.run(numberOf(row, 'id'));
    moves.count(cursor, 'awaiting', -1);
    moves.count(cursor, 'retrying', 1);
  }

  #park(row: Row, moves: CursorMoves): void {
    const cursor = numberOf(row, 'cursor');
    const depth = numberOf(row, 'depth');
    this.#statements.park.run(numberOf(row, 'id'));
    moves.count(cursor, headField(row), -1);
    moves.count(cursor, 'pending', 1 - depth);
    moves.count(cursor, 'parked', depth);
  }

  /** Its budget begins anew; the number of the next attempt does not. */
  #unpark(row: Row, moves: CursorMoves): void {
    const cursor = numberOf(row, 'cursor');
    const depth = numberOf(row, 'depth');
    this.#statements.unpark.run(numberOf(row, 'id'));
    moves.count(cursor, 'parked', -depth);
    moves.count(cursor, headField(row), 1);
    moves.count(cursor, 'pending', depth - 1);
  }

  /** The head is gone, and counts `as` what became of it; the next event is the head, or the lane goes, too. */
  #leave(
    row: Row,
    left: {
      readonly bytes: number;
      readonly as: 'delivered' | 'filtered' | 'dead' | 'skipped';
      readonly notBefore?: number | undefined;
    },
    moves: CursorMoves,
  ): void {
    const lane = numberOf(row, 'id');
    const cursor = numberOf(row, 'cursor');
    moves.count(cursor, left.as, 1);
    if (isParked(row)) {
      moves.count(cursor, 'parked', -1);
    } else {
      moves.count(cursor, headField(row), -1);
      if (numberOf(row, 'depth') > 1) {
        moves.count(cursor, 'pending', -1);
        moves.count(cursor, 'retrying', 1);
      }
    }
    if (numberOf(row, 'depth') === 1) this.#statements.removeLane.run(lane);
    else {
      const head = this.#events.firstOffset(lane);
      const dueAt = Math.max(this.#lastNow, left.notBefore ?? 0);
      this.#statements.advance.run(left.bytes, head, dueAt, left.notBefore ?? 0, lane);
    }
  }

  #byId(id: number): Row {
    const row = this.#statements.byId.get(id);
    if (row === undefined) throw new RowcallError('LANE_UNKNOWN', `There is no lane ${id}`);
    return row;
  }

  #find({ callback, topic, key }: LaneKey): Row | undefined {
    return this.#statements.find.get(callback, topic, key);
  }

  /** The lane whose head stands at the change's offset. */
  #headed(change: Headed): Row {
    const found = present(this.#find(change), `lane ${change.callback} ${change.key}`);
    const head = numberOf(found, 'head_offset');
    assert(head === change.offset, `offset ${change.offset} is the lane's head, which is ${head}`);
    return found;
  }

  #insertLane(change: Joining, cursor: number, bytes: number): number {
    const { callback, topic, key, event, failure, exhausted } = change;
    assert(exhausted !== true || failure !== undefined, 'an exhausted head has failed');
    assert(failure === undefined || change.accepted === undefined, 'a head failed or is awaited');
    const { lastInsertRowid } = this.#statements.insertLane.run(
      cursor,
      callback,
      topic,
      key,
      exhausted === true ? 'parked' : 'retrying',
      bytes,
      event.offset,
      event.offset,
      change.coalesces === true ? 1 : 0,
      ...this.#failureColumns(change),
    );
    return Number(lastInsertRowid);
  }

  /** An event that made its lane without an attempt is due at once. */
  #failureColumns({
    failure,
    notBefore: from = 0,
  }: Pick<Append, 'failure' | 'notBefore'>): (string | number | null)[] {
    if (failure === undefined) {
      return [0, 0, null, Math.max(this.#lastNow, from), null, null, null, from];
    }
    const { attempts, usedAttempts, firstAttemptAt, nextAttemptAt, error, cause } = failure;
    const { version = null, notBefore = 0 } = failure;
    return [
      ...[attempts, usedAttempts, firstAttemptAt, nextAttemptAt, error, cause, version],
      notBefore,
    ];
  }
}
