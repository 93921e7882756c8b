/** One broker of ours: started, stopped, killed, held and started again on the same data and ports. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Janitor } from '../janitor.ts';
import { ServiceError } from '../service-error.ts';
import { waitForBrokers } from './answer.ts';
import type { KafkaBroker } from './kafka-server.ts';
import type { KafkaPrograms } from './program.ts';
import { CLIENT_HOST } from './settings.ts';

const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;
const LOG_TAIL_LINES = 15;

interface Running {
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
}

export interface BrokerPlan {
  readonly id: number;
  readonly programs: KafkaPrograms;
  /** server.properties, log and data. */
  readonly folder: string;
  /** All of the cluster's files; removed when the run has ended, unless it is to be kept. */
  readonly clusterFolder: string;
  readonly jvm: readonly string[];
  readonly keep: boolean;
}

/**
 * Holds at most one process at a time. The janitor is told each pid in the same turn in which the
 * process is spawned: otherwise a killed run leaves a broker.
 */
export class BrokerProcess implements KafkaBroker {
  readonly id: number;
  readonly host = CLIENT_HOST;
  readonly #plan: BrokerPlan;
  readonly #janitor: Janitor | undefined;
  #ports = { client: 0, internal: 0 };
  #running: Running | undefined;
  #isPaused = false;

  constructor(plan: BrokerPlan) {
    this.id = plan.id;
    this.#plan = plan;
    this.#janitor = plan.keep
      ? undefined
      : new Janitor({ folder: plan.clusterFolder, signal: 'KILL', mark: this.#propertiesFile });
  }

  get port(): number {
    return this.#ports.client;
  }

  get internalPort(): number {
    return this.#ports.internal;
  }

  get pid(): number | undefined {
    return this.#running?.child.pid;
  }

  /** Neither ended nor standing still: worth being asked. */
  get answers(): boolean {
    return this.#running !== undefined && !this.#isPaused;
  }

  /** Takes effect with the next start. */
  async configure(
    properties: string,
    ports: { readonly client: number; readonly internal: number },
  ): Promise<void> {
    await writeFile(this.#propertiesFile, properties, { mode: 0o600 });
    this.#ports = { client: ports.client, internal: ports.internal };
  }

  async start(): Promise<void> {
    if (this.#running !== undefined) return;
    const running = this.#spawn();
    const address = { host: CLIENT_HOST, port: this.#ports.internal };
    try {
      await waitForBrokers(address, [this.id], {
        timeoutMs: START_TIMEOUT_MS,
        isOver: () => this.#running !== running,
      });
    } catch (error) {
      const log = await this.#logTail();
      await this.kill();
      throw new ServiceError(
        `Kafka broker ${this.id} did not come up on port ${this.port}. The end of its log:\n${log}`,
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

  pause(): Promise<void> {
    this.#isPaused = this.#running?.child.kill('SIGSTOP') === true;
    return Promise.resolve();
  }

  resume(): Promise<void> {
    this.#running?.child.kill('SIGCONT');
    this.#isPaused = false;
    return Promise.resolve();
  }

  /** Ends it; the folder goes too. */
  async dispose(): Promise<void> {
    await this.kill();
    await this.#janitor?.release();
  }

  get #propertiesFile(): string {
    return join(this.#plan.folder, 'server.properties');
  }

  get #logFile(): string {
    return join(this.#plan.folder, 'broker.log');
  }

  #spawn(): Running {
    const { programs, jvm } = this.#plan;
    const log = openSync(this.#logFile, 'a');
    const child = spawn(
      'java',
      [...programs.javaArguments(jvm, 'broker'), 'kafka.Kafka', this.#propertiesFile],
      // A session of its own, so that Ctrl-C reaches the run, which then ends the broker in order.
      { stdio: ['ignore', log, log], detached: true },
    );
    this.#janitor?.watch(child.pid);
    closeSync(log);
    child.unref();
    const exited = new Promise<void>((resolve) => {
      const onEnd = (): void => {
        if (this.#running === running) {
          this.#running = undefined;
          this.#isPaused = false;
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
    // One that stands still takes the signal only when it goes on.
    running.child.kill('SIGCONT');
    const tooLong = setTimeout(() => running.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await running.exited;
    clearTimeout(tooLong);
  }

  async #logTail(): Promise<string> {
    const lines = (await readFile(this.#logFile, 'utf8')).trim().split('\n');
    return lines.slice(-LOG_TAIL_LINES).join('\n');
  }
}
