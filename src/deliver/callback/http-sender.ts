/** Callbacks over HTTP: one signed request per attempt, its answer read to the end or to a limit. */

import type { KeyObject } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Clock } from '../../shared/clock.ts';
import { RowcallError } from '../../errors.ts';
import { boundedError } from './classify.ts';
import { endpointDispatcher, type ProxyOptions } from './endpoint-dispatcher.ts';
import { Exchange, type ExchangeOptions } from './exchange.ts';
import { type HandshakeOptions, WebhookPermission } from './webhook-permission.ts';
import type { Resolve, TlsIdentity } from './outgoing-guard.ts';
import { MAX_ANSWER_BYTES } from '../../on-settled/parameters.ts';
import { redaction } from './redaction.ts';
import { requestFormat, type RequestFormat, type RequestFormatName } from './request-format.ts';
import type { BatchEndpoint, BatchPost } from './batch-sender.ts';
import { ALWAYS, type MayGo, type Outcome, type OutgoingEvent, type Sender } from './sender.ts';
import { signingKey } from './signature.ts';
import { Slots } from './slots.ts';
import {
  bodyBytes,
  callId,
  placeHeaders,
  resendHeaders,
  type WebhookAttempt,
  type WebhookBody,
  webhookHeaders,
} from './standard-webhook.ts';

/** Measured: more sockets to one host halve the rate. Attempts beyond them wait, before their time begins. */
const MAX_SOCKETS = 64;
/** A header that would override ours would break signature, identity or framing. */
const OURS =
  /^(?:webhook-.*|rowcall-.*|ce-.*|traceparent|proxy-authorization|content-type|content-length|transfer-encoding|host|connection|expect|upgrade|keep-alive|te|trailer)$/;
/** RFC 9110, 5.6.2 and 5.5: a token; and a value on one line. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const HEADER_VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;
export interface HttpSenderOptions {
  /** The configuration's name. */
  readonly pipeline: string;
  readonly callback: string;
  readonly url: string;
  readonly method: 'POST' | 'PUT' | 'PATCH';
  /** Further headers; the values are secret. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of the whole exchange, milliseconds. */
  readonly timeoutMs: number;
  readonly format: RequestFormatName;
  /** `whsec_…` or `whsk_…`; without one nothing is signed. */
  readonly secrets: readonly string[];
  /** Lets the URL lead to private addresses and plain http. */
  readonly allowPrivateNetwork: boolean;
  readonly maxBodyBytes: number;
  /** Attempts that may be made at once; they share at most 64 sockets. */
  readonly concurrency: number;
  readonly version: string;
  readonly clock: Clock;
  /** Whether 202 says that the end will be told later. */
  readonly asynchronous?: boolean;
  /** Somebody asks for what the receiver answers to a delivery. */
  readonly keepsAnswer?: boolean;
  readonly tls?: TlsIdentity;
  readonly proxy?: ProxyOptions;
  /** Asks the endpoint for leave first. */
  readonly handshake?: HandshakeOptions;
  /** Marks every request as a test, for which no event stands. */
  readonly test?: boolean;
  /** Takes the requests instead of the endpoint, for who wants to see them. */
  readonly endpoint?: Pick<Dispatcher, 'dispatch'>;
  /** For tests of the outgoing guard. */
  readonly resolve?: Resolve;
}

/**
 * Invariant: an attempt ends with an outcome no later than its timeout, whatever the other side does, and its
 * socket is then free or destroyed. Redirects are never followed: they would lead past the guard, and the
 * signature was not made for their target.
 */
export class HttpSender implements Sender, BatchEndpoint {
  readonly #options: HttpSenderOptions;
  readonly #endpoint: Dispatcher;
  readonly #taker: Pick<Dispatcher, 'dispatch'>;
  readonly #permission: WebhookPermission | null;
  readonly #slots: Slots;
  readonly #origin: string;
  readonly #path: string;
  readonly #format: RequestFormat;
  readonly #keys: readonly KeyObject[];
  readonly #headers: readonly string[];

