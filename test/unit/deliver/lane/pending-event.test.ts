import { expect, test } from 'vitest';
import { fresh } from '../../../../src/deliver/intake/open-cursors.ts';
import { pendingEvent } from '../../../../src/deliver/lane/pending-event.ts';
import { Progress } from '../../../../src/deliver/settle/progress.ts';
import type { StoredRecord } from '../../../../src/log/change-log.ts';

function pending(value: Uint8Array) {
  const record: StoredRecord = {
    offset: 1,
    key: null,
    value,
    timestampMs: 0,
    id: 'id',
    table: 'shop.orders',
    operation: 'c',
  };
  const at = { callback: 'billing', topic: 'shop.orders', topicId: 'id', partition: 0 };
  return pendingEvent(record, value, new Progress(fresh({ ...at, startOffset: 0, next: 0 })));
}

test('a pending event does not hold the batch that its value was read in', () => {
  const batch = new Uint8Array(1_000).fill(7);
  const event = pending(batch.subarray(100, 200));
  expect(event.value.buffer.byteLength).toBe(100);
  expect(event.record.value).toBe(event.value);
  expect(event.value).toEqual(batch.subarray(100, 200));
});

test('a value that is most of its batch is not copied', () => {
  const batch = new Uint8Array(1_000);
  const value = batch.subarray(50);
  expect(pending(value).value).toBe(value);
});
