import { expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { changedBesideCallbacks, saysTheSame } from '../../../src/config/same.ts';
import type { Config } from '../../../src/config/schema.ts';

function config(password: string, more: object = {}, secret = 1): Config {
  return parseConfig(
    {
      name: 'shop',
      source: { host: 'db', user: 'rowcall', password },
      tables: [{ match: 'shop.*' }],
      callbacks: [
        {
          name: 'billing',
          tables: ['shop.*'],
          deliver: {
            url: 'https://example.com/',
            secrets: [`whsec_${Buffer.alloc(32, secret).toString('base64')}`],
          },
        },
      ],
      ...more,
    },
    '/',
  );
}

test('only what differs beside the callbacks asks for a restart, by its name in the file', () => {
  const running = config('one');
  expect(changedBesideCallbacks(running, config('one', {}, 2))).toEqual([]);
  expect(changedBesideCallbacks(running, config('two'))).toEqual(['source']);
  const other = config('one', { shutdown_timeout: '1s', log: { path: './elsewhere.db' } });
  expect(changedBesideCallbacks(running, other)).toEqual(['log', 'shutdown_timeout']);
});

test('another secret is a difference, though no text of it is', () => {
  const [one, same, other] = [config('p'), config('p'), config('p', {}, 2)];
  expect(saysTheSame(one.callbacks, same.callbacks)).toBe(true);
  expect(saysTheSame(one.callbacks, other.callbacks)).toBe(false);
  expect(JSON.stringify(one.callbacks)).toBe(JSON.stringify(other.callbacks));
});
