/** What the state store keeps of events that were answered with 202: what is awaited, and how it ended. */

import type { CursorKey } from './state-store.ts';

/** An attempt that was answered with 202: from then on its end is awaited. */
export interface Accepted {
  readonly attempt: number;
  /** Wall time in ms of the answer. */
  readonly atMs: number;
  readonly deadlineMs: number;
  /** How long nothing may be heard; where a status URL is asked, how often. Null: until the deadline. */
  readonly heartbeatMs: number | null;
  /** Where the end is asked for; null where it is told. */
  readonly statusUrl: string | null;
  /** As `Failure`'s. */
  readonly version?: number | undefined;
}

/** How an attempt ended. `overdue`: nothing was heard in time. */
export interface Ending {
  readonly status: 'succeeded' | 'failed' | 'overdue';
  /** For a person: bounded, without secrets. */
  readonly reason: string | null;
  /** Of a failure: whether another attempt may succeed. */
  readonly retryable: boolean;
  /** What the receiver gave back, as JSON text; bounded. */
  readonly result: string | null;
}

/** What stands of it in a lane. */
export interface Awaited {
  readonly attempt: number;
  /** Wall time in ms. */
  readonly deadlineAt: number;
  /** When something must be heard, or asked, at the latest; never behind the deadline. */
  readonly wakeAt: number;
  readonly statusUrl: string | null;
  /** It ended, and the dispatcher has yet to settle it. */
  readonly ending: Ending | null;
}

/** The attempt that a completion is of. */
export interface AttemptKey extends CursorKey {
  readonly offset: number;
  readonly eventId: string;
  /** From 1. */
  readonly attempt: number;
}

/** `progress`: it goes on; the next word is due a heartbeat from now. */
export type Completion = { readonly status: 'progress' } | Ending;

/** `taken`: it is durable, and settles the event. `repeated`: it was taken before. `late`: another ending came first, or
 *  the attempt was given up. `unknown`: there is no such callback, topic or partition. */
export type CompletionAnswer = 'taken' | 'repeated' | 'late' | 'unknown';

/** A completion that came, kept for those who ask again and for those who look. */
export interface CompletionRecord extends AttemptKey {
  readonly id: number;
  readonly atMs: number;
  readonly status: Ending['status'];
  readonly reason: string | null;
  /** It changed nothing: its attempt had ended. */
  readonly late: boolean;
}
