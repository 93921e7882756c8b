/** Rowcall as a process over a table `orders`, whose one callback `work` is answered with 202. */

import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'vitest';

import { freePort } from '../../services/free-port.ts';
import { eventually } from './eventually.ts';
import { readLedger } from './ledger.ts';
import { freshAccount, freshDatabase, mysqlUrl, withConnection } from './mysql.ts';
import { ADMIN_TOKEN, writeConfig } from './rowcall-process-config.ts';
import { rowcall, RowcallProcess } from './rowcall-process.ts';
import { tempDir } from './temp-dir.ts';
import { SECRET, SOURCE_GRANTS } from './workload-scene.ts';

export interface AsyncDaemonOptions {
  readonly name: string;
  readonly endpoint: RequestListener;
  /** Of the endpoint; default `/`. */
  readonly path?: string;
  /** Further keys of the callback's `deliver`. */
  readonly deliver: Readonly<Record<string, unknown>>;
  /** Further keys of the callback. */
  readonly callback?: Readonly<Record<string, unknown>>;
  /** Further top keys. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Close it, however the test ends. */
export class AsyncDaemon {
  readonly #database: string;
  readonly #endpoint: Server;
  readonly #configFile: string;
  readonly #admin: string;
  #running: RowcallProcess | undefined;

  private constructor(database: string, endpoint: Server, configFile: string, admin: string) {
    this.#database = database;
    this.#endpoint = endpoint;
    this.#configFile = configFile;
    this.#admin = admin;
  }

  /** With the endpoint listening, and the process not yet started. */
  static async open(options: AsyncDaemonOptions): Promise<AsyncDaemon> {
    const { name: database } = await freshDatabase(options.name);
    await withConnection(mysqlUrl(), (connection) =>
      connection.query(`CREATE TABLE ${database}.orders (id INT PRIMARY KEY, n INT NOT NULL)`),
    );
    const endpoint = createServer(options.endpoint);
    await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
    const admin = `127.0.0.1:${await freePort()}`;
    const tables = [`${database}.*`];
    const configFile = writeConfig({
      ...{ folder: tempDir('rowcall-async-'), name: options.name, admin, tables },
      sourceUrl: await freshAccount(SOURCE_GRANTS),
      callbacks: [
        {
          name: 'work',
          url: `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}${options.path ?? '/'}`,
          secret: SECRET,
          tables,
          deliver: options.deliver,
          ...(options.callback === undefined ? {} : { options: options.callback }),
        },
      ],
      ...(options.options === undefined ? {} : { options: options.options }),
    });
    return new AsyncDaemon(database, endpoint, configFile, admin);
  }

  async start(): Promise<void> {
    this.#running = new RowcallProcess({ configFile: this.#configFile, admin: this.#admin });
    await this.#running.ready(120_000);
  }

  async kill(): Promise<void> {
    await this.#running?.kill();
  }

  /** Puts rows with `n` 0 in, and then sets `n` of all to 1. */
  async writeOrders(...ids: readonly number[]): Promise<void> {
    await withConnection(mysqlUrl(), (connection) =>
      connection.query(
        `INSERT INTO ${this.#database}.orders VALUES ${ids.map((id) => `(${id}, 0)`).join()};
         UPDATE ${this.#database}.orders SET n = 1;`,
      ),
    );
  }

  async ledgerIs(expected: object): Promise<void> {
    await eventually(
      async () => {
        expect(await readLedger(this.#configFile)).toMatchObject([
          { callback: 'work', ...expected },
        ]);
      },
      { timeoutMs: 60_000, intervalMs: 500 },
    );
  }

  /** Any command beside it, which must succeed: what it prints with --json. */
  async command(...args: readonly string[]): Promise<unknown> {
    const { code, stdout, stderr } = await rowcall([...args, '--json', '-c', this.#configFile]);
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout);
  }

  /** What the API answers to whoever may do all. */
  async ask(path: string): Promise<unknown> {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
    return (await fetch(`http://${this.#admin}/v1${path}`, { headers })).json();
  }

  async close(): Promise<void> {
    await this.kill();
    this.#endpoint.closeAllConnections();
    this.#endpoint.close();
  }
}
