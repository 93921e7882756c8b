/** What the engine needs of a way to call back. HTTP and modules implement it; a simulation fakes it. */

import type { OperationCode } from '../../change-event.ts';

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
  /** `when` has not held for it yet, as far as is known: it is asked before anything is sent. */
  readonly undecided?: boolean;
  /** What the callback's `payload` makes of it: JSON in the place of key, images and source. */
  readonly data?: Uint8Array;
  /** The callback's `metadata`, a JSON object, the same on every attempt. */
  readonly metadata?: string;
}

/**
 * What an attempt came to. `unreachable`: the endpoint as a whole refuses or cannot be reached, so the
 * callback pauses and the event's attempts are not used up. `failed`: this event's attempt failed.
 * `error` is for a person: bounded, without secrets. `shape`:
 * nothing was sent, since `when` or `payload` has no value for this event. `filtered`: nothing was sent, since `when`
 * does not hold; the event is none of the callback's.
 */
export type Outcome =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'filtered' }
  | {
      readonly kind: 'failed';
      readonly error: string;
      readonly retryAfterMs?: number;
      readonly shape?: boolean;
      /** No further attempt can succeed: the event is exhausted at once. */
      readonly final?: true;
    }
  | { readonly kind: 'unreachable'; readonly error: string };

export interface Sender {
  /**
   * Makes one attempt and never rejects, but when `signal` aborts before the outcome is known: then it
   * rejects with the signal's reason, and the attempt's effect is unknown.
   *
   * @param attempt from 1
   */
  send(event: OutgoingEvent, attempt: number, signal: AbortSignal): Promise<Outcome>;

  /** Closes idle connections; attempts in flight have ended before. */
  close(): Promise<void>;
}
