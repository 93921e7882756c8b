/**
 * Dead letters that are looked through and sent again: a part of the state store's port.
 * test/contract/state-store-resends.contract.ts is this text as a test suite.
 */

import type {
  Asked,
  DeadLetter,
  Failure,
  FailureCause,
  LaneEvent,
  LaneKey,
} from './state-store.ts';

/** Which dead letters; what is absent leaves all in. */
export interface DeadLetterFilter {
  readonly callback?: string;
  readonly topic?: string;
  /** schema.table */
  readonly table?: string;
  /** The order key. */
  readonly key?: string;
  readonly cause?: FailureCause;
  /** Given up then or later, wall time in ms. */
  readonly fromMs?: number;
  /** Given up before. */
  readonly toMs?: number;
}

/** A bounded look at dead letters in the order of their ids. */
export interface DeadLetterScan {
  readonly filter: DeadLetterFilter;
  /** Exclusive. */
  readonly afterId: number;
  /** Inclusive; all when absent. */
  readonly upToId?: number;
}

/** At most so many dead letters are looked at in one call, so that no other call waits long. */
export const SCANNED_AT_ONCE = 10_000;

export type ResendState = 'running' | 'paused' | 'cancelled' | 'done';

/**
 * A person's wish that dead letters go again, with its own books: `taken = waiting + delivered + failed + cancelled`
 * at any moment. They are no part of the callback's ledger, where a dead letter stays dead.
 */
export interface Resend {
  readonly id: number;
  readonly callback: string;
  readonly state: ResendState;
  /** The one dead letter; null where it is many. */
  readonly deadLetter: number | null;
  /** Which ones, where it is many. */
  readonly filter: DeadLetterFilter | null;
  /** How many were counted when it was asked for. */
  readonly total: number;
  /** Dead letters taken up so far. */
  readonly taken: number;
  readonly waiting: number;
  readonly delivered: number;
  /** Given up again: they are still dead letters. */
  readonly failed: number;
  readonly cancelled: number;
  /** All were looked at; `total - taken` had gone, or were in another resend, by then. */
  readonly looked: boolean;
  readonly asked: Asked;
  readonly endedAtMs: number | null;
}

/** A dead letter whose turn it is. */
export interface DueResend extends LaneKey {
  readonly resend: number;
  readonly deadLetter: number;
  readonly event: LaneEvent;
  /** What a person put in the place of the event's `data`: JSON. */
  readonly data: Uint8Array | null;
  /** Attempts ever made for the event: the number that the receiver is told never falls. */
  readonly attempts: number;
  /** Of the budget of this resend. */
  readonly usedAttempts: number;
  readonly firstAttemptAt: number | null;
}

export type ResendAction = 'pause' | 'resume' | 'cancel';

/** Outcomes of resends. They touch no books but the resend's own. */
export type ResendChange =
  /** The dead letter was delivered, and is none any more; also where the resend was cancelled meanwhile. */
  | {
      readonly type: 'resend-delivered';
      readonly callback: string;
      readonly resend: number;
      readonly deadLetter: number;
      readonly atMs: number;
    }
  /** The attempt failed. `exhausted` ends it for this resend; the dead letter stays, with this failure. */
  | {
      readonly type: 'resend-failed';
      readonly callback: string;
      readonly resend: number;
      readonly deadLetter: number;
      readonly failure: Failure;
      readonly exhausted: boolean;
      readonly atMs: number;
    };

export function isResendChange(change: { readonly type: string }): change is ResendChange {
  return change.type === 'resend-delivered' || change.type === 'resend-failed';
}

export interface ResendStore {
  /** Up to `limit` dead letters of at most `SCANNED_AT_ONCE` looked at. `next`: what is looked at goes on behind it; null at the end. */
  scanDeadLetters(
    scan: DeadLetterScan & { readonly limit: number },
  ): Promise<{ readonly letters: readonly DeadLetter[]; readonly next: number | null }>;

  /** How many of at most `SCANNED_AT_ONCE`. `last`: the last one that was looked at, `afterId` where there is none. */
  countDeadLetters(
    scan: DeadLetterScan,
  ): Promise<{ readonly count: number; readonly last: number; readonly next: number | null }>;

  /**
   * Has one dead letter sent again, with a line in the audit log.
   *
   * @param data JSON in the place of the event's `data`; null: as it is
   * @throws RowcallError DEAD_LETTER_UNKNOWN; RESEND_PENDING where it waits for one already
   */
  resendOne(deadLetter: number, data: Uint8Array | null, asked: Asked): Promise<Resend>;

  /** Has all of a filter up to an id sent again, with a line in the audit log. @param total how many were counted */
  resendMany(
    which: DeadLetterFilter & { readonly callback: string },
    extent: { readonly upToId: number; readonly total: number },
    asked: Asked,
  ): Promise<Resend>;

  /** The newest first; `beforeId` exclusive. */
  resends(page: {
    readonly callback?: string;
    readonly beforeId?: number;
    readonly limit: number;
  }): Promise<readonly Resend[]>;

  /** With what a person put in the place of the event's data, as JSON. @throws RowcallError RESEND_UNKNOWN */
  resend(id: number): Promise<{ readonly resend: Resend; readonly data: Uint8Array | null }>;

  /**
   * With a line in the audit log. What is in flight ends by itself; `cancel` cannot be taken back.
   *
   * @throws RowcallError RESEND_UNKNOWN; RESEND_ENDED where it is done or cancelled
   */
  actOnResend(id: number, action: ResendAction, asked: Asked): Promise<Resend>;

  /**
   * Dead letters of running resends whose turn it is, those in `busy` left out, and those whose key has a lane: they
   * are looked at again later. May give fewer than there are, but one when `nextResendAt` was then or before, or none
   * and a later `nextResendAt`, or a part of those that were asked for looked through.
   */
  dueResends(
    callback: string,
    nowMs: number,
    limit: number,
    busy: ReadonlySet<number>,
  ): Promise<readonly DueResend[]>;

  /** When to ask `dueResends` again, in ms; null while nothing is to be sent again. */
  nextResendAt(callback: string): Promise<number | null>;
}
