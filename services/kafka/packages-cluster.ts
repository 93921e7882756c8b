/** One or two brokers that run on this machine. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, isPortTaken } from '../free-port.ts';
import { waitForBrokers } from './answer.ts';
import { BrokerProcess } from './broker-process.ts';
import { fillDataFolder, kafkaUuid } from './data-folder.ts';
import { CREDENTIALS } from './kafka-server.ts';
import type { KafkaOptions, KafkaServer } from './kafka-server.ts';
import { KAFKA_VERSION } from './maven-packages.ts';
import type { KafkaPrograms } from './program.ts';
import { CLIENT_HOST, serverProperties } from './settings.ts';
import type { BrokerPorts } from './settings.ts';
import { KafkaTools } from './tools.ts';
import { makeDoor } from './client-door.ts';
import type { ClientDoor } from './client-door.ts';

const START_TIMEOUT_MS = 60_000;
const PORT_ATTEMPTS = 5;
const HOSTS = { bind: CLIENT_HOST, internal: CLIENT_HOST, controller: CLIENT_HOST };

const FAST_JVM = ['-Xmx512m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];
const FULL_JVM = ['-Xmx1g'];

interface Place {
  readonly programs: KafkaPrograms;
  readonly template: string;
  /** All of the cluster's files are under it. */
  readonly folder: string;
}

/** Broker 1 is the controller as well, so it starts first and stops last. */
export class PackagesCluster implements KafkaServer {
  readonly how = 'packages';
  readonly version = KAFKA_VERSION;
  readonly brokers: readonly BrokerProcess[];
  readonly tools: KafkaTools;
  readonly tls: KafkaServer['tls'];
  readonly sasl: KafkaServer['sasl'];
  readonly #place: Place;
  readonly #options: KafkaOptions;
  readonly #door: ClientDoor;
  #bootstrap: readonly string[] = [];
  #isDisposed = false;

  private constructor(place: Place, options: KafkaOptions, door: ClientDoor) {
    this.#place = place;
    this.#options = options;
    this.#door = door;
    this.tls = door.tls?.client;
    this.sasl =
      options.sasl === undefined ? undefined : { mechanism: options.sasl, ...CREDENTIALS };
    this.brokers = Array.from({ length: options.brokers ?? 1 }, (_, index) => {
      const id = index + 1;
      return new BrokerProcess({
        id,
        programs: place.programs,
        folder: this.#brokerFolder(id),
        clusterFolder: place.folder,
        jvm: options.fast === true ? FAST_JVM : FULL_JVM,
        keep: options.keep === true,
      });
    });
    this.tools = new KafkaTools((name, args) => place.programs.run(name, args), {
      // A tool that comes to a broker standing still would wait for it.
      internal: () =>
        this.#answering.map((broker) => `${CLIENT_HOST}:${broker.internalPort}`).join(','),
      client: () => this.#answering.map((broker) => this.#bootstrap[broker.id - 1] ?? '').join(','),
      clientConfig: door.clientConfig,
    });
  }

  static async create(place: Place, options: KafkaOptions): Promise<PackagesCluster> {
    const door = await makeDoor(join(place.folder, 'door'), options);
    const cluster = new PackagesCluster(place, options, door);
    try {
      const clusterId = kafkaUuid();
      for (const { id } of cluster.brokers) {
        await mkdir(cluster.#brokerFolder(id));
        await fillDataFolder(place.template, cluster.#dataDir(id), {
          cluster: clusterId,
          node: id,
        });
      }
      await cluster.#startOnFreePorts();
    } catch (error) {
      await cluster.dispose();
      throw error;
    }
    return cluster;
  }

  get bootstrap(): readonly string[] {
    return this.#bootstrap;
  }

  async start(): Promise<void> {
    if (this.#isDisposed) throw new Error('This Kafka cluster was disposed of');
    const starts = await Promise.allSettled(this.brokers.map((broker) => broker.start()));
    for (const start of starts) if (start.status === 'rejected') throw start.reason;
    const ids = this.brokers.map((broker) => broker.id);
    // Each must know of all, or a topic with two copies made now would be refused.
    for (const broker of this.brokers) {
      const address = { host: CLIENT_HOST, port: broker.internalPort };
      await waitForBrokers(address, ids, { timeoutMs: START_TIMEOUT_MS, isOver: () => false });
    }
  }

  async stop(): Promise<void> {
    for (const broker of this.brokers.toReversed()) await broker.stop();
  }

  async dispose(): Promise<void> {
    this.#isDisposed = true;
    await Promise.all(this.brokers.map((broker) => broker.dispose()));
    await rm(this.#place.folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  get #answering(): readonly BrokerProcess[] {
    return this.brokers.filter((broker) => broker.answers);
  }

  #brokerFolder(id: number): string {
    return join(this.#place.folder, `broker-${id}`);
  }

  #dataDir(id: number): string {
    return join(this.#brokerFolder(id), 'data');
  }

  /** A port that was free can be taken before a broker binds it; then other ones will do. */
  async #startOnFreePorts(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const ports = await this.#configure();
      try {
        await this.start();
        return;
      } catch (error) {
        for (const broker of this.brokers) await broker.kill();
        const taken = await Promise.all(ports.map((port) => isPortTaken(port)));
        if (attempt === PORT_ATTEMPTS || !taken.includes(true)) throw error;
      }
    }
  }

  /** Writes the settings of all brokers, on ports that were free a moment ago; gives the ports. */
  async #configure(): Promise<number[]> {
    const options = this.#options;
    const controller = await freePort();
    const used = [controller];
    const bootstrap: string[] = [];
    for (const broker of this.brokers) {
      const given = broker.id === 1 ? options.port : undefined;
      const client = given ?? (await freePort());
      const place = { id: broker.id, host: CLIENT_HOST, port: client };
      const advertised = (await options.advertise?.(place)) ?? client;
      const ports: BrokerPorts = { client, advertised, internal: await freePort(), controller };
      used.push(client, ports.internal);
      bootstrap.push(`${CLIENT_HOST}:${advertised}`);
      const settings = {
        id: broker.id,
        brokers: this.brokers.length,
        ports,
        hosts: HOSTS,
        dataDir: this.#dataDir(broker.id),
        tls: this.#door.tls?.broker,
      };
      await broker.configure(serverProperties(settings, options), ports);
    }
    this.#bootstrap = bootstrap;
    return used;
  }
}
