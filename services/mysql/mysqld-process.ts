/** One mysqld or mariadbd of ours: started, stopped, killed and started again on the same data and port. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, isPortTaken } from '../free-port.ts';
import { Janitor } from '../janitor.ts';
import { ServerProcess } from '../server-process.ts';
import { ServiceError } from '../service-error.ts';
import { waitForVersion } from './answer.ts';
import { ADMIN, adminUrl, otherWays } from './mysql-server.ts';
import type {
  MysqlOptions,
  MysqlServer,
  MysqlTool,
  ServerKind,
  ServerPrograms,
  ToolCommand,
} from './mysql-server.ts';

const HOST = '127.0.0.1';
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;
const PORT_ATTEMPTS = 5;
const LOG_TAIL_LINES = 15;

export interface ServerPlan {
  readonly kind: ServerKind;
  readonly programs: ServerPrograms;
  readonly options: MysqlOptions;
}

/** Holds at most one process at a time, on one data folder and one port for life. */
export class MysqldProcess implements MysqlServer {
  readonly how = 'packages';
  readonly host = HOST;
  readonly dataDir: string;
  readonly #kind: ServerKind;
  readonly #programs: ServerPrograms;
  readonly #options: MysqlOptions;
  /** Log and client file; the data too, unless the caller named a folder for it. */
  readonly #folder: string;
  readonly #janitor: Janitor | undefined;
  readonly #settings: readonly string[];
  #port: number;
  #version = '';
  #running: ServerProcess | undefined;
  #isDisposed = false;

  private constructor({ kind, programs, options }: ServerPlan, folder: string, port: number) {
    this.#kind = kind;
    this.#programs = programs;
    this.#options = options;
    this.#folder = folder;
    this.#port = port;
    this.#settings = kind.settings(options, Math.random());
    this.dataDir = options.dataDir ?? join(folder, 'data');
    this.#janitor =
      options.keep === true
        ? undefined
        : new Janitor({
            folder,
            // Data that stays deserves a clean shutdown, data that goes none.
            signal: options.dataDir === undefined ? 'KILL' : 'TERM',
            mark: `--datadir=${this.dataDir}`,
          });
  }

  /** @throws ServiceError also where it is not of the version that is wanted */
  static async create(
    plan: ServerPlan,
    fillData: (dataDir: string) => Promise<void>,
  ): Promise<MysqldProcess> {
    const { kind, options } = plan;
    const folder = await mkdtemp(join(tmpdir(), `rowcall-${kind.title.toLowerCase()}-`));
    const port = options.port ?? (await freePort());
    const server = new MysqldProcess(plan, folder, port);
    try {
      if (!existsSync(join(server.dataDir, 'ibdata1'))) await fillData(server.dataDir);
      await server.#startOnFreePort();
      server.#requireVersion(options.version);
    } catch (error) {
      await server.dispose();
      throw error;
    }
    return server;
  }

  get url(): string {
    return adminUrl(HOST, this.#port);
  }

  get port(): number {
    return this.#port;
  }

  get version(): string {
    return this.#version;
  }

  get pid(): number | undefined {
    return this.#running?.pid;
  }

  async start(): Promise<void> {
    if (this.#running !== undefined) return;
    if (this.#isDisposed) throw new Error('This server was disposed of');
    const running = this.#spawn();
    try {
      this.#version = await waitForVersion(
        this.url,
        START_TIMEOUT_MS,
        () => this.#running !== running,
      );
    } catch (error) {
      const log = await running.logTail(LOG_TAIL_LINES);
      await this.#end('SIGKILL');
      throw new ServiceError(
        `${this.#kind.title} did not come up on port ${this.#port}. The end of its log:\n${log}`,
        'Correct what the log names.',
        error,
      );
    }
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async dispose(): Promise<void> {
    this.#isDisposed = true;
    // Data that goes needs no shutdown of its own.
    await this.#end(this.#options.dataDir === undefined ? 'SIGKILL' : 'SIGTERM');
    await rm(this.#folder, { recursive: true, force: true });
    await this.#janitor?.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  tool(name: MysqlTool): ToolCommand {
    return this.#programs.tool(name, `--defaults-file=${this.#clientFile}`);
  }

  get #clientFile(): string {
    return join(this.#folder, 'client.cnf');
  }

  #requireVersion(wanted: string | undefined): void {
    if (wanted === undefined || this.#version.startsWith(wanted)) return;
    throw new ServiceError(
      `${this.#kind.title} ${wanted} is needed, the packages at hand are ${this.#version}.`,
      otherWays(this.#kind),
    );
  }

  /** A port that was free can be taken before mysqld binds it; then another one will do. */
  async #startOnFreePort(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.start();
        break;
      } catch (error) {
        const canMove = this.#options.port === undefined && attempt < PORT_ATTEMPTS;
        if (!canMove || !(await isPortTaken(this.#port))) throw error;
        this.#port = await freePort();
      }
    }
    const lines = [
      '[client]',
      'protocol=TCP',
      `host=${HOST}`,
      `port=${this.#port}`,
      `user=${ADMIN.user}`,
      `password=${ADMIN.password}`,
    ];
    await writeFile(this.#clientFile, `${lines.join('\n')}\n`, { mode: 0o600 });
  }

  #spawn(): ServerProcess {
    const server = this.#programs.server();
    const running: ServerProcess = new ServerProcess({
      command: server.command,
      args: [
        ...server.args,
        `--datadir=${this.dataDir}`,
        `--port=${this.#port}`,
        `--bind-address=${HOST}`,
        // Relative to the data folder: a whole path may be longer than a socket's name can be.
        '--socket=mysql.sock',
        '--pid-file=mysqld.pid',
        // Two servers in one folder may delete each other's: their names are of pid and thread alone.
        `--tmpdir=${this.#folder}`,
        ...this.#settings,
      ],
      logFile: join(this.#folder, 'mysqld.log'),
      janitor: this.#janitor,
      onExit: () => {
        if (this.#running === running) this.#running = undefined;
      },
    });
    this.#running = running;
    return running;
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.#running?.end(signal, STOP_TIMEOUT_MS);
  }
}
