import { describe, expect, it } from 'vitest';
import { editDistance, nearestName } from '../../../src/shared/nearest-name.ts';

describe('the nearest name', () => {
  it.each([
    ['whne', 'when'],
    ['tabels', 'tables'],
    ['time_out', 'timeout'],
    ['Secrets', 'secrets'],
    ['ur', 'url'],
  ])('of %s is %s', (written, meant) => {
    const known = ['name', 'when', 'tables', 'timeout', 'secrets', 'url', 'concurrency'];
    expect(nearestName(written, known)).toBe(meant);
  });

  it('is none where nothing is near enough to be meant', () => {
    expect(nearestName('webhook', ['name', 'tables', 'url'])).toBeNull();
  });

  it('counts a swap of neighbours as one edit', () => {
    expect(editDistance('whne', 'when')).toBe(1);
    expect(editDistance('', 'abc')).toBe(3);
    expect(editDistance('kitten', 'sitting')).toBe(3);
  });
});
