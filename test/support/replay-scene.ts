/** A daemon over a real MySQL whose one receiver tells replayed events from live ones, with its admin API. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import type { z } from 'zod';

import { freePort } from '../../services/free-port.ts';
import { planSchema } from '../../src/operate/admin/routes/replay-start.ts';
import { replaySchema, shownReplaySchema } from '../../src/operate/admin/routes/replays.ts';
import { eventually } from './eventually.ts';
import { readLedger } from './ledger.ts';
import { freshAccount, freshDatabase, mysqlUrl, withConnection } from './mysql.ts';
import { ADMIN_TOKEN, writeConfig } from './rowcall-process-config.ts';
import { type CommandResult, rowcall, RowcallProcess } from './rowcall-process.ts';
import { tempDir } from './temp-dir.ts';
import { SECRET, SOURCE_GRANTS } from './workload-scene.ts';

export interface Arrived {
  /** `rowcall-replay`; null of a live event. */
  readonly replay: string | null;
  readonly webhookId: string;
  readonly id: string;
  readonly key: string;
  readonly sequence: number;
  readonly attempt: number;
}

type React = (arrived: Arrived) => number | Promise<number>;

export type Plan = z.output<typeof planSchema>;
export type Shown = z.output<typeof shownReplaySchema>;

const CALLBACK = 'orders';

/** Invariant: what is wrong of an arrival is kept as a sentence in `violations`: two of a key at once, or another order. */
export class ReplayReceiver {
  readonly arrived: Arrived[] = [];
  readonly violations: string[] = [];
  react: React = () => 204;
  readonly #open = new Set<string>();
  /** The newest of each key that was taken, of each replay and of live events. */
  readonly #newest = new Map<string, number>();
  readonly #webhook = new Webhook(SECRET);
  #server: Server | null = null;
  url = '';

