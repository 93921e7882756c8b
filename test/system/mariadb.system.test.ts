import { afterEach, test } from 'vitest';
import { killAndCompare } from '../support/kill-run.ts';
import { startOwnMariadb } from '../support/mariadb.ts';
import { runSeed } from '../support/workload-random.ts';
import { openTroubledScene } from '../support/workload-scene.ts';
import type { Scene } from '../support/workload-scene.ts';

let scene: Scene | undefined;

afterEach(async () => {
  await scene?.close();
});

test('nothing of MariaDB is lost, inverted or changed when rowcall run is killed 20 times', async () => {
  const seed = runSeed();
  const server = await startOwnMariadb();
  scene = await openTroubledScene({ name: 'mariadb-kill', seed, serverUrl: server.url });
  await killAndCompare(scene, seed);
});
