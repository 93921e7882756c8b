import { describe, expect, test } from 'vitest';
import { PLANTED_ASYNC_BUGS } from '../support/simulation-async-bugs.ts';
import { PLANTED_BATCH_BUGS } from '../support/simulation-batch-bugs.ts';
import { PLANTED_BUGS } from '../support/simulation-bugs.ts';
import { embeddedHome, memoryHome } from '../support/simulation-homes.ts';
import { PLANTED_KAFKA_BUGS } from '../support/simulation-kafka-bugs.ts';
import { KafkaHome } from '../support/simulation-kafka-home.ts';
import { PLANTED_RESEND_BUGS } from '../support/simulation-resend-bugs.ts';
import { SimulationFailure } from '../support/simulation-report.ts';
import { homeNameOf, simulateAll } from '../support/simulation-seeds.ts';
import { type LogHome, simulate } from '../support/simulation.ts';
import type { PlantedBug } from '../support/simulation-process.ts';

/** A planted bug must show within so many seeds. */
const SEEDS_TO_FIND = 40;
/** Of the callbacks of a seed some have batches or dead letters, and most have none. */
const RARE_SEEDS_TO_FIND = 400;
const KAFKA_SEEDS_TO_FIND = 120;

describe('the simulation', () => {
  test('is the same run for the same seed, and another for another', async () => {
    const seeds = [11, 12, 13, 14, 15, 16, 17];
    expect(new Set(seeds.map((seed) => homeNameOf(seed)))).toEqual(new Set(['kafka', 'memory']));
    const first = await simulateAll(seeds);
    expect(await simulateAll(seeds)).toEqual(first);
    expect(new Set(first.map(({ traceHash }) => traceHash)).size).toBe(seeds.length);
  });

  test('reaches what it is there for: restarts, repeats, records', async () => {
    const reports = await simulateAll(Array.from({ length: 20 }, (_, index) => 5_000 + index));
    const sum = (of: (report: (typeof reports)[number]) => number): number =>
      reports.reduce((all, report) => all + of(report), 0);
    expect(sum(({ processes }) => processes)).toBeGreaterThan(2 * reports.length);
    expect(sum(({ records }) => records)).toBeGreaterThan(20 * reports.length);
    expect(sum(({ requests }) => requests)).toBeGreaterThan(20 * reports.length);
    expect(sum(({ repeats }) => repeats)).toBeGreaterThan(reports.length);
    expect(sum(({ resends }) => resends)).toBeGreaterThan(reports.length / 4);
    expect(sum(({ batches }) => batches)).toBeGreaterThan(reports.length / 2);
  });

  test('holds over the embedded log itself', async () => {
    for (let seed = 2_001; seed <= 2_012; seed += 1) {
      const home = await embeddedHome();
      try {
        await simulate(seed, home);
      } finally {
        await home.destroy();
      }
    }
  });
});

describe('the simulation finds', () => {
  test.for(Object.entries({ ...PLANTED_BUGS, ...PLANTED_ASYNC_BUGS }))('%s', async ([, bug]) => {
    const failure = await firstFailure(SEEDS_TO_FIND, () => [memoryHome(), bug()]);
    expectReplayable(failure, 'memory');
  });

  const rare = { ...PLANTED_BATCH_BUGS, ...PLANTED_RESEND_BUGS };
  test.for(Object.entries(rare))('%s', async ([, bug]) => {
    const failure = await firstFailure(RARE_SEEDS_TO_FIND, () => [memoryHome(), bug()]);
    expectReplayable(failure, 'memory');
  });

  test.for(Object.entries(PLANTED_KAFKA_BUGS))('over simulated brokers, %s', async ([, bug]) => {
    const failure = await firstFailure(KAFKA_SEEDS_TO_FIND, () => {
      const planted = bug();
      return [new KafkaHome(planted.kafka), planted];
    });
    expectReplayable(failure, 'kafka');
  });
});

function expectReplayable(failure: SimulationFailure | undefined, home: string): void {
  expect(failure).toBeInstanceOf(SimulationFailure);
  expect(failure?.message).toMatch(/^Seed \d+ breaks a promise\.\n/);
  const replay = /Replay: ROWCALL_SEED=\d+ ROWCALL_HOME=(\w+) npx vitest run --project simulate$/;
  expect(replay.exec(failure?.message ?? '')?.[1]).toBe(home);
}

async function firstFailure(
  seeds: number,
  make: () => readonly [LogHome, PlantedBug],
): Promise<SimulationFailure | undefined> {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const [home, bug] = make();
    try {
      await simulate(seed, home, bug);
    } catch (error) {
      if (error instanceof SimulationFailure) return error;
      throw error;
    }
  }
  return undefined;
}
