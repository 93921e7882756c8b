import { afterEach, expect, test } from 'vitest';

import { XA_FAILPOINTS } from '../../src/shared/failpoint.ts';
import { buildProgram } from '../support/built-program.ts';
import { Dice, seededRandom } from '../support/workload-random.ts';
import { XaDaemon } from '../support/xa-daemon.ts';

const STEPS = 300;
const SEED = Number(process.env['ROWCALL_TEST_SEED'] ?? 5);
const AGAIN = `ROWCALL_TEST_SEED=${SEED} plays it again`;
const TIMEOUT_MS = 240_000;

let daemon: XaDaemon | undefined;

afterEach(async () => {
  await daemon?.close();
});

test(
  'XA transactions come once, in the order of their commits, while connector and server are killed',
  async () => {
    const dice = new Dice(seededRandom(SEED));
    daemon = await XaDaemon.open({ name: 'xa', dice, main: buildProgram('xa') });
    const { workload, server } = daemon;
    let running = daemon.start();
    await running.ready();
    let kills = 0;
    for (let step = 0; step < STEPS; step += 1) {
      await workload.step();
      // A daemon that ended by itself would make the kill a lie.
      expect(running.running, running.stderr).toBe(true);
      if (dice.chance(0.06)) {
        await running.kill();
        running = daemon.start();
        kills += 1;
        if (dice.chance(0.7)) await running.ready();
      }
      if (dice.chance(0.015)) {
        await server.kill();
        await server.start();
        kills += 1;
      }
    }
    await daemon.settle(running);
    expect(await daemon.findings(), AGAIN).toEqual([]);
    expect(kills).toBeGreaterThan(10);
    expect(workload.most).toBeGreaterThan(5);
    expect(workload.committed).toBeGreaterThan(100);
    expect(workload.rolledBack).toBeGreaterThan(10);
  },
  TIMEOUT_MS,
);

test(
  'XA transactions come once, in order, when the process dies at any of the places where one could be torn',
  async () => {
    daemon = await XaDaemon.open({ name: 'xa-dies', dice: new Dice(seededRandom(SEED)) });
    const { workload } = daemon;
    // The place at which to begin is durable before anything is written.
    const first = daemon.start();
    await first.ready();
    await first.kill();
    for (const name of [...XA_FAILPOINTS, 'after-append-before-ack']) {
      for (const pass of [1, 7]) {
        const doomed = daemon.start({ ROWCALL_FAILPOINT: `${name}:${pass}` });
        while (doomed.running) await workload.step();
        const ended = await doomed.exited;
        expect(ended, `${name}: ${doomed.stderr}`).toEqual({ code: null, signal: 'SIGKILL' });
      }
    }
    await daemon.settle(daemon.start());
    expect(await daemon.findings(), AGAIN).toEqual([]);
  },
  TIMEOUT_MS,
);
