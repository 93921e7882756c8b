/** Faults of broker and network under a steady load, counted by Kafka's own consumer: docs/RELIABILITY.md. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import type { KafkaBroker } from '../../services/kafka.ts';
import { HEADER_ID } from '../../src/change-event.ts';
import { uniqueKafkaName } from '../support/kafka.ts';
import { committed } from '../support/reliability-count.ts';
import { cutConnections, secondsOf, startProxiedKafka } from '../support/reliability-faults.ts';
import type { ProxiedKafka } from '../support/reliability-faults.ts';
import { tell } from '../support/reliability-figures.ts';
import { NOTHING_WRONG, ReliabilityScene } from '../support/reliability-scene.ts';
import type { Connector } from '../support/reliability-scene.ts';
import { pause } from '../support/rowcall-process.ts';
import { Dice, runSeed, seededRandom } from '../support/workload-random.ts';
import { Scene } from '../support/workload-scene.ts';

/** Load before a fault, so that the fault meets a connector at work. */
const BEFORE_MS = 1_000;
const CUTTING_MS = 15_000;
/** How long the broker is away in all: its stop and start are in it. */
const AWAY_MS = Number(process.env['ROWCALL_RELIABILITY_AWAY_MS'] ?? 6_000);

const seed = runSeed();
const dice = new Dice(seededRandom(seed));
let cluster: ProxiedKafka;
let scene: ReliabilityScene | undefined;
let delivery: Scene | undefined;

beforeAll(async () => {
  cluster = await startProxiedKafka();
});

afterEach(async () => {
  await scene?.close();
  scene = undefined;
  await delivery?.close();
  delivery = undefined;
});

afterAll(async () => {
  await cluster.close();
});

async function underLoad(): Promise<{ scene: ReliabilityScene; connector: Connector }> {
  const { bootstrap: brokers, tools } = cluster.kafka;
  scene = await ReliabilityScene.open({ brokers, tools, seed });
  const connector = await scene.start();
  await connector.process.ready(60_000);
  scene.startWriting();
  await pause(BEFORE_MS);
  return { scene, connector };
}

function broker(): KafkaBroker {
  const [first] = cluster.kafka.brokers;
  if (first === undefined) throw new Error('The cluster has no broker of ours');
  return first;
}

async function stopsCleanly({ process }: Connector): Promise<void> {
  expect(await process.stop(), process.stderr).toEqual({ code: 0, signal: null });
}

describe('a log over Kafka holds each committed change once and in order by key', () => {
  test('while all connections to the broker are reset every 50 to 300 ms', async () => {
    const { scene, connector } = await underLoad();
    const cut = await cutConnections(cluster.proxies.values(), dice, CUTTING_MS);
    const goingOnS = await scene.caughtUp();
    const count = await scene.count();
    tell({ case: 'connections reset', ...count, fault: { cut, goingOnS } });
    expect(count, `seed ${seed}: ${connector.process.stderr}`).toMatchObject(NOTHING_WRONG);
    expect(cut).toBeGreaterThan(50);
    expect(count.records).toBe(scene.workload.rows);
    await stopsCleanly(connector);
  });

  test('while the broker is stopped and started', async () => {
    const { scene, connector } = await underLoad();
    const awayS = await secondsOf(async () => {
      await broker().stop();
      await pause(AWAY_MS);
      await broker().start();
    });
    const goingOnS = await scene.caughtUp();
    const count = await scene.count();
    tell({ case: 'broker stopped', ...count, fault: { awayS, goingOnS } });
    expect(count, `seed ${seed}: ${connector.process.stderr}`).toMatchObject(NOTHING_WRONG);
    expect(count.records).toBe(scene.workload.rows);
    await stopsCleanly(connector);
  });

  test('while the broker is killed and started, again and again', async () => {
    const { scene, connector } = await underLoad();
    const kills = 3;
    const goingOn: number[] = [];
    for (let kill = 0; kill < kills; kill += 1) {
      await broker().kill();
      await broker().start();
      goingOn.push(await scene.caughtUp());
      await pause(dice.between(100, 1_000));
    }
    const count = await scene.count();
    tell({ case: 'broker killed', ...count, fault: { kills, goingOnS: Math.max(...goingOn) } });
    expect(count, `seed ${seed}: ${connector.process.stderr}`).toMatchObject(NOTHING_WRONG);
    expect(count.records).toBe(scene.workload.rows);
    await stopsCleanly(connector);
  });
});

test('rowcall run delivers everything through resets, a stop and a kill of the broker, and its books balance', async () => {
  const { bootstrap: brokers, tools } = cluster.kafka;
  const name = uniqueKafkaName('rel-run');
  const topics = { partitions: 4, replication_factor: 1 };
  const opened = await Scene.open({
    name,
    callbacks: ['audit'],
    log: { type: 'kafka', brokers: [...brokers], topics },
  });
  delivery = opened;
  const daemon = opened.start();
  await daemon.ready(60_000);
  const stopWriting = opened.startWriting({ seed, pauseMs: 40, ddl: false });
  await pause(BEFORE_MS);
  const cut = await cutConnections(cluster.proxies.values(), dice, 5_000);
  await broker().stop();
  await broker().start();
  await pause(BEFORE_MS);
  await broker().kill();
  await broker().start();
  await stopWriting();
  const goingOnS = await secondsOf(() => opened.allTaken(120_000));
  // The receiver's journal, the tables, the ledger as it stands and as it is recounted from the topics.
  expect(await opened.findings(), `seed ${seed}: ${daemon.stderr}`).toEqual([]);
  const ids = (await committed(tools, name)).flatMap(({ headers }) =>
    headers.filter(([header]) => header === HEADER_ID).map(([, id]) => id),
  );
  tell({ case: 'rowcall run', records: ids.length, fault: { cut, goingOnS } });
  expect(ids).toHaveLength(new Set(ids).size);
  expect(new Set(ids)).toEqual(new Set(opened.journal.taken('audit').keys()));
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
});
