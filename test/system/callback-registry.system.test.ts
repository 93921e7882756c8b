import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';

import { eventually } from '../support/eventually.ts';
import { Receiver } from '../support/receiver.ts';
import { ADMIN_TOKEN } from '../support/rowcall-process-config.ts';
import { runSeed } from '../support/workload-random.ts';
import { Scene, SECRET } from '../support/workload-scene.ts';

let scene: Scene | undefined;
let receiver: Receiver | undefined;

afterEach(async () => {
  await scene?.close();
  await receiver?.refuse();
});

test('a callback made through the API outlives a kill, is changed under load, and leaves nothing behind', async () => {
  const seed = runSeed();
  scene = await Scene.open({ name: 'registry', callbacks: ['steady'] });
  const { journal, configFile, admin, database } = scene;
  const file = parse(readFileSync(configFile, 'utf8')) as { admin: object };
  const settings = { ...file, admin: { ...file.admin, private_callbacks: true } };
  writeFileSync(configFile, stringify(settings));
  receiver = new Receiver({ journal, secret: SECRET });
  await receiver.listen();
  const deliver = { url: receiver.url, secrets: [SECRET], allow_private_network: true };
  const guest = { name: 'guest', tables: [`${database}.*`], from: 'earliest', deliver };

  const ask = async (method: string, path: string, body?: object): Promise<number> => {
    const answer = await fetch(`http://${admin}/v1/callbacks${path}`, {
      method,
      headers: {
        authorization: `Bearer ${ADMIN_TOKEN}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    await answer.arrayBuffer();
    return answer.status;
  };

  let daemon = scene.start();
  await daemon.ready(120_000);
  const stopWriting = scene.startWriting({ seed, pauseMs: 40, ddl: false });
  expect(await ask('POST', '', guest)).toBe(201);
  // It is durable when it is answered, whether or not anything was done about it.
  await daemon.kill();
  daemon = scene.start();
  await daemon.healthy(120_000);
  for (const concurrency of [1, 17, 4, 30]) {
    const before = journal.taken('guest').size;
    expect(await ask('PATCH', '/guest', { concurrency })).toBe(200);
    await eventually(() => {
      expect(journal.taken('guest').size).toBeGreaterThan(before);
    });
  }
  const repeatsOfKill = journal.repeats('guest');
  await stopWriting();
  await scene.allTaken(60_000);
  const wanted = scene.expected.count();
  await eventually(() => {
    expect(journal.taken('guest').size).toBe(wanted);
  });
  expect(journal.repeats('guest')).toBe(repeatsOfKill);
  expect(journal.violations).toEqual([]);
  expect([...journal.taken('guest').keys()].sort()).toEqual(
    [...journal.taken('steady').keys()].sort(),
  );

  expect(await ask('DELETE', '/guest?confirm=true')).toBe(202);
  await daemon.kill();
  daemon = scene.start();
  await daemon.healthy(120_000);
  await eventually(async () => {
    expect(await ask('GET', '/guest')).toBe(404);
  });
  const names = (await scene.ledger()).map(({ callback }) => callback);
  expect(new Set(names)).toEqual(new Set(['steady']));
  expect(await scene.findings()).toEqual([]);
  expect(await daemon.stop()).toEqual({ code: 0, signal: null });
});
