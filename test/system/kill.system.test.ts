import { afterEach, test } from 'vitest';

import { killAndCompare } from '../support/kill-run.ts';
import { runSeed } from '../support/workload-random.ts';
import { openTroubledScene } from '../support/workload-scene.ts';
import type { Scene } from '../support/workload-scene.ts';

let scene: Scene | undefined;

afterEach(async () => {
  await scene?.close();
});

test('nothing is lost, inverted or changed when rowcall run is killed 20 times at random moments', async () => {
  const seed = runSeed();
  scene = await openTroubledScene({ name: 'kill', seed });
  await killAndCompare(scene, seed);
});
