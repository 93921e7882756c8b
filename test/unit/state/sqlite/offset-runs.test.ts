import fc from 'fast-check';
import { expect, test } from 'vitest';

import { decodeRuns, encodeRuns } from '../../../../src/state/sqlite/offset-runs.ts';
import type { OffsetRun } from '../../../../src/state/state-store.ts';

const place = fc
  .tuple(
    fc.nat(2 ** 50),
    fc.array(fc.tuple(fc.integer({ min: 1, max: 2 ** 40 }), fc.integer({ min: 1, max: 2 ** 40 }))),
  )
  .map(([next, steps]) => {
    const runs: OffsetRun[] = [];
    let end = next;
    for (const [gap, length] of steps) {
      runs.push([end + gap, end + gap + length]);
      end += gap + length;
    }
    return { next, runs };
  });

test('runs come back as they were given', () => {
  fc.assert(
    fc.property(place, ({ next, runs }) => {
      expect(decodeRuns(next, encodeRuns(next, runs))).toEqual(runs);
    }),
  );
});

test('runs stay short however far the offsets have come', () => {
  expect(encodeRuns(1e12, [])).toBe('');
  expect(encodeRuns(1e12, [[1e12 + 1, 1e12 + 3]])).toBe('[1,2]');
});

test('text that was not written here is refused', () => {
  for (const text of ['{}', '[1]', '[0,1]', '[1,-1]', '["1",1]', '[1,1.5]', 'null']) {
    expect(() => decodeRuns(0, text)).toThrow('Assertion failed');
  }
});
