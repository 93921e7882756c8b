/** The brokers: who leads what, and one way to ask any of them. */
import { apiVersionsV3, findCoordinatorV4, metadataV12, type API } from '@platformatic/kafka';

import { RowcallError } from '../../errors.ts';
import type { TopicPartition } from '../change-log.ts';
import { Connections } from './connections.ts';
import type { BrokerAddress } from './connections.ts';
import { BrokerRefusal, KAFKA, kafkaCodes } from './kafka-error.ts';
import type { KafkaLogOptions } from './kafka-options.ts';
import { METADATA_MAX_AGE_MS } from './kafka-options.ts';
import type { Patience } from './patience.ts';
import { NEEDED_APIS } from './needed-apis.ts';

type MetadataResponse = ReturnType<typeof metadataV12.parseResponse>;

export interface ClusterTopic {
  readonly name: string;
  readonly id: string;
  /** The broker that leads each partition; null while there is none. */
  readonly leaders: readonly (number | null)[];
}

export type CoordinatorOf = 'group' | 'transaction';

/** After this time a topic that is missing was deleted. */
export const GONE_AFTER_MS = 10_000;

const COORDINATOR_TYPE = { group: 0, transaction: 1 } as const;

interface Known {
  readonly topic: ClusterTopic | null;
  readonly askedAt: number;
}

/**
 * What is known of the cluster, asked anew when it is old or was shown to be wrong. Invariants: nothing here makes
 * a topic: the brokers are told not to, since a topic of their making would have their settings and not ours. And a
 * name stands for one topic for as long as this lives: one made anew under it is refused.
 */
export class Cluster {
  readonly #bootstrap: readonly BrokerAddress[];
  readonly #connections: Connections;
  readonly #patience: Patience;
  #brokers = new Map<number, BrokerAddress>();
  #controller: number | null = null;
  readonly #topics = new Map<string, Known>();
  /** The id of each topic when it was first seen. */
  readonly #ids = new Map<string, string>();
  /** Topics that were there and are not: since when. */
  readonly #missing = new Map<string, number>();
  readonly #asking = new Map<string, Promise<ClusterTopic | null>>();
  readonly #coordinators = new Map<string, BrokerAddress>();
  #checked = false;

  constructor(options: KafkaLogOptions, patience: Patience) {
    this.#bootstrap = options.brokers.map(parseAddress);
    this.#connections = new Connections(options);
    this.#patience = patience;
  }

