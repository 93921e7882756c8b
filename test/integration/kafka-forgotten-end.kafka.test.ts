/** A coordinator that passes over a partition without a leader, and says that the transaction has ended. */
import { endTxnV3, initProducerIdV4 } from '@platformatic/kafka';
import type { API } from '@platformatic/kafka';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';

import type { KafkaBroker, KafkaServer } from '../../services/kafka.ts';
import type { TopicPartition } from '../../src/log/change-log.ts';
import { Cluster } from '../../src/log/kafka/cluster.ts';
import { Connections } from '../../src/log/kafka/connections.ts';
import { encodeBatches } from '../../src/log/kafka/encode-batch.ts';
import type { KafkaLogOptions } from '../../src/log/kafka/kafka-options.ts';
import { endForgotten, OpenTransactions } from '../../src/log/kafka/open-transactions.ts';
import { Patience } from '../../src/log/kafka/patience.ts';
import { Producer } from '../../src/log/kafka/producer.ts';
import type { ProducerParts } from '../../src/log/kafka/producer.ts';
import type { Outcome } from '../../src/log/kafka/transaction-state.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { records } from '../contract/change-log-samples.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnKafka, uniqueKafkaName } from '../support/kafka.ts';

const RECORDS = 3;
const LIMITS = { maxBytes: 1_000_000, compression: 'none' } as const;
const LONG = { timeoutMs: 60_000, intervalMs: 200 };

let kafka: KafkaServer;
let scene: Scene | undefined;

beforeAll(async () => {
  kafka = await startOwnKafka({
    brokers: 2,
    properties: { 'broker.session.timeout.ms': '2000', 'broker.heartbeat.interval.ms': '500' },
  });
});

afterEach(async () => {
  await scene?.close();
  scene = undefined;
});

/** Broker 1 is the controller, and stays; broker 2 alone has the topic. */
function second(): KafkaBroker {
  const [, broker] = kafka.brokers;
  if (broker === undefined) throw new Error('The cluster is not ours');
  return broker;
}

/** What is done around the first request of a kind to the coordinator. */
interface Around {
  readonly api: unknown;
  readonly before: () => Promise<void>;
  readonly after?: () => Promise<void>;
}

/** One topic whose one copy is on the second broker, and one beside it that stays. */
class Scene {
  readonly name = uniqueKafkaName('forgotten');
  readonly away = { topic: `${this.name}.away`, partition: 0 };
  readonly there = { topic: `${this.name}.there`, partition: 0 };
  readonly #stop = new AbortController();
  readonly #options: KafkaLogOptions = {
    name: this.name,
    brokers: kafka.bootstrap,
    delivery: 'exactly-once',
    compression: 'none',
    topics: { create: true, replicationFactor: 1, config: {} },
    clock: systemClock,
    logger: silentLogger,
  };
  readonly #patience = new Patience(systemClock, silentLogger, 60_000, this.#stop.signal);
  readonly #cluster = new Cluster(this.#options, this.#patience);
  readonly #connections = new Connections(this.#options);
  readonly #open = new OpenTransactions(
    { cluster: this.#cluster, connections: this.#connections },
    this.#patience,
  );

  static async make(): Promise<Scene> {
    const made = new Scene();
    scene = made;
    for (const [{ topic }, broker] of [[made.away, 2] as const, [made.there, 1] as const]) {
      // The test's rows are of 1970: no retention by time.
      const settings = ['--replica-assignment', `${broker}`, '--config', 'retention.ms=-1'];
      await kafka.tools.topics(['--create', '--topic', topic, ...settings]);
    }
    return made;
  }

  producer(around?: Around): Producer {
    let called = false;
    const cluster: ProducerParts['cluster'] = {
      forget: (topic) => {
        this.#cluster.forget(topic);
      },
      leader: (at) => this.#cluster.leader(at),
      request: (at, api, ...args) => this.#cluster.request(at, api, ...args),
      requestCoordinator: async <Args extends unknown[], Answer>(
        of: Parameters<ProducerParts['cluster']['requestCoordinator']>[0],
        api: API<Args, Answer>,
        ...args: Args
      ) => {
        if (around === undefined || called || (api as unknown) !== around.api) {
          return this.#cluster.requestCoordinator(of, api, ...args);
        }
        called = true;
        await around.before();
        if (around.after === undefined) return this.#cluster.requestCoordinator(of, api, ...args);
        const answer = await this.#patience.attempt(
          { doing: 'Asking the coordinator', code: 'LOG_UNREACHABLE' },
          () => this.#cluster.requestCoordinator(of, api, ...args),
        );
        await around.after();
        return answer;
      },
    };
    return new Producer({
      cluster,
      connections: this.#connections,
      patience: this.#patience,
      transactionalId: `rowcall.${this.name}`,
      group: this.name,
      stillOpen: (id, partitions) => this.#open.of(id, partitions),
    });
  }

  write(producer: Producer): Promise<void> {
    const all = [this.away, this.there].map((at) => ({
      ...at,
      batches: encodeBatches(records(0, RECORDS), at.topic, LIMITS),
    }));
    return producer.transaction(all, Infinity);
  }

  async withoutLeader(): Promise<void> {
    await second().kill();
    await eventually(async () => {
      const said = await kafka.tools.topics(['--describe', '--topic', this.away.topic]);
      expect(said).toContain('Leader: none');
    }, LONG);
  }

  /** Kafka's own consumer sees all records in both topics; it may take a while to find the brokers after a kill. */
  async isSeen(): Promise<void> {
    for (const { topic } of [this.away, this.there]) {
      await eventually(async () => {
        await using consumption = await kafka.tools.consume({
          topic,
          from: 'beginning',
          isolation: 'read_committed',
          idleMs: 4_000,
        });
        expect(await consumption.rest()).toHaveLength(RECORDS);
      }, LONG);
    }
  }

  openOf({ id }: Producer): Promise<readonly TopicPartition[]> {
    return this.#open.of(id, [this.away, this.there]);
  }

  async endForgotten(producer: Producer, outcome: Outcome | null): Promise<void> {
    const left = await this.openOf(producer);
    await endForgotten({ producer, outcome, left, logger: silentLogger });
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#connections.close();
    await this.#cluster.close();
    await second().start();
  }
}

