import { afterEach, expect, test } from 'vitest';

import { pause } from '../support/rowcall-process.ts';
import { Dice, runSeed, seededRandom } from '../support/workload-random.ts';
import { openTroubledScene } from '../support/workload-scene.ts';
import type { Scene } from '../support/workload-scene.ts';

const KILLS = 20;

let scene: Scene | undefined;

afterEach(async () => {
  await scene?.close();
});

/** Resolves when the callback that takes everything has taken one event more. */
async function somethingTaken({ journal }: Scene): Promise<void> {
  const before = journal.taken('steady').size;
  await journal.until(() => journal.taken('steady').size > before, AbortSignal.timeout(30_000));
}

test('nothing is lost, inverted or changed when rowcall run is killed 20 times at random moments', async () => {
  const seed = runSeed();
  const dice = new Dice(seededRandom(seed));
  scene = await openTroubledScene({ name: 'kill', seed });
  const refusing = scene.receivers.get('refusing');
  let daemon = scene.start();
  await daemon.ready();

  const stopWriting = scene.startWriting({ seed, pauseMs: 60 });
  for (let kill = 0; kill < KILLS; kill += 1) {
    // Most kills hit it at work, some while it starts, however long that takes on this machine.
    if (dice.chance(0.7)) await somethingTaken(scene);
    await pause(dice.between(10, 700));
    // A daemon that ended by itself would make the kill a lie.
    expect(daemon.running, `seed ${seed}: ${daemon.stderr}`).toBe(true);
    await daemon.kill();
    if (kill % 3 === 0) await refusing?.refuse();
    daemon = scene.start();
    if (kill % 3 === 1) await refusing?.listen();
  }
  await refusing?.refuse();
  await refusing?.listen();
  await stopWriting();

  await scene.allTaken(150_000);
  const findings = await scene.findings();
  expect(findings, `ROWCALL_TEST_SEED=${seed} plays it again`).toEqual([]);
  expect(scene.expected.transactions).toBeGreaterThan(200);
  const ended = await daemon.stop();
  expect(ended, daemon.stderr).toEqual({ code: 0, signal: null });
});
