import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { deliveriesOf } from '../../../src/receiver/batch.ts';
import { createReceiver, type Delivery, type Order } from '../../../src/receiver/receiver.ts';

const NOW = 1_700_000_000_000;
const SECRET = ['whsec', Buffer.alloc(32, 1).toString('base64')].join('_');

function signed(body: string, id: string) {
  const headers = {
    'webhook-id': id,
    'webhook-timestamp': String(NOW / 1000),
    'webhook-signature': new Webhook(SECRET).sign(id, new Date(NOW), body),
    'rowcall-callback': 'web',
    'rowcall-attempt': '1',
  };
  return { headers, body: Buffer.from(body) };
}

function webhook(n: number, key: number, text = ''): object {
  return {
    id: `gtid:${n}:shop/orders:1`,
    type: 'shop.orders.update',
    data: { key: { id: key }, text },
    sequence: String(n).padStart(20, '0'),
  };
}

function receiver(handle: (delivery: Delivery) => void = () => undefined) {
  const taken: [id: string, order: Order][] = [];
  const receive = createReceiver({
    secrets: [SECRET],
    handle: (delivery, { order }) => {
      handle(delivery);
      taken.push([delivery.id, order]);
    },
    onError: () => undefined,
    now: () => NOW,
  });
  return { receive, taken };
}

const batch = (...events: object[]) => signed(JSON.stringify(events), 'hash:web');

test('a batch is taken event by event, each once, and its order is told', async () => {
  const { receive, taken } = receiver();
  expect(await receive(batch(webhook(1, 7), webhook(2, 8)))).toMatchObject({ status: 204 });
  expect(await receive(batch(webhook(2, 8), webhook(3, 7)))).toMatchObject({ status: 204 });
  expect(taken).toEqual([
    ['gtid:1:shop/orders:1:web', 'first'],
    ['gtid:2:shop/orders:1:web', 'first'],
    ['gtid:3:shop/orders:1:web', 'next'],
  ]);
});

test('what another callback gave up is a call of its own, and stands in an order of its own', async () => {
  const { receive, taken } = receiver();
  await receive(batch(webhook(5, 7)));
  const call = { ...webhook(5, 7), call_id: 'gtid:5:shop/orders:1:fallback:mail' };
  await receive(batch({ ...call, sequence: '00000000000000000000' }));
  expect(taken).toEqual([
    ['gtid:5:shop/orders:1:web', 'first'],
    ['gtid:5:shop/orders:1:fallback:mail:web', 'first'],
  ]);
});

test('the answer names what failed, which is taken when it comes again alone', async () => {
  let fails = true;
  const { receive, taken } = receiver(({ id }) => {
    if (fails && id.startsWith('gtid:2:')) throw new Error('not yet');
  });
  const { status, body } = await receive(batch(webhook(1, 7), webhook(2, 8), webhook(3, 9)));
  expect([status, JSON.parse(body)]).toEqual([
    200,
    { failed: [{ id: 'gtid:2:shop/orders:1', reason: 'failed' }] },
  ]);
  fails = false;
  expect(await receive(batch(webhook(2, 8)))).toMatchObject({ status: 204 });
  expect(taken.map(([id]) => id.split(':')[1])).toEqual(['1', '3', '2']);
});

test('an event that came in a batch is known when it comes in a request of its own', async () => {
  const { receive, taken } = receiver();
  await receive(batch(webhook(1, 7)));
  await receive(signed(JSON.stringify(webhook(1, 7)), 'gtid:1:shop/orders:1:web'));
  expect(taken).toHaveLength(1);
});

test.each(['[1]', '[{"id":1}]', '[{}', '["a"', '[{"id":"a"}]]'])('%s is refused', async (body) => {
  const { receive, taken } = receiver();
  expect(await receive(signed(body, 'hash:web'))).toMatchObject({ status: 400 });
  expect(taken).toEqual([]);
});

test('each event has the bytes of its own, whatever stands in them', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue(), { minLength: 1, maxLength: 5 }), (values) => {
      const texts = values.map((value, n) => JSON.stringify({ id: `e${n}`, value }));
      const body = Buffer.from(`[${texts.join(',')}]`);
      const found = deliveriesOf('hash:web', {}, body);
      expect(found.map(({ delivery }) => Buffer.from(delivery.body).toString())).toEqual(texts);
    }),
  );
});
