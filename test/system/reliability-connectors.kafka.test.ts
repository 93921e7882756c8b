/** Faults of connectors and of topics under a steady load, counted by Kafka's own consumer: docs/RELIABILITY.md. */
import { afterEach, describe, expect, test } from 'vitest';

import { eventually } from '../support/eventually.ts';
import { kafkaBrokers, kafkaTools } from '../support/kafka.ts';
import { committed, countLog } from '../support/reliability-count.ts';
import { tell } from '../support/reliability-figures.ts';
import { NOTHING_WRONG, ReliabilityScene } from '../support/reliability-scene.ts';
import type { Connector } from '../support/reliability-scene.ts';
import { pause } from '../support/rowcall-process.ts';
import { Dice, runSeed, seededRandom } from '../support/workload-random.ts';

const BEFORE_MS = 1_000;
const KILLS = 30;
const START_TIMEOUT_MS = 60_000;
/** Thirty starts, on a machine that may be busy with others. */
const KILLS_TIMEOUT_MS = 600_000;
const FENCED = { code: 1, signal: null };
const REFUSED = { code: 3, signal: null };

const seed = runSeed();
const dice = new Dice(seededRandom(seed));
let scene: ReliabilityScene | undefined;

afterEach(async () => {
  await scene?.close();
  scene = undefined;
});

async function underLoad(): Promise<{
  readonly scene: ReliabilityScene;
  readonly connector: Connector;
  /** From its start until it captures. */
  readonly startMs: number;
}> {
  scene = await ReliabilityScene.open({
    brokers: kafkaBrokers(),
    tools: await kafkaTools(),
    seed,
  });
  const began = performance.now();
  const connector = await scene.start();
  await connector.process.ready(START_TIMEOUT_MS);
  const startMs = Math.round(performance.now() - began);
  scene.startWriting();
  await pause(BEFORE_MS);
  return { scene, connector, startMs };
}

async function stopsCleanly({ process }: Connector): Promise<void> {
  expect(await process.stop(), process.stderr).toEqual({ code: 0, signal: null });
}

describe('a log over Kafka holds each committed change once and in order by key', () => {
  test(
    'when the connector is killed thirty times',
    async () => {
      const opened = await underLoad();
      const { scene, startMs } = opened;
      let { connector } = opened;
      for (let kill = 0; kill < KILLS; kill += 1) {
        // Every third at work, the others wherever in their start they are, however fast this machine is.
        if (kill % 3 === 0) await connector.process.ready(START_TIMEOUT_MS);
        await pause(dice.below(Math.round(startMs * 1.25)));
        expect(connector.process.running, `seed ${seed}: ${connector.process.stderr}`).toBe(true);
        await connector.process.kill();
        connector = await scene.start();
      }
      const goingOnS = await scene.caughtUp();
      const count = await scene.count();
      tell({ case: 'connector killed', ...count, fault: { kills: KILLS, goingOnS } });
      expect(count, `seed ${seed}: ${connector.process.stderr}`).toMatchObject(NOTHING_WRONG);
      expect(count.records).toBe(scene.workload.rows);
      await stopsCleanly(connector);
    },
    KILLS_TIMEOUT_MS,
  );

  test('when a frozen connector wakes after another took over: it ends, and nothing of it lands', async () => {
    const { scene, connector } = await underLoad();
    let active = connector;
    const takeOvers = 3;
    for (let round = 0; round < takeOvers; round += 1) {
      // Wherever it stands: in a transaction of the log, between two, with rows in its socket.
      active.process.signal('SIGSTOP');
      const next = await scene.start(`host-${round}`, ['--take-over']);
      await next.process.ready(START_TIMEOUT_MS);
      await scene.caughtUp();
      active.process.signal('SIGCONT');
      expect(await active.process.exited, active.process.stderr).toEqual(FENCED);
      expect(active.process.stderr).toContain('WRITER_FENCED');
      active = next;
    }
    const count = await scene.count();
    tell({ case: 'connector frozen, taken over', ...count, fault: { takeOvers } });
    expect(count, `seed ${seed}: ${active.process.stderr}`).toMatchObject(NOTHING_WRONG);
    expect(count.records).toBe(scene.workload.rows);
    await stopsCleanly(active);
  });

  test('when the standby goes on after the frozen one: what wakes adds nothing', async () => {
    const { scene, connector } = await underLoad();
    const standby = await scene.start('b');
    await standby.process.healthy(START_TIMEOUT_MS);
    connector.process.signal('SIGSTOP');
    await standby.process.ready(START_TIMEOUT_MS);
    const goingOnS = await scene.caughtUp();
    connector.process.signal('SIGCONT');
    await pause(BEFORE_MS);
    const count = await scene.count();
    tell({ case: 'connector frozen, standby', ...count, fault: { goingOnS } });
    expect(count, `seed ${seed}: ${standby.process.stderr}`).toMatchObject(NOTHING_WRONG);
    expect(count.records).toBe(scene.workload.rows);
    await stopsCleanly(standby);
  });

  test('when partitions are added to its topics: keys stay where they were, before and after a restart', async () => {
    const { scene, connector } = await underLoad();
    const tools = await kafkaTools();
    for (const table of ['accounts', 'orders']) {
      await tools.topics(['--alter', '--topic', scene.topic(table), '--partitions', '7']);
    }
    await scene.caughtUp();
    await stopsCleanly(connector);
    const again = await scene.start();
    await again.process.ready(START_TIMEOUT_MS);
    const count = await scene.count();
    tell({ case: 'partitions added', ...count, fault: { from: 4, to: 7 } });
    expect(count, `seed ${seed}: ${again.process.stderr}`).toMatchObject(NOTHING_WRONG);
    expect(count.records).toBe(scene.workload.rows);
    await stopsCleanly(again);
  });
});

describe('a topic that was deleted and made anew', () => {
  test('stops the connector, which does not begin at 0 again, now or later', async () => {
    const { scene, connector } = await underLoad();
    const tools = await kafkaTools();
    const topic = scene.topic('orders');
    await tools.topics(['--delete', '--topic', topic]);
    await eventually(() => tools.topics(['--create', '--topic', topic, '--partitions', '4']));
    expect(await connector.process.exited, connector.process.stderr).toEqual(REFUSED);
    expect(connector.process.stderr).toContain('TOPIC_RECREATED');
    await scene.workload.stop();
    const again = await scene.start();
    expect(await again.process.exited, again.process.stderr).toEqual(REFUSED);
    expect(again.process.stderr).toContain('TOPIC_RECREATED');
    const records = await committed(tools, scene.name);
    const { repeated, outOfOrder, invented } = countLog(records, scene.workload.changes);
    tell({ case: 'topic made anew', records: records.length, repeated, outOfOrder, invented });
    expect({ repeated, outOfOrder, invented }).toEqual({ repeated: 0, outOfOrder: 0, invented: 0 });
  });

  test('stops the connector also where it stays away', async () => {
    const { scene, connector } = await underLoad();
    const tools = await kafkaTools();
    await tools.topics(['--delete', '--topic', scene.topic('orders')]);
    expect(await connector.process.exited, connector.process.stderr).toEqual(REFUSED);
    expect(connector.process.stderr).toContain('TOPIC_RECREATED');
  });
});
