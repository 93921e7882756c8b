/** Several processes of one pipeline over Kafka, each with its own configuration file: who captures, who delivers. */

import { join } from 'node:path';

import { freePort } from '../../services/free-port.ts';
import { loadConfig } from '../../src/config/load.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { openLog } from '../../src/stores.ts';
import type { FreshDatabase } from './mysql.ts';
import { freshAccount, freshDatabase, withConnection } from './mysql.ts';
import { writeConfig } from './rowcall-process-config.ts';
import { RowcallProcess, rowcall } from './rowcall-process.ts';
import type { CommandResult, ExitStatus } from './rowcall-process.ts';
import { tempDir } from './temp-dir.ts';

const GRANTS = ['REPLICATION SLAVE, REPLICATION CLIENT ON *.*'];
const READ_BYTES = 1024 * 1024;

export interface Member {
  readonly process: RowcallProcess;
  readonly admin: string;
}

export interface MemberOptions {
  readonly command?: 'run' | 'connect' | 'deliver';
  readonly args?: readonly string[];
  /** Where its callback is; none without. */
  readonly callback?: { readonly url: string; readonly secret: string };
  /** Members of one host share their files. */
  readonly host?: string;
}

/** Ends with `close`, whatever of it still runs. */
export class TurnScene {
  readonly name: string;
  readonly #brokers: readonly string[];
  readonly #database: FreshDatabase;
  readonly #source: string;
  readonly #folder: string;
  readonly #members: Member[] = [];

  private constructor(brokers: readonly string[], database: FreshDatabase, source: string) {
    this.#brokers = brokers;
    this.#database = database;
    this.#source = source;
    this.#folder = tempDir();
    this.name = database.name.replaceAll('_', '-');
  }

  static async open(brokers: readonly string[]): Promise<TurnScene> {
    const database = await freshDatabase('turn');
    const source = await freshAccount(GRANTS);
    const scene = new TurnScene(brokers, database, source);
    await scene.sql('CREATE TABLE orders (id INT PRIMARY KEY)');
    return scene;
  }

  get topic(): string {
    return `${this.name}.${this.#database.name}.orders`;
  }

  async sql(statement: string): Promise<void> {
    await withConnection(this.#database.url, (connection) => connection.query(statement));
  }

  async start(options: MemberOptions = {}): Promise<Member> {
    const { command = 'connect', args = [] } = options;
    const admin = `127.0.0.1:${await freePort()}`;
    const configFile = this.configFile(admin, options);
    const process = new RowcallProcess({ configFile, admin, command, args });
    const member = { process, admin };
    this.#members.push(member);
    return member;
  }

  /** Writes the configuration of a host; its log is the scene's, its state its own. */
  configFile(admin: string, { callback, host }: MemberOptions = {}): string {
    const callbacks =
      callback === undefined
        ? []
        : [{ name: 'audit', tables: [`${this.#database.name}.*`], ...callback }];
    return writeConfig({
      folder: join(this.#folder, host ?? admin.replace(':', '-')),
      name: this.name,
      sourceUrl: this.#source,
      admin,
      tables: [`${this.#database.name}.*`],
      callbacks,
      source: { start: 'earliest' },
      options: {
        log: {
          type: 'kafka',
          brokers: [...this.#brokers],
          topics: { partitions: 2, replication_factor: 1 },
        },
        shutdown_timeout: '10s',
      },
    });
  }

  async command(configFile: string, ...args: readonly string[]): Promise<CommandResult> {
    return rowcall([...args, '-c', configFile]);
  }

  /** The ids of all rows in the log, in its order by partition, repeats included. */
  async loggedIds(): Promise<readonly number[]> {
    const config = await loadConfig(this.configFile('127.0.0.1:0'), {});
    const log = await openLog(config, { clock: systemClock, logger: silentLogger, create: false });
    try {
      const ids: number[] = [];
      for (const { name, partitions } of await log.topics()) {
        for (let partition = 0; partition < partitions; partition += 1) {
          const at = { topic: name, partition };
          const { start, end } = await log.bounds(at);
          for (let offset = start; offset < end;) {
            const { records, nextOffset } = await log.read(at, offset, READ_BYTES);
            ids.push(...records.map(({ key }) => (JSON.parse(key ?? '{}') as { id: number }).id));
            if (nextOffset === offset) break;
            offset = nextOffset;
          }
        }
      }
      return ids.sort((a, b) => a - b);
    } finally {
      await log.close();
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map(({ process }): Promise<ExitStatus> => process.kill()));
  }
}

/** What /readyz says; empty while nobody answers. */
export async function readiness(admin: string): Promise<{ ready: boolean; reasons: string }> {
  try {
    const response = await fetch(`http://${admin}/readyz`, { signal: AbortSignal.timeout(2_000) });
    const body = (await response.json()) as { ready: boolean; reasons: readonly string[] };
    return { ready: body.ready, reasons: body.reasons.join('; ') };
  } catch {
    // Refused, reset or slow: all of them mean "not yet" to who asks.
    return { ready: false, reasons: '' };
  }
}
