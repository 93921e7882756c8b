import { describe, expect, test } from 'vitest';
import { PLANTED_BUGS } from '../support/simulation-bugs.ts';
import { embeddedHome, memoryHome } from '../support/simulation-homes.ts';
import { simulateAll } from '../support/simulation-seeds.ts';
import { simulate, SimulationFailure } from '../support/simulation.ts';

/** A planted bug must show within so many seeds. */
const SEEDS_TO_FIND = 40;

describe('the simulation', () => {
  test('is the same run for the same seed, and another for another', async () => {
    const seeds = [11, 12, 13, 14, 15];
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
  test.for(Object.entries(PLANTED_BUGS))('%s', async ([, bug]) => {
    const failure = await firstFailure(bug);
    expect(failure).toBeInstanceOf(SimulationFailure);
    expect(failure?.message).toMatch(/^Seed \d+ breaks a promise\.\n/);
    expect(failure?.message).toMatch(/Replay: ROWCALL_SEED=\d+ npx vitest run --project simulate$/);
  });
});

async function firstFailure(
  bug: (typeof PLANTED_BUGS)[string],
): Promise<SimulationFailure | undefined> {
  for (let seed = 1; seed <= SEEDS_TO_FIND; seed += 1) {
    try {
      await simulate(seed, memoryHome(), bug());
    } catch (error) {
      if (error instanceof SimulationFailure) return error;
      throw error;
    }
  }
  return undefined;
}
