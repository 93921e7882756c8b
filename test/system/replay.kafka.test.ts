/** A replay from a log in Kafka, whose offsets have gaps where transactions end. */
import { afterEach, expect, test } from 'vitest';

import { kafkaBrokers } from '../support/kafka.ts';
import { ReplayScene } from '../support/replay-scene.ts';

const ROWS = 20;
const EVENTS = ROWS * 8 - 2;

let scene: ReplayScene | undefined;

afterEach(async () => {
  await scene?.close();
});

test('over Kafka a range is sent once more, also over a kill -9, and counts as it was planned', async () => {
  const topics = { partitions: 3, replication_factor: 1 };
  scene = await ReplayScene.open({
    options: { log: { type: 'kafka', brokers: kafkaBrokers(), topics } },
  });
  const { receiver } = scene;
  await scene.write(ROWS);
  await scene.settled(EVENTS);
  const plan = await scene.plan();
  expect(plan).toMatchObject({ matched: EVENTS, missing: [] });
  const id = await scene.start(plan, { rate: 60 });
  await scene.write(3);
  await scene.killAndStart();
  const shown = await scene.ended(id);
  expect(shown).toMatchObject({ state: 'done', total: EVENTS });
  expect(shown.ledger).toMatchObject({ matched: EVENTS, delivered: EVENTS });
  expect(shown.offsets).toBeGreaterThan(EVENTS);
  expect(receiver.ids('1').size).toBe(EVENTS);
  await scene.settled((ROWS + 3) * 8 - 2);
  expect(receiver.violations).toEqual([]);
  expect(await scene.daemon.stop()).toEqual({ code: 0, signal: null });
});
