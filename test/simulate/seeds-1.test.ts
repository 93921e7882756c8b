import { expect, test } from 'vitest';
import { simulate } from '../support/simulation.ts';
import { memoryHome } from '../support/simulation-homes.ts';

test('try', async () => {
  const from = Number(process.env['ROWCALL_SEED'] ?? 1);
  const count = Number(process.env['COUNT'] ?? 1);
  for (let seed = from; seed < from + count; seed += 1) {
    const t = performance.now();
    const report = await simulate(seed, memoryHome());
    if (count < 30) console.log(seed, (performance.now() - t).toFixed(0), JSON.stringify(report));
    expect(report.records).toBeGreaterThanOrEqual(0);
  }
});
