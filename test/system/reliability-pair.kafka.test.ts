/** Two brokers, one standing still while the other dies, counted by Kafka's own consumer: docs/RELIABILITY.md. */
import { afterEach, beforeAll, expect, test } from 'vitest';

import { askBrokers } from '../../services/kafka/answer.ts';
import type { KafkaBroker, KafkaServer } from '../../services/kafka.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnKafka } from '../support/kafka.ts';
import { secondsOf } from '../support/reliability-faults.ts';
import { tell } from '../support/reliability-figures.ts';
import { NOTHING_WRONG, ReliabilityScene } from '../support/reliability-scene.ts';
import type { Connector } from '../support/reliability-scene.ts';
import { pause } from '../support/rowcall-process.ts';
import { runSeed } from '../support/workload-random.ts';

const BEFORE_MS = 1_000;
/** Writes with one copy only, where the topics allow that. */
const ALONE_MS = 3_000;

const seed = runSeed();
let kafka: KafkaServer;
let scene: ReliabilityScene | undefined;

beforeAll(async () => {
  kafka = await startOwnKafka({
    brokers: 2,
    properties: {
      'replica.lag.time.max.ms': '1000',
      'broker.session.timeout.ms': '2000',
      'broker.heartbeat.interval.ms': '500',
    },
  });
});

afterEach(async () => {
  await scene?.close();
  scene = undefined;
});

/** Broker 1 is the controller too: while it is away nobody is elected. */
function brokers(): { readonly first: KafkaBroker; readonly second: KafkaBroker } {
  const [first, second] = kafka.brokers;
  if (first === undefined || second === undefined) throw new Error('The cluster is not ours');
  return { first, second };
}

async function underLoad(minInSync: number): Promise<{
  readonly scene: ReliabilityScene;
  readonly connector: Connector;
}> {
  scene = await ReliabilityScene.open({
    brokers: kafka.bootstrap,
    tools: kafka.tools,
    seed,
    topics: { replication_factor: 2, config: { 'min.insync.replicas': minInSync } },
  });
  const connector = await scene.start();
  await connector.process.ready(60_000);
  scene.startWriting();
  await pause(BEFORE_MS);
  await scene.caughtUp();
  return { scene, connector };
}

/** Waits until the cluster counts these brokers as alive. */
async function alive(broker: KafkaBroker, ids: readonly number[]): Promise<void> {
  await eventually(async () => {
    expect(await askBrokers(broker.host, broker.port)).toEqual(ids);
  });
}

/** Waits until every copy of the scene's topics is in step. */
async function inStep({ name }: ReliabilityScene): Promise<void> {
  await eventually(async () => {
    const behind = await kafka.tools.topics(['--describe', '--under-replicated-partitions']);
    expect(behind).not.toContain(name);
  });
}

async function holdsEverything(
  { scene, connector }: { readonly scene: ReliabilityScene; readonly connector: Connector },
  figures: { readonly case: string; readonly fault: Readonly<Record<string, number>> },
): Promise<void> {
  const goingOnS = await scene.caughtUp();
  const count = await scene.count();
  tell({ ...figures, ...count, fault: { ...figures.fault, goingOnS } });
  expect(count, `seed ${seed}: ${connector.process.stderr}`).toMatchObject(NOTHING_WRONG);
  expect(count.records).toBe(scene.workload.rows);
  expect(await connector.process.stop(), connector.process.stderr).toEqual({
    code: 0,
    signal: null,
  });
}

test.each([1, 2])(
  'nothing is lost when the follower stands still and the leader is killed, with min.insync.replicas=%i',
  async (minInSync) => {
    const { first, second } = brokers();
    const { scene, connector } = await underLoad(minInSync);
    await second.pause();
    await alive(first, [1]);
    // What comes now is acknowledged by the leader alone, or held back.
    await pause(ALONE_MS);
    await first.kill();
    await second.resume();
    const awayS = await secondsOf(() => first.start());
    await alive(first, [1, 2]);
    const fault = { minInSync, awayS };
    await holdsEverything({ scene, connector }, { case: 'follower paused, leader killed', fault });
    await inStep(scene);
  },
);

test('nothing is lost when a leader is killed and the follower in step leads, and the other way round', async () => {
  const { first, second } = brokers();
  const { scene, connector } = await underLoad(1);
  await second.kill();
  await alive(first, [1]);
  const goneOnS = await scene.caughtUp();
  await second.start();
  await alive(first, [1, 2]);
  await inStep(scene);
  await first.kill();
  await first.start();
  const fault = { goneOnS };
  await holdsEverything({ scene, connector }, { case: 'leader killed, follower leads', fault });
});
