/** Asks the status URL of an event that was answered with 202 how it fares. */

import type { Dispatcher } from 'undici';
import { boundedError, classifyAnswer, classifyError } from '../callback/classify.ts';
import { endpointDispatcher, type ProxyOptions } from '../callback/endpoint-dispatcher.ts';
import { headersByName } from '../callback/exchange.ts';
import type { Resolve, TlsIdentity } from '../callback/outgoing-guard.ts';
import { redaction } from '../callback/redaction.ts';
import { type AnswerCondition, type HttpAnswer } from '../../expression/answer-expression.ts';
import { ShapeFailure } from '../../expression/fault.ts';
import type { Clock } from '../../shared/clock.ts';
import { present } from '../../shared/assert.ts';
import type { Completion } from '../../state/completion.ts';
import type { DueLane } from '../../state/state-store.ts';
import type { StatusPoller } from './awaited-worker.ts';
import { hasOrigin } from './status-url.ts';

/** They take sockets of their own, so that no attempt waits for a question. */
const MAX_AT_ONCE = 8;
const MAX_BODY_BYTES = 64 * 1024;
/** A larger one is judged, but not kept as the result. */
const MAX_RESULT_BYTES = 16 * 1024;
const MAX_REASON_BYTES = 4096;
/** Of events whose last answer is remembered. Those beyond are asked all the same. */
const MAX_REMEMBERED = 1_000;

const GOES_ON: Completion = { status: 'progress' };

export interface HttpStatusPollerOptions {
  readonly callback: string;
  /** The callback's: no other origin is asked. */
  readonly url: string;
  /** The callback's own; the values are secret. */
  readonly headers: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
  /** Of the whole exchange, milliseconds. */
  readonly timeoutMs: number;
  readonly allowPrivateNetwork: boolean;
  readonly tls?: TlsIdentity;
  readonly proxy?: ProxyOptions;
  /** For tests of the outgoing guard. */
  readonly resolve?: Resolve;
  readonly concurrency: number;
  readonly version: string;
  readonly clock: Clock;
  readonly doneWhen: AnswerCondition;
  readonly failedWhen: AnswerCondition | null;
}

interface Remembered {
  readonly words: string;
  /** Not asked again before, in ms: the endpoint wanted it so. */
  readonly notBefore: number;
}

/**
 * Invariant: only an answer that says so is an end. Whatever keeps an answer from coming, or from being understood, is
 * none, and the event is asked for again until its deadline: a status page that is down says nothing of the work.
 */
export class HttpStatusPoller implements StatusPoller {
  readonly concurrency: number;
  readonly #options: HttpStatusPollerOptions;
  readonly #endpoint: Dispatcher;
  readonly #headers: readonly string[];
  readonly #redact: (text: string) => string;
  readonly #last = new Map<number, Remembered>();

