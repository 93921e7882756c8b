/** The random workload while `rowcall run` is killed with -9 again and again; the same over every kind of log. */

import { expect } from 'vitest';

import type { RowcallProcess } from './rowcall-process.ts';
import { pause } from './rowcall-process.ts';
import { Dice, seededRandom } from './workload-random.ts';
import type { Scene } from './workload-scene.ts';

const KILLS = 20;
/** A start over a log in Kafka takes a few seconds on a busy machine. */
const TAKEN_TIMEOUT_MS = 60_000;

/** Resolves when the callback that takes everything has taken one event more. */
async function somethingTaken({ journal }: Scene, daemon: RowcallProcess): Promise<void> {
  const before = journal.taken('steady').size;
  try {
    await journal.until(
      () => journal.taken('steady').size > before,
      AbortSignal.timeout(TAKEN_TIMEOUT_MS),
    );
  } catch (error) {
    throw new Error(`Nothing was taken: ${daemon.stderr.slice(-4000)}`, { cause: error });
  }
}

/**
 * Kills the daemon of a troubled scene 20 times under load, lets it finish and stops it cleanly. Fails with what is
 * wrong in the books, the tables or the order.
 */
export async function killAndCompare(scene: Scene, seed: number): Promise<void> {
  const dice = new Dice(seededRandom(seed));
  const refusing = scene.receivers.get('refusing');
  let daemon = scene.start();
  await daemon.ready();

  const stopWriting = scene.startWriting({ seed, pauseMs: 60 });
  for (let kill = 0; kill < KILLS; kill += 1) {
    // Most kills hit it at work, some while it starts, however long that takes on this machine.
    if (dice.chance(0.7)) await somethingTaken(scene, daemon);
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
}
