/** A whole scene for system tests: database, account, receivers, configuration; and the comparison at its end. */

import { freePort } from '../../services/free-port.ts';
import { compareWithSelect, fold } from './fold.ts';
import { identities, readLedger } from './ledger.ts';
import type { LedgerRow } from './ledger.ts';
import { freshAccount, freshDatabase, mysqlUrl, withConnection } from './mysql.ts';
import { ReceiverJournal } from './receiver-journal.ts';
import type { Arrival, Taken } from './receiver-journal.ts';
import { Receiver } from './receiver.ts';
import type { Reaction } from './receiver.ts';
import { writeConfig } from './rowcall-process-config.ts';
import { RowcallProcess, rowcall } from './rowcall-process.ts';
import type { CommandResult } from './rowcall-process.ts';
import { tempDir } from './temp-dir.ts';
import { ExpectedRows, gtidOf } from './workload-expected.ts';
import type { Witness } from './workload-expected.ts';
import { Dice, seededRandom } from './workload-random.ts';
import { WorkloadSession } from './workload-session.ts';
import { createWorkloadTables, runWorkload } from './workload.ts';

export const SECRET = `whsec_${Buffer.from('a secret of thirty-two bytes ...').toString('base64')}`;
export const SOURCE_GRANTS = ['REPLICATION SLAVE, REPLICATION CLIENT ON *.*'] as const;

export interface SceneOptions {
  readonly name: string;
  /** Each gets every event of the database, at an endpoint of its own. */
  readonly callbacks: readonly string[];
  readonly react?: (arrival: Arrival) => Reaction;
  /** Default: the shared server. */
  readonly serverUrl?: string;
  /** Leads Rowcall's connection elsewhere, through a proxy for one. */
  readonly through?: (url: string) => string;
  /** The servers that Rowcall may read, by the URL of its account. Default: the one of `through`. */
  readonly servers?: (url: string) => readonly string[];
  /** Further keys of every callback, and of its `deliver`, as they stand in YAML. */
  readonly callbackOptions?: Readonly<Record<string, unknown>>;
  /** Further keys of single callbacks. */
  readonly optionsOf?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly callbackDeliver?: Readonly<Record<string, unknown>>;
  readonly source?: Readonly<Record<string, unknown>>;
  /** The log's section, as it stands in YAML. Default: a file beside the configuration. */
  readonly log?: Readonly<Record<string, unknown>>;
  /** Default: the tables of the random workload. */
  readonly tables?: readonly string[];
}

const SETTLE_TIMEOUT_MS = 10_000;

/** Retries that come soon: a test waits for them. */
const FAST_RETRY = { initial_interval: '50ms', maximum_interval: '400ms' };

export class Scene {
  readonly journal = new ReceiverJournal();
  readonly receivers: ReadonlyMap<string, Receiver>;
  readonly expected: ExpectedRows;
  readonly database: string;
  readonly serverUrl: string;
  readonly configFile: string;
  readonly admin: string;
  #daemon: RowcallProcess | undefined;
  #stopWriting: () => Promise<void> = () => Promise.resolve();

  private constructor(parts: {
    readonly database: string;
    readonly serverUrl: string;
    readonly admin: string;
    readonly receivers: ReadonlyMap<string, Receiver>;
    readonly journal: ReceiverJournal;
    readonly configFile: string;
  }) {
    this.database = parts.database;
    this.serverUrl = parts.serverUrl;
    this.admin = parts.admin;
    this.receivers = parts.receivers;
    this.journal = parts.journal;
    this.configFile = parts.configFile;
    this.expected = new ExpectedRows(parts.database);
  }

