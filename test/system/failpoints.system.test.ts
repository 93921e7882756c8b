import { afterEach, expect, test } from 'vitest';

import { FAILPOINTS } from '../../src/shared/failpoint.ts';
import { Dice, seededRandom } from '../support/workload-random.ts';
import { Scene, troubled } from '../support/workload-scene.ts';

let scene: Scene | undefined;

afterEach(async () => {
  await scene?.close();
});

test.each(FAILPOINTS)('every event comes, in order, when the process dies %s', async (name) => {
  scene = await Scene.open({
    name: 'failpoint',
    callbacks: ['audit'],
    react: troubled(new Dice(seededRandom(5))),
  });
  // The place at which to begin is durable before anything is written.
  const first = scene.start();
  await first.ready();
  await first.kill();

  const stopWriting = scene.startWriting({ seed: 11, pauseMs: 60 });
  for (const pass of [1, 2, 5]) {
    const doomed = scene.start({ ROWCALL_FAILPOINT: `${name}:${pass}` });
    expect(await doomed.exited, doomed.stderr).toEqual({ code: null, signal: 'SIGKILL' });
  }
  await stopWriting();

  const daemon = scene.start();
  await scene.allTaken(120_000);
  expect(await scene.findings()).toEqual([]);
  expect(await daemon.stop()).toEqual({ code: 0, signal: null });
});
