/** A connector over a real Kafka with the steady workload at its source: processes, faults, and the count at the end. */
import { join } from 'node:path';
import type { RowDataPacket } from 'mysql2/promise';
import { expect } from 'vitest';

import { freePort } from '../../services/free-port.ts';
import type { KafkaTools } from '../../services/kafka/tools.ts';
import { parseCheckpoint } from '../../src/checkpoint.ts';
import { loadConfig } from '../../src/config/load.ts';
import { GtidSet } from '../../src/gtid-set.ts';
import type { ChangeLog } from '../../src/log/change-log.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { openLog } from '../../src/stores.ts';
import { eventually } from './eventually.ts';
import { uniqueKafkaName } from './kafka.ts';
import { freshAccount, freshDatabase, withConnection } from './mysql.ts';
import type { FreshDatabase } from './mysql.ts';
import { committed, countLog } from './reliability-count.ts';
import type { LogCount } from './reliability-count.ts';
import { ReliabilityWorkload } from './reliability-workload.ts';
import { writeConfig } from './rowcall-process-config.ts';
import { RowcallProcess } from './rowcall-process.ts';
import { tempDir } from './temp-dir.ts';
import { SOURCE_GRANTS } from './workload-scene.ts';

/** What a log over Kafka owes, whatever happens to broker, network and connector. */
export const NOTHING_WRONG = { lost: 0, repeated: 0, outOfOrder: 0, invented: 0 };

/** A session's time-out and a broker's start on a loaded machine are in it. */
const CAUGHT_UP = { timeoutMs: 120_000, intervalMs: 100 };

export interface SceneOptions {
  readonly brokers: readonly string[];
  readonly tools: KafkaTools;
  readonly seed: number;
  /** Further keys of `log`, and of its `topics`. */
  readonly log?: Readonly<Record<string, unknown>>;
  readonly topics?: Readonly<Record<string, unknown>>;
}

export interface Connector {
  readonly process: RowcallProcess;
  readonly configFile: string;
}

/** Ends with `close`, whatever of it still runs. */
export class ReliabilityScene {
  readonly name = uniqueKafkaName('rel');
  readonly workload = new ReliabilityWorkload();
  readonly database: string;
  readonly #options: SceneOptions;
  readonly #url: string;
  readonly #source: string;
  readonly #folder = tempDir();
  readonly #processes: RowcallProcess[] = [];

  private constructor(options: SceneOptions, database: FreshDatabase, source: string) {
    this.#options = options;
    this.database = database.name;
    this.#url = database.url;
    this.#source = source;
  }

  static async open(options: SceneOptions): Promise<ReliabilityScene> {
    const database = await freshDatabase('rel');
    await withConnection(database.url, (connection) =>
      ReliabilityWorkload.createTables(connection),
    );
    const source = await freshAccount(SOURCE_GRANTS);
    return new ReliabilityScene(options, database, source);
  }

  topic(table: string): string {
    return `${this.name}.${this.database}.${table}`;
  }

  /** A connector; those of one host share their files. */
  async start(host = 'a', args: readonly string[] = []): Promise<Connector> {
    const admin = `127.0.0.1:${await freePort()}`;
    const configFile = this.#configFile(admin, host);
    const process = new RowcallProcess({ configFile, admin, command: 'connect', args });
    this.#processes.push(process);
    return { process, configFile };
  }

  startWriting(pauseMs = 10): void {
    this.workload.start({ url: this.#url, seed: this.#options.seed, pauseMs });
  }

  sql(statement: string): Promise<unknown> {
    return withConnection(this.#url, (connection) => connection.query(statement));
  }

  /** Resolves when the checkpoint in the log covers all that was committed before; gives the seconds that it took. */
  async caughtUp(): Promise<number> {
    const began = performance.now();
    const executed = await this.#executed();
    await this.withLog((log) =>
      eventually(async () => {
        const text = await log.readCheckpoint(this.name);
        const { gtidSet } = parseCheckpoint(text ?? '');
        const missing = GtidSet.parse(executed).subtract(GtidSet.parse(gtidSet ?? ''));
        expect(missing.toString(), this.#said()).toBe('');
      }, CAUGHT_UP),
    );
    return Math.round((performance.now() - began) / 100) / 10;
  }

  /** Ends the workload, waits for its last row and counts the log. */
  async count(): Promise<LogCount> {
    await this.workload.stop();
    await this.caughtUp();
    return countLog(await committed(this.#options.tools, this.name), this.workload.changes);
  }

  async withLog<T>(work: (log: ChangeLog) => Promise<T>): Promise<T> {
    const config = await loadConfig(this.#configFile('127.0.0.1:0', 'reader'), {});
    const log = await openLog(config, { clock: systemClock, logger: silentLogger, create: true });
    try {
      return await work(log);
    } finally {
      await log.close();
    }
  }

  async close(): Promise<void> {
    // A failure of the workload has been heard where the test stopped it.
    await this.workload.stop().catch(() => undefined);
    await Promise.all(this.#processes.map((process) => process.kill()));
  }

  async #executed(): Promise<string> {
    const [rows] = await withConnection(this.#url, (connection) =>
      connection.query<RowDataPacket[]>('SELECT @@GLOBAL.gtid_executed AS executed'),
    );
    return String(rows[0]?.['executed']);
  }

  #said(): string {
    return this.#processes.map(({ stderr }) => stderr.slice(-4_000)).join('\n--\n');
  }

  #configFile(admin: string, host: string): string {
    const { brokers, log, topics } = this.#options;
    return writeConfig({
      folder: join(this.#folder, host),
      name: this.name,
      sourceUrl: this.#source,
      admin,
      tables: [`${this.database}.*`],
      callbacks: [],
      source: { start: 'latest', heartbeat: '1s' },
      options: {
        log: {
          type: 'kafka',
          brokers: [...brokers],
          topics: { partitions: 4, replication_factor: 1, ...topics },
          ...log,
        },
        shutdown_timeout: '10s',
      },
    });
  }
}
