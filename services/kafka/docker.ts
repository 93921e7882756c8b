/** Kafka in containers, where a Docker engine answers on this machine. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StartedNetwork } from 'testcontainers';
import { dockerEngine } from '../docker-engine.ts';
import type { DockerEngine } from '../docker-engine.ts';
import { freePort } from '../free-port.ts';
import { ServiceError } from '../service-error.ts';
import { makeDoor } from './client-door.ts';
import type { ClientDoor } from './client-door.ts';
import { kafkaUuid } from './data-folder.ts';
import { DockerBroker } from './docker-broker.ts';
import { containerTool } from './docker-tool.ts';
import { CREDENTIALS, SCRAM_MECHANISMS } from './kafka-server.ts';
import type { KafkaOptions, KafkaServer } from './kafka-server.ts';
import { KAFKA_VERSION } from './maven-packages.ts';
import { CLIENT_HOST, clientProperties, serverProperties } from './settings.ts';
import { KafkaTools } from './tools.ts';

const IMAGE = `apache/kafka:${KAFKA_VERSION}`;
const START_TIMEOUT_MS = 180_000;
/** Of the containers' own, so it need not be free here. */
const CONTROLLER_PORT = 9093;
const INSIDE = '/tmp/rowcall';
/** Of the image's own user, which may not write where the files above were put. */
const DATA_DIR = '/tmp/rowcall-data';

/**
 * Undefined where no engine answers. Testcontainers' reaper removes the containers when this process
 * is gone, however it ended; with `keep` they stay.
 */
export async function dockerKafka(options: KafkaOptions): Promise<KafkaServer | undefined> {
  const progress = options.progress ?? (() => undefined);
  const engine = await dockerEngine('Kafka', progress);
  if (engine === undefined) return undefined;
  if (!engine.isLocal) {
    progress(
      'Kafka: the Docker engine is on another machine, where the brokers would not be found',
    );
    return undefined;
  }
  progress(`Kafka: starting ${IMAGE} in Docker (the first time it is downloaded)`);
  const { Network } = await import('testcontainers');
  const folder = await mkdtemp(join(tmpdir(), 'rowcall-kafka-'));
  const door = await makeDoor(folder, options);
  const network = await new Network().start();
  const cluster = new DockerCluster({ engine, network, folder, door }, options);
  try {
    await cluster.create();
  } catch (error) {
    await cluster.dispose();
    throw error;
  }
  return cluster;
}

interface Place {
  readonly engine: DockerEngine;
  readonly network: StartedNetwork;
  readonly folder: string;
  readonly door: ClientDoor;
}

/** A container for each broker, in a network of their own; broker 1 is the controller as well. */
class DockerCluster implements KafkaServer {
  readonly how = 'docker';
  readonly version = KAFKA_VERSION;
  readonly brokers: DockerBroker[] = [];
  readonly bootstrap: string[] = [];
  readonly tools: KafkaTools;
  readonly tls: KafkaServer['tls'];
  readonly sasl: KafkaServer['sasl'];
  readonly #place: Place;
  readonly #options: KafkaOptions;