  static async open(options: SceneOptions): Promise<Scene> {
    const serverUrl = options.serverUrl ?? mysqlUrl();
    const { name: database } = await freshDatabase(options.name.replaceAll('-', '_'), serverUrl);
    if (options.tables === undefined) await createWorkloadTables(serverUrl, database);
    else await createTables(serverUrl, database, options.tables);
    // A server of the caller's may be MariaDB, which is asked what its binlog leaves open of a column's type.
    const asked = options.serverUrl === undefined ? [] : [`REFERENCES ON \`${database}\`.*`];
    const account = await freshAccount([...SOURCE_GRANTS, ...asked], serverUrl);
    const journal = new ReceiverJournal();
    const receivers = new Map<string, Receiver>();
    for (const callback of options.callbacks) {
      const react = options.react === undefined ? {} : { react: options.react };
      const receiver = new Receiver({ journal, secret: SECRET, ...react });
      await receiver.listen();
      receivers.set(callback, receiver);
    }
    const admin = `127.0.0.1:${await freePort()}`;
    const configFile = writeConfig({
      folder: tempDir(`rowcall-${options.name}-`),
      name: options.name,
      sourceUrl: options.through?.(account) ?? account,
      admin,
      tables: [`${database}.*`],
      source: {
        heartbeat: '1s',
        ...options.source,
        ...(options.servers === undefined ? {} : { urls: options.servers(account) }),
      },
      callbacks: [...receivers].map(([name, receiver]) => ({
        name,
        url: receiver.url,
        secret: SECRET,
        tables: [`${database}.*`],
        deliver: { timeout: '1s', ...options.callbackDeliver },
        options: { retry: FAST_RETRY, ...options.callbackOptions, ...options.optionsOf?.[name] },
      })),
      options: {
        shutdown_timeout: '10s',
        ...(options.log === undefined ? {} : { log: options.log }),
      },
    });
    return new Scene({ database, serverUrl, admin, receivers, journal, configFile });
  }

  /** Starts the daemon; it is ended with `close` at the latest. */
  start(env: Readonly<Record<string, string>> = {}, main?: string): RowcallProcess {
    const program = main === undefined ? {} : { main };
    const { configFile, admin } = this;
    this.#daemon = new RowcallProcess({ configFile, admin, env, ...program });
    return this.#daemon;
  }

  /** Starts the random workload. The returned function ends it, every transaction finished and known. */
  startWriting(options: {
    readonly seed: number;
    readonly pauseMs: number;
    readonly ddl?: boolean;
  }): () => Promise<void> {
    const stop = new AbortController();
    const { serverUrl: url, database, expected } = this;
    const writing = runWorkload(
      { url, database, expected, writers: 3, keys: 30, ddl: true, ...options },
      stop.signal,
    );
    // Whoever stops it hears of a failure; until then it must not end the test run.
    writing.catch(() => undefined);
    this.#stopWriting = async () => {
      stop.abort();
      await writing;
    };
    return this.#stopWriting;
  }

  /** Waits until every callback has taken as many events as are expected, or rejects with how far it came. */
  async allTaken(timeoutMs: number): Promise<void> {
    const wanted = this.expected.count();
    const counts = (): number[] =>
      [...this.receivers.keys()].map((name) => this.journal.taken(name).size);
    try {
      await this.journal.until(
        () => counts().every((count) => count >= wanted),
        AbortSignal.timeout(timeoutMs),
      );
    } catch (error) {
      const daemon = this.#daemon?.stderr.slice(-4000) ?? '';
      throw new Error(
        `${wanted} events expected, taken ${counts().join(', ')}; ${this.journal.violations.join('; ')}\n${daemon}`,
        { cause: error },
      );
    }
  }

  command(...args: readonly string[]): Promise<CommandResult> {
    return rowcall([...args, '-c', this.configFile]);
  }

  ledger(): Promise<readonly LedgerRow[]> {
    return readLedger(this.configFile);
  }

  /** A session beside the workload's, its rows expected like theirs. */
  session(): WorkloadSession {
    const { serverUrl: url, database, expected } = this;
    return new WorkloadSession({ url, database, expected });
  }

  /** Everything that is wrong, as sentences; empty when every promise held. Call it at rest. */
  async findings(): Promise<readonly string[]> {
    const findings = [...this.journal.violations];
    const ids = this.expected.ids((witness) => this.#gtidOf(witness));
    await withConnection(this.serverUrl, async (connection) => {
      for (const callback of this.receivers.keys()) {
        const taken = this.journal.taken(callback);
        findings.push(...compareIds(callback, ids, taken));
        const folded = fold(taken.values());
        const differences = await compareWithSelect(connection, this.database, folded);
        findings.push(...differences.map((text) => `${callback}: ${text}`));
      }
    });
    findings.push(...(await this.#settledBooks()));
    return findings;
  }

  /** The last answers may still be on their way to the books: what does not agree in time, is wrong. */
  async #settledBooks(): Promise<string[]> {
    const deadlineMs = performance.now() + SETTLE_TIMEOUT_MS;
    for (;;) {
      const findings = this.#unbalanced(await this.ledger());
      if (findings.length === 0 || performance.now() > deadlineMs) break;
    }
    const recount = await this.command('ledger', '--recount');
    const findings = this.#unbalanced(await this.ledger());
    if (recount.code !== 0) {
      findings.push(`the recount ended with ${recount.code}: ${recount.stderr}`);
    }
    return findings;
  }

  async close(): Promise<void> {
    // A failure of the workload has been heard where the test stopped it.
    await this.#stopWriting().catch(() => undefined);
    if (this.#daemon?.running === true) await this.#daemon.kill();
    for (const receiver of this.receivers.values()) await receiver.refuse();
  }

  /** The books against the receivers' and the workload's: exact at rest. */
  #unbalanced(rows: readonly LedgerRow[]): string[] {
    const findings = rows.flatMap(identities);
    for (const callback of this.receivers.keys()) {
      const mine = rows.filter((row) => row.callback === callback);
      const sum = (field: 'read' | 'delivered'): number =>
        mine.reduce((total, row) => total + row[field], 0);
      const expected = this.expected.count();
      if (sum('read') !== expected) {
        findings.push(`${callback}: the ledger read ${sum('read')} of ${expected}`);
      }
      if (sum('delivered') !== expected) {
        findings.push(`${callback}: the ledger delivered ${sum('delivered')} of ${expected}`);
      }
    }
    return findings;
  }

  #gtidOf({ table, tx }: Witness): string | undefined {
    const [callback] = this.receivers.keys();
    const name = `${this.database}.${table}`;
    for (const event of this.journal.taken(callback ?? '').values()) {
      const isOf = event.table === name && (tx === undefined || event.after?.['tx'] === tx);
      if (isOf) return gtidOf(event.id);
    }
    return undefined;
  }
}

