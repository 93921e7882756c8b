/** One daemon and many endpoints, each with a fault of its own; what came to each of them, attempt by attempt. */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { freePort } from '../../services/free-port.ts';
import { identities, readLedger } from './ledger.ts';
import { freshAccount, freshDatabase, mysqlUrl, withConnection } from './mysql.ts';
import { ReceiverJournal } from './receiver-journal.ts';
import type { Arrival } from './receiver-journal.ts';
import { Receiver } from './receiver.ts';
import type { Reaction, ServerIdentity } from './receiver.ts';
import { writeConfig } from './rowcall-process-config.ts';
import { RowcallProcess, rowcall } from './rowcall-process.ts';
import type { CommandResult } from './rowcall-process.ts';
import { tempDir } from './temp-dir.ts';
import { SECRET, SOURCE_GRANTS } from './workload-scene.ts';

export interface Fault {
  /** Of the callback, too. */
  readonly name: string;
  /** `time`: how often this event has come, this time included. Default: everything is taken. */
  readonly react?: (arrival: Arrival, time: number) => Reaction;
  readonly tls?: ServerIdentity;
  /** Leads the callback elsewhere, through a proxy for one. */
  readonly through?: (url: string) => Promise<string>;
  /** Further keys of the callback, and of its `deliver`, as they stand in YAML. */
  readonly options?: Readonly<Record<string, unknown>>;
  readonly deliver?: Readonly<Record<string, unknown>>;
}

export interface Trap {
  readonly url: string;
  readonly requests: () => number;
  readonly close: () => Promise<void>;
}

/** An event of one callback, and the numbers of the attempts that came, in the order in which they came. */
export type Attempts = Readonly<Record<string, readonly number[]>>;

const CREATE = 'CREATE TABLE orders (id INT PRIMARY KEY, n INT NOT NULL)';
/** A slow machine is no fault of an endpoint: only what hangs for good runs into it. */
const TIMEOUT = '5s';
const FAST_RETRY = { initial_interval: '50ms', maximum_interval: '400ms' };

export class FaultScene {
  readonly journal = new ReceiverJournal();
  readonly receivers = new Map<string, Receiver>();
  readonly configFile: string;
  readonly #admin: string;
  readonly #url: string;
  readonly #attempts = new Map<string, Map<string, number[]>>();
  #daemon: RowcallProcess | null = null;
  #written = 0;

  private constructor(parts: {
    readonly configFile: string;
    readonly admin: string;
    readonly url: string;
  }) {
    this.configFile = parts.configFile;
    this.#admin = parts.admin;
    this.#url = parts.url;
  }

  static async open(name: string, faults: readonly Fault[]): Promise<FaultScene> {
    const { name: database, url } = await freshDatabase(name);
    await withConnection(url, (connection) => connection.query(CREATE));
    const admin = `127.0.0.1:${await freePort()}`;
    const folder = tempDir(`rowcall-${name}-`);
    const scene = new FaultScene({ configFile: `${folder}/rowcall.yaml`, admin, url });
    const callbacks = [];
    for (const fault of faults) {
      const receiver = scene.#receiver(fault);
      await receiver.listen();
      callbacks.push({
        name: fault.name,
        url: (await fault.through?.(receiver.url)) ?? receiver.url,
        secret: SECRET,
        tables: [`${database}.*`],
        deliver: { timeout: TIMEOUT, ...fault.deliver },
        options: { retry: FAST_RETRY, ...fault.options },
      });
    }
    writeConfig({
      ...{ folder, name, admin, callbacks, tables: [`${database}.*`] },
      sourceUrl: await freshAccount(SOURCE_GRANTS, mysqlUrl()),
      source: { heartbeat: '1s' },
      options: { shutdown_timeout: '10s' },
    });
    return scene;
  }

  /** An endpoint that nobody is to call. */
  static async trap(): Promise<Trap> {
    let requests = 0;
    const server = createServer((_request, response) => {
      requests += 1;
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return {
      url: `http://127.0.0.1:${port}/trap`,
      requests: () => requests,
      close: () =>
        new Promise((resolve) => {
          server.close(() => {
            resolve();
          });
        }),
    };
  }

  /** Starts the daemon; it is ended with `close` at the latest. */
  async start(): Promise<RowcallProcess> {
    this.#daemon = new RowcallProcess({ configFile: this.configFile, admin: this.#admin });
    await this.#daemon.healthy(120_000);
    return this.#daemon;
  }

  /** Inserts rows with these ids, in one transaction, and changes each, in another one: two events of each key. */
  async write(ids: readonly number[]): Promise<void> {
    await withConnection(this.#url, async (connection) => {
      await connection.query('INSERT INTO orders VALUES ?', [ids.map((id) => [id, 1])]);
      await connection.query('UPDATE orders SET n = n + 1 WHERE id IN (?)', [ids]);
    });
    this.#written += 2 * ids.length;
  }

  /** By event, as `insert 1`. */
  attempts(callback: string): Attempts {
    return Object.fromEntries(this.#attempts.get(callback) ?? []);
  }

  /** Resolves when each of the callbacks has taken everything that was written. */
  async allTaken(callbacks: readonly string[], timeoutMs = 90_000): Promise<void> {
    const taken = (): number[] => callbacks.map((name) => this.journal.taken(name).size);
    try {
      await this.journal.until(
        () => taken().every((count) => count === this.#written),
        AbortSignal.timeout(timeoutMs),
      );
    } catch (error) {
      const counts = callbacks.map((name, n) => `${name} ${taken()[n] ?? 0}`).join(', ');
      const said = this.#daemon?.stderr.slice(-3000) ?? '';
      throw new Error(`Of ${this.#written}: ${counts}\n${said}`, { cause: error });
    }
  }

  /** What is wrong with the books of callbacks that are to have delivered everything, each event once, and with order. */
  async findings(): Promise<readonly string[]> {
    const rows = await readLedger(this.configFile);
    const findings = [...this.journal.violations, ...rows.flatMap(identities)];
    for (const callback of this.receivers.keys()) {
      const mine = rows.filter((row) => row.callback === callback);
      const sum = (field: 'read' | 'delivered'): number =>
        mine.reduce((total, row) => total + row[field], 0);
      const books = `${sum('read')} read, ${sum('delivered')} delivered`;
      const wanted = `${this.#written} read, ${this.#written} delivered`;
      if (books !== wanted) findings.push(`${callback}: ${books}, not ${wanted}`);
    }
    const recount = await this.command('ledger', '--recount');
    if (recount.code !== 0) findings.push(`the recount: ${recount.stderr}`);
    return findings;
  }

  command(...args: readonly string[]): Promise<CommandResult> {
    return rowcall([...args, '-c', this.configFile]);
  }

  async close(): Promise<void> {
    if (this.#daemon?.running === true) await this.#daemon.kill();
    for (const receiver of this.receivers.values()) await receiver.refuse();
  }

  #receiver({ name, react, tls }: Fault): Receiver {
    const attempts = new Map<string, number[]>();
    this.#attempts.set(name, attempts);
    const receiver = new Receiver({
      journal: this.journal,
      secret: SECRET,
      ...(tls === undefined ? {} : { tls }),
      react: (arrival) => {
        const { id } = JSON.parse(arrival.key ?? '') as { id: number };
        const event = `${arrival.operation} ${id}`;
        const numbers = [...(attempts.get(event) ?? []), arrival.attempt];
        attempts.set(event, numbers);
        return react?.(arrival, numbers.length) ?? { kind: 'take' };
      },
    });
    this.receivers.set(name, receiver);
    return receiver;
  }
}
