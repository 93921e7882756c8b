import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { globPattern } from '../../../src/shared/glob.ts';
import { globCovers, globsMeet, listsMeet } from '../../../src/config/table-globs.ts';

const texts = (alphabet: string, length: number): string[] =>
  length === 0
    ? ['']
    : ['', ...Array.from(alphabet).flatMap((a) => texts(alphabet, length - 1).map((t) => a + t))];

describe('globs', () => {
  it('meet exactly when some text matches both', () => {
    const glob = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 4 });
    const candidates = [...new Set(texts('ab', 8))];
    fc.assert(
      fc.property(glob, glob, (a, b) => {
        const [one, other] = [globPattern(a), globPattern(b)];
        expect(globsMeet(a, b)).toBe(candidates.some((text) => one.test(text) && other.test(text)));
      }),
      { numRuns: 300 },
    );
  });

  it('cover one another only where every text of the one is one of the other', () => {
    const glob = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 4 });
    const candidates = [...new Set(texts('ab', 8))];
    fc.assert(
      fc.property(glob, glob, (wide, narrow) => {
        const [one, other] = [globPattern(wide), globPattern(narrow)];
        const lost = candidates.some((text) => other.test(text) && !one.test(text));
        expect(globCovers(wide, narrow) && lost).toBe(false);
      }),
      { numRuns: 300 },
    );
    expect(globCovers('shop.*', 'shop.o*')).toBe(true);
    expect(globCovers('shop.?', 'shop.a')).toBe(true);
  });

  it('count a character outside the basic plane as one', () => {
    expect(globsMeet('s.?', 's.𝒳')).toBe(true);
  });
});

describe('lists of globs', () => {
  it.each([
    [['shop.orders'], ['shop.*'], true],
    [['shop.*'], ['shop.orders'], true],
    [['shop.o*'], ['shop.*s'], true],
    [['shp.orders'], ['shop.*'], false],
    [['shop.tmp_1'], ['shop.*', '!shop.tmp_*'], false],
    [['shop.*', '!shop.orders'], ['shop.orders'], false],
    // An exclusion that takes away only a part decides nothing.
    [['shop.*', '!shop.a*'], ['shop.*', '!shop.b*'], true],
  ])('%j and %j: %s', (wanted, captured, meet) => {
    expect(listsMeet(wanted, captured)).toBe(meet);
  });
});
