/** A real Kafka cluster for tests, demo and benchmarks: given by its addresses, from Docker, or from packages. */
import { dockerKafka } from './kafka/docker.ts';
import { givenKafka } from './kafka/given.ts';
import type { KafkaOptions, KafkaServer } from './kafka/kafka-server.ts';
import { packagesKafka } from './kafka/packages.ts';

export type {
  BrokerPlace,
  KafkaBroker,
  KafkaOptions,
  KafkaServer,
  SaslMechanism,
} from './kafka/kafka-server.ts';
export type { ConsumeOptions, KafkaRecord, ProducedRecord } from './kafka/console-format.ts';

/**
 * The first that is there: `ROWCALL_KAFKA_BROKERS` (unless `own`), a Docker engine, the packages of
 * Maven Central; `progress` is told which. A cluster of ours ends with this process at the latest
 * (unless `keep`). Throws ServiceError, with what to do, where none is to be had.
 */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaServer> {
  const given = options.own === true ? '' : (process.env['ROWCALL_KAFKA_BROKERS'] ?? '');
  const server = given === '' ? await ownKafka(options) : await givenKafka(given, options);
  const how = { given: 'as given', docker: 'in Docker', packages: 'from packages' }[server.how];
  const version = server.version === undefined ? '' : `${server.version} `;
  options.progress?.(`Kafka ${version}${how}, at ${server.bootstrap.join(', ')}`);
  return server;
}

async function ownKafka(options: KafkaOptions): Promise<KafkaServer> {
  return (await dockerKafka(options)) ?? (await packagesKafka(options));
}
