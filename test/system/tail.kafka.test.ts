/** The live tail of a process that captures into Kafka and delivers nothing: nobody else reads there. */
import { afterEach, expect, test } from 'vitest';

import { kafkaBrokers } from '../support/kafka.ts';
import { ADMIN_TOKEN } from '../support/rowcall-process-config.ts';
import { rowcall } from '../support/rowcall-process.ts';
import { TurnScene } from '../support/turn-scene.ts';
import { eventually } from '../support/eventually.ts';

const LOGGED = { timeoutMs: 60_000, intervalMs: 200 };

let scene: TurnScene | undefined;

afterEach(async () => {
  await scene?.close();
  scene = undefined;
});

test('rowcall tail shows rows as they come into Kafka, each once, and none of before', async () => {
  const here = await TurnScene.open(kafkaBrokers());
  scene = here;
  const { admin, process } = await here.start();
  await here.sql('INSERT INTO orders VALUES (1)');
  await eventually(async () => {
    expect(await here.loggedIds(), process.stderr).toEqual([1]);
  }, LOGGED);

  const found = ['--url', `http://${admin}`, '--token', ADMIN_TOKEN];
  let tailed: Awaited<ReturnType<typeof rowcall>> | undefined;
  const tailing = rowcall(['tail', ...found, '--limit', '5', '--json']).then((result) => {
    tailed = result;
  });
  let id = 1;
  await eventually(async () => {
    id += 1;
    await here.sql(`INSERT INTO orders VALUES (${id})`);
    expect(tailed).toBeDefined();
  }, LOGGED);
  await tailing;
  expect(tailed?.code, tailed?.stderr).toBe(0);
  const lines = (tailed?.stdout ?? '').trim().split('\n');
  const events = lines.map((line) => JSON.parse(line) as { topic: string; key: string });
  expect(new Set(events.map(({ topic }) => topic))).toEqual(new Set([here.topic]));
  const keys = events.map(({ key }) => (JSON.parse(key) as { id: number }).id);
  expect(new Set(keys).size).toBe(5);
  // One row at a time: what comes between the first and the last that were shown is all shown.
  expect(Math.max(...keys) - Math.min(...keys)).toBe(4);
  expect(Math.min(...keys)).toBeGreaterThan(1);
});
