/** A real HTTP receiver of callbacks that verifies signatures with the standardwebhooks package and misbehaves by plan. */

import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { Webhook } from 'standardwebhooks';

import { digestOf, parseExactly } from './receiver-journal.ts';
import type { Arrival, ReceiverJournal } from './receiver-journal.ts';

/**
 * What to do with an arrival. `take`: process, answer 204. `fail`: answer with a status, unprocessed. `hang`:
 * never answer. `reset`: cut the connection, unprocessed. `take-then-reset`: process, then cut, so that the
 * sender cannot know. `answer`: as the test writes it; it calls `ended` before the sender can take the exchange for ended.
 */
export type Reaction =
  | { readonly kind: 'take'; readonly afterMs?: number }
  | { readonly kind: 'fail'; readonly status: number }
  | { readonly kind: 'hang' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'take-then-reset' }
  | {
      readonly kind: 'answer';
      readonly takes: boolean;
      readonly write: (response: ServerResponse, ended: () => void) => void;
    };

/** In PEM. */
export interface ServerIdentity {
  readonly key: string;
  readonly cert: string;
}

export interface ReceiverOptions {
  readonly journal: ReceiverJournal;
  readonly secret: string;
  /** Default: take everything. */
  readonly react?: (arrival: Arrival) => Reaction;
  /** Makes it an endpoint over TLS, which presents this. */
  readonly tls?: ServerIdentity;
}

const TAKE: Reaction = { kind: 'take' };

interface EventBody {
  readonly id: string;
  readonly type: string;
  readonly data: {
    readonly key: unknown;
    readonly before: Readonly<Record<string, unknown>> | null;
    readonly after: Readonly<Record<string, unknown>> | null;
    readonly source: { readonly db: string; readonly table: string };
  };
}

/**
 * One endpoint. Invariant: a request is noted in the journal before it is answered, and `closed` there
 * as soon as its socket ends. Without that order a fast sender's next request would look like an overlap.
 */
export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #webhook: Webhook;
  #react: (arrival: Arrival) => Reaction;
  #server: Server | TlsServer | undefined;
  #tls: ServerIdentity | undefined;
  #port = 0;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#webhook = new Webhook(options.secret);
    this.#react = options.react ?? ((): Reaction => TAKE);
    this.#tls = options.tls;
  }

  get url(): string {
    return `${this.#tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}/hooks`;
  }

  /** Behaves from here on. */
  takeAll(): void {
    this.#react = (): Reaction => TAKE;
  }

  /** Listens on a free port; after `refuse`, on the same one again. Idempotent. */
  async listen(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = this.#serve((request, response) => {
      this.#receive(request, response).catch((error: unknown) => {
        this.#options.journal.violation(`the receiver failed: ${String(error)}`);
        request.destroy();
      });
    });
    // The sender keeps connections; closing them from here in an idle moment would race its next request.
    server.keepAliveTimeout = 600_000;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Stops listening and cuts every connection: from here on the endpoint refuses. Idempotent. */
  async refuse(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
      server.closeAllConnections();
    });
  }

  /** An endpoint over TLS presents another certificate to connections made from here on. */
  async present(tls: ServerIdentity): Promise<void> {
    await this.refuse();
    this.#tls = tls;
    await this.listen();
  }

  #serve(listener: RequestListener): Server | TlsServer {
    if (this.#tls === undefined) return createServer(listener);
    const server = createTlsServer({ ...this.#tls }, listener);
    // Whoever does not trust the certificate leaves in the handshake.
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return server;
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const arrivedAtMs = performance.timeOrigin + performance.now();
    const body = await readBody(request);
    if (body === undefined || (await isGivenUp(request))) return;
    const arrival = this.#read(request, body, arrivedAtMs);
    const closed = this.#options.journal.arrive(arrival);
    response.once('close', closed);
    // An answer ends the exchange for the sender before the socket says so here.
    this.#answer(this.#react(arrival), arrival, { response, closed });
  }

  #read(request: IncomingMessage, body: Buffer, arrivedAtMs: number): Arrival {
    const { journal } = this.#options;
    const headers = request.headers as Record<string, string>;
    const webhookId = headers['webhook-id'] ?? '';
    const callback = headers['rowcall-callback'] ?? '';
    try {
      this.#webhook.verify(body, headers, { jsonParse: false });
    } catch (error) {
      journal.violation(`${webhookId}: signature refused: ${String(error)}`);
    }
    const event = parseExactly(body.toString('utf8')) as EventBody;
    const origin = headers['rowcall-origin'];
    const from = headers['rowcall-from'] ?? '';
    const id = origin === undefined ? event.id : `${event.id}:${origin}:${from}`;
    if (webhookId !== `${id}:${callback}`) {
      journal.violation(`${webhookId} is not the id of ${event.id} for ${callback}`);
    }
    const { key, before, after, source } = event.data;
    return {
      callback,
      id,
      sequence: Number(headers['rowcall-sequence'] ?? Number.NaN),
      attempt: Number(headers['rowcall-attempt'] ?? Number.NaN),
      table: `${source.db}.${source.table}`,
      operation: event.type.slice(event.type.lastIndexOf('.') + 1),
      key: key === null ? null : JSON.stringify(key),
      before,
      after,
      digest: digestOf(body),
      arrivedAtMs,
    };
  }

  #answer(
    reaction: Reaction,
    arrival: Arrival,
    exchange: { response: ServerResponse; closed: () => void },
  ): void {
    const { response, closed } = exchange;
    const { journal } = this.#options;
    const end = (status: number): void => {
      closed();
      response.writeHead(status).end();
    };
    switch (reaction.kind) {
      case 'take': {
        const take = (): void => {
          // The sender gave up meanwhile: nothing was promised, so nothing was processed.
          if (response.destroyed) return;
          journal.take(arrival);
          end(204);
        };
        if (reaction.afterMs === undefined) take();
        else setTimeout(take, reaction.afterMs);
        return;
      }
      case 'fail':
        end(reaction.status);
        return;
      case 'hang':
        return;
      case 'reset':
        response.destroy();
        return;
      case 'take-then-reset':
        journal.take(arrival);
        response.destroy();
        return;
      case 'answer':
        if (reaction.takes) journal.take(arrival);
        reaction.write(response, closed);
        return;
    }
  }
}

/**
 * A sender that gave up has closed its socket, which is seen a turn of the loop later. Its request may have lain about
 * while this process was busy, and would else be noted behind the attempt that followed it.
 */
async function isGivenUp({ socket }: IncomingMessage): Promise<boolean> {
  await nextTurn();
  await nextTurn();
  return socket.readyState !== 'open';
}

/** The whole body; undefined when the sender was cut before its end. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNRESET') return undefined;
    throw error;
  }
  return request.complete ? Buffer.concat(chunks) : undefined;
}
