/** Makes topics, and tells the limits of those that there are. */
import { ConfigResourceTypes, createTopicsV7, describeConfigsV4 } from '@platformatic/kafka';

import { RowcallError } from '../../errors.ts';
import { present } from '../../shared/assert.ts';
import type { TopicSpec } from '../change-log.ts';
import type { Cluster, ClusterTopic } from './cluster.ts';
import { BrokerRefusal, KAFKA } from './kafka-error.ts';
import type { KafkaTopicOptions } from './kafka-options.ts';
import { BROKER_TIMEOUT_MS } from './kafka-options.ts';
import type { Patience } from './patience.ts';

const LEADER_NOT_AVAILABLE = 5;

/**
 * A record's time is its row's, by the clock of the source. From 4.0 on brokers refuse one that is an hour ahead of
 * theirs, which would stop the capture for as long; those before 3.6 do not know the setting, and take any time.
 */
const ANY_TIME = { 'message.timestamp.after.max.ms': String(2n ** 63n - 1n) };

type CreateTopicsResponse = ReturnType<typeof createTopicsV7.parseResponse>;

export interface TopicConfig {
  /** max.message.bytes: of one record batch. */
  readonly maxBytes: number;
  readonly cleanupPolicy: string;
}

export class TopicAdmin {
  readonly #cluster: Cluster;
  readonly #patience: Patience;
  readonly #options: KafkaTopicOptions;

  constructor(cluster: Cluster, patience: Patience, options: KafkaTopicOptions) {
    this.#cluster = cluster;
    this.#patience = patience;
    this.#options = options;
  }

  /**
   * Makes those that are not there, with the settings of `config`. Returns all, in order, each with a leader for
   * every partition.
   *
   * @throws RowcallError TOPIC_NOT_MADE, TOPIC_INVALID, LOG_ACCESS_DENIED
   */
  async ensure(
    specs: readonly TopicSpec[],
    config: Readonly<Record<string, string>>,
  ): Promise<readonly ClusterTopic[]> {
    const names = specs.map(({ name }) => name);
    const there = await this.#attempt('Looking for topics', () => this.#cluster.topics(names));
    const missing = specs.filter(({ name }) => !there.some((topic) => topic.name === name));
    if (missing.length > 0) await this.#make(missing, config);
    return this.#attempt('Waiting for topics', async () => {
      const topics = await this.#cluster.topics(names);
      return specs.map(({ name }) => {
        const topic = topics.find((one) => one.name === name);
        if (topic === undefined || topic.leaders.includes(null)) {
          throw new BrokerRefusal(LEADER_NOT_AVAILABLE, name);
        }
        return topic;
      });
    });
  }

  async configs(names: readonly string[]): Promise<ReadonlyMap<string, TopicConfig>> {
    if (names.length === 0) return new Map();
    return this.#attempt('Reading the settings of topics', async () => {
      const [broker] = await this.#cluster.brokers();
      const { results } = await this.#cluster.request(
        { broker: present(broker, 'a broker') },
        describeConfigsV4.api,
        names.map((resourceName) => ({
          resourceType: ConfigResourceTypes.TOPIC,
          resourceName,
          configurationKeys: ['max.message.bytes', 'cleanup.policy'],
        })),
        false,
        false,
      );
      return new Map(
        results.map(({ resourceName, configs }) => {
          const value = (name: string): string =>
            present(configs.find((one) => one.name === name)?.value, `${name} of ${resourceName}`);
          const maxBytes = Number(value('max.message.bytes'));
          return [resourceName, { maxBytes, cleanupPolicy: value('cleanup.policy') }];
        }),
      );
    });
  }

  async #make(
    specs: readonly TopicSpec[],
    config: Readonly<Record<string, string>>,
  ): Promise<void> {
    if (!this.#options.create) {
      const names = specs.map(({ name }) => name).join(', ');
      throw new RowcallError('TOPIC_NOT_MADE', `Kafka has no topic ${names}`, {
        place: names,
        cure: 'Make it by hand, or set log.topics.create.',
      });
    }
    await this.#attempt('Making topics', async () => {
      const refused = await this.#refusal(specs, { ...ANY_TIME, ...config });
      const isUnknown = refused?.kafkaCode === KAFKA.INVALID_CONFIG;
      const final = isUnknown ? await this.#refusal(specs, config) : refused;
      if (final !== null) throw final;
    });
  }

  async #refusal(
    specs: readonly TopicSpec[],
    config: Readonly<Record<string, string>>,
  ): Promise<BrokerRefusal | null> {
    const configs = Object.entries(config).map(([name, value]) => ({ name, value }));
    const { topics } = await this.#request(
      specs.map(({ name, partitions }) => ({
        name,
        numPartitions: partitions,
        replicationFactor: this.#options.replicationFactor,
        assignments: [],
        configs,
      })),
    );
    const refused = topics.find(
      ({ errorCode }) => errorCode !== KAFKA.NONE && errorCode !== KAFKA.TOPIC_ALREADY_EXISTS,
    );
    if (refused === undefined) return null;
    return new BrokerRefusal(refused.errorCode, refused.name, refused.errorMessage);
  }

  /** One topic's refusal makes an error of the whole answer, which is all there all the same. */
  async #request(
    topics: Parameters<typeof createTopicsV7.createRequest>[0],
  ): Promise<CreateTopicsResponse> {
    try {
      return await this.#cluster.requestController(
        createTopicsV7.api,
        topics,
        BROKER_TIMEOUT_MS,
        false,
      );
    } catch (error) {
      const { response } = error as { readonly response?: CreateTopicsResponse };
      if (response === undefined) throw error;
      return response;
    }
  }

  #attempt<T>(doing: string, work: () => Promise<T>): Promise<T> {
    return this.#patience.attempt({ doing, code: 'LOG_UNREACHABLE' }, work);
  }
}
