import { expect, test } from 'vitest';

import { fold } from '../../support/fold.ts';
import type { Taken } from '../../support/receiver-journal.ts';

let ids = 0;

function event(
  operation: string,
  before: Taken['before'],
  after: Taken['after'],
  key: string | null = '{"id":1}',
): Taken {
  ids += 1;
  return { id: `event ${ids}`, table: 'shop.t', operation, key, before, after, arrivedAtMs: 0 };
}

test('inserts, updates and deletes give the rows that are left', () => {
  const folded = fold([
    event('insert', null, { id: 1, v: 1 }),
    event('insert', null, { id: 2, v: 1 }, '{"id":2}'),
    event('update', { id: 1, v: 1 }, { id: 1, v: 2 }),
    event('delete', { id: 2, v: 1 }, null, '{"id":2}'),
  ]);
  expect(folded.misfits).toEqual([]);
  expect([...(folded.tables.get('shop.t')?.rows.values() ?? [])]).toEqual([{ id: 1, v: 2 }]);
});

test('a before image that is not the row, a lost insert and a doubled one are misfits', () => {
  const { misfits } = fold([
    event('insert', null, { id: 1, v: 1 }),
    event('update', { id: 1, v: 7 }, { id: 1, v: 8 }),
    event('update', { id: 3, v: 1 }, { id: 3, v: 2 }, '{"id":3}'),
    event('insert', null, { id: 3, v: 1 }, '{"id":3}'),
  ]);
  expect(misfits.map((text) => text.split(': ')[1])).toEqual([
    'the before image is not the row',
    'the key was not there before',
    'the key was there before',
  ]);
});

test('a column that came in between is no misfit', () => {
  const { misfits } = fold([
    event('insert', null, { id: 1 }),
    event('update', { id: 1, added: 5 }, { id: 1, added: 6 }),
  ]);
  expect(misfits).toEqual([]);
});

test('rows without a key are counted', () => {
  const folded = fold([
    event('insert', null, { v: 1 }, null),
    event('insert', null, { v: 1 }, null),
    event('delete', { v: 1 }, null, null),
    event('delete', { v: 2 }, null, null),
  ]);
  expect(folded.tables.get('shop.t')?.keyless).toEqual(new Map([['{"v":1}', 1]]));
  expect(folded.misfits).toHaveLength(1);
});
