/** One broker of ours: started, stopped, killed, held and started again on the same data and ports. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Janitor } from '../janitor.ts';
import { ServerProcess } from '../server-process.ts';
import { ServiceError } from '../service-error.ts';
import { waitForBrokers } from './answer.ts';
import type { KafkaBroker } from './kafka-server.ts';
import type { KafkaPrograms } from './program.ts';
import { CLIENT_HOST } from './settings.ts';

const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;
const LOG_TAIL_LINES = 15;

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

/** Holds at most one process at a time. */
export class BrokerProcess implements KafkaBroker {
  readonly id: number;
  readonly host = CLIENT_HOST;
  readonly #plan: BrokerPlan;
  readonly #janitor: Janitor | undefined;
  #ports = { client: 0, internal: 0 };
  #running: ServerProcess | undefined;
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
    return this.#running?.pid;
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
      const log = await running.logTail(LOG_TAIL_LINES);
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
    this.#isPaused = this.#running?.signal('SIGSTOP') === true;
    return Promise.resolve();
  }

  resume(): Promise<void> {
    this.#running?.signal('SIGCONT');
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

  #spawn(): ServerProcess {
    const { programs, jvm, folder } = this.#plan;
    const running: ServerProcess = new ServerProcess({
      command: 'java',
      args: [...programs.javaArguments(jvm, 'broker'), 'kafka.Kafka', this.#propertiesFile],
      logFile: join(folder, 'broker.log'),
      janitor: this.#janitor,
      onExit: () => {
        if (this.#running !== running) return;
        this.#running = undefined;
        this.#isPaused = false;
      },
    });
    this.#running = running;
    return running;
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.#running?.end(signal, STOP_TIMEOUT_MS);
  }
}
