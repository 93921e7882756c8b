/** What the engine needs of a way to call back. HTTP and modules implement it; a simulation fakes it. */

import type { OperationCode } from '../../change-event.ts';
import type { HttpAnswer } from '../../expression/answer-expression.ts';
import type { AnswerBody } from '../../on-settled/parameters.ts';
import type { FailedElsewhere, FailureCause, HandOverOrigin } from '../../state/state-store.ts';

/** An event on its way to one callback. */
export interface OutgoingEvent {
  /** Event id, without the callback's name. */
  readonly id: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly table: string;
  readonly operation: OperationCode;
  /** The record's key as it stands in the log; null for keyless tables. */
  readonly key: string | null;
  readonly timestampMs: number;
  /** The record's value: the envelope's bytes. */
  readonly value: Uint8Array;
  /** Another callback gave it up; partition and offset are then of what that one handed over. */
  readonly handedOver?: HandedOver;
  /** `when` has not held for it yet, as far as is known: it is asked before anything is sent. */
  readonly undecided?: boolean;
  /** From a lane: it failed, or stands behind one that did, and goes in a request of its own. */
  readonly alone?: boolean;
  /** A dead letter that a person has sent again: the receiver is told by `rowcall-resend`. */
  readonly resend?: boolean;
  /** It was settled before, and a person has it sent once more. */
  readonly replay?: ReplayMark;
  /** What the callback's `payload` makes of it, or a person wrote: JSON in the place of key, images and source. */
  readonly data?: Uint8Array;
  /** The callback's `metadata`, a JSON object, the same on every attempt. */
  readonly metadata?: string;
  /** Where the end of this attempt may be told later. */
  readonly completionUrl?: string;
}

/** What a receiver can tell a replay by. */
export interface ReplayMark {
  readonly id: number;
  /** The call's id is another one than at first, so that whoever de-duplicates takes the event again. */
  readonly newIds: boolean;
}

export interface HandedOver {
  readonly origin: HandOverOrigin;
  /** The callback that gave it up. */
  readonly from: string;
  readonly failed: FailedElsewhere;
}

/** This event's attempt failed. */
export interface Failed {
  readonly kind: 'failed';
  /** For a person: bounded, without secrets. */
  readonly error: string;
  /** The answer's HTTP status, where there was an answer. */
  readonly status?: number;
  /** `system`: no request could be made of this event. The endpoint's, unless said otherwise. */
  readonly cause?: FailureCause;
  /** No further attempt can succeed: the event is exhausted at once, whatever its budget. */
  readonly final?: true;
  /** Nothing was sent, since `when` or `payload` has no value for this event. */
  readonly shape?: boolean;
}

/** The endpoint has too much to do: the event is tried again, and none of its attempts is used up. */
export interface Throttled {
  readonly kind: 'throttled';
  readonly error: string;
  readonly status?: number;
  /** What the endpoint asked for. Never tried earlier. */
  readonly retryAfterMs?: number;
}

/** The endpoint has taken the event, and its end will be told or asked for (202). */
export interface AcceptedOutcome {
  readonly kind: 'accepted';
  /** As it came. */
  readonly answer?: HttpAnswer;
  /** Where the end is asked for. */
  readonly statusUrl?: string | null;
}

/** Nothing was sent. */
export interface FilteredOutcome {
  readonly kind: 'filtered';
}

export interface DeliveredOutcome {
  readonly kind: 'delivered';
  /** What the receiver answered, where somebody asks for it. */
  readonly answer?: AnswerBody;
}

/**
 * What an attempt came to. `unreachable`: the endpoint as a whole refuses or cannot be reached, so the
 * callback pauses and the event's attempts are not used up. `gone`: the endpoint wants no event any more, this one
 * neither: the callback is disabled and holds it. `filtered`: nothing was sent, since `when` does not hold; the event is
 * none of the callback's. `held`: nothing was sent, since it might not be any more when its turn came; no attempt was made.
 */
export type Outcome =
  | DeliveredOutcome
  | FilteredOutcome
  | { readonly kind: 'held' }
  | AcceptedOutcome
  | Failed
  | Throttled
  | { readonly kind: 'unreachable'; readonly error: string }
  | { readonly kind: 'gone'; readonly error: string };

export type MayGo = () => boolean;

export const ALWAYS: MayGo = () => true;

export interface Sender {
  /**
   * Makes one attempt and never rejects, but when `signal` aborts before the outcome is known: then it
   * rejects with the signal's reason, and the attempt's effect is unknown.
   *
   * @param attempt from 1
   * @param mayGo whether it may still be sent, for who has it wait first: else its outcome is `held`
   */
  send(event: OutgoingEvent, attempt: number, signal: AbortSignal, mayGo?: MayGo): Promise<Outcome>;

  /** Closes idle connections; attempts in flight have ended before. */
  close(): Promise<void>;
}
