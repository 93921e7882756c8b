import { expect, test } from 'vitest';
import { anyColumnChanged } from '../../../../src/deliver/match/changed-columns.ts';

const changed = (before: string, after: string): boolean =>
  anyColumnChanged(
    Buffer.from(`{"before":{"c":${before}},"after":{"c":${after}},"source":{},"op":"u"}`),
    ['c'],
  );

test.each([
  ['1', '"1"'],
  ['1', '{"number":"1"}'],
  ['"\\"1"', '"1"'],
  ['9007199254740993', '9007199254740992'],
  ['1.0', '1'],
  ['-0', '0'],
  ['null', '"null"'],
  ['[1]', '["1"]'],
])('%s and %s are different values', (before, after) => {
  expect(changed(before, after)).toBe(true);
  expect(changed(before, before)).toBe(false);
  expect(changed(after, after)).toBe(false);
});