const died = new Error('The writer died');

/** Leaves a transaction that is to be committed, and was not where the second broker leads. */
async function commitAndDie(scene: Scene): Promise<void> {
  const writer = scene.producer({
    api: endTxnV3.api,
    before: () => scene.withoutLeader(),
    after: () => Promise.reject(died),
  });
  await writer.begin();
  await expect(scene.write(writer)).rejects.toMatchObject({ cause: died });
  await second().start();
}

describe('a partition that the end of a transaction passed over, since it had no leader', () => {
  test('is committed by the writer itself, before it says that all is written', async () => {
    const scene = await Scene.make();
    const writer = scene.producer({
      api: endTxnV3.api,
      before: () => scene.withoutLeader(),
      after: () => second().start(),
    });
    await writer.begin();
    await scene.write(writer);
    expect(await scene.openOf(writer)).toEqual([]);
    await scene.isSeen();
  });

  test('is committed by the successor of a writer that died once that was decided', async () => {
    const scene = await Scene.make();
    await commitAndDie(scene);
    const successor = scene.producer();
    const outcome = await successor.begin();
    expect(outcome).toBe('commit');
    expect(await scene.openOf(successor)).toEqual([scene.away]);
    await scene.endForgotten(successor, outcome);
    await scene.isSeen();
  });

  test('is committed by the successor of one that died while it made up for the end', async () => {
    const scene = await Scene.make();
    await commitAndDie(scene);
    const dying = scene.producer({ api: endTxnV3.api, before: () => Promise.reject(died) });
    const outcome = await dying.begin();
    await expect(scene.endForgotten(dying, outcome)).rejects.toMatchObject({ cause: died });
    const successor = scene.producer();
    expect(await successor.begin()).toBe('commit');
    expect(await scene.openOf(successor)).toEqual([]);
    await scene.isSeen();
  });

  test('is aborted by the successor of a writer that died before anything was decided', async () => {
    const scene = await Scene.make();
    const writer = scene.producer({ api: endTxnV3.api, before: () => Promise.reject(died) });
    await writer.begin();
    await expect(scene.write(writer)).rejects.toMatchObject({ cause: died });
    const successor = scene.producer({
      api: initProducerIdV4.api,
      before: () => scene.withoutLeader(),
    });
    const outcome = await successor.begin();
    expect(outcome).toBe('abort');
    await second().start();
    expect(await scene.openOf(successor)).toEqual([scene.away]);
    await scene.endForgotten(successor, outcome);
    expect(await scene.openOf(successor)).toEqual([]);
    await scene.write(successor);
    await scene.isSeen();
  });

  test('is a stop where nobody knows any more how it was to end', async () => {
    const scene = await Scene.make();
    await commitAndDie(scene);
    await scene.producer().begin();
    const successor = scene.producer();
    const outcome = await successor.begin();
    expect(outcome).toBeNull();
    const { topic, partition } = scene.away;
    await expect(scene.endForgotten(successor, outcome)).rejects.toMatchObject({
      code: 'LOG_UNUSABLE',
      place: `${topic}/${partition}`,
    });
  });
});
