/** MySQL or MariaDB in a container, where a Docker engine answers. */
import type { Container } from 'dockerode';
import type { ContainerRuntimeClient } from 'testcontainers';
import { dockerEngine } from '../docker-engine.ts';
import { freePort } from '../free-port.ts';
import { waitForVersion } from './answer.ts';
import { ADMIN, adminUrl } from './mysql-server.ts';
import type {
  MysqlOptions,
  MysqlServer,
  MysqlTool,
  ServerKind,
  ToolCommand,
} from './mysql-server.ts';
import { installedTool } from './installed-tool.ts';

const CONTAINER_PORT = 3306;
const START_TIMEOUT_MS = 180_000;
const STOP_TIMEOUT_SECONDS = 60;

/**
 * Undefined where no engine answers. Testcontainers' reaper removes the container when this process
 * is gone, however it ended; with `keep` it stays.
 */
export async function dockerMysql(
  kind: ServerKind,
  options: MysqlOptions,
): Promise<MysqlServer | undefined> {
  const { title, docker, settings } = kind;
  const progress = options.progress ?? (() => undefined);
  const engine = await dockerEngine(title, progress);
  if (engine === undefined) return undefined;
  const image = `${docker.image}:${options.version ?? docker.newest}`;
  progress(`${title}: starting ${image} in Docker (the first time it is downloaded)`);
  const port = options.port ?? (await freePort());
  const container = engine
    .container(image, [{ container: CONTAINER_PORT, host: port }])
    .withEnvironment({
      [`${docker.variablePrefix}_ROOT_PASSWORD`]: ADMIN.password,
      [`${docker.variablePrefix}_ROOT_HOST`]: '%',
    })
    .withCommand(settings(options, Math.random()))
    .withStartupTimeout(START_TIMEOUT_MS)
    .withAutoCleanup(options.keep !== true);
  if (options.encrypted === true) container.withCopyContentToContainer([...docker.encryption]);
  if (options.dataDir !== undefined) {
    container.withBindMounts([{ source: options.dataDir, target: '/var/lib/mysql', mode: 'rw' }]);
  }
  const started = await container.start();
  const host = engine.isLocal ? '127.0.0.1' : started.getHost();
  return DockerMysql.attach(engine.client, started.getId(), { host, port });
}

/** One container with one published port, the same over stop and start. */
class DockerMysql implements MysqlServer {
  readonly how = 'docker';
  readonly pid = undefined;
  readonly dataDir = undefined;
  readonly host: string;
  readonly port: number;
  readonly #container: Container;
  #version = '';
  #isRunning = true;

  private constructor(container: Container, address: { host: string; port: number }) {
    this.#container = container;
    this.host = address.host;
    this.port = address.port;
  }

  static async attach(
    client: ContainerRuntimeClient,
    id: string,
    address: { host: string; port: number },
  ): Promise<DockerMysql> {
    const server = new DockerMysql(client.container.getById(id), address);
    try {
      await server.#awaitAnswer();
    } catch (error) {
      await server.dispose();
      throw error;
    }
    return server;
  }

  get url(): string {
    return adminUrl(this.host, this.port);
  }

  get version(): string {
    return this.#version;
  }

  async stop(): Promise<void> {
    if (!this.#isRunning) return;
    await this.#container.stop({ t: STOP_TIMEOUT_SECONDS });
    this.#isRunning = false;
  }

  async kill(): Promise<void> {
    if (!this.#isRunning) return;
    await this.#container.kill({ signal: 'SIGKILL' });
    await this.#container.wait();
    this.#isRunning = false;
  }

  async start(): Promise<void> {
    if (this.#isRunning) return;
    await this.#container.start();
    this.#isRunning = true;
    await this.#awaitAnswer();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async dispose(): Promise<void> {
    this.#isRunning = false;
    await this.#container.remove({ force: true, v: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** The image lacks mysqlbinlog, so the machine's own programs are taken for all. */
  tool(name: MysqlTool): ToolCommand {
    return installedTool(name, this.url);
  }

  async #awaitAnswer(): Promise<void> {
    this.#version = await waitForVersion(this.url, START_TIMEOUT_MS, () => !this.#isRunning);
  }
}
