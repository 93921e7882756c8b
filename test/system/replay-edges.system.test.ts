import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';

import { eventually } from '../support/eventually.ts';
import { identities, readLedger } from '../support/ledger.ts';
import { ReplayScene } from '../support/replay-scene.ts';

const ROWS = 10;
const EVENTS = ROWS * 8 - 2;
const REASON = ['--reason', 'a test'];

let scene: ReplayScene | undefined;

afterEach(async () => {
  await scene?.close();
  scene = undefined;
});

async function settledScene(callback: object = {}): Promise<ReplayScene> {
  scene = await ReplayScene.open({ callback: { ...callback } });
  await scene.write(ROWS);
  await scene.settled(EVENTS);
  return scene;
}

test('by the command line: what fails for good is set aside, and its key alone is sent under new ids', async () => {
  const here = await settledScene();
  const { receiver } = here;
  receiver.react = ({ replay, key }) => (replay === '1' && key.endsWith('{"id":3}') ? 500 : 204);
  const started = await here.command(
    ...['replay', 'start', 'orders', '--yes', '--wait', '--table', '*.orders', ...REASON],
  );
  expect(started).toMatchObject({ code: 0, stderr: '' });
  expect(started.stdout).toContain('is done');
  const { ledger, total } = await here.show(1);
  // Three events of the row 3 at least, each after four attempts.
  expect(ledger).toMatchObject({ matched: total, dead: 3 });
  const dead = await here.command(
    'dead-letters',
    'list',
    '--callback',
    'orders.replay-1',
    '--json',
  );
  const letters = (JSON.parse(dead.stdout) as { items: { id: number; attempts: number }[] }).items;
  expect(letters.map(({ attempts }) => attempts)).toEqual([4, 4, 4]);
  const resend = ['dead-letters', 'resend', String(letters[0]?.id), ...REASON];
  expect((await here.command(...resend)).stderr).toMatch(/^error REPLAY_REFUSED/);

  const again = await here.command(
    ...[
      'replay',
      'start',
      'orders',
      '--yes',
      '--wait',
      '--key',
      '{"id":3}',
      '--new-ids',
      ...REASON,
    ],
  );
  expect(again.stdout).toContain('6 matched, 6 delivered');
  const first = receiver.arrived.filter(({ replay }) => replay === null);
  const second = receiver.arrived.filter(({ replay }) => replay === '2');
  expect(second).toHaveLength(6);
  for (const { webhookId, id } of second) {
    expect(webhookId).toBe(`${id}:replay:2:orders`);
    expect(first.some((one) => one.id === id && one.webhookId === `${id}:orders`)).toBe(true);
  }
  expect(receiver.violations).toEqual([]);
  expect((await readLedger(here.configFile)).flatMap(identities)).toEqual([]);
  const audit = await here.command('audit', '--json');
  expect(audit.stdout).toContain('callback-replay');
});

test('paused, resumed and cancelled from the command line, over a kill', async () => {
  const here = await settledScene({ concurrency: 4 });
  const { receiver } = here;
  const start = ['replay', 'start', 'orders', '--yes', '--rate', '3', ...REASON];
  expect((await here.command(...start)).stdout).toContain('is running');
  await eventually(() => {
    expect(receiver.ids('1').size).toBeGreaterThan(3);
  });
  expect((await here.command('replay', 'pause', '1', ...REASON)).stdout).toContain('is paused');
  await here.killAndStart();
  const before = receiver.ids('1').size;
  await here.write(2);
  await here.settled((ROWS + 2) * 8 - 2);
  expect(receiver.ids('1').size - before).toBeLessThan(3);
  expect((await here.command(...start)).stderr).toMatch(/^error REPLAY_RUNNING/);
  await here.command('replay', 'resume', '1', ...REASON);
  await eventually(() => {
    expect(receiver.ids('1').size).toBeGreaterThan(before + 3);
  });
  expect((await here.command('replay', 'cancel', '1', ...REASON)).stdout).toContain(
    'is cancelling',
  );
  const shown = await here.ended(1);
  expect(shown).toMatchObject({ state: 'cancelled', why: 'a test' });
  expect(shown.ledger.delivered).toBeLessThan(EVENTS);
  expect(receiver.violations).toEqual([]);
});

test('a callback that is taken out of the file has its replay cancelled, and one that is down holds it', async () => {
  const here = await settledScene();
  const { receiver, configFile } = here;
  receiver.react = ({ replay }) => (replay === null ? 204 : 410);
  await here.start(await here.plan());
  await eventually(async () => {
    expect((await here.command('callbacks', 'list', '--json')).stdout).toContain('"disabled"');
  });
  expect(await here.show(1)).toMatchObject({ state: 'running', ledger: { delivered: 0, dead: 0 } });
  receiver.react = () => 204;
  expect((await here.command('callbacks', 'enable', 'orders', ...REASON)).code).toBe(0);
  await here.ended(1);

  await here.start(await here.plan(), { rate: 1 });
  const file = parse(readFileSync(configFile, 'utf8')) as { callbacks: { name: string }[] };
  const others = file.callbacks.map((one) => ({ ...one, name: 'another' }));
  writeFileSync(configFile, stringify({ ...file, callbacks: others }));
  here.daemon.signal('SIGHUP');
  expect(await here.ended(2)).toMatchObject({ state: 'cancelled', why: 'orders was removed' });
  expect(await here.daemon.stop()).toEqual({ code: 0, signal: null });
});
