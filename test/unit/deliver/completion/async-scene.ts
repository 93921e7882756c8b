/** An asynchronous callback with everything about it but the source: real requests both ways, a store on the disk. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { AsyncOptions, CallbackOptions } from '../../../../src/deliver/callback-options.ts';
import { HttpSender } from '../../../../src/deliver/callback/http-sender.ts';
import { AsyncSender } from '../../../../src/deliver/completion/async-sender.ts';
import { AttemptsInFlight } from '../../../../src/deliver/completion/attempts-in-flight.ts';
import { CompletionDesk } from '../../../../src/deliver/completion/completion-desk.ts';
import { HttpStatusPoller } from '../../../../src/deliver/completion/http-status-poller.ts';
import { statusUrlOf } from '../../../../src/deliver/completion/status-url.ts';
import { Deliver } from '../../../../src/deliver/deliver.ts';
import { AnswerCondition, AnswerText } from '../../../../src/expression/answer-expression.ts';
import { CompletionsServer } from '../../../../src/operate/completions/server.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { LargeWork } from '../../../../src/shared/large-work.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';
import { openSqliteState } from '../../../../src/state/sqlite/sqlite-state.ts';
import type { LedgerCounts, StateStore } from '../../../../src/state/state-store.ts';
import { PERSISTENCE, RETRY } from '../../../support/engine-options.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../../support/memory-change-log.ts';
import { tempDir } from '../../../support/temp-dir.ts';

export const CALLBACK = 'billing';
export const TOPIC = 'shop.orders';
export const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

/** The endpoint's login. */
const HEADERS = { authorization: 'Bearer secret-of-billing' };

/** A request that came. */
export interface Arrival {
  readonly event: string;
  readonly attempt: number;
  /** Where its end is told. */
  readonly url: string;
}

export interface AsyncSceneOptions {
  readonly async?: Partial<AsyncOptions>;
  readonly retry?: CallbackOptions['retry'];
  /** What the endpoint does; 202 unless said otherwise. */
  readonly react?: (arrival: Arrival, response: ServerResponse) => Promise<number> | number;
  /** An endpoint of the test's own. */
  readonly endpoint?: Server;
  /** Where its end is asked for instead. */
  readonly poll?: {
    readonly doneWhen: string;
    readonly failedWhen?: string;
    /** Of the 202; its Location unless said otherwise. */
    readonly url?: string;
    readonly timeoutMs?: number;
  };
  /** What the status URL answers. */
  readonly status?: (request: IncomingMessage, response: ServerResponse) => void;
  /** Told where completions are taken, before anything is sent. */
  readonly before?: (origin: string) => void;
}

export interface CompletionReply {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

export class AsyncScene {
  readonly arrivals: Arrival[] = [];
  readonly #options: AsyncSceneOptions;
  readonly #log: MemoryChangeLog;
  readonly #path = join(tempDir(), 'state.db');
  readonly #endpoint: Server;
  readonly #serverStop = new AbortController();
  #serverRunning: Promise<void> = Promise.resolve();
  #completions = '';
  #state: StateStore | null = null;
  #desk: CompletionDesk | null = null;
  #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  static async open(keys: readonly number[], options: AsyncSceneOptions = {}): Promise<AsyncScene> {
    const log = new MemoryChangeLog(new MemoryLogStore(), systemClock);
    const writer = await log.openWriter('shop');
    await writer.createTopics([{ name: TOPIC, partitions: 1 }]);
    const records = keys.map((key, offset) => ({
      key: `{"id":${key}}`,
      value: Buffer.from(`{"before":null,"after":{"id":${key}},"source":{},"op":"c"}`),
      timestampMs: Date.parse('2026-11-21T12:00:00Z'),
      id: `uuid:${offset}:shop/orders:1`,
      table: TOPIC,
      operation: 'c' as const,
    }));
    await writer.append([{ topic: TOPIC, partition: 0, records }], 'c');
    const scene = new AsyncScene(log, options);
    await scene.#listen();
    options.before?.(scene.#completions);
    await scene.start();
    return scene;
  }