  /** One request to one broker, by number; over `connections`, or our own. */
  async request<Args extends unknown[], Answer>(
    at: { readonly broker: number; readonly connections?: Connections },
    api: API<Args, Answer>,
    ...args: Args
  ): Promise<Answer> {
    const address = this.#brokers.get(at.broker);
    if (address === undefined) {
      throw new BrokerRefusal(BROKER_NOT_AVAILABLE, `broker ${at.broker}`);
    }
    return (at.connections ?? this.#connections).request(address, api, ...args);
  }

  /** To the broker that coordinates the group or transactional id. */
  async requestCoordinator<Args extends unknown[], Answer>(
    of: { readonly type: CoordinatorOf; readonly key: string; readonly connections?: Connections },
    api: API<Args, Answer>,
    ...args: Args
  ): Promise<Answer> {
    const known = `${of.type} ${of.key}`;
    let address = this.#coordinators.get(known);
    if (address === undefined) {
      address = await this.#findCoordinator(of);
      this.#coordinators.set(known, address);
    }
    try {
      return await (of.connections ?? this.#connections).request(address, api, ...args);
    } catch (error) {
      // It may have moved, or be gone; to ask once more costs little.
      if (!kafkaCodes(error).includes(KAFKA.CONCURRENT_TRANSACTIONS)) {
        this.#coordinators.delete(known);
      }
      throw error;
    }
  }

  /** To the broker that makes topics. */
  async requestController<Args extends unknown[], Answer>(
    api: API<Args, Answer>,
    ...args: Args
  ): Promise<Answer> {
    if (this.#controller === null) await this.#metadata([]);
    const broker = this.#controller ?? NO_BROKER;
    try {
      return await this.request({ broker }, api, ...args);
    } catch (error) {
      this.#controller = null;
      throw error;
    }
  }

  /** The numbers of all brokers. */
  async brokers(): Promise<readonly number[]> {
    await this.#metadata([]);
    return [...this.#brokers.keys()];
  }

  /** The topics that there are, in any order; those that are not are left out. Asks the brokers. */
  async topics(names: readonly string[]): Promise<readonly ClusterTopic[]> {
    if (names.length === 0) return [];
    const { topics } = await this.#metadata(names);
    return topics.flatMap((topic) => this.#learn(topic) ?? []);
  }

  /** Every topic of the cluster that we may see. */
  async allTopics(): Promise<readonly ClusterTopic[]> {
    const { topics } = await this.#metadata(null);
    return topics.flatMap((topic) => this.#learn(topic) ?? []);
  }

  /** As known, or asked; null when there is no such topic. */
  topic(name: string): Promise<ClusterTopic | null> {
    const known = this.#topics.get(name);
    const now = this.#patience.clock.monotonic();
    if (known !== undefined && now - known.askedAt < METADATA_MAX_AGE_MS) {
      return Promise.resolve(known.topic);
    }
    let asking = this.#asking.get(name);
    if (asking === undefined) {
      asking = this.topics([name])
        .then(([topic]) => topic ?? null)
        .finally(() => {
          this.#asking.delete(name);
        });
      this.#asking.set(name, asking);
    }
    return asking;
  }

  /**
   * @throws RowcallError TOPIC_UNKNOWN; TOPIC_RECREATED for one that was there; BrokerRefusal LEADER_NOT_AVAILABLE, or
   *   UNKNOWN_TOPIC_OR_PARTITION while a broker may not have heard of it yet
   */
  async leader(
    at: TopicPartition,
  ): Promise<{ readonly broker: number; readonly topic: ClusterTopic }> {
    const topic = await this.topic(at.topic);
    const broker = topic?.leaders[at.partition];
    if (topic === null || broker === undefined) {
      this.#topics.delete(at.topic);
      if (topic === null && this.#ids.has(at.topic)) throw this.#gone(at);
      const what = topic === null ? '' : `partition ${at.partition} of `;
      throw new RowcallError('TOPIC_UNKNOWN', `Kafka has no ${what}topic ${at.topic}`, {
        place: `${at.topic}/${at.partition}`,
      });
    }
    if (broker === null) {
      this.forget(at.topic);
      throw new BrokerRefusal(LEADER_NOT_AVAILABLE, `${at.topic}/${at.partition}`);
    }
    return { broker, topic };
  }

  /** A broker that has just started may know less than it did: one that stays away was deleted. */
  #gone({ topic, partition }: TopicPartition): Error {
    const place = `${topic}/${partition}`;
    const now = this.#patience.clock.monotonic();
    const since = this.#missing.get(topic) ?? now;
    this.#missing.set(topic, since);
    if (now - since < GONE_AFTER_MS) {
      return new BrokerRefusal(KAFKA.UNKNOWN_TOPIC_OR_PARTITION, place);
    }
    const message = `The topic ${topic} is not there any more: it was deleted`;
    return new RowcallError('TOPIC_RECREATED', message, { place });
  }

  /** What is known of the topic was shown to be wrong. */
  forget(topic: string): void {
    this.#topics.delete(topic);
  }

  /** A broker may be gone: all that names one is asked anew. */
  forgetAll(): void {
    this.#topics.clear();
    this.#coordinators.clear();
    this.#controller = null;
  }

  close(): Promise<void> {
    return this.#connections.close();
  }

  #learn(topic: MetadataResponse['topics'][number]): ClusterTopic | null {
    const { name, topicId, errorCode, partitions } = topic;
    if (name === null || name === undefined) return null;
    const askedAt = this.#patience.clock.monotonic();
    if (
      errorCode === KAFKA.UNKNOWN_TOPIC_OR_PARTITION ||
      errorCode === KAFKA.INVALID_TOPIC_EXCEPTION
    ) {
      // Not kept: it may be made at any moment, by another process too.
      this.#topics.delete(name);
      return null;
    }
    if (errorCode !== KAFKA.NONE) throw new BrokerRefusal(errorCode, name);
    const id = this.#ids.get(name) ?? topicId;
    this.#ids.set(name, id);
    if (id !== topicId) {
      const message = `The topic ${name} was made anew: its records are others`;
      throw new RowcallError('TOPIC_RECREATED', message, { place: name });
    }
    const leaders: (number | null)[] = partitions.map(() => null);
    for (const { partitionIndex, leaderId } of partitions) {
      leaders[partitionIndex] = leaderId < 0 ? null : leaderId;
    }
    this.#missing.delete(name);
    const learned = { name, id: topicId, leaders };
    this.#topics.set(name, { topic: learned, askedAt });
    return learned;
  }

  async #findCoordinator(of: {
    readonly type: CoordinatorOf;
    readonly key: string;
  }): Promise<BrokerAddress> {
    const type = COORDINATOR_TYPE[of.type];
    const { coordinators } = await this.#anyBroker((address) =>
      this.#connections.request(address, findCoordinatorV4.api, type, [of.key]),
    );
    const [found] = coordinators;
    if (found === undefined) throw new BrokerRefusal(COORDINATOR_NOT_AVAILABLE, of.key);
    return { host: found.host, port: found.port };
  }

  async #metadata(topics: readonly string[] | null): Promise<MetadataResponse> {
    const answer = await this.#anyBroker(async (address) => {
      if (!this.#checked) await this.#check(address);
      try {
        return await this.#connections.request(
          address,
          metadataV12.api,
          topics === null ? null : [...topics],
          false,
          false,
        );
      } catch (error) {
        // One topic that is not there makes an error of the whole answer, which is all there all the same.
        const { response } = error as { readonly response?: MetadataResponse };
        if (response === undefined) throw error;
        return response;
      }
    });
    this.#brokers = new Map(
      answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]),
    );
    this.#controller = answer.controllerId < 0 ? null : answer.controllerId;
    return answer;
  }

  /** Refuses a broker that is too old before anything is written to it. */
  async #check(address: BrokerAddress): Promise<void> {
    const { apiKeys } = await this.#connections.request(address, apiVersionsV3.api, 'rowcall', '1');
    for (const { key, version } of NEEDED_APIS) {
      const api = apiKeys.find(({ apiKey }) => apiKey === key);
      if (api !== undefined && api.minVersion <= version && version <= api.maxVersion) continue;
      throw new RowcallError(
        'LOG_UNUSABLE',
        `The broker does not know version ${version} of Kafka's API ${key}`,
        { place: `${address.host}:${address.port}`, cure: 'Rowcall needs Kafka 3.1 or newer.' },
      );
    }
    this.#checked = true;
  }

  /** The first that answers, of those that the configuration names and those known since. */
  async #anyBroker<T>(ask: (address: BrokerAddress) => Promise<T>): Promise<T> {
    const errors: unknown[] = [];
    const addresses = [...this.#brokers.values(), ...this.#bootstrap];
    for (const address of addresses) {
      try {
        return await ask(address);
      } catch (error) {
        if (error instanceof RowcallError) throw error;
        errors.push(error);
      }
    }
    throw errors.at(-1);
  }
}

const NO_BROKER = -1;
const LEADER_NOT_AVAILABLE = 5;
const BROKER_NOT_AVAILABLE = 8;
const COORDINATOR_NOT_AVAILABLE = 15;

function parseAddress(text: string): BrokerAddress {
  const at = text.lastIndexOf(':');
  const host = at < 0 ? text : text.slice(0, at);
  return {
    host: host.replace(/^\[(.*)\]$/, '$1'),
    port: at < 0 ? 9092 : Number(text.slice(at + 1)),
  };
}
