import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KeyOutcomes } from '../../../../src/deliver/lane/key-outcomes.ts';
import { systemClock } from '../../../../src/shared/clock.ts';

const WINDOW_MS = 1_000;

function outcomes(): { of: KeyOutcomes; pass: (ms: number) => void } {
  let now = 0;
  const of = new KeyOutcomes(WINDOW_MS, { ...systemClock, monotonic: () => now });
  return { of, pass: (ms) => (now += ms) };
}

describe('the outcomes of keys', () => {
  test('are those of a plain list, in which each key has its last', () => {
    const step = fc.record({ key: fc.nat(9), failed: fc.boolean(), ms: fc.nat(400) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { of, pass } = outcomes();
        const seen: { key: number; failed: boolean; at: number }[] = [];
        let at = 0;
        for (const { key, failed, ms } of steps) {
          at += ms;
          pass(ms);
          of.saw(`key ${key}`, failed);
          seen.push({ key, failed, at });
          const now = at;
          const last = new Map(
            seen.filter((one) => one.at >= now - WINDOW_MS).map((one) => [one.key, one.failed]),
          );
          const failures = [...last.values()].filter((one) => one).length;
          expect(of.now).toEqual({ keys: last.size, failedShare: failures / last.size });
        }
      }),
    );
  });

  test('of more keys than are kept are about as many, and their share the same', () => {
    const { of } = outcomes();
    for (let n = 0; n < 200_000; n += 1) of.saw(`{"id":${n}}`, n % 4 === 0);
    const { keys, failedShare } = of.now;
    expect(keys).toBeGreaterThan(150_000);
    expect(keys).toBeLessThan(250_000);
    expect(failedShare).toBeGreaterThan(0.2);
    expect(failedShare).toBeLessThan(0.3);
  });

  test('are few again when traffic is', () => {
    const { of, pass } = outcomes();
    for (let n = 0; n < 50_000; n += 1) of.saw(`{"id":${n}}`, false);
    for (let n = 0; n < 20; n += 1) {
      pass(WINDOW_MS + 1);
      expect(of.now.keys).toBe(0);
    }
    for (let n = 0; n < 10; n += 1) of.saw(`{"id":${n}}`, true);
    expect(of.now).toEqual({ keys: 10, failedShare: 1 });
  });
});
