/** An event as capture writes it, for tests of the senders. */

import { envelopeTail } from '../../../../src/change-event.ts';
import type { OutgoingEvent } from '../../../../src/deliver/callback/sender.ts';

export const SAMPLE_ID = '3e11fa47-71ca-11e1-9e33-c80aa9429562:23:shop/orders:1';

/** @param after JSON text of the row */
export function sampleEvent(
  after = '{"id":7,"total":"12.50"}',
  change: Partial<OutgoingEvent> = {},
): OutgoingEvent {
  const tail = envelopeTail('u', 1_700_000_000_500, {
    id: 'gtid:23',
    totalOrder: 1,
    dataCollectionOrder: 1,
  });
  const head = `{"before":{"id":7,"total":"11.00"},"after":${after},"source":{"db":"shop","table":"orders"}`;
  return {
    id: SAMPLE_ID,
    topic: 'shop.shop.orders',
    partition: 0,
    offset: 42,
    table: 'shop.orders',
    operation: 'u',
    key: '{"id":7}',
    timestampMs: 1_700_000_000_123,
    value: Buffer.from(head + tail),
    ...change,
  };
}
