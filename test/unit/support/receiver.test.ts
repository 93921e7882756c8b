import { request } from 'node:http';

import { Webhook } from 'standardwebhooks';
import { afterEach, expect, test } from 'vitest';

import { ReceiverJournal } from '../../support/receiver-journal.ts';
import { Receiver } from '../../support/receiver.ts';
import type { Reaction } from '../../support/receiver.ts';

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;

const receivers: Receiver[] = [];

afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.refuse();
});

async function listen(journal: ReceiverJournal, reaction?: Reaction): Promise<Receiver> {
  const react = reaction === undefined ? {} : { react: () => reaction };
  const receiver = new Receiver({ journal, secret: SECRET, ...react });
  receivers.push(receiver);
  await receiver.listen();
  return receiver;
}

/** Status of the answer, or the error code of an exchange that was cut. */
function post(url: string, secret = SECRET): Promise<number | string | undefined> {
  const body = JSON.stringify({
    id: 'gtid:shop/orders:1',
    type: 'shop.orders.insert',
    timestamp: '2026-11-05T06:07:08Z',
    data: {
      key: { id: 1 },
      before: null,
      after: { id: 1 },
      source: { db: 'shop', table: 'orders' },
    },
  });
  const now = new Date();
  const id = 'gtid:shop/orders:1:audit';
  const headers = {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, now, body),
    'rowcall-callback': 'audit',
    'rowcall-attempt': '1',
    'rowcall-sequence': '00000000000000000007',
  };
  return new Promise((resolve) => {
    const sent = request(url, { method: 'POST', headers, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.on('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code);
    });
    sent.end(body);
  });
}

test('an event is taken once, with its key, sequence and images', async () => {
  const journal = new ReceiverJournal();
  const { url } = await listen(journal);
  expect([await post(url), await post(url)]).toEqual([204, 204]);
  expect(journal.violations).toEqual([]);
  expect(journal.repeats('audit')).toBe(1);
  expect([...journal.taken('audit').values()]).toMatchObject([
    { id: 'gtid:shop/orders:1', table: 'shop.orders', operation: 'insert', key: '{"id":1}' },
  ]);
});

test('a wrong signature is told', async () => {
  const journal = new ReceiverJournal();
  const { url } = await listen(journal);
  await post(url, `whsec_${Buffer.alloc(32, 2).toString('base64')}`);
  expect(journal.violations[0]).toContain('signature refused');
});

test.each([
  [{ kind: 'fail', status: 503 }, 503, 0],
  [{ kind: 'reset' }, 'ECONNRESET', 0],
  [{ kind: 'take-then-reset' }, 'ECONNRESET', 1],
  [{ kind: 'take', afterMs: 1 }, 204, 1],
] as const)('%o answers %s', async (reaction, answer, taken) => {
  const journal = new ReceiverJournal();
  const { url } = await listen(journal, reaction);
  expect(await post(url)).toBe(answer);
  expect(journal.taken('audit').size).toBe(taken);
});

test('a refusing endpoint comes back on the same port', async () => {
  const journal = new ReceiverJournal();
  const receiver = await listen(journal);
  const { url } = receiver;
  await receiver.refuse();
  expect(await post(url)).toBe('ECONNREFUSED');
  await receiver.listen();
  expect(await post(url)).toBe(204);
});
