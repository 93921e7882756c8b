import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { globPattern, globPrefixPattern } from '../../../src/shared/glob.ts';

describe('a glob', () => {
  it.each([
    ['shop.*', 'shop.orders', true],
    ['shop.*', 'shop.', true],
    ['shop.*', 'shops.orders', false],
    ['*.audit', 'a.b.audit', true],
    ['shop.t?', 'shop.t𝒳', true],
    ['shop.t?', 'shop.t', false],
    ['shop.a+b(c)', 'shop.a+b(c)', true],
    ['shop.orders', 'shop.Orders', false],
    ['shop.*', 'shop.a\nb', true],
  ])('%j and %j: %s', (glob, name, matches) => {
    expect(globPattern(glob).test(name)).toBe(matches);
  });

  it('as a prefix never says no to the beginning of a name that matches', () => {
    const globs = fc.array(fc.constantFrom('a', 'b', '.', '*', '?'), {
      minLength: 1,
      maxLength: 8,
    });
    const texts = fc.array(fc.constantFrom('a', 'b', '.'), { maxLength: 10 });
    fc.assert(
      fc.property(globs, texts, fc.nat(10), (globParts, parts, length) => {
        const glob = globParts.join('');
        const name = parts.join('');
        if (!globPattern(glob).test(name)) return;
        expect(globPrefixPattern(glob).test(name.slice(0, length))).toBe(true);
      }),
    );
  });
});
