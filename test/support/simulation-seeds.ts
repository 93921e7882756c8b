/** The seeds of a run, in parts that the runner's workers share. ROWCALL_SEED plays one seed again. */
import { env } from 'node:process';

import type { SimulationReport } from './simulation.ts';
import { simulate } from './simulation.ts';
import { memoryHome } from './simulation-homes.ts';

const SEEDS = 1_000;
const PARTS = 4;

/** @param part from 1 to 4 */
export function seedsOfPart(part: number): number[] {
  const one = env['ROWCALL_SEED'];
  const seeds =
    one === undefined ? Array.from({ length: SEEDS }, (_, index) => index + 1) : [Number(one)];
  return seeds.filter((seed) => seed % PARTS === part - 1);
}

/** @throws SimulationFailure of the first seed that breaks a promise */
export async function simulateAll(seeds: readonly number[]): Promise<SimulationReport[]> {
  const reports: SimulationReport[] = [];
  for (const seed of seeds) reports.push(await simulate(seed, memoryHome()));
  return reports;
}