const MAX_IDS_NAMED = 5;

function compareIds(
  callback: string,
  expected: ReadonlySet<string>,
  taken: ReadonlyMap<string, Taken>,
): string[] {
  const missing = [...expected].filter((id) => !taken.has(id));
  const surplus = [...taken.keys()].filter((id) => !expected.has(id));
  const name = (ids: readonly string[]): string => ids.slice(0, MAX_IDS_NAMED).join(', ');
  return [
    ...(missing.length > 0 ? [`${callback}: ${missing.length} missing: ${name(missing)}`] : []),
    ...(surplus.length > 0 ? [`${callback}: ${surplus.length} unexpected: ${name(surplus)}`] : []),
  ];
}

/** A scene with three callbacks: `steady` takes everything, `troubled` and `refusing` fail by `seed`. */
export async function openTroubledScene(
  options: Omit<SceneOptions, 'callbacks' | 'react'> & { readonly seed: number },
): Promise<Scene> {
  const scene = await Scene.open({
    ...options,
    callbacks: ['steady', 'troubled', 'refusing'],
    react: troubled(new Dice(seededRandom(options.seed + 1))),
  });
  scene.receivers.get('steady')?.takeAll();
  return scene;
}

/** A receiver that fails in every way, each seldom, and for some keys several times in a row. */
export function troubled(dice: Dice): (arrival: Arrival) => Reaction {
  return (arrival) => {
    const poisoned = (arrival.key ?? '').includes('7') && arrival.attempt <= 2;
    if (poisoned && dice.chance(0.3)) return { kind: 'fail', status: 500 };
    const draw = dice.below(1000);
    if (draw < 15) return { kind: 'fail', status: dice.pick([500, 404, 409, 502]) };
    if (draw < 22) return { kind: 'reset' };
    if (draw < 30) return { kind: 'take-then-reset' };
    if (draw < 32) return { kind: 'hang' };
    return draw < 80 ? { kind: 'take', afterMs: dice.between(1, 15) } : { kind: 'take' };
  };
}

async function createTables(
  url: string,
  database: string,
  statements: readonly string[],
): Promise<void> {
  await withConnection(new URL(`/${database}`, url).href, async (connection) => {
    for (const statement of statements) await connection.query(statement);
  });
}
