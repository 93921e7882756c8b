/** Resends of dead letters in the database, with books of their own. */
import type { DatabaseSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import { assert, present, unreachable } from '../../shared/assert.ts';
import type { Row } from '../../shared/sqlite-row.ts';
import { bytesOf, numberOf, numberOrNull, textOf, textOrNull } from '../../shared/sqlite-row.ts';
import type {
  DeadLetterFilter,
  DueResend,
  Resend,
  ResendAction,
  ResendChange,
  ResendState,
} from '../resend-store.ts';
import { type Asked, type AuditEntry, laneEventBytes } from '../state-store.ts';
import type { AuditTable } from './audit-table.ts';
import type { DeadLetterTable } from './dead-letter-table.ts';
import { type ResendStatements, resendStatements } from './resend-statements.ts';

const STATES: readonly ResendState[] = ['running', 'paused', 'cancelled', 'done'];
/** So many are to wait before others are taken up: a million need not stand here at once. */
const WAITING = 1_000;
/** A key with a lane is looked at again after this time. */
const LANED_AGAIN_MS = 5_000;
/** At most this much of events is read at once. */
const DUE_BYTES = 16 * 1024 * 1024;
/** How many whose keys have lanes are passed by in one look. */
const PASSED_AT_ONCE = 500;

type Delivered = Extract<ResendChange, { type: 'resend-delivered' }>;
type Failed = Extract<ResendChange, { type: 'resend-failed' }>;

/**
 * Invariant: a dead letter waits in one resend at most, and leaves `dead_letters` in the transaction that counts it as
 * delivered, and in no other: what is neither delivered nor a dead letter would be lost. Of a resend of many the dead
 * letters are taken up a part at a time, behind `scanned_to`, so that a crash goes on from there.
 */
export class ResendTable {
  readonly #letters: DeadLetterTable;
  readonly #audit: AuditTable;
  readonly #sql: ResendStatements;

  constructor(db: DatabaseSync, letters: DeadLetterTable, audit: AuditTable) {
    this.#letters = letters;
    this.#audit = audit;
    this.#sql = resendStatements(db);
  }

  one(id: number, data: Uint8Array | null, asked: Asked): Resend {
    const { deadLetter } = this.#letters.summary(id);
    const { callback, topic, key, event } = deadLetter;
    const given = { callback, deadLetter: id, filter: null, upTo: 0, total: 1, data };
    const resend = this.#insert(given, asked);
    if (!this.#take(resend, id)) {
      throw new RowcallError('RESEND_PENDING', `Dead letter ${id} is being sent again already`);
    }
    this.#sql.counted.run(1, 1, 0, 0, 0, resend);
    const place = { callback, topic, key, eventId: event.id };
    this.#audit.add({ ...asked, action: 'dead-letter-resend', ...place });
    return this.show(resend).resend;
  }

  many(
    filter: DeadLetterFilter & { readonly callback: string },
    { upToId, total }: { readonly upToId: number; readonly total: number },
    asked: Asked,
  ): Resend {
    const { callback, topic, key } = filter;
    const given = { callback, deadLetter: null, filter, upTo: upToId, total, data: null };
    const resend = this.#insert(given, asked);
    this.#endIfDone(resend, asked.atMs);
    const place = { callback, topic: topic ?? null, key: key ?? null, eventId: null };
    this.#audit.add({ ...asked, action: 'dead-letter-resend', ...place });
    return this.show(resend).resend;
  }

  list(callback: string | undefined, beforeId: number, limit: number): Resend[] {
    return this.#sql.list
      .all({ before: beforeId, callback: callback ?? null, limit })
      .map(resendOf);
  }

  show(id: number): { resend: Resend; data: Uint8Array | null } {
    const row = this.#byId(id);
    return { resend: resendOf(row), data: dataOf(row) };
  }

  act(id: number, action: ResendAction, asked: Asked): Resend {
    const { state, callback, waiting } = resendOf(this.#byId(id));
    if (state === 'done' || state === 'cancelled') {
      throw new RowcallError('RESEND_ENDED', `Resend ${id} is ${state}`);
    }
    switch (action) {
      case 'pause':
        this.#sql.setState.run('paused', null, id);
        break;
      case 'resume':
        this.#sql.setState.run('running', null, id);
        break;
      case 'cancel':
        this.#sql.removeAll.run(id);
        this.#sql.counted.run(0, -waiting, 0, 0, waiting, id);
        this.#sql.setState.run('cancelled', asked.atMs, id);
        break;
      default:
        unreachable(action);
    }
    const audited: AuditEntry['action'] = `resend-${action}`;
    this.#audit.add({ ...asked, action: audited, callback, topic: null, key: null, eventId: null });
    return this.show(id).resend;
  }

  due(callback: string, nowMs: number, limit: number, busy: ReadonlySet<number>): DueResend[] {
    const due: DueResend[] = [];
    const laned: number[] = [];
    let bytes = 0;
    for (const job of this.#sql.running.all(callback)) {
      if (due.length >= limit || bytes >= DUE_BYTES) break;
      this.#takeMore(job, nowMs);
      const most = limit + busy.size + PASSED_AT_ONCE;
      // Row by row: a look for one or two reads no more than these, however many wait.
      for (const row of this.#sql.due.iterate(numberOf(job, 'id'), nowMs, most)) {
        const id = numberOf(row, 'dead_letter');
        if (busy.has(id)) continue;
        if (due.length >= limit || bytes >= DUE_BYTES) break;
        if (numberOf(row, 'laned') === 1) {
          laned.push(id);
          continue;
        }
        const one = this.#dueOf(row, job);
        bytes += laneEventBytes(one.event);
        due.push(one);
      }
    }
    // Not while the rows are read: a row that moves in its index could be met again.
    for (const id of laned) this.#sql.postpone.run(nowMs + LANED_AGAIN_MS, id);
    return due;
  }

  /** The dead letter as it waits to go again; null where it does not. */
  taken(deadLetter: number): DueResend | null {
    const row = this.#sql.letter.get(deadLetter);
    return row === undefined ? null : this.#dueOf(row, this.#byId(numberOf(row, 'resend')));
  }

  nextAt(callback: string): number | null {
    let next: number | null = null;
    for (const job of this.#sql.running.all(callback)) {
      const { looked } = resendOf(job);
      const first = this.#sql.first.get(numberOf(job, 'id'));
      const at = looked ? (first === undefined ? null : numberOf(first, 'next_attempt_at')) : 0;
      if (at !== null) next = Math.min(next ?? at, at);
    }
    return next;
  }

  /** An attempt had an outcome. */
  ended(change: ResendChange): void {
    if (change.type === 'resend-delivered') this.#delivered(change);
    else this.#failed(change);
  }

  #delivered({ resend, deadLetter, atMs }: Delivered): void {
    const waited = this.#leave(resend, deadLetter);
    if (!waited) this.#goneFor(deadLetter, atMs);
    this.#letters.remove(deadLetter);
    this.#sql.counted.run(0, waited ? -1 : 0, 1, 0, waited ? 0 : -1, resend);
    this.#endIfDone(resend, atMs);
  }

  #failed({ resend, deadLetter, failure, exhausted, atMs }: Failed): void {
    this.#letters.failedAgain(deadLetter, failure, exhausted);
    if (exhausted) {
      // Cancelled meanwhile it is counted as that already.
      if (!this.#leave(resend, deadLetter)) return;
      this.#sql.counted.run(0, -1, 0, 1, 0, resend);
      this.#endIfDone(resend, atMs);
      return;
    }
    const { usedAttempts, firstAttemptAt, nextAttemptAt } = failure;
    this.#sql.again.run(usedAttempts, firstAttemptAt, nextAttemptAt, deadLetter, resend);
  }

  /**
   * A dead letter that a cancelled resend had in flight was delivered all the same. Where it was asked for anew since, it
   * counts there as one that had gone before it was looked at: nothing would ever end what waits for it.
   */
  #goneFor(deadLetter: number, atMs: number): void {
    const row = this.#sql.holder.get(deadLetter);
    if (row === undefined) return;
    const resend = numberOf(row, 'resend');
    this.#leave(resend, deadLetter);
    this.#sql.counted.run(-1, -1, 0, 0, 0, resend);
    this.#endIfDone(resend, atMs);
  }

  /** False where it was cancelled meanwhile. */
  #leave(resend: number, deadLetter: number): boolean {
    return this.#sql.remove.run(deadLetter, resend).changes === 1;
  }

  /** False where another resend has it. */
  #take(resend: number, deadLetter: number): boolean {
    return this.#sql.take.run(deadLetter, resend).changes === 1;
  }

  #takeMore(job: Row, nowMs: number): void {
    const { id, looked, filter } = resendOf(job);
    if (looked) return;
    const waiting = numberOf(present(this.#sql.waiting.get(id, nowMs, WAITING), 'a count'), 'n');
    if (waiting >= WAITING) return;
    const upToId = numberOf(job, 'up_to');
    const afterId = numberOf(job, 'scanned_to');
    const scan = { filter: present(filter, 'the filter of many'), afterId, upToId };
    const { ids, next } = this.#letters.ids(scan, WAITING);
    const taken = ids.filter((letter) => this.#take(id, letter)).length;
    this.#sql.counted.run(taken, taken, 0, 0, 0, id);
    this.#sql.scanned.run(next ?? upToId, id);
    this.#endIfDone(id, nowMs);
  }

  #dueOf(row: Row, job: Row): DueResend {
    const deadLetter = numberOf(row, 'dead_letter');
    const { deadLetter: letter, value } = this.#letters.show(deadLetter);
    const { callback, topic, key, event, attempts } = letter;
    return {
      ...{ callback, topic, key, deadLetter, attempts },
      resend: numberOf(job, 'id'),
      event: { ...event, value },
      data: dataOf(job),
      usedAttempts: numberOf(row, 'used_attempts'),
      firstAttemptAt: numberOrNull(row, 'first_attempt_at'),
    };
  }

  #endIfDone(id: number, atMs: number): void {
    this.#sql.end.run(atMs, id);
  }

  #insert(given: Given, { actor, reason, atMs }: Asked): number {
    const { callback, deadLetter, filter, upTo, total, data } = given;
    const text = filter === null ? null : JSON.stringify(filter);
    const { lastInsertRowid } = this.#sql.insert.run(
      callback,
      deadLetter,
      text,
      upTo,
      total,
      data,
      actor,
      reason,
      atMs,
    );
    return Number(lastInsertRowid);
  }

  #byId(id: number): Row {
    const row = this.#sql.byId.get(id);
    if (row === undefined) throw new RowcallError('RESEND_UNKNOWN', `There is no resend ${id}`);
    return row;
  }
}

