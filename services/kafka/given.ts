/** A cluster that somebody else runs, named by its addresses. */
import { ServiceError } from '../service-error.ts';
import { askBrokers } from './answer.ts';
import type { KafkaOptions, KafkaServer } from './kafka-server.ts';
import { installedKafka } from './packages.ts';
import { KafkaTools } from './tools.ts';

const DEFAULT_PORT = 9092;
const CURE = 'Unset ROWCALL_KAFKA_BROKERS for this run.';

/** `addresses` is `host:port,…`, without TLS and login. */
export async function givenKafka(addresses: string, options: KafkaOptions): Promise<KafkaServer> {
  refuseWhatOnlyOursCan(options);
  const bootstrap = addresses.split(',').map((address) => address.trim());
  for (const address of bootstrap) await checkAnswer(address);
  const notOurs = (): Promise<never> =>
    Promise.reject(
      new ServiceError(
        `The Kafka cluster at ${addresses} was given in ROWCALL_KAFKA_BROKERS: it is not ours to stop or start.`,
        CURE,
      ),
    );
  const list = (): string => bootstrap.join(',');
  return {
    how: 'given',
    bootstrap,
    version: undefined,
    brokers: [],
    tls: undefined,
    sasl: undefined,
    // A given cluster brings no programs along, so they come from packages when first asked for.
    tools: new KafkaTools(
      async (name, args) => {
        const { programs } = await installedKafka(options.progress ?? (() => undefined));
        return programs.run(name, args);
      },
      { internal: list, client: list, clientConfig: undefined },
    ),
    stop: notOurs,
    start: notOurs,
    dispose: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function refuseWhatOnlyOursCan(options: KafkaOptions): void {
  const asked = (['brokers', 'properties', 'tls', 'sasl', 'advertise', 'port'] as const).filter(
    (name) => options[name] !== undefined,
  );
  if (asked.length === 0) return;
  throw new ServiceError(
    `The cluster given in ROWCALL_KAFKA_BROKERS cannot be set up with ${asked.join(', ')}.`,
    CURE,
  );
}

async function checkAnswer(address: string): Promise<void> {
  const colon = address.lastIndexOf(':');
  const host = colon === -1 ? address : address.slice(0, colon);
  const port = colon === -1 ? DEFAULT_PORT : Number(address.slice(colon + 1));
  await askBrokers(host, port).catch((error: unknown) => {
    throw new ServiceError(
      `The Kafka broker given in ROWCALL_KAFKA_BROKERS (${host}:${port}) does not answer.`,
      'Check the address, or unset it to have a cluster started.',
      error,
    );
  });
}
