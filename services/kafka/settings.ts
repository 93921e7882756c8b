/** server.properties and client.properties, as Kafka's documentation of broker configs names them. */
import { CREDENTIALS } from './kafka-server.ts';
import type { KafkaOptions, SaslMechanism } from './kafka-server.ts';

/** The one that has the controller's part as well. */
export const CONTROLLER_ID = 1;

/** Ports of one broker; 0 for a controller's port where it has none. */
export interface BrokerPorts {
  /** For clients. */
  readonly client: number;
  /** What clients are told. */
  readonly advertised: number;
  /** Between brokers, and for Kafka's own tools: without TLS and login. */
  readonly internal: number;
  /** Of the controller, the same in all brokers of a cluster. */
  readonly controller: number;
}

/** Hosts to bind and to tell others; they differ in a container only. */
export interface BrokerHosts {
  readonly bind: string;
  readonly internal: string;
  readonly controller: string;
}

export interface BrokerSettings {
  readonly id: number;
  readonly brokers: number;
  readonly ports: BrokerPorts;
  readonly hosts: BrokerHosts;
  readonly dataDir: string;
  /** PEM files of the broker, where clients speak TLS: key and chain in one file, and the CA. */
  readonly tls: { readonly keystore: string; readonly ca: string } | undefined;
}

export const CLIENT_HOST = '127.0.0.1';

type Properties = Record<string, string>;

export function serverProperties(settings: BrokerSettings, options: KafkaOptions): string {
  const { id, ports, hosts } = settings;
  const isController = id === CONTROLLER_ID;
  const listeners = [
    ...(isController ? [`CONTROLLER://${hosts.bind}:${ports.controller}`] : []),
    `INTERNAL://${hosts.bind}:${ports.internal}`,
    `CLIENT://${hosts.bind}:${ports.client}`,
  ];
  return lines({
    'process.roles': isController ? 'broker,controller' : 'broker',
    'node.id': String(id),
    // A fixed quorum: the formatted data then names no port and can be a template.
    'controller.quorum.voters': `${CONTROLLER_ID}@${hosts.controller}:${ports.controller}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: listeners.join(','),
    'advertised.listeners': `INTERNAL://${hosts.internal}:${ports.internal},CLIENT://${CLIENT_HOST}:${ports.advertised}`,
    'listener.security.protocol.map': `CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,CLIENT:${securityProtocol(options)}`,
    'inter.broker.listener.name': 'INTERNAL',
    'log.dirs': settings.dataDir,
    ...small(settings.brokers),
    ...tlsProperties(settings),
    ...saslProperties(options.sasl),
    ...options.properties,
  });
}

/** Rowcall creates its topics itself; the internal ones need few partitions and few threads here. */
function small(brokers: number): Properties {
  const copies = String(brokers);
  return {
    'auto.create.topics.enable': 'false',
    'default.replication.factor': copies,
    'min.insync.replicas': '1',
    'offsets.topic.num.partitions': '4',
    'offsets.topic.replication.factor': copies,
    'transaction.state.log.num.partitions': '4',
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.num.partitions': '1',
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    'log.cleaner.dedupe.buffer.size': '4194304',
    'log.cleaner.io.buffer.size': '65536',
    'num.network.threads': '2',
    'num.io.threads': '4',
    'background.threads': '2',
    'num.recovery.threads.per.data.dir': '1',
    // A stopped broker hands its partitions over at once or not at all.
    'controlled.shutdown.max.retries': '1',
  };
}

function tlsProperties(settings: BrokerSettings): Properties {
  if (settings.tls === undefined) return {};
  return {
    'listener.name.client.ssl.keystore.type': 'PEM',
    'listener.name.client.ssl.keystore.location': settings.tls.keystore,
    'listener.name.client.ssl.truststore.type': 'PEM',
    'listener.name.client.ssl.truststore.location': settings.tls.ca,
  };
}

function saslProperties(mechanism: SaslMechanism | undefined): Properties {
  if (mechanism === undefined) return {};
  const prefix = `listener.name.client.${mechanism.toLowerCase()}.sasl.jaas.config`;
  const { username, password } = CREDENTIALS;
  const jaas =
    mechanism === 'PLAIN'
      ? `org.apache.kafka.common.security.plain.PlainLoginModule required user_${username}="${password}";`
      : 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
  return { 'sasl.enabled.mechanisms': mechanism, [prefix]: jaas };
}

/** What a client of Kafka's own needs to come in by the clients' door. */
export function clientProperties(options: KafkaOptions, ca: string | undefined): string {
  const { username, password } = CREDENTIALS;
  const login =
    options.sasl === 'PLAIN'
      ? 'org.apache.kafka.common.security.plain.PlainLoginModule'
      : 'org.apache.kafka.common.security.scram.ScramLoginModule';
  return lines({
    'security.protocol': securityProtocol(options),
    ...(ca === undefined ? {} : { 'ssl.truststore.type': 'PEM', 'ssl.truststore.location': ca }),
    ...(options.sasl === undefined
      ? {}
      : {
          'sasl.mechanism': options.sasl,
          'sasl.jaas.config': `${login} required username="${username}" password="${password}";`,
        }),
  });
}

function securityProtocol(options: KafkaOptions): string {
  const wire = options.tls === true ? 'SSL' : 'PLAINTEXT';
  return options.sasl === undefined ? wire : `SASL_${wire}`;
}

function lines(properties: Readonly<Properties>): string {
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** To standard output, which is a file of the broker's; warnings only for the tools. */
export function loggingProperties(level: 'info' | 'error'): string {
  return lines({
    status: 'error',
    'appender.console.type': 'Console',
    'appender.console.name': 'console',
    'appender.console.target': 'SYSTEM_ERR',
    'appender.console.layout.type': 'PatternLayout',
    'appender.console.layout.pattern': '%d{ISO8601} %p %m (%c)%n',
    'rootLogger.level': level,
    'rootLogger.appenderRef.console.ref': 'console',
  });
}
