/** Gives each attempt its completion URL, and takes what ended it early for its answer. */

import { boundedError } from '../callback/classify.ts';
import type { MayGo, Outcome, OutgoingEvent, Sender } from '../callback/sender.ts';
import { present } from '../../shared/assert.ts';
import type { HttpAnswer } from '../../expression/answer-expression.ts';
import type { AttemptKey, Ending } from '../../state/completion.ts';
import type { AttemptsInFlight } from './attempts-in-flight.ts';

export interface AsyncSenderOptions {
  readonly callback: string;
  readonly attempts: AttemptsInFlight;
  /** What was stored of an attempt's end, also by a process that has died since. */
  readonly endingOf: (attempt: AttemptKey) => Promise<Ending | null>;
  /** Where its end is told; null where we ask for it. */
  readonly urlOf: ((attempt: AttemptKey) => string) | null;
  /** Where its end is asked for, of a 202. @throws Error with what is wrong, for a person */
  readonly statusUrlOf: ((answer: HttpAnswer) => string) | null;
  /** Whoever asks. */
  readonly poller?: { close(): Promise<void> } | undefined;
}

/**
 * Invariant: an attempt that the receiver ended while it was in flight is awaited whatever its answer, but for one that
 * says that the event is delivered or that none is wanted any more: its ending is durable and settles it.
 */
export class AsyncSender implements Sender {
  readonly #sender: Sender;
  readonly #options: AsyncSenderOptions;

  constructor(sender: Sender, options: AsyncSenderOptions) {
    this.#sender = sender;
    this.#options = options;
  }

  async send(
    event: OutgoingEvent,
    attempt: number,
    signal: AbortSignal,
    mayGo?: MayGo,
  ): Promise<Outcome> {
    // A dead letter that goes again stands in no lane, where its end could be told of: whoever gets it is given no URL.
    if (event.resend === true) return this.#sender.send(event, attempt, signal, mayGo);
    const { attempts, callback } = this.#options;
    const { topic, partition, offset, id: eventId } = event;
    const key = { callback, topic, partition, offset, attempt, eventId };
    attempts.began(key, attempt);
    let outcome: Outcome | null = null;
    try {
      const answer = await this.#sender.send(this.#withUrl(event, key), attempt, signal, mayGo);
      outcome = this.#withStatusUrl(answer);
      if (mayBeOverruled(outcome) && (await this.#hasEnded(key))) {
        outcome = { kind: 'accepted', statusUrl: null };
      }
      return outcome;
    } finally {
      // A 202 is in flight until it is durable.
      if (outcome?.kind !== 'accepted') attempts.over(key);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#sender.close(), this.#options.poller?.close()]);
  }

  async #hasEnded(key: AttemptKey): Promise<boolean> {
    const { attempts, endingOf } = this.#options;
    const stored = await endingOf(key);
    // No await from here until the attempt is over: what is told from then on is late.
    return stored !== null || attempts.hasEnded(key);
  }

  #withUrl(event: OutgoingEvent, key: AttemptKey): OutgoingEvent {
    const { urlOf } = this.#options;
    return urlOf === null ? event : { ...event, completionUrl: urlOf(key) };
  }

  #withStatusUrl(outcome: Outcome): Outcome {
    const { statusUrlOf } = this.#options;
    if (outcome.kind !== 'accepted' || statusUrlOf === null) return outcome;
    try {
      const answer = present(outcome.answer, 'the answer that says 202');
      return { kind: 'accepted', statusUrl: statusUrlOf(answer) };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const text = boundedError(`HTTP 202 without a status URL: ${why}`);
      return { kind: 'failed', error: text, status: 202 };
    }
  }
}

/** Delivered is delivered, and an endpoint that wants nothing any more gets nothing. */
function mayBeOverruled({ kind }: Outcome): boolean {
  return kind === 'failed' || kind === 'throttled' || kind === 'unreachable';
}
