import { expect, test } from 'vitest';
import { seedsOfPart, simulateAll } from '../support/simulation-seeds.ts';

test('part 4 of 4 of the seeds: every promise holds at every step', async () => {
  const seeds = seedsOfPart(4);
  expect(await simulateAll(seeds)).toHaveLength(seeds.length);
});
