/** One Kafka Connect worker in standalone mode, and what its REST address is asked. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../free-port.ts';
import { Janitor } from '../janitor.ts';
import { ServerProcess } from '../server-process.ts';
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
 * with it.
 */
export class ConnectWorker {
  readonly folder: string;
  readonly #port: number;
  readonly #janitor: Janitor;
  readonly #process: ServerProcess;

  private constructor(folder: string, port: number, jars: WorkerJars) {
    this.folder = folder;
    this.#port = port;
    const properties = join(folder, 'worker.properties');
    this.#janitor = new Janitor({ folder, signal: 'KILL', mark: properties });
    this.#process = new ServerProcess({
      command: 'java',
      args: [
        ...JVM,
        `-Dlog4j2.configurationFile=${join(folder, 'log4j2.properties')}`,
        ...['-cp', jars.classPath],
        'org.apache.kafka.connect.cli.ConnectStandalone',
        properties,
      ],
      logFile: join(folder, 'worker.log'),
      janitor: this.#janitor,
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
    return this.#process.pid ?? -1;
  }

  get running(): boolean {
    return this.#process.isRunning;
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
    await this.#process.end('SIGTERM', STOP_TIMEOUT_MS);
    await this.#janitor.release();
  }

  logTail(): Promise<string> {
    return this.#process.logTail(LOG_TAIL_LINES);
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
      if (!this.#process.isRunning || performance.now() > deadline) {
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
