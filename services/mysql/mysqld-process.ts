/** One mysqld of ours: started, stopped, killed and started again on the same data and port. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, isPortTaken } from '../free-port.ts';
import { Janitor } from '../janitor.ts';
import { ServiceError } from '../service-error.ts';
import { waitForVersion } from './answer.ts';
import { ADMIN, adminUrl, serverSettings } from './mysql-server.ts';
import type { MysqlOptions, MysqlServer, MysqlTool, ToolCommand } from './mysql-server.ts';
import type { MysqlPrograms } from './programs.ts';

const HOST = '127.0.0.1';
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;
const PORT_ATTEMPTS = 5;
const LOG_TAIL_LINES = 15;

interface Running {
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
}

/**
 * Holds at most one mysqld at a time, on one data folder and one port for life. The janitor is told
 * each pid in the same turn in which the process is spawned: otherwise a killed run leaves a server.
 */
export class MysqldProcess implements MysqlServer {
  readonly how = 'packages';
  readonly host = HOST;
  readonly dataDir: string;
  readonly #programs: MysqlPrograms;
  readonly #options: MysqlOptions;
  /** Log and client file; the data too, unless the caller named a folder for it. */
  readonly #folder: string;
  readonly #janitor: Janitor | undefined;
  readonly #settings: readonly string[];
  #port: number;
  #version = '';
  #running: Running | undefined;
  #isDisposed = false;

  private constructor(
    programs: MysqlPrograms,
    options: MysqlOptions,
    folder: string,
    port: number,
  ) {
    this.#programs = programs;
    this.#options = options;
    this.#folder = folder;
    this.#port = port;
    this.#settings = serverSettings(options, Math.random());
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

  static async create(
    programs: MysqlPrograms,
    options: MysqlOptions,
    fillData: (dataDir: string) => Promise<void>,
  ): Promise<MysqldProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'rowcall-mysql-'));
    const port = options.port ?? (await freePort());
    const server = new MysqldProcess(programs, options, folder, port);
    try {
      if (!existsSync(join(server.dataDir, 'mysql.ibd'))) await fillData(server.dataDir);
      await server.#startOnFreePort();
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
    return this.#running?.child.pid;
  }

  async start(): Promise<void> {
    if (this.#running !== undefined) return;
    if (this.#isDisposed) throw new Error('This MySQL server was disposed of');
    const running = this.#spawn();
    try {
      this.#version = await waitForVersion(
        this.url,
        START_TIMEOUT_MS,
        () => this.#running !== running,
      );
    } catch (error) {
      const log = await this.#logTail();
      await this.#end('SIGKILL');
      throw new ServiceError(
        `mysqld did not come up on port ${this.#port}. The end of its log:\n${log}`,
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
    return {
      command: this.#programs.loader,
      args: [
        ...this.#programs.program(`usr/bin/${name}`),
        `--defaults-file=${this.#clientFile}`,
        `--character-sets-dir=${this.#programs.characterSets}`,
      ],
    };
  }

  get #logFile(): string {
    return join(this.#folder, 'mysqld.log');
  }

  get #clientFile(): string {
    return join(this.#folder, 'client.cnf');
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

  #spawn(): Running {
    const log = openSync(this.#logFile, 'a');
    const child = spawn(
      this.#programs.loader,
      [
        ...this.#programs.program('usr/sbin/mysqld'),
        ...this.#programs.serverPaths(),
        `--datadir=${this.dataDir}`,
        `--port=${this.#port}`,
        `--bind-address=${HOST}`,
        // Relative to the data folder: a whole path may be longer than a socket's name can be.
        '--socket=mysql.sock',
        '--pid-file=mysqld.pid',
        ...this.#settings,
      ],
      // A session of its own, so that Ctrl-C reaches the run, which then ends the server in order.
      { stdio: ['ignore', log, log], detached: true },
    );
    this.#janitor?.watch(child.pid);
    closeSync(log);
    child.unref();
    const exited = new Promise<void>((resolve) => {
      const onEnd = (): void => {
        if (this.#running === running) {
          this.#running = undefined;
          this.#janitor?.watch(undefined);
        }
        resolve();
      };
      child.once('exit', onEnd);
      child.once('error', onEnd);
    });
    const running: Running = { child, exited };
    this.#running = running;
    return running;
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    running.child.ref();
    running.child.kill(signal);
    const tooLong = setTimeout(() => running.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await running.exited;
    clearTimeout(tooLong);
  }

  async #logTail(): Promise<string> {
    const lines = (await readFile(this.#logFile, 'utf8')).trim().split('\n');
    return lines.slice(-LOG_TAIL_LINES).join('\n');
  }
}