interface Given {
  readonly callback: string;
  readonly deadLetter: number | null;
  readonly filter: DeadLetterFilter | null;
  readonly upTo: number;
  readonly total: number;
  readonly data: Uint8Array | null;
}

function dataOf(row: Row): Uint8Array | null {
  return row['data'] === null ? null : bytesOf(row, 'data');
}

function resendOf(row: Row): Resend {
  const text = textOf(row, 'state');
  const state = STATES.find((one) => one === text);
  assert(state !== undefined, `${text} is a state of resends`);
  const filter = textOrNull(row, 'filter');
  return {
    id: numberOf(row, 'id'),
    callback: textOf(row, 'callback'),
    state,
    deadLetter: numberOrNull(row, 'dead_letter'),
    // Written by `#insert` alone.
    filter: filter === null ? null : (JSON.parse(filter) as DeadLetterFilter),
    total: numberOf(row, 'total'),
    taken: numberOf(row, 'taken'),
    waiting: numberOf(row, 'waiting'),
    delivered: numberOf(row, 'delivered'),
    failed: numberOf(row, 'failed'),
    cancelled: numberOf(row, 'cancelled'),
    looked: numberOf(row, 'scanned_to') >= numberOf(row, 'up_to'),
    asked: {
      actor: textOf(row, 'actor'),
      reason: textOf(row, 'reason'),
      atMs: numberOf(row, 'asked_at'),
    },
    endedAtMs: numberOrNull(row, 'ended_at'),
  };
}
