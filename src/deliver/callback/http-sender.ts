/** Callbacks over HTTP: one signed request per attempt, its answer read to the end or to a limit. */

import type { KeyObject } from 'node:crypto';
import { Readable } from 'node:stream';
import { Pool } from 'undici';
import type { Clock } from '../../shared/clock.ts';
import { classifyError } from './classify.ts';
import { Exchange } from './exchange.ts';
import { guardedConnector, plainConnector, type Resolve } from './outgoing-guard.ts';
import type { Outcome, OutgoingEvent, Sender } from './sender.ts';
import { Slots } from './slots.ts';
import {
  bodyBytes,
  signingKey,
  type WebhookBody,
  webhookBody,
  webhookHeaders,
} from './standard-webhook.ts';

/** Measured: more sockets to one host halve the rate. Attempts beyond them wait, before their time begins. */
const MAX_SOCKETS = 64;
/** Shorter than what servers commonly wait without saying so (5 s), so that we close first. */
const KEEP_ALIVE_MS = 4_000;
/** A header that would override ours would break signature, identity or framing. */
const OURS =
  /^(?:webhook-.*|rowcall-.*|traceparent|content-type|content-length|transfer-encoding|host|connection|expect|upgrade|keep-alive|te|trailer)$/;
/** RFC 9110, 5.6.2 and 5.5: a token; and a value on one line. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const HEADER_VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;
/** Shorter texts in an answer are not the secret, only equal to it. */
const MIN_REDACTED_CHARACTERS = 6;

export interface HttpSenderOptions {
  readonly callback: string;
  readonly url: string;
  readonly method: 'POST' | 'PUT' | 'PATCH';
  /** Further headers; the values are secret. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of the whole exchange, milliseconds. */
  readonly timeoutMs: number;
  /** `whsec_…`, at least one. */
  readonly secrets: readonly string[];
  /** Lets the URL lead to private addresses and plain http. */
  readonly allowPrivateNetwork: boolean;
  readonly maxBodyBytes: number;
  /** Attempts that may be made at once; they share at most 64 sockets. */
  readonly concurrency: number;
  readonly version: string;
  readonly clock: Clock;
  /** Certificates to trust instead of Node's own, PEM. */
  readonly ca?: string;
  /** For tests of the outgoing guard. */
  readonly resolve?: Resolve;
}

/**
 * Invariant: an attempt ends with an outcome no later than its timeout, whatever the other side does, and its
 * socket is then free or destroyed. Redirects are never followed: they would lead past the guard, and the
 * signature was not made for their target.
 */
export class HttpSender implements Sender {
  readonly #options: HttpSenderOptions;
  readonly #pool: Pool;
  readonly #slots: Slots;
  readonly #path: string;
  readonly #keys: readonly KeyObject[];
  readonly #headers: readonly string[];
  readonly #secrets: readonly string[];

  /** @throws TypeError when a header is one of ours, or is no HTTP header: the configuration refuses those before */
  constructor(options: HttpSenderOptions) {
    const { timeoutMs, ca, resolve } = options;
    const url = new URL(options.url);
    const sockets = Math.min(options.concurrency, MAX_SOCKETS);
    const connector = {
      timeoutMs,
      ...(ca === undefined ? {} : { ca }),
      ...(resolve === undefined ? {} : { resolve }),
    };
    this.#options = options;
    this.#slots = new Slots(sockets);
    this.#pool = new Pool(url.origin, {
      connections: sockets,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // The attempt's own timer is the only one: these two see parts of an exchange.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: options.allowPrivateNetwork
        ? plainConnector(connector)
        : guardedConnector(connector),
    });
    this.#path = `${url.pathname}${url.search}`;
    this.#keys = options.secrets.map(signingKey);
    this.#headers = [
      'user-agent',
      `rowcall/${options.version}`,
      ...checkedHeaders(options.headers),
    ];
    this.#secrets = secretTexts(options);
  }

  async send(event: OutgoingEvent, attempt: number, signal: AbortSignal): Promise<Outcome> {
    if (!this.#slots.tryTake()) await this.#slots.take(signal);
    try {
      signal.throwIfAborted();
      return await this.#attempt(event, attempt, signal);
    } finally {
      this.#slots.release();
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  #attempt(event: OutgoingEvent, attempt: number, signal: AbortSignal): Promise<Outcome> {
    const { maxBodyBytes, clock, callback } = this.#options;
    let body: WebhookBody;
    try {
      body = webhookBody(event);
    } catch (error) {
      return Promise.resolve(classifyError(error, 'exchanging'));
    }
    const bytes = bodyBytes(body);
    if (bytes > maxBodyBytes) {
      const error = `the body of ${bytes} bytes is over deliver.max_body (${maxBodyBytes})`;
      return Promise.resolve({ kind: 'failed', error });
    }
    const timestamp = Math.floor(clock.now() / 1000);
    const headers = webhookHeaders({ event, body, callback, attempt, timestamp, keys: this.#keys });
    const [whole, ...more] = body;
    if (more.length === 0) return this.#exchange([...headers, ...this.#headers], whole, signal);
    // Pieces of a known length, not chunks: receivers need not know how it was sent.
    const length = ['content-length', String(bytes)];
    return this.#exchange([...headers, ...length, ...this.#headers], Readable.from(body), signal);
  }

  #exchange(headers: string[], body: Uint8Array | Readable, signal: AbortSignal): Promise<Outcome> {
    const { clock, timeoutMs, method } = this.#options;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        const reason = signal.reason as Error;
        exchange.abandon(reason);
        reject(reason);
      };
      const exchange = new Exchange({
        clock,
        timeoutMs,
        redact: this.#redact,
        onEnd: (outcome) => {
          signal.removeEventListener('abort', onAbort);
          resolve(outcome);
        },
      });
      signal.addEventListener('abort', onAbort, { once: true });
      this.#pool.dispatch({ path: this.#path, method, headers, body }, exchange);
    });
  }

  readonly #redact = (text: string): string =>
    this.#secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text);
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

/** What an endpoint might repeat in its answer and nobody may read there: whole values, and their last words. */
function secretTexts({ headers, secrets }: HttpSenderOptions): string[] {
  const texts = [...secrets, ...Object.values(headers)].flatMap((text) => {
    const whole = text.trim();
    return [whole, whole.slice(whole.lastIndexOf(' ') + 1), whole.replace(/^whsec_/, '')];
  });
  // The longest first: a part taken out of a whole would leave the rest of it.
  return [...new Set(texts)]
    .filter((text) => text.length >= MIN_REDACTED_CHARACTERS)
    .sort((one, other) => other.length - one.length);
}
