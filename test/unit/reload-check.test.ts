import { expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { requireSameBesideCallbacks } from '../../src/reload-check.ts';

function config(more: object = {}): Config {
  const source = { url: 'mysql://rowcall@127.0.0.1:3306' };
  return parseConfig({ name: 'shop', source, tables: [{ match: 'shop.*' }], ...more }, '/');
}

it('a reload changes callbacks', () => {
  const callbacks = [{ name: 'a', tables: ['shop.*'], deliver: { module: './a.mjs' } }];
  expect(() => {
    requireSameBesideCallbacks(config(), config({ callbacks }));
  }).not.toThrow();
});

it('that changes anything else is refused, and names it', () => {
  expect(() => {
    requireSameBesideCallbacks(config(), config({ log_level: 'debug' }));
  }).toThrow(/this file changes: log_level$/);
});

it('that changes the name is refused with what to do, since a restart would begin anew', () => {
  let refused: unknown;
  try {
    requireSameBesideCallbacks(config(), config({ name: 'store' }));
  } catch (error) {
    refused = error;
  }
  expect(refused).toMatchObject({
    code: 'RESTART_NEEDED',
    message:
      'The file has name: store, and this process runs as shop: nothing of the file is taken',
    place: 'name',
    cure: expect.stringMatching(/^Write name: shop again, and send SIGHUP once more\./) as string,
  });
});