  async listen(): Promise<void> {
    const server = createServer((request, response) => {
      this.#take(request, response).catch((error: unknown) => {
        this.violations.push(String(error));
        response.destroy();
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`;
    this.#server = server;
  }

  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise<void>((resolve) => {
      if (this.#server === null) resolve();
      else {
        this.#server.close(() => {
          resolve();
        });
      }
    });
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const headers = request.headers as Record<string, string>;
    const body = this.#webhook.verify(text, headers) as { id: string; data: { key: unknown } };
    const one: Arrived = {
      replay: headers['rowcall-replay'] ?? null,
      webhookId: headers['webhook-id'] ?? '',
      id: body.id,
      key: `${headers['rowcall-topic'] ?? ''} ${JSON.stringify(body.data.key)}`,
      sequence: Number(headers['rowcall-sequence']),
      attempt: Number(headers['rowcall-attempt']),
    };
    if (this.#open.has(one.key)) this.violations.push(`two in flight of ${one.key}`);
    this.#open.add(one.key);
    response.once('close', () => this.#open.delete(one.key));
    this.arrived.push(one);
    const status = await this.react(one);
    if (status < 300) this.#inOrder(one);
    this.#open.delete(one.key);
    response.writeHead(status).end();
  }

  /** Only what is next, or the one before once more. */
  #inOrder({ replay, key, sequence, id }: Arrived): void {
    const whose = `${replay ?? 'live'} ${key}`;
    const newest = this.#newest.get(whose) ?? -1;
    if (sequence < newest) this.violations.push(`${id} came behind a later one of its key`);
    this.#newest.set(whose, Math.max(newest, sequence));
  }

  /** Ids of events that came in this replay; of live ones for null. */
  ids(replay: string | null): Set<string> {
    return new Set(this.arrived.filter((one) => one.replay === replay).map(({ id }) => id));
  }
}

export interface ReplaySceneOptions {
  /** Further keys of the callback, as they stand in YAML. */
  readonly callback?: Readonly<Record<string, unknown>>;
  /** Further top keys. */
  readonly options?: Readonly<Record<string, unknown>>;
}

interface SceneParts {
  readonly configFile: string;
  readonly admin: string;
  /** Of the database. */
  readonly url: string;
  readonly receiver: ReplayReceiver;
}

export class ReplayScene {
  readonly receiver: ReplayReceiver;
  readonly configFile: string;
  daemon: RowcallProcess;
  readonly #parts: SceneParts;
  #rows = 0;

  static async open({
    callback = {},
    options = {},
  }: ReplaySceneOptions = {}): Promise<ReplayScene> {
    const { name, url } = await freshDatabase('replay');
    await withConnection(url, async (connection) => {
      await connection.query('CREATE TABLE orders (id INT PRIMARY KEY, n INT NOT NULL)');
      await connection.query('CREATE TABLE items (id INT PRIMARY KEY, n INT NOT NULL)');
    });
    const admin = `127.0.0.1:${await freePort()}`;
    const receiver = new ReplayReceiver();
    await receiver.listen();
    const configFile = writeConfig({
      ...{ folder: tempDir('rowcall-replay-'), admin, tables: [`${name}.*`] },
      name: name.replaceAll('_', '-'),
      sourceUrl: await freshAccount([...SOURCE_GRANTS], mysqlUrl()),
      callbacks: [
        {
          ...{ name: CALLBACK, url: receiver.url, secret: SECRET, tables: [`${name}.*`] },
          options: {
            retry: { initial_interval: '20ms', maximum_interval: '100ms', maximum_attempts: 4 },
            ...callback,
          },
        },
      ],
      source: { heartbeat: '1s' },
      options,
    });
    const scene = new ReplayScene({ configFile, admin, url, receiver });
    await scene.daemon.ready(120_000);
    return scene;
  }

  private constructor(parts: SceneParts) {
    this.#parts = parts;
    this.receiver = parts.receiver;
    this.configFile = parts.configFile;
    this.daemon = new RowcallProcess(parts);
  }

  /** SIGKILL, and another one in its place. */
  async killAndStart(): Promise<void> {
    await this.daemon.kill();
    this.daemon = new RowcallProcess(this.#parts);
    await this.daemon.healthy(120_000);
  }

  async close(): Promise<void> {
    await this.daemon.kill();
    await this.receiver.close();
  }

  /** Rows of both tables, each inserted once and updated twice: 6 events. */
  async write(rows: number): Promise<void> {
    const from = this.#rows;
    this.#rows += rows;
    await withConnection(this.#parts.url, async (connection) => {
      for (let id = from; id < from + rows; id += 1) {
        for (const table of ['orders', 'items']) {
          await connection.query(`INSERT INTO ${table} VALUES (${id}, 0)`);
          await connection.query(`UPDATE ${table} SET n = n + 1 WHERE id IN (${id}, 0)`);
          await connection.query(`UPDATE ${table} SET n = n + 1 WHERE id = ${id}`);
        }
      }
    });
  }

  command(...args: readonly string[]): Promise<CommandResult> {
    return rowcall([...args, '-c', this.configFile]);
  }

  async ask<T extends z.ZodType>(path: string, answer: T, body?: object): Promise<z.output<T>> {
    const response = await fetch(`http://${this.#parts.admin}/v1${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        authorization: `Bearer ${ADMIN_TOKEN}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const read = answer.safeParse(JSON.parse(text));
    if (!read.success) throw new Error(`${path} answered ${response.status}: ${text}`);
    return read.data;
  }

  plan(body: object = {}): Promise<Plan> {
    const asked = { reason: 'a test', dry_run: true, ...body };
    return this.ask(`/callbacks/${CALLBACK}/replays`, planSchema, asked);
  }

  /** Begins what was planned. */
  async start({ ranges, plan, matched }: Plan, body: object = {}): Promise<number> {
    const asked = { reason: 'a test', ranges, plan, total: matched, ...body };
    const { id } = await this.ask(`/callbacks/${CALLBACK}/replays`, replaySchema, asked);
    return id;
  }

  show(id: number): Promise<Shown> {
    return this.ask(`/replays/${id}`, shownReplaySchema);
  }

  act(id: number, action: 'pause' | 'resume' | 'cancel'): Promise<object> {
    return this.ask(`/replays/${id}/${action}`, replaySchema, { reason: 'a test' });
  }

  /** Waits until it has ended; its books balance all the while. */
  ended(id: number): Promise<Shown> {
    return eventually(
      async () => {
        const shown = await this.show(id);
        const { read, matched, filtered, ...ends } = shown.ledger;
        if (read !== matched + filtered) throw new Error('read is not matched + filtered');
        const sum = Object.values(ends).reduce((all, count) => all + count, 0);
        if (matched !== sum) throw new Error('matched is not the sum of its ends');
        if (shown.ended_at === null) throw new Error(`it goes on: ${JSON.stringify(shown)}`);
        return shown;
      },
      { timeoutMs: 60_000 },
    );
  }

  /** Waits until the callback has taken so many different live events. */
  async settled(events: number): Promise<void> {
    await eventually(
      async () => {
        const rows = (await readLedger(this.configFile)).filter((row) => row.callback === CALLBACK);
        const sum = rows.reduce((all, { delivered }) => all + delivered, 0);
        if (sum !== events) throw new Error(`${sum} of ${events} are delivered`);
      },
      { timeoutMs: 60_000, intervalMs: 200 },
    );
  }
}
