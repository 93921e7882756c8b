import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Hash, hashOf, KeyCounts } from '../../../../src/deliver/lane/key-counts.ts';

interface Step {
  readonly key: string;
  readonly change: number | 'delete';
}

const step = (keys: number): fc.Arbitrary<Step> =>
  fc.record({
    key: fc.integer({ min: 0, max: keys - 1 }).map((n) => `shop.orders {"id":${n}}`),
    change: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constant('delete' as const)),
  });

/** Both do the same; the model keys its Map by what `identity` makes of a key. */
function expectAgreement(
  steps: readonly Step[],
  counts: KeyCounts,
  identity: (key: string) => string,
): void {
  const model = new Map<string, number>();
  for (const { key, change } of steps) {
    if (change === 'delete') {
      counts.delete(key);
      model.delete(identity(key));
    } else {
      counts.add(key, change);
      model.set(identity(key), (model.get(identity(key)) ?? 0) + change);
    }
  }
  expect(counts.size).toBe(model.size);
  for (const { key } of steps) expect(counts.get(key)).toBe(model.get(identity(key)));
}

describe('KeyCounts', () => {
  it('counts as a Map does, however keys come and go', () => {
    fc.assert(
      fc.property(fc.array(step(40), { maxLength: 300 }), (steps) => {
        expectAgreement(steps, new KeyCounts(), (key) => key);
      }),
    );
  });

  it('counts keys of one hash as one key, also where slots are crowded at the end of the table', () => {
    const crowded = (key: string): Hash => [key.length, 1020 + (hashOf(key)[1] % 8)];
    fc.assert(
      fc.property(fc.array(step(200), { maxLength: 300 }), (steps) => {
        expectAgreement(steps, new KeyCounts(crowded), (key) => crowded(key).join('/'));
      }),
    );
  });

  it('grows and shrinks with a hundred thousand keys and forgets none', () => {
    const counts = new KeyCounts();
    const key = (n: number): string => `shop.public.orders {"id":${n}}`;
    for (let n = 0; n < 100_000; n += 1) counts.add(key(n), n % 7);
    expect(counts.size).toBe(100_000);
    for (let n = 0; n < 100_000; n += 1) {
      if (counts.get(key(n)) !== n % 7) expect.fail(`the count of ${key(n)}`);
      if (n % 10 !== 0) counts.delete(key(n));
    }
    expect(counts.size).toBe(10_000);
    for (let n = 0; n < 100_000; n += 10) expect(counts.get(key(n))).toBe(n % 7);
    expect(counts.get(key(1))).toBeUndefined();
  });
});

describe('hashOf', () => {
  it('gives keys that differ in little hashes that differ in all their bits', () => {
    const seen = new Set<string>();
    const low = new Set<number>();
    for (let n = 0; n < 200_000; n += 1) {
      const hash = hashOf(`rowcall.shop.orders {"id":${n}}`);
      seen.add(hash.join('/'));
      low.add(hash[1] & 0xffff);
    }
    expect(seen.size).toBe(200_000);
    // Every one of the 65,536 home slots is met but for a share of about e^-3.
    expect(low.size).toBeGreaterThan(60_000);
  });
});
