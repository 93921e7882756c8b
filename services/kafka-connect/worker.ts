/** One Kafka Connect worker in standalone mode, and what its REST address is asked. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../free-port.ts';
import { Janitor } from '../janitor.ts';
import { ServiceError } from '../service-error.ts';
import type { WorkerJars } from './worker-jars.ts';

const HOST = '127.0.0.1';
const START_TIMEOUT_MS = 120_000;
const STATE_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 50;
const LOG_TAIL_LINES = 25;

/** Heap and collector as Kafka's own start scripts set them: what an operator gets who sets nothing. */
const JVM = [
  '-Xms256M',
  '-Xmx2G',
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
  '-XX:+ExplicitGCInvokesConcurrent',
  '-Djava.awt.headless=true',
];

const LOGGING = `
status=error
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c %m%n
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
`;

export interface WorkerOptions {
  /** `host:port` of brokers without TLS and login. */
  readonly bootstrap: readonly string[];
  /** Worker settings after ours, by Kafka's names: `producer.linger.ms`. */
  readonly properties?: Readonly<Record<string, string>>;
}

export interface Connector {
  readonly name: string;
  readonly config: Readonly<Record<string, string>>;
  /** Source partition and offset to begin with, instead of the connector's own first steps. */
  readonly offset?: {
    readonly partition: Readonly<Record<string, unknown>>;
    readonly offset: Readonly<Record<string, unknown>>;
  };
}

/**
 * Holds one JVM. Its folder has the offsets of its connectors, and room for files of theirs; both end
 * with it. The janitor knows the pid from the turn of the spawn on: a killed run leaves no JVM.
 */
export class ConnectWorker {
  readonly folder: string;
  readonly #port: number;
  readonly #janitor: Janitor;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #isRunning = true;

  private constructor(folder: string, port: number, jars: WorkerJars) {
    this.folder = folder;
    this.#port = port;
    const properties = join(folder, 'worker.properties');
    this.#janitor = new Janitor({ folder, signal: 'KILL', mark: properties });
    const log = openSync(this.#logFile, 'a');
    this.#child = spawn(
      'java',
      [
        ...JVM,
        `-Dlog4j2.configurationFile=${join(folder, 'log4j2.properties')}`,
        ...['-cp', jars.classPath],
        'org.apache.kafka.connect.cli.ConnectStandalone',
        properties,
      ],
      // A session of its own, so that Ctrl-C reaches the run, which then ends the worker in order.
      { stdio: ['ignore', log, log], detached: true },
    );
    this.#janitor.watch(this.#child.pid);
    closeSync(log);
    this.#child.unref();
    this.#exited = new Promise((resolve) => {
      const onEnd = (): void => {
        this.#isRunning = false;
        this.#janitor.watch(undefined);
        resolve();
      };
      this.#child.once('exit', onEnd);
      this.#child.once('error', onEnd);
    });
  }

  /** @throws ServiceError with the end of its log when it does not come up */
  static async start(jars: WorkerJars, options: WorkerOptions): Promise<ConnectWorker> {
    const folder = await mkdtemp(join(tmpdir(), 'rowcall-kafka-connect-'));
    const port = await freePort();
    await writeFile(join(folder, 'log4j2.properties'), LOGGING);
    await writeFile(
      join(folder, 'worker.properties'),
      workerProperties({ folder, port, plugins: jars.plugins }, options),
    );
    const worker = new ConnectWorker(folder, port, jars);
    try {
      await worker.#until('answer', START_TIMEOUT_MS, async () => {
        // Refused until it listens.
        const answer = await worker.#request('GET', '/').catch(() => undefined);
        return answer?.status === 200;
      });
    } catch (error) {
      await worker.dispose();
      throw error;
    }
    return worker;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get running(): boolean {
    return this.#isRunning;
  }

  /** Makes the connector and waits until its task runs. @throws ServiceError when it fails */
  async create({ name, config, offset }: Connector): Promise<void> {
    await this.#ask('POST', '/connectors', {
      name,
      config,
      // Offsets can be written into a stopped connector only.
      ...(offset === undefined ? {} : { initial_state: 'STOPPED' }),
    });
    if (offset !== undefined) {
      await this.#ask('PATCH', `/connectors/${name}/offsets`, { offsets: [offset] });
      await this.#ask('PUT', `/connectors/${name}/resume`);
    }
    await this.#until(`run the connector ${name}`, STATE_TIMEOUT_MS, async () => {
      const { status, body } = await this.#request('GET', `/connectors/${name}/status`);
      const { tasks = [] } = status === 200 ? (JSON.parse(body) as Status) : {};
      const failed = tasks.find(({ state }) => state === 'FAILED');
      if (failed !== undefined) {
        throw new ServiceError(failed.trace ?? body, 'Correct its settings.');
      }
      return tasks.length > 0 && tasks.every(({ state }) => state === 'RUNNING');
    });
  }

  /** SIGTERM, and SIGKILL if that takes too long; its folder goes too. */
  async dispose(): Promise<void> {
    if (this.#isRunning) {
      this.#child.ref();
      this.#child.kill('SIGTERM');
      const tooLong = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await this.#exited;
      clearTimeout(tooLong);
    }
    await this.#janitor.release();
  }

  async logTail(): Promise<string> {
    const lines = (await readFile(this.#logFile, 'utf8')).trim().split('\n');
    return lines.slice(-LOG_TAIL_LINES).join('\n');
  }

  get #logFile(): string {
    return join(this.folder, 'worker.log');
  }

  async #ask(method: string, path: string, content?: unknown): Promise<void> {
    const { status, body } = await this.#request(method, path, content);
    if (status < 300) return;
    throw new ServiceError(`${method} ${path} was answered ${status}: ${body}`, 'Correct it.');
  }

  async #request(
    method: string,
    path: string,
    content?: unknown,
  ): Promise<{ readonly status: number; readonly body: string }> {
    const answer = await fetch(`http://${HOST}:${this.#port}${path}`, {
      method,
      signal: AbortSignal.timeout(STATE_TIMEOUT_MS),
      ...(content === undefined
        ? {}
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(content) }),
    });
    return { status: answer.status, body: await answer.text() };
  }

  async #until(what: string, timeoutMs: number, isSo: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!(await isSo())) {
      if (!this.#isRunning || performance.now() > deadline) {
        throw new ServiceError(
          `The Kafka Connect worker did not ${what}. The end of its log:\n${await this.logTail()}`,
          'Correct what the log names.',
        );
      }
      await sleep(POLL_MS);
    }
  }
}

interface Status {
  readonly tasks?: readonly { readonly state: string; readonly trace?: string }[];
}

function workerProperties(
  place: { readonly folder: string; readonly port: number; readonly plugins: string },
  options: WorkerOptions,
): string {
  const properties: Record<string, string> = {
    'bootstrap.servers': options.bootstrap.join(','),
    listeners: `http://${HOST}:${place.port}`,
    'plugin.path': place.plugins,
    'plugin.discovery': 'service_load',
    'offset.storage.file.filename': join(place.folder, 'offsets'),
    'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'key.converter.schemas.enable': 'false',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter.schemas.enable': 'false',
    // The connectors create no topics: who starts them does.
    'topic.creation.enable': 'false',
    ...options.properties,
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}