  constructor(place: Place, options: KafkaOptions) {
    this.#place = place;
    this.#options = options;
    this.tls = place.door.tls?.client;
    this.sasl =
      options.sasl === undefined ? undefined : { mechanism: options.sasl, ...CREDENTIALS };
    // They run in a broker's container, where it is found at its own ports.
    this.tools = new KafkaTools(
      (name, args) => containerTool(this.#answering.container, name, args),
      {
        internal: () => `${CLIENT_HOST}:${this.#answering.internalPort}`,
        client: () => `${CLIENT_HOST}:${this.#answering.port}`,
        clientConfig: `${INSIDE}/client.properties`,
      },
    );
  }

  async create(): Promise<void> {
    const clusterId = kafkaUuid();
    for (let id = 1; id <= (this.#options.brokers ?? 1); id += 1) {
      this.brokers.push(await this.#createBroker(id, clusterId));
    }
    await this.start();
  }

  async start(): Promise<void> {
    await Promise.all(this.brokers.map((broker) => broker.start()));
    const ids = this.brokers.map((broker) => broker.id);
    for (const broker of this.brokers) await broker.waitFor(ids);
  }

  async stop(): Promise<void> {
    for (const broker of this.brokers.toReversed()) await broker.stop();
  }

  async dispose(): Promise<void> {
    await Promise.all(this.brokers.splice(0).map((broker) => broker.dispose()));
    if (this.#options.keep !== true) await this.#place.network.stop();
    await rm(this.#place.folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  get #answering(): DockerBroker {
    const broker = this.brokers.find(({ answers }) => answers);
    if (broker !== undefined) return broker;
    throw new ServiceError(
      "Kafka's programs run in a broker's container, and no broker is running.",
      'Start a broker first.',
    );
  }

  async #createBroker(id: number, clusterId: string): Promise<DockerBroker> {
    const options = this.#options;
    const client = (id === 1 ? options.port : undefined) ?? (await freePort());
    const internal = await freePort();
    const place = { id, host: CLIENT_HOST, port: client };
    const advertised = (await options.advertise?.(place)) ?? client;
    const { engine, network, door } = this.#place;
    const settings = {
      id,
      brokers: options.brokers ?? 1,
      ports: { client, advertised, internal, controller: CONTROLLER_PORT },
      hosts: { bind: '0.0.0.0', internal: `broker-${id}`, controller: 'broker-1' },
      dataDir: DATA_DIR,
      tls:
        door.tls === undefined
          ? undefined
          : { keystore: `${INSIDE}/keystore.pem`, ca: `${INSIDE}/ca.pem` },
    };
    const container = await engine
      .container(IMAGE, [
        { container: client, host: client },
        { container: internal, host: internal },
      ])
      .withNetwork(network)
      .withNetworkAliases(`broker-${id}`)
      .withCopyContentToContainer([
        { content: serverProperties(settings, options), target: `${INSIDE}/server.properties` },
        ...(await this.#doorFiles()),
      ])
      .withEnvironment({ KAFKA_HEAP_OPTS: options.fast === true ? '-Xmx512m' : '-Xmx1g' })
      .withEntrypoint(['sh', '-c', startScript(clusterId)])
      .withStartupTimeout(START_TIMEOUT_MS)
      .withAutoCleanup(options.keep !== true)
      .start();
    this.bootstrap.push(`${CLIENT_HOST}:${advertised}`);
    const handle = engine.client.container.getById(container.getId());
    return new DockerBroker(handle, { id, client, internal });
  }

  /** The clients' door as the container sees it: readable by the image's own user. */
  async #doorFiles(): Promise<{ content: string; target: string }[]> {
    const { tls } = this.#place.door;
    const ca = tls === undefined ? undefined : `${INSIDE}/ca.pem`;
    const config = clientProperties(this.#options, ca);
    const files = [{ content: config, target: `${INSIDE}/client.properties` }];
    if (tls === undefined) return files;
    const keystore = await readFile(tls.broker.keystore, 'utf8');
    return [
      ...files,
      { content: await readFile(tls.broker.ca, 'utf8'), target: `${INSIDE}/ca.pem` },
      { content: keystore, target: `${INSIDE}/keystore.pem` },
    ];
  }
}

/** Formats the data at the first start only: a container that starts again keeps its files. */
function startScript(clusterId: string): string {
  const { username, password } = CREDENTIALS;
  const settings = `${INSIDE}/server.properties`;
  const accounts = SCRAM_MECHANISMS.map(
    (mechanism) => `--add-scram '${mechanism}=[name=${username},password=${password}]'`,
  );
  return [
    `/opt/kafka/bin/kafka-storage.sh format --ignore-formatted --cluster-id ${clusterId} --config ${settings} ${accounts.join(' ')}`,
    `exec /opt/kafka/bin/kafka-server-start.sh ${settings}`,
  ].join(' && ');
}