  /** @throws TypeError when a header is one of ours, or is no HTTP header: the configuration refuses those before */
  constructor(options: HttpSenderOptions) {
    const { timeoutMs, allowPrivateNetwork, tls, proxy, resolve, handshake, clock } = options;
    const url = new URL(options.url);
    const sockets = Math.min(options.concurrency, MAX_SOCKETS);
    this.#options = options;
    this.#slots = new Slots(sockets);
    this.#endpoint = endpointDispatcher({
      url,
      sockets,
      timeoutMs,
      allowPrivateNetwork,
      ...(tls === undefined ? {} : { tls }),
      ...(proxy === undefined ? {} : { proxy }),
      ...(resolve === undefined ? {} : { resolve }),
    });
    this.#taker = options.endpoint ?? this.#endpoint;
    this.#format = requestFormat(options.format, options.pipeline);
    this.#origin = url.origin;
    this.#path = `${url.pathname}${url.search}`;
    this.#keys = options.secrets.map(signingKey);
    this.#headers = [
      'user-agent',
      `rowcall/${options.version}`,
      ...(options.test === true ? ['rowcall-test', 'true'] : []),
      ...checkedHeaders(options.headers),
    ];
    this.redact = redaction(options);
    this.#permission =
      handshake === undefined
        ? null
        : new WebhookPermission({
            ...handshake,
            endpoint: this.#endpoint,
            target: this.#origin,
            path: this.#path,
            headers: this.#headers,
            timeoutMs,
            clock,
          });
  }

  send(
    event: OutgoingEvent,
    attempt: number,
    signal: AbortSignal,
    mayGo: MayGo = ALWAYS,
  ): Promise<Outcome> {
    return this.#inSlot({ signal, mayGo }, () => this.#attempt(event, attempt, signal));
  }

  post(batch: BatchPost, signal: AbortSignal, mayGo: MayGo): Promise<Outcome> {
    const { reader } = batch;
    const own = resendHeaders(batch);
    return this.#inSlot({ signal, mayGo }, () => this.#request(batch, { own, reader, signal }));
  }

  /** Who had to wait asks again: since then the callback may have been disabled, or told to wait. */
  async #inSlot(
    { signal, mayGo }: { readonly signal: AbortSignal; readonly mayGo: MayGo },
    work: () => Promise<Outcome>,
  ): Promise<Outcome> {
    const waits = !this.#slots.tryTake();
    if (waits) await this.#slots.take(signal);
    try {
      signal.throwIfAborted();
      if (waits && !mayGo()) return { kind: 'held' };
      const refusal = await this.#permission?.refusal(signal, mayGo);
      if (refusal !== undefined && refusal !== null) return refusal;
      return await work();
    } finally {
      this.#slots.release();
    }
  }

  async close(): Promise<void> {
    await this.#endpoint.destroy();
  }

  #attempt(event: OutgoingEvent, attempt: number, signal: AbortSignal): Promise<Outcome> {
    const { maxBodyBytes } = this.#options;
    let body: WebhookBody;
    let own: readonly string[];
    try {
      body = this.#format.body(event);
      own = this.#format.headers(event);
    } catch (error) {
      return Promise.resolve({ kind: 'failed', error: unsendable(error), cause: 'system' });
    }
    const bytes = bodyBytes(body);
    if (bytes > maxBodyBytes) {
      const error = `the body of ${bytes} bytes is over deliver.max_body (${maxBodyBytes})`;
      return Promise.resolve({ kind: 'failed', error, cause: 'system' });
    }
    const { contentType } = this.#format;
    const request = { name: callId(event), contentType, body, attempt };
    return this.#request(request, {
      own: [...placeHeaders(event), ...resendHeaders(event), ...own],
      signal,
    });
  }

  #request(
    request: Pick<WebhookAttempt, 'name' | 'contentType' | 'body' | 'attempt'>,
    { own, ...parts }: ExchangeParts & { readonly own: readonly string[] },
  ): Promise<Outcome> {
    const { clock, callback } = this.#options;
    const { body } = request;
    const timestamp = Math.floor(clock.now() / 1000);
    const ours = webhookHeaders({ ...request, callback, timestamp, keys: this.#keys });
    const headers = [...ours, ...own, ...this.#headers];
    const [whole, ...more] = body;
    if (more.length === 0) return this.#exchange(headers, whole, parts);
    // Pieces of a known length, not chunks: receivers need not know how it was sent.
    headers.push('content-length', String(bodyBytes(body)));
    return this.#exchange(headers, Readable.from(body), parts);
  }

  #exchange(
    headers: string[],
    body: Uint8Array | Readable,
    { signal, reader }: ExchangeParts,
  ): Promise<Outcome> {
    const { clock, timeoutMs, method, asynchronous = false, keepsAnswer = false } = this.#options;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        const reason = signal.reason as Error;
        exchange.abandon(reason);
        reject(reason);
      };
      const exchange = new Exchange({
        clock,
        timeoutMs,
        redact: this.redact,
        ...(reader === undefined ? (keepsAnswer ? { reader: ANSWER_READER } : {}) : { reader }),
        asynchronous,
        onEnd: (outcome) => {
          signal.removeEventListener('abort', onAbort);
          resolve(outcome);
        },
      });
      signal.addEventListener('abort', onAbort, { once: true });
      const request = { origin: this.#origin, path: this.#path, method, headers, body };
      this.#taker.dispatch(request, exchange);
    });
  }

  /** Takes our secrets out of the endpoint's words. */
  readonly redact: (text: string) => string;
}

const ANSWER_READER: NonNullable<ExchangeOptions['reader']> = {
  maxBytes: MAX_ANSWER_BYTES,
  read: (body) => ({
    kind: 'delivered',
    answer: body === null ? { bytes: 'too-long' } : body.toString('utf8'),
  }),
};

interface ExchangeParts {
  readonly signal: AbortSignal;
  readonly reader?: ExchangeOptions['reader'];
}

/** No request could be made of the event. */
export function unsendable(error: unknown): string {
  if (error instanceof RowcallError) return boundedError(`${error.code}: ${error.message}`);
  return boundedError(`error: ${error instanceof Error ? error.message : String(error)}`);
}

function checkedHeaders(headers: Readonly<Record<string, string>>): string[] {
  return Object.entries(headers).flatMap(([written, value]) => {
    const name = written.toLowerCase();
    if (OURS.test(name)) throw new TypeError(`The header ${name} is written by Rowcall itself`);
    if (!HEADER_NAME.test(name) || !HEADER_VALUE.test(value)) {
      throw new TypeError(`The header ${JSON.stringify(name)} is not a header of HTTP`);
    }
    return [name, value];
  });
}
