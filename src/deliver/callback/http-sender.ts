/** Callbacks over HTTP: one signed request per attempt, its answer read to the end or to a limit. */

import type { KeyObject } from 'node:crypto';
import { buildConnector, type Dispatcher, Pool } from 'undici';
import type { Clock } from '../../shared/clock.ts';
import { classifyAnswer, classifyError } from './classify.ts';
import { guardedConnector, type Resolve } from './outgoing-guard.ts';
import type { Outcome, OutgoingEvent, Sender } from './sender.ts';
import { signingKey, webhookBody, webhookHeaders } from './standard-webhook.ts';

/** Of an answer's body; the rest is not read. */
const MAX_ANSWER_BYTES = 4096;
const KEEP_ALIVE_MS = 10_000;
/** Connecting ends before the whole exchange does, so that a host that never answers is told from a slow one. */
const CONNECT_SHARE = 0.8;

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
  /** Requests at once: a socket each. */
  readonly concurrency: number;
  readonly version: string;
  readonly clock: Clock;
  /** For tests of the outgoing guard. */
  readonly resolve?: Resolve;
}

/** The timer's reason: told apart from the caller's own by identity. */
class AttemptTimeout extends Error {}

/**
 * Invariant: an attempt ends with an outcome no later than its timeout, whatever the other side does, and its
 * socket is then free or destroyed. Redirects are never followed: they would lead past the guard, and the
 * signature was not made for their target.
 */
export class HttpSender implements Sender {
  readonly #options: HttpSenderOptions;
  readonly #pool: Pool;
  readonly #path: string;
  readonly #keys: readonly KeyObject[];
  readonly #headers: readonly string[];

  constructor(options: HttpSenderOptions) {
    const url = new URL(options.url);
    const connectMs = Math.max(1, Math.floor(options.timeoutMs * CONNECT_SHARE));
    this.#options = options;
    this.#pool = new Pool(url.origin, {
      connections: options.concurrency,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // The attempt's own timer is the only one.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: options.allowPrivateNetwork
        ? buildConnector({ timeout: connectMs })
        : guardedConnector(connectMs, options.resolve),
    });
    this.#path = `${url.pathname}${url.search}`;
    this.#keys = options.secrets.map(signingKey);
    this.#headers = [
      'user-agent',
      `rowcall/${options.version}`,
      ...Object.entries(options.headers).flat(),
    ];
  }

  async send(event: OutgoingEvent, attempt: number, signal: AbortSignal): Promise<Outcome> {
    const body = webhookBody(event);
    const { maxBodyBytes, clock, callback, timeoutMs } = this.#options;
    if (body.byteLength > maxBodyBytes) {
      const error = `the body of ${body.byteLength} bytes is over deliver.max_body (${maxBodyBytes})`;
      return { kind: 'failed', error };
    }
    const timestamp = Math.floor(clock.now() / 1000);
    const headers = webhookHeaders({ event, body, callback, attempt, timestamp, keys: this.#keys });
    const abort = new AbortController();
    const onAbort = (): void => {
      abort.abort(signal.reason);
    };
    signal.throwIfAborted();
    signal.addEventListener('abort', onAbort, { once: true });
    const cancel = clock.timer(timeoutMs, () => {
      abort.abort(new AttemptTimeout());
    });
    try {
      return await this.#exchange([...headers, ...this.#headers], body, abort.signal);
    } catch (error) {
      if (abort.signal.reason instanceof AttemptTimeout) {
        return { kind: 'failed', error: `no whole answer within ${timeoutMs} ms` };
      }
      if (signal.aborted) throw signal.reason;
      return classifyError(error);
    } finally {
      cancel();
      signal.removeEventListener('abort', onAbort);
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #exchange(headers: string[], body: Buffer, signal: AbortSignal): Promise<Outcome> {
    const answer = await this.#pool.request({
      path: this.#path,
      method: this.#options.method,
      headers,
      body,
      signal,
    });
    const excerpt = await readExcerpt(answer.body);
    const header = answer.headers['retry-after'];
    const retryAfter = Array.isArray(header) ? header[0] : header;
    const { statusCode: status } = answer;
    return classifyAnswer({ status, retryAfter, excerpt }, this.#options.clock.now());
  }
}

/** The whole body where it is small; of a larger one the beginning, and then its socket is closed. */
async function readExcerpt(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    // Leaving the loop destroys the stream.
    if (bytes > MAX_ANSWER_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES).toString('utf8');
}
