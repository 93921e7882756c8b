/** Several events in one request: collected from attempts that begin at about the same time. */

import { hash } from 'node:crypto';
import type { Clock } from '../../shared/clock.ts';
import { LARGE_EVENT_BYTES } from '../../shared/large-work.ts';
import type { BatchOptions } from '../callback-options.ts';
import { failedEvents, maxAnswerBytes } from './batch-answer.ts';
import { boundedError } from './classify.ts';
import type { ExchangeOptions } from './exchange.ts';
import { unsendable } from './http-sender.ts';
import type { BatchFormat } from './request-format.ts';
import {
  ALWAYS,
  type MayGo,
  type Outcome,
  type OutgoingEvent,
  type ReplayMark,
  type Sender,
} from './sender.ts';
import { bodyBytes, callId, type WebhookBody } from './standard-webhook.ts';

/** A request of several events. */
export interface BatchPost {
  /** What the batch is known by: the same for the same events. */
  readonly name: string;
  readonly contentType: string;
  readonly body: WebhookBody;
  readonly attempt: number;
  /** Its one event is a dead letter sent again. */
  readonly resend?: boolean;
  /** Its events are sent once more; a replay has a sender of its own. */
  readonly replay?: ReplayMark;
  /** Reads the answer to a delivery. */
  readonly reader: NonNullable<ExchangeOptions['reader']>;
}

export interface BatchEndpoint {
  /** As `Sender.send`. */
  post(batch: BatchPost, signal: AbortSignal, mayGo: MayGo): Promise<Outcome>;
  /** Takes our secrets out of the endpoint's words. */
  redact(text: string): string;
  close(): Promise<void>;
}

export interface BatchSenderOptions extends BatchOptions {
  readonly format: BatchFormat;
  readonly maxBodyBytes: number;
  readonly clock: Clock;
}

/** An event with what stands in the batch for it. */
interface Encoded {
  readonly event: OutgoingEvent;
  readonly body: WebhookBody;
  readonly mayGo: MayGo;
}

interface Waiting extends Encoded {
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (reason: unknown) => void;
}

const OPEN = Buffer.from('[');
const COMMA = Buffer.from(',');
const CLOSE = Buffer.from(']');

/**
 * The engine knows nothing of batches: it begins an attempt for each event, and here those that wait at the same time share
 * a request. So order, lanes, durability and the count of keys in flight are what they are without batches, and a batch
 * has one event of a key at the most.
 *
 * Invariant: every event of a request has an outcome of its own, and counts as delivered only where the answer leaves no
 * doubt. An event of a lane goes alone: one that nobody can take would spoil the others again and again.
 */
export class BatchSender implements Sender {
  readonly #endpoint: BatchEndpoint;
  readonly #options: BatchSenderOptions;
  #waiting: Waiting[] = [];
  /** Of the body so far, with a comma for each. */
  #bytes = 0;
  #cancelTimer: () => void = () => undefined;

  constructor(endpoint: BatchEndpoint, options: BatchSenderOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
  }

  async send(
    event: OutgoingEvent,
    attempt: number,
    signal: AbortSignal,
    mayGo: MayGo = ALWAYS,
  ): Promise<Outcome> {
    const { format, maxBodyBytes } = this.#options;
    let body: WebhookBody;
    try {
      body = format.body(event);
    } catch (error) {
      return { kind: 'failed', error: unsendable(error), cause: 'system' };
    }
    const bytes = bodyBytes(body) + 2;
    if (bytes > maxBodyBytes) {
      const error = `the body of ${bytes} bytes is over deliver.max_body (${maxBodyBytes})`;
      return { kind: 'failed', error, cause: 'system' };
    }
    if (event.alone !== true && bytes < LARGE_EVENT_BYTES) {
      return this.#join({ event, body, mayGo }, signal);
    }
    const outcomes = await this.#post([{ event, body, mayGo }], attempt, signal);
    return outcomeOf(outcomes, event);
  }

  close(): Promise<void> {
    return this.#endpoint.close();
  }

