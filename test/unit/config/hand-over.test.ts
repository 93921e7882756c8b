import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { printConfig } from '../../../src/config/print.ts';
import { RowcallError } from '../../../src/errors.ts';
import { SECRET } from './config-file.ts';

const deliver = { url: 'https://example.com', secrets: [SECRET] };
const base = {
  name: 'shop',
  source: { url: 'mysql://u:p@h' },
  tables: [{ match: 'shop.*' }],
};
const a = { name: 'a', tables: 'shop.a', deliver };
const b = { name: 'b', deliver };
const c = { name: 'c', deliver };

function problemsOf(callbacks: readonly object[]): string {
  try {
    parseConfig({ ...base, callbacks }, '/etc/rowcall');
  } catch (error) {
    if (error instanceof RowcallError) return error.message;
    throw error;
  }
  return '';
}

describe('callbacks that hand over what they give up', () => {
  it('set it aside, and name callbacks that need no tables', () => {
    const config = parseConfig(
      { ...base, callbacks: [{ ...a, fallback: 'b', compensate: 'c' }, b, c] },
      '/etc/rowcall',
    );
    expect(config.callbacks.map(({ onExhausted, tables }) => [onExhausted, tables])).toEqual([
      ['dead-letter', ['shop.a']],
      ['park-key', []],
      ['park-key', []],
    ]);
    expect(printConfig(config)).toMatch(/fallback: b\n +compensate: c\n/);
  });

  it.each<[string, object[], RegExp]>([
    ['a name that no callback has', [{ ...a, fallback: 'x' }], /fallback.*none called x/],
    ['itself', [{ ...a, fallback: 'a' }], /fallback.*leads back to a/],
    [
      'a way round over both kinds',
      [
        { ...a, fallback: 'b' },
        { ...b, compensate: 'c' },
        { ...c, fallback: 'a' },
      ],
      /fallback.*leads back to a/,
    ],
    [
      'a key that is held',
      [{ ...a, fallback: 'b', on_exhausted: 'park-key' }, b],
      /on_exhausted.*does not go with fallback/,
    ],
    ['no tables where nobody hands over', [b], /tables.*is required/],
  ])('are refused with %s', (_what, callbacks, problem) => {
    expect(problemsOf(callbacks)).toMatch(problem);
  });

  it('may share a callback that they hand over to', () => {
    const shared = [{ ...a, fallback: 'b' }, { ...a, name: 'd', fallback: 'b' }, b];
    expect(problemsOf(shared)).toBe('');
  });
});