  /** @throws RowcallError TARGET_REFUSED, through a proxy only */
  constructor(options: HttpStatusPollerOptions) {
    const { url, timeoutMs, allowPrivateNetwork, tls, proxy, resolve } = options;
    this.#options = options;
    this.concurrency = Math.min(options.concurrency, MAX_AT_ONCE);
    this.#endpoint = endpointDispatcher({
      url: new URL(url),
      sockets: this.concurrency,
      timeoutMs,
      allowPrivateNetwork,
      ...(tls === undefined ? {} : { tls }),
      ...(proxy === undefined ? {} : { proxy }),
      ...(resolve === undefined ? {} : { resolve }),
    });
    this.#headers = [
      ...['user-agent', `rowcall/${options.version}`, 'rowcall-callback', options.callback],
      ...Object.entries(options.headers).flat(),
    ];
    this.#redact = redaction(options);
  }

  async ask(lane: DueLane, signal: AbortSignal): Promise<Completion> {
    const { clock, url: callbackUrl } = this.#options;
    if (clock.now() < (this.#last.get(lane.id)?.notBefore ?? 0)) return GOES_ON;
    const url = new URL(present(lane.awaiting?.statusUrl ?? null, 'the status URL of a lane'));
    if (!hasOrigin(url, callbackUrl)) {
      // The configuration has changed since: our login is for the new endpoint alone.
      return this.#goesOn(
        lane,
        `is not asked, since it leads away from ${new URL(callbackUrl).origin}`,
      );
    }
    let answer: HttpAnswer;
    try {
      answer = await this.#get(url, signal);
    } catch (error) {
      signal.throwIfAborted();
      const outcome = classifyError(error, 'exchanging');
      return this.#goesOn(lane, 'error' in outcome ? outcome.error : '');
    }
    return this.#judge(lane, answer);
  }

  lastWords({ id }: DueLane): string | null {
    const words = this.#last.get(id)?.words ?? null;
    this.#last.delete(id);
    return words;
  }

  async close(): Promise<void> {
    await this.#endpoint.destroy();
  }

  async #get({ origin, pathname, search }: URL, signal: AbortSignal): Promise<HttpAnswer> {
    const { clock, timeoutMs } = this.#options;
    const late = new AbortController();
    const cancel = clock.timer(timeoutMs, () => {
      late.abort(new Error(`no whole answer within ${timeoutMs} ms`));
    });
    try {
      const answer = await this.#endpoint.request({
        origin,
        path: `${pathname}${search}`,
        method: 'GET',
        headers: [...this.#headers],
        signal: AbortSignal.any([signal, late.signal]),
      });
      const body = await bounded(answer.body);
      return { status: answer.statusCode, headers: headersByName(answer.headers), body };
    } finally {
      cancel();
    }
  }

  #judge(lane: DueLane, answer: HttpAnswer): Completion {
    const { status } = answer;
    if (status === 404 || status === 410) {
      return this.#ended(lane, failed(`its status URL answered ${this.#words(answer)}`));
    }
    if (!isJudged(status)) return this.#refused(lane, answer);
    const { doneWhen, failedWhen } = this.#options;
    try {
      // First: where both hold, an event that is tried again is better than one that is lost.
      if (failedWhen?.holds(answer) === true) {
        return this.#ended(lane, failed(`its status URL said failed: ${this.#words(answer)}`));
      }
      if (doneWhen.holds(answer)) {
        const result = resultOf(answer.body);
        return this.#ended(lane, { status: 'succeeded', reason: null, retryable: true, result });
      }
    } catch (error) {
      if (!(error instanceof ShapeFailure)) throw error;
      return this.#goesOn(lane, boundedError(`HTTP ${status}, but ${error.message}`));
    }
    return this.#goesOn(lane, `HTTP ${status}, neither done nor failed`);
  }

  /** No answer to our question. */
  #refused(lane: DueLane, { status, headers, body }: HttpAnswer): Completion {
    const { clock } = this.#options;
    const outcome = classifyAnswer(
      {
        status,
        retryAfter: headers.get('retry-after'),
        date: headers.get('date'),
        excerpt: this.#redact(body.toString('utf8', 0, MAX_REASON_BYTES)),
      },
      clock.now(),
    );
    const waitMs = outcome.kind === 'throttled' ? (outcome.retryAfterMs ?? 0) : 0;
    return this.#goesOn(lane, 'error' in outcome ? outcome.error : '', clock.now() + waitMs);
  }

  #words({ status, body }: HttpAnswer): string {
    const excerpt = this.#redact(body.toString('utf8', 0, MAX_REASON_BYTES));
    return boundedError(excerpt === '' ? `HTTP ${status}` : `HTTP ${status}: ${excerpt}`);
  }

  #goesOn({ id }: DueLane, words: string, notBefore = 0): Completion {
    this.#last.delete(id);
    this.#last.set(id, { words, notBefore });
    const [oldest] = this.#last.keys();
    if (this.#last.size > MAX_REMEMBERED && oldest !== undefined) this.#last.delete(oldest);
    return GOES_ON;
  }

  #ended({ id }: DueLane, completion: Completion): Completion {
    this.#last.delete(id);
    return completion;
  }
}

/** 303 (RFC 9110, 15.4.4) is how many say that the result is elsewhere now. Others are no answer: an outage, a login. */
function isJudged(status: number): boolean {
  return (status >= 200 && status < 300) || status === 303;
}

function failed(reason: string): Completion {
  return { status: 'failed', reason: boundedError(reason), retryable: true, result: null };
}

function resultOf(body: Buffer): string | null {
  if (body.length === 0 || body.length > MAX_RESULT_BYTES) return null;
  const text = body.toString('utf8');
  try {
    JSON.parse(text);
  } catch {
    // It was not asked for: another condition than one over the body told the end.
    return null;
  }
  return text;
}

async function bounded(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    // Leaving the loop destroys the stream and its socket.
    if (bytes > MAX_BODY_BYTES) throw new Error(`the answer is over ${MAX_BODY_BYTES} bytes`);
  }
  return Buffer.concat(chunks, bytes);
}
