import { describe, expect, it } from 'vitest';
import { parseSourceUrl } from '../../../src/config/sections/source.ts';

describe('source.url', () => {
  it('is taken apart and decoded', () => {
    const address = parseSourceUrl('mysql://us%40er:p%2Fw%25@[::1]:3307/');
    if (typeof address === 'string') throw new Error(address);
    expect(address).toMatchObject({ host: '::1', port: 3307, user: 'us@er' });
    expect(address.password?.reveal()).toBe('p/w%');
  });

  it.each([
    'postgres://u:p@h',
    'mysql://h',
    'mysql://u:p@h/shop',
    'mysql://u:p@h?ssl=1',
    'mysql://u:p#w@h',
    'mysql://u:p/w@h',
    'mysql://u:100%@h',
    'mysql:',
    'h:3306',
  ])('%s is refused', (url) => {
    expect(typeof parseSourceUrl(url)).toBe('string');
  });
});
