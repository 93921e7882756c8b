import { describe, expect, it } from 'vitest';
import { isPrivateHost } from '../../../src/shared/public-address.ts';

describe('the host of a URL', () => {
  it.each([
    '10.1.2.3',
    '127.0.0.1',
    '169.254.169.254',
    '[::1]',
    '[fd00::1]',
    'localhost',
    'a.LOCALHOST.',
  ])('%s is private by what is written', (host) => {
    expect(isPrivateHost(host)).toBe(true);
  });

  it.each(['8.8.8.8', '[2606:4700::1]', 'example.com', 'localhost.example.com', 'notlocalhost'])(
    '%s is not',
    (host) => {
      expect(isPrivateHost(host)).toBe(false);
    },
  );
});