  #join(encoded: Encoded, signal: AbortSignal): Promise<Outcome> {
    const { maxEvents, maxBodyBytes } = this.#options;
    signal.throwIfAborted();
    const bytes = bodyBytes(encoded.body) + 1;
    if (this.#bytes + bytes + 1 > maxBodyBytes) this.#leave(signal);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...encoded, resolve, reject });
      this.#bytes += bytes;
      if (this.#waiting.length >= maxEvents) this.#leave(signal);
      else if (this.#waiting.length === 1) this.#schedule(signal);
    });
  }

  /** Without a wait, what begins in the same turn of the event loop goes together. */
  #schedule(signal: AbortSignal): void {
    const { clock, maxWaitMs } = this.#options;
    const leave = (): void => {
      this.#leave(signal);
    };
    // The drain's deadline waits for no batch.
    signal.addEventListener('abort', leave, { once: true });
    const cancel = maxWaitMs === 0 ? soon(clock, leave) : clock.timer(maxWaitMs, leave);
    this.#cancelTimer = () => {
      signal.removeEventListener('abort', leave);
      cancel();
    };
  }

  /** What waits goes, or goes back: since it came the callback may have been disabled, or told to wait. */
  #leave(signal: AbortSignal): void {
    this.#cancelTimer();
    this.#cancelTimer = () => undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    const batch: Waiting[] = [];
    for (const one of waiting) {
      if (one.mayGo()) batch.push(one);
      else one.resolve({ kind: 'held' });
    }
    if (batch.length === 0) return;
    this.#post(batch, 1, signal).then(
      (outcomes) => {
        for (const { event, resolve } of batch) resolve(outcomeOf(outcomes, event));
      },
      (error: unknown) => {
        for (const { reject } of batch) reject(error);
      },
    );
  }

  /** The outcome of all of them, or of each by its id. */
  async #post(batch: readonly Encoded[], attempt: number, signal: AbortSignal): Promise<Outcomes> {
    signal.throwIfAborted();
    const ids = batch.map(({ event }) => event.id);
    const replay = batch[0]?.event.replay;
    let failed: ReadonlyMap<string, Outcome> = new Map();
    const all = await this.#endpoint.post(
      {
        // No id has a line feed: other events are another text.
        name: hash('sha256', batch.map(({ event }) => callId(event)).join('\n')),
        contentType: this.#options.format.contentType,
        body: arrayOf(batch),
        attempt,
        resend: batch.some(({ event }) => event.resend === true),
        ...(replay === undefined ? {} : { replay }),
        reader: {
          maxBytes: maxAnswerBytes(ids.length),
          read: (body) => {
            const found = failedEvents(body, new Set(ids));
            if (found === null) return UNREADABLE;
            failed = new Map([...found].map(([id, reason]) => [id, this.#refused(reason)]));
            return { kind: 'delivered' };
          },
        },
      },
      signal,
      () => batch.every(({ mayGo }) => mayGo()),
    );
    return { all, failed };
  }

  #refused(reason: string): Outcome {
    const text = reason === '' ? 'named as failed in the answer' : this.#endpoint.redact(reason);
    return { kind: 'failed', error: boundedError(text) };
  }
}

interface Outcomes {
  readonly all: Outcome;
  readonly failed: ReadonlyMap<string, Outcome>;
}

const UNREADABLE: Outcome = {
  kind: 'failed',
  error: 'the answer says that events of the batch failed, but not clearly which',
};

function outcomeOf({ all, failed }: Outcomes, { id }: OutgoingEvent): Outcome {
  return failed.get(id) ?? all;
}

/** In one piece, unless one of them is in several, since it is large. */
function arrayOf(batch: readonly Encoded[]): WebhookBody {
  const pieces = batch.flatMap(({ body }, index) => [index === 0 ? OPEN : COMMA, ...body]);
  const isLarge = batch.some(({ body }) => body.length > 1);
  return isLarge ? [OPEN, ...pieces.slice(1), CLOSE] : [Buffer.concat([...pieces, CLOSE])];
}

function soon(clock: Clock, fire: () => void): () => void {
  let cancelled = false;
  clock.soon(() => {
    if (!cancelled) fire();
  });
  return () => {
    cancelled = true;
  };
}
