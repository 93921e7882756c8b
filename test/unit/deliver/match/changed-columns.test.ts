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

test.each([
  // As binlog_row_image MINIMAL writes an update: the key before, what was set after.
  ['was set', '{"id":1}', '{"c":2}', true],
  ['was set to NULL', '{"id":1}', '{"c":null}', true],
  ['was not set', '{"id":1,"c":1}', '{"other":2}', false],
  ['is in neither image', '{"id":1}', '{"other":2}', false],
])('of partial row images, a column that %s', (_what, before, after, expected) => {
  const value = Buffer.from(`{"before":${before},"after":${after},"source":{},"op":"u"}`);
  expect(anyColumnChanged(value, ['c'])).toBe(expected);
});
