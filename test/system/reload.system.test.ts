import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';

import { eventually } from '../support/eventually.ts';
import type { Arrival } from '../support/receiver-journal.ts';
import type { Reaction } from '../support/receiver.ts';
import { pause } from '../support/rowcall-process.ts';
import type { RowcallProcess } from '../support/rowcall-process.ts';
import { Dice, runSeed, seededRandom } from '../support/workload-random.ts';
import { Scene, SECRET } from '../support/workload-scene.ts';

const RELOADS = 12;
const KILLS = 5;
const OTHER_SECRET = `whsec_${Buffer.from('another secret of thirty-two b..').toString('base64')}`;

interface Written {
  callbacks: { name: string; concurrency?: number; deliver: Record<string, unknown> }[];
}

let scene: Scene | undefined;

afterEach(async () => {
  await scene?.close();
});

/** Fails and dawdles, and never takes what it does not answer: a repeat of what it took is then the sender's. */
function dawdling(dice: Dice): (arrival: Arrival) => Reaction {
  return () => {
    const draw = dice.below(100);
    if (draw < 3) return { kind: 'fail', status: 503 };
    return draw < 30 ? { kind: 'take', afterMs: dice.between(1, 60) } : { kind: 'take' };
  };
}

function reloads({ stderr }: RowcallProcess): number {
  return stderr.split('The callbacks have changed').length - 1;
}

/** Other numbers, other secrets, and with `without` one callback less. */
function vary(file: Written, dice: Dice, without: string | null): Written {
  return {
    ...file,
    callbacks: file.callbacks
      .filter(({ name }) => name !== without)
      .map((callback) => ({
        ...callback,
        concurrency: dice.between(1, 40),
        deliver: {
          ...callback.deliver,
          timeout: `${dice.between(1_000, 2_000)}ms`,
          secrets: dice.chance(0.5) ? [SECRET] : [OTHER_SECRET, SECRET],
        },
      })),
  };
}

test('callbacks that change, go and come back under load get every event once, in order', async () => {
  const seed = runSeed();
  const dice = new Dice(seededRandom(seed));
  const callbacks = ['steady', 'coming', 'going'];
  scene = await Scene.open({ name: 'reload', callbacks, react: dawdling(dice) });
  const file = parse(readFileSync(scene.configFile, 'utf8')) as Written;
  const write = (text: string): void => {
    writeFileSync(scene?.configFile ?? '', text);
  };
  let daemon = scene.start();
  await daemon.ready(120_000);
  const stopWriting = scene.startWriting({ seed, pauseMs: 30 });

  for (let reload = 1; reload <= RELOADS; reload += 1) {
    await pause(dice.between(10, 300));
    if (reload % 4 === 0) {
      write(stringify({ ...vary(file, dice, null), nmae: 'shop' }));
      daemon.signal('SIGHUP');
      await eventually(() => {
        expect(daemon.stderr).toContain('unknown key; did you mean');
      });
    }
    write(stringify(vary(file, dice, [null, 'coming', 'going'][reload % 3] ?? null)));
    daemon.signal('SIGHUP');
    await eventually(() => {
      expect(reloads(daemon)).toBe(reload);
    });
  }
  write(stringify(file));
  daemon.signal('SIGHUP');
  await stopWriting();
  await scene.allTaken(60_000);
  expect(await scene.findings(), `ROWCALL_TEST_SEED=${seed} plays it again`).toEqual([]);
  const repeated = callbacks.filter((name) => (scene?.journal.repeats(name) ?? 0) > 0);
  expect(repeated, 'nothing is sent twice because of a change').toEqual([]);

  // What was being changed when the power went is changed by the next start.
  const writeOn = scene.startWriting({ seed: seed + 1, pauseMs: 30, ddl: false });
  for (let kill = 0; kill < KILLS; kill += 1) {
    write(stringify(vary(file, dice, [null, 'coming', 'going'][kill % 3] ?? null)));
    daemon.signal('SIGHUP');
    await pause(dice.between(0, 120));
    await daemon.kill();
    daemon = scene.start();
    await daemon.healthy(120_000);
  }
  write(stringify(file));
  daemon.signal('SIGHUP');
  await writeOn();
  await scene.allTaken(60_000);
  expect(await scene.findings(), `ROWCALL_TEST_SEED=${seed} plays it again`).toEqual([]);
  expect(await daemon.stop()).toEqual({ code: 0, signal: null });
});