  private constructor(log: MemoryChangeLog, options: AsyncSceneOptions) {
    this.#log = log;
    this.#options = options;
    this.#endpoint =
      options.endpoint ??
      createServer((request, response) => {
        this.#receive(request, response).catch(() => {
          response.destroy();
        });
      });
  }

  get state(): StateStore {
    if (this.#state === null) throw new Error('stopped');
    return this.#state;
  }

  /** Origin of the completions listener. */
  get completionsOrigin(): string {
    return this.#completions;
  }

  async start(): Promise<void> {
    const state = await openSqliteState({ path: this.#path });
    this.#state = state;
    const key = await state.completionKey();
    const desk = new CompletionDesk({
      state,
      clock: systemClock,
      key,
      publicUrl: this.#completions,
    });
    this.#desk = desk;
    this.#stop = new AbortController();
    const engine = await Deliver.open({
      name: 'shop',
      log: this.#log,
      state,
      desk,
      callbacks: [this.#callback(desk)],
      large: new LargeWork(systemClock),
      clock: systemClock,
      random: () => 0,
      logger: silentLogger,
      acceptLostState: false,
      drainTimeoutMs: 20,
    });
    this.#running = engine.run(this.#stop.signal);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#state?.close();
    this.#state = null;
    this.#desk = null;
  }

  async close(): Promise<void> {
    await this.stop();
    this.#serverStop.abort();
    await this.#serverRunning;
    this.#endpoint.closeAllConnections();
    await new Promise((resolve) => this.#endpoint.close(resolve));
  }

  /** Tells the end of an attempt that came: the first one with the event's offset. */
  tell(of: number | string, message: unknown, attempt = 1): Promise<CompletionReply> {
    const found = this.arrivals.find(
      (one) => one.event.startsWith(`uuid:${of}:`) && one.attempt === attempt,
    );
    if (found === undefined) throw new Error(`attempt ${attempt} of ${of} has not come`);
    return post(found.url, message);
  }

  async ledger(): Promise<Partial<LedgerCounts>> {
    const [cursor] = await this.state.cursors();
    return Object.fromEntries(
      Object.entries(cursor?.ledger ?? {}).filter(([, count]) => count !== 0),
    );
  }

  #callback(desk: CompletionDesk): CallbackOptions {
    const { port } = this.#endpoint.address() as AddressInfo;
    const attempts = new AttemptsInFlight();
    const callbackUrl = `http://127.0.0.1:${port}/hooks`;
    const poller = this.#poller(callbackUrl);
    const text = this.#options.poll?.url;
    const url = text === undefined ? null : new AnswerText(text);
    const http = new HttpSender({
      pipeline: 'shop',
      callback: CALLBACK,
      url: callbackUrl,
      method: 'POST',
      headers: HEADERS,
      timeoutMs: 20_000,
      format: 'standard-webhooks',
      secrets: [SECRET],
      allowPrivateNetwork: true,
      maxBodyBytes: 1_000_000,
      concurrency: 8,
      version: '0',
      clock: systemClock,
      asynchronous: true,
    });
    return {
      name: CALLBACK,
      tables: ['shop.*'],
      operations: ['insert'],
      changed: [],
      from: 'earliest',
      concurrency: 8,
      ...PERSISTENCE,
      metadata: { team: 'logistics' },
      retry: this.#options.retry ?? { ...RETRY, initialIntervalMs: 1 },
      lanes: { maxEvents: 100, maxBytes: 100_000 },
      async: {
        deadlineMs: 600_000,
        heartbeatMs: null,
        attempts,
        poller,
        ...this.#options.async,
      },
      sender: new AsyncSender(http, {
        callback: CALLBACK,
        attempts,
        endingOf: (attempt) => desk.endingOf(attempt),
        urlOf: poller === null ? (attempt) => desk.urlOf(attempt) : null,
        statusUrlOf: poller === null ? null : (answer) => statusUrlOf(answer, { callbackUrl, url }),
        ...(poller === null ? {} : { poller }),
      }),
    };
  }

  #poller(url: string): HttpStatusPoller | null {
    const { poll } = this.#options;
    if (poll === undefined) return null;
    const { doneWhen, failedWhen, timeoutMs = 5_000 } = poll;
    return new HttpStatusPoller({
      ...{ callback: CALLBACK, url, headers: HEADERS, secrets: [SECRET], timeoutMs },
      ...{ allowPrivateNetwork: true, concurrency: 8, version: '0', clock: systemClock },
      doneWhen: new AnswerCondition(doneWhen),
      failedWhen: failedWhen === undefined ? null : new AnswerCondition(failedWhen),
    });
  }

  async #listen(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#endpoint.listen(0, '127.0.0.1', resolve);
    });
    this.#completions = await new Promise((resolve, reject) => {
      const server = new CompletionsServer({
        ...{ host: '127.0.0.1', port: 0, clock: systemClock, logger: silentLogger },
        desk: {
          complete: (token, completion) => {
            if (this.#desk === null) throw new Error('stopped');
            return this.#desk.complete(token, completion);
          },
        },
        onListening: resolve,
      });
      this.#serverRunning = server.run(this.#serverStop.signal);
      this.#serverRunning.catch(reject);
    });
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { headers } = request;
    request.resume();
    if (request.method === 'GET') {
      this.#options.status?.(request, response);
      return;
    }
    const arrival = {
      event: String(headers['webhook-id']),
      attempt: Number(headers['rowcall-attempt']),
      url: String(headers['rowcall-completion-url']),
    };
    this.arrivals.push(arrival);
    const status = (await this.#options.react?.(arrival, response)) ?? 202;
    if (!response.headersSent) response.writeHead(status).end();
  }
}

export async function post(url: string, message: unknown): Promise<CompletionReply> {
  const body = typeof message === 'string' ? message : JSON.stringify(message);
  const answer = await fetch(url, { method: 'POST', body });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}
