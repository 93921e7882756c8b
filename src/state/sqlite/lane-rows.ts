/** The statements of lanes, and their rows as the port shows them. */
import type { DatabaseSync } from 'node:sqlite';

import { assert } from '../../shared/assert.ts';
import type { Row } from '../../shared/sqlite-row.ts';
import { numberOf, numberOrNull, textOf, textOrNull } from '../../shared/sqlite-row.ts';
import type { Awaited, Ending } from '../completion.ts';
import type { LaneSummary } from '../state-store.ts';
import { causeOf } from './failure-cause.ts';

export const LANES = `SELECT l.*, c.partition,
    (SELECT id FROM lane_events WHERE lane = l.id AND offset = l.head_offset) AS head_id
  FROM lanes l JOIN cursors c ON c.id = l.cursor`;
/** Word for word the condition of the index of due times: SQLite uses it for nothing else. */
const RETRYING = "state = 'retrying' AND awaiting_attempt IS NULL";

const HEAD = 'l.callback = ? AND l.topic = ? AND l.key = ? AND l.head_offset = ?';

const NOT_AWAITING =
  'awaiting_attempt = NULL, deadline_at = NULL, heartbeat_ms = NULL, status_url = NULL, ending = NULL';

/* eslint-disable-next-line @typescript-eslint/explicit-module-boundary-types -- a statement for each name, nothing more to say */
export function laneStatements(db: DatabaseSync) {
  return {
    find: db.prepare(
      `SELECT l.id, l.cursor, c.partition, l.state, l.depth, l.head_offset, l.last_offset, l.last_coalesces, l.next_attempt_at,
         l.skip_offset, l.awaiting_attempt, l.not_before
       FROM lanes l JOIN cursors c ON c.id = l.cursor WHERE l.callback = ? AND l.topic = ? AND l.key = ?`,
    ),
    insertLane: db.prepare(
      `INSERT INTO lanes (cursor, callback, topic, key, state, depth, bytes, head_offset, last_offset, last_coalesces,
         attempts, used_attempts, first_attempt_at, next_attempt_at, last_error, cause, version, not_before)
       VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    extend: db.prepare(
      `UPDATE lanes SET depth = depth + ?, bytes = bytes + ?, last_offset = ?, last_coalesces = ?
       WHERE id = ?`,
    ),
    fail: db.prepare(
      `UPDATE lanes SET attempts = ?, used_attempts = ?, first_attempt_at = ?, next_attempt_at = ?,
         last_error = ?, cause = ?, version = ?, not_before = max(not_before, ?), suspect = suspect & 2, ${NOT_AWAITING} WHERE id = ?`,
    ),
    removeLane: db.prepare('DELETE FROM lanes WHERE id = ?'),
    advance: db.prepare(
      `UPDATE lanes SET depth = depth - 1, bytes = bytes - ?, head_offset = ?, attempts = 0, used_attempts = 0,
         first_attempt_at = NULL, next_attempt_at = max(not_before, ?), last_error = NULL, cause = NULL, version = NULL,
         skip_offset = NULL, suspect = 0, not_before = max(not_before, ?),
         ${NOT_AWAITING} WHERE id = ?`,
    ),
    park: db.prepare("UPDATE lanes SET state = 'parked' WHERE id = ?"),
    unpark: db.prepare(
      `UPDATE lanes SET state = 'retrying', used_attempts = 0, first_attempt_at = NULL,
         next_attempt_at = 9e15 WHERE id = ?`,
    ),
    // A skip once asked for stands: the dispatcher may be about to do it.
    dueNow: db.prepare(
      `UPDATE lanes SET next_attempt_at = min(next_attempt_at, ?), skip_offset = coalesce(?, skip_offset)
       WHERE id = ?`,
    ),
    // Who asks for an attempt does not wait for what the endpoint asked for.
    hurry: db.prepare('UPDATE lanes SET not_before = 0 WHERE id = ?'),
    due: db.prepare(
      `${LANES} WHERE l.callback = ? AND l.next_attempt_at <= ? AND ${RETRYING}
       ORDER BY l.next_attempt_at, l.id LIMIT ?`,
    ),
    toSkip: db.prepare(
      `${LANES} WHERE l.callback = ? AND l.skip_offset IS NOT NULL AND ${RETRYING} ORDER BY l.id LIMIT ?`,
    ),
    nextDue: db.prepare(
      `SELECT next_attempt_at FROM lanes WHERE callback = ? AND ${RETRYING} ORDER BY next_attempt_at LIMIT 1`,
    ),
    list: db.prepare(`${LANES} WHERE l.id > ? ORDER BY l.id LIMIT ?`),
    // The plus keeps SQLite on the id: a page is then read without sorting all lanes of the callback.
    listOf: db.prepare(`${LANES} WHERE l.id > ? AND +l.callback = ? ORDER BY l.id LIMIT ?`),
    byId: db.prepare(`${LANES} WHERE l.id = ?`),
    headAt: db.prepare(`${LANES} WHERE ${HEAD}`),
    suspect: db.prepare(`UPDATE lanes AS l SET suspect = max(suspect, ?) WHERE ${HEAD}`),
    await: db.prepare(
      `UPDATE lanes SET awaiting_attempt = ?, first_attempt_at = coalesce(first_attempt_at, ?), deadline_at = ?,
         heartbeat_ms = ?, status_url = ?, next_attempt_at = ?, ending = ?, version = ? WHERE id = ?`,
    ),
    // The attempt counts as made; of the budget it used nothing up.
    giveUp: db.prepare(
      `UPDATE lanes SET attempts = awaiting_attempt, ${NOT_AWAITING} WHERE id = ?`,
    ),
    awaited: db.prepare(
      `${LANES} WHERE l.callback = ? AND l.next_attempt_at <= ? AND l.awaiting_attempt IS NOT NULL
       ORDER BY l.next_attempt_at, l.id LIMIT ?`,
    ),
    nextAwaited: db.prepare(
      `SELECT next_attempt_at FROM lanes WHERE callback = ? AND next_attempt_at > ? AND awaiting_attempt IS NOT NULL
       ORDER BY next_attempt_at LIMIT 1`,
    ),
  };
}

export function isParked(row: Row): boolean {
  return stateOf(row) === 'parked';
}

/** Also of a parked lane. */
export function isAwaited(row: Row): boolean {
  return numberOrNull(row, 'awaiting_attempt') !== null;
}

/** What the head of a lane that is not parked counts as. */
export function headField(row: Row): 'awaiting' | 'retrying' {
  return isAwaited(row) ? 'awaiting' : 'retrying';
}

export function summaryOf(row: Row): LaneSummary {
  const stored = stateOf(row);
  const state = stored === 'parked' ? stored : headField(row);
  const cause = textOrNull(row, 'cause');
  return {
    id: numberOf(row, 'id'),
    callback: textOf(row, 'callback'),
    topic: textOf(row, 'topic'),
    key: textOf(row, 'key'),
    state,
    headId: textOf(row, 'head_id'),
    depth: numberOf(row, 'depth'),
    bytes: numberOf(row, 'bytes'),
    attempts: numberOf(row, 'attempts'),
    usedAttempts: numberOf(row, 'used_attempts'),
    firstAttemptAt: numberOrNull(row, 'first_attempt_at'),
    nextAttemptAt: state === 'retrying' ? numberOf(row, 'next_attempt_at') : null,
    awaiting: awaitedOf(row),
    lastError: textOrNull(row, 'last_error'),
    cause: cause === null ? null : causeOf(cause),
    version: numberOrNull(row, 'version'),
    skipAsked: numberOrNull(row, 'skip_offset') !== null,
  };
}

function awaitedOf(row: Row): Awaited | null {
  const attempt = numberOrNull(row, 'awaiting_attempt');
  if (attempt === null) return null;
  const ending = textOrNull(row, 'ending');
  return {
    attempt,
    deadlineAt: numberOf(row, 'deadline_at'),
    wakeAt: numberOf(row, 'next_attempt_at'),
    statusUrl: textOrNull(row, 'status_url'),
    ending: ending === null ? null : (JSON.parse(ending) as Ending),
  };
}

function stateOf(row: Row): 'retrying' | 'parked' {
  const state = textOf(row, 'state');
  assert(state === 'retrying' || state === 'parked', `${state} is a state of lanes`);
  return state;
}
