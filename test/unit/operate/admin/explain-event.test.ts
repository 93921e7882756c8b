import { expect, it } from 'vitest';
import { explainEvent } from '../../../../src/operate/admin/explain-event.ts';
import type { FoundEvent } from '../../../../src/operate/admin/find-events.ts';
import { openSqliteState } from '../../../../src/state/sqlite/sqlite-state.ts';
import { CALLBACK, newCursor, progress, TOPIC } from '../../../contract/state-store-samples.ts';
import { adminConfig } from '../../../support/admin-api.ts';

const DELIVER = {
  url: 'https://example.com/',
  secrets: [`whsec_${Buffer.alloc(32).toString('base64')}`],
};
const FILTERED = 'filtered, where the callback did not ask for it when its turn came';

it.each<[string, object, number, string]>([
  ['of the only version there was', {}, 1, 'Delivered'],
  ['of a callback that was changed', {}, 2, `Delivered, or ${FILTERED}`],
  [
    'for which when has no value',
    { when: 'int(after.id) / 0 == 1' },
    1,
    `Delivered, or ${FILTERED}`,
  ],
  [
    'of a callback that coalesces',
    { coalesce: '5s' },
    1,
    'Delivered, or superseded by a newer event of its key (coalesce)',
  ],
])('a settled event %s came to what it may have come to', async (_what, more, version, reason) => {
  const state = await openSqliteState({ path: ':memory:' });
  await state.openCursors([newCursor(0)]);
  await state.commit([progress(1, { read: 1, matched: 1, delivered: 1 })]);
  const [callback] = adminConfig({
    callbacks: [{ name: CALLBACK, tables: ['shop.*'], ...more, deliver: DELIVER }],
  }).callbacks;
  if (callback === undefined) throw new Error('There is a callback');
  const value = Buffer.from('{"before":null,"after":{"id":1},"source":{},"op":"c","ts_ms":1}');
  const found: FoundEvent = {
    ...{ topic: TOPIC, partition: 0 },
    record: {
      ...{ key: '{"id":1}', value, timestampMs: 1, id: 'a:1:shop/orders:1' },
      ...{ table: 'shop.orders', operation: 'c', offset: 0 },
    },
  };
  const place = { state, cursors: await state.cursors(), running: null, version };
  expect(await explainEvent(callback, found, place)).toMatchObject({ outcome: 'settled', reason });
  await state.close();
});
