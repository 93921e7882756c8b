/**
 * The seeds of a run, in parts that the runner's workers share. ROWCALL_SEED plays one seed again, over the log that
 * a run has for it, or over the one that ROWCALL_HOME names.
 */
import { env } from 'node:process';

import { simulate } from './simulation.ts';
import { embeddedHome, memoryHome } from './simulation-homes.ts';
import { KafkaHome } from './simulation-kafka-home.ts';
import type { SimulationReport } from './simulation-report.ts';
import type { HomeName, LogHome } from './simulation.ts';

const SEEDS = 1_000;
const PARTS = 4;
/** Of so many seeds of each part one is played over simulated Kafka brokers. */
const KAFKA_EVERY = 4;

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
  for (const seed of seeds) {
    const home = await homeOf(seed);
    try {
      reports.push(await simulate(seed, home));
    } finally {
      await home.destroy?.();
    }
  }
  return reports;
}

/** Where the seed is played: what ROWCALL_HOME says, else what the seed does. */
export function homeNameOf(seed: number, named = env['ROWCALL_HOME']): HomeName {
  if (named === 'embedded' || named === 'kafka' || named === 'memory') return named;
  if (named !== undefined) throw new Error(`ROWCALL_HOME is embedded, kafka or memory: ${named}`);
  return Math.floor(seed / PARTS) % KAFKA_EVERY === 0 ? 'kafka' : 'memory';
}

async function homeOf(seed: number): Promise<LogHome> {
  switch (homeNameOf(seed)) {
    case 'embedded':
      return embeddedHome();
    case 'kafka':
      return new KafkaHome();
    case 'memory':
      return memoryHome();
  }
}
