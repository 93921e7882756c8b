import { afterEach, expect, test } from 'vitest';

import { eventually } from '../support/eventually.ts';
import { identities, readLedger } from '../support/ledger.ts';
import { pause } from '../support/rowcall-process.ts';
import { ReplayScene } from '../support/replay-scene.ts';

const ROWS = 60;
/** Each row: an insert and two updates in each of two tables; the row 0 is updated with every other one. */
const eventsOf = (rows: number): number => rows * 8 - 2;

let scene: ReplayScene | undefined;

afterEach(async () => {
  await scene?.close();
  scene = undefined;
});

test('a range is sent once more beside live traffic and over a kill -9, as it was planned', async () => {
  scene = await ReplayScene.open();
  const { receiver } = scene;
  await scene.write(ROWS);
  await scene.settled(eventsOf(ROWS));
  const before = receiver.ids(null);
  const plan = await scene.plan();
  expect(plan).toMatchObject({ matched: eventsOf(ROWS), next: null, missing: [], rate: null });
  expect(plan.keys).toBe(ROWS * 2);
  expect(plan.sample).toHaveLength(5);

  let slow = true;
  receiver.react = async ({ replay }) => {
    if (slow && replay !== null) await pause(15);
    return 204;
  };
  const id = await scene.start(plan);
  const writing = scene.write(ROWS);
  await eventually(() => {
    expect(receiver.ids('1').size).toBeGreaterThan(50);
  });
  await scene.killAndStart();
  await eventually(() => {
    expect(receiver.ids('1').size).toBeGreaterThan(150);
  });
  slow = false;
  await writing;
  const shown = await scene.ended(id);
  expect(shown).toMatchObject({ state: 'done', total: plan.matched, why: null });
  expect(shown.ledger).toMatchObject({ matched: plan.matched, delivered: plan.matched, dead: 0 });
  expect(shown.offsets_done).toBe(shown.offsets);
  expect(receiver.ids('1')).toEqual(before);
  await scene.settled(eventsOf(ROWS * 2));
  expect(receiver.violations).toEqual([]);
  // A repeat is the same call: of the callback that it was of.
  const first = receiver.arrived.find(({ replay }) => replay === null);
  const again = receiver.arrived.find((one) => one.replay === '1' && one.id === first?.id);
  expect(again?.webhookId).toBe(first?.webhookId);
  expect(again?.sequence).toBe(first?.sequence);
  const rows = await readLedger(scene.configFile);
  expect(rows.flatMap(identities)).toEqual([]);
  expect(new Set(rows.map(({ callback }) => callback))).toEqual(new Set(['orders']));
  expect((await scene.command('ledger', '--recount')).code).toBe(0);
  expect(await scene.daemon.stop()).toEqual({ code: 0, signal: null });
});
