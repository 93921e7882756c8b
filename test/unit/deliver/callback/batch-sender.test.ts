import { type CloudEvent, HTTP } from 'cloudevents';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, test } from 'vitest';
import { failedEvents } from '../../../../src/deliver/callback/batch-answer.ts';
import {
  BatchSender,
  type BatchSenderOptions,
} from '../../../../src/deliver/callback/batch-sender.ts';
import { batchFormat } from '../../../../src/deliver/callback/request-format.ts';
import type { Outcome, OutgoingEvent } from '../../../../src/deliver/callback/sender.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import {
  closeEndpoints,
  deadPort,
  type Endpoint,
  httpEndpoint,
  httpSender,
  SECRET,
} from './endpoint.ts';
import { sampleEvent } from './sample-event.ts';

const never = new AbortController().signal;
const DELIVERED: Outcome = { kind: 'delivered' };

afterEach(closeEndpoints);

function batchSender(url: string, change: Partial<BatchSenderOptions> = {}): BatchSender {
  return new BatchSender(httpSender(url), {
    maxEvents: 3,
    maxWaitMs: 0,
    maxBodyBytes: 1024 * 1024,
    format: batchFormat('standard-webhooks', 'shop'),
    clock: systemClock,
    ...change,
  });
}

function eventOf(n: number, over: Partial<OutgoingEvent> = {}): OutgoingEvent {
  const id = `3e11fa47-71ca-11e1-9e33-c80aa9429562:${n}:shop/orders:1`;
  return sampleEvent(`{"id":${n}}`, { id, offset: n, key: `{"id":${n}}`, ...over });
}

function sendAll(sender: BatchSender, events: readonly OutgoingEvent[]): Promise<Outcome[]> {
  return Promise.all(events.map((event) => sender.send(event, 1, never)));
}

/** Keys in each request, in the order of requests. */
function bodies({ arrivals }: Endpoint): unknown[][] {
  return arrivals.map(({ body, headers }) =>
    (new Webhook(SECRET).verify(body, headers) as { data: { key: unknown } }[]).map(
      ({ data }) => data.key,
    ),
  );
}

function onlyArrival({ arrivals }: Endpoint): Endpoint['arrivals'][number] {
  const [arrival] = arrivals;
  if (arrival === undefined || arrivals.length > 1) throw new Error('One request has arrived');
  return arrival;
}

function answering(body: string, status = 200): Promise<Endpoint> {
  return httpEndpoint((response) => response.writeHead(status).end(body));
}

describe('a batch', () => {
  test('is an array of webhooks that the reference library verifies, each with its sequence', async () => {
    const endpoint = await httpEndpoint();
    const outcomes = await sendAll(batchSender(endpoint.url), [eventOf(1), eventOf(2)]);
    expect(outcomes).toEqual([DELIVERED, DELIVERED]);
    const { body, headers } = onlyArrival(endpoint);
    expect(new Webhook(SECRET).verify(body, headers)).toMatchObject(
      [1, 2].map((n) => ({
        id: eventOf(n).id,
        type: 'shop.orders.update',
        data: { key: { id: n }, after: { id: n } },
        sequence: String(n).padStart(20, '0'),
      })),
    );
    expect(headers).toMatchObject({ 'rowcall-attempt': '1', 'rowcall-callback': 'supply-chain' });
    expect(headers['webhook-id']).toMatch(/^[0-9a-f]{64}:supply-chain$/);
    expect(headers['rowcall-sequence']).toBeUndefined();
  });

  test('that waited has only those that may still go when it goes', async () => {
    const endpoint = await httpEndpoint();
    const sender = batchSender(endpoint.url, { maxEvents: 10, maxWaitMs: 20 });
    let open = true;
    const outcomes = [1, 2, 3].map((n) => sender.send(eventOf(n), 1, never, () => open || n === 2));
    open = false;
    expect(await Promise.all(outcomes)).toEqual([{ kind: 'held' }, DELIVERED, { kind: 'held' }]);
    expect(bodies(endpoint)).toEqual([[{ id: 2 }]]);
    expect(await sender.send(eventOf(4), 1, never, () => open)).toEqual({ kind: 'held' });
    expect(endpoint.arrivals).toHaveLength(1);
  });

  test('of the same events has the same id and bytes, and of others another', async () => {
    const endpoint = await httpEndpoint();
    const sender = batchSender(endpoint.url, { maxEvents: 2 });
    for (const last of [2, 2, 3]) await sendAll(sender, [eventOf(1), eventOf(last)]);
    const [first, again, other] = endpoint.arrivals;
    expect(again?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    expect(again?.body).toBe(first?.body);
    expect(other?.headers['webhook-id']).not.toBe(first?.headers['webhook-id']);
  });

  test('is closed when it is full, and at the end of the turn else', async () => {
    const endpoint = await httpEndpoint();
    await sendAll(
      batchSender(endpoint.url),
      [1, 2, 3, 4].map((n) => eventOf(n)),
    );
    const largestFirst = bodies(endpoint).toSorted((one, other) => other.length - one.length);
    expect(largestFirst).toEqual([[1, 2, 3].map((id) => ({ id })), [{ id: 4 }]]);
  });

  test('waits for more as long as it may', async () => {
    const endpoint = await httpEndpoint();
    let fire = (): void => undefined;
    const timer = (ms: number, then: () => void): (() => void) => {
      if (ms === 77) fire = then;
      return ms === 77 ? () => undefined : systemClock.timer(ms, then);
    };
    const clock = { ...systemClock, timer };
    const sender = batchSender(endpoint.url, { maxWaitMs: 77, clock });
    const sending = [sender.send(eventOf(1), 1, never), sender.send(eventOf(2), 1, never)];
    await new Promise((resolve) => setImmediate(resolve));
    expect(endpoint.arrivals).toEqual([]);
    fire();
    await Promise.all(sending);
    expect(bodies(endpoint)).toEqual([[{ id: 1 }, { id: 2 }]]);
  });

  test('is closed before it passes max_body, and an event over it fails by itself', async () => {
    const endpoint = await httpEndpoint();
    const sender = batchSender(endpoint.url, { maxEvents: 10, maxBodyBytes: 800 });
    const large = eventOf(9, { data: Buffer.from(`"${'x'.repeat(1000)}"`) });
    const outcomes = await sendAll(sender, [eventOf(1), eventOf(2), large, eventOf(3), eventOf(4)]);
    expect(outcomes[2]).toMatchObject({ kind: 'failed', cause: 'system' });
    expect(outcomes.toSpliced(2, 1)).toEqual(Array(4).fill(DELIVERED));
    const both = [
      [{ id: 1 }, { id: 2 }],
      [{ id: 3 }, { id: 4 }],
    ];
    expect(bodies(endpoint)).toEqual(expect.arrayContaining(both));
    expect(endpoint.arrivals.every(({ bytes }) => bytes <= 800)).toBe(true);
  });

  test('has no event of a lane: that goes by itself, with its attempt', async () => {
    const endpoint = await httpEndpoint();
    const sender = batchSender(endpoint.url);
    await Promise.all([
      sender.send(eventOf(1), 1, never),
      sender.send(eventOf(2, { alone: true }), 4, never),
      sender.send(eventOf(3), 1, never),
    ]);
    const keys = bodies(endpoint);
    const byAttempt = new Map(
      endpoint.arrivals.map(({ headers }, n) => [headers['rowcall-attempt'], keys[n]]),
    );
    const [one, two, three] = [1, 2, 3].map((id) => ({ id }));
    expect(byAttempt).toEqual(
      new Map([
        ['1', [one, three]],
        ['4', [two]],
      ]),
    );
  });

  test('as CloudEvents is a batch that their own library reads', async () => {
    const endpoint = await httpEndpoint();
    const format = batchFormat('cloudevents-structured', 'shop');
    await sendAll(batchSender(endpoint.url, { format }), [eventOf(1), eventOf(2)]);
    const { body, headers } = onlyArrival(endpoint);
    expect(headers['content-type']).toBe('application/cloudevents-batch+json; charset=utf-8');
    const read = HTTP.toEvent({ body, headers }) as CloudEvent[];
    expect(read.map(({ id }) => id)).toEqual([eventOf(1).id, eventOf(2).id]);
  });

  test('is abandoned with its events, also while it waits for more', async () => {
    const endpoint = await httpEndpoint();
    const abandon = new AbortController();
    const sender = batchSender(endpoint.url, { maxWaitMs: 60_000 });
    const sending = sender.send(eventOf(1), 1, abandon.signal);
    abandon.abort(new Error('the deadline'));
    await expect(sending).rejects.toThrow('the deadline');
    expect(endpoint.arrivals).toEqual([]);
  });
});

describe('the answer to a batch', () => {
  test('fails those that it names, and delivers the others', async () => {
    const failed = [{ id: eventOf(2).id, reason: `not ${SECRET} yet` }, { id: eventOf(3).id }];
    const endpoint = await answering(JSON.stringify({ failed }));
    expect(
      await sendAll(
        batchSender(endpoint.url),
        [1, 2, 3].map((n) => eventOf(n)),
      ),
    ).toEqual([
      DELIVERED,
      { kind: 'failed', error: 'not *** yet' },
      { kind: 'failed', error: 'named as failed in the answer' },
    ]);
  });

  test('fails all of them with a status of failure, and holds all where nobody answers', async () => {
    const endpoint = await answering('no', 500);
    const events = [eventOf(1), eventOf(2)];
    const failed = { kind: 'failed', error: 'HTTP 500: no', status: 500 };
    expect(await sendAll(batchSender(endpoint.url), events)).toEqual([failed, failed]);
    const dead = batchSender(`http://127.0.0.1:${await deadPort()}/`);
    expect((await sendAll(dead, events)).map(({ kind }) => kind)).toEqual([
      'unreachable',
      'unreachable',
    ]);
  });

  test.each([
    ['names an event that was not in the batch', '{"failed":[{"id":"other"}]}'],
    ['is cut off', '{"failed":[{"id":'],
    ['has no list', '{"failed":"all"}'],
    ['has no ids', '{"failed":[{"reason":"no"}]}'],
    ['gives a reason that is no text', JSON.stringify({ failed: [{ id: 'x', reason: {} }] })],
    ['is longer than is read', JSON.stringify({ failed: [], why: 'x'.repeat(300_000) })],
  ])('fails all of them when it %s', async (_what, body) => {
    const endpoint = await answering(body);
    const outcomes = await sendAll(batchSender(endpoint.url), [eventOf(1), eventOf(2)]);
    expect(outcomes.map(({ kind }) => kind)).toEqual(['failed', 'failed']);
  });

  test.each(['', 'ok', '{}', '{"failed":[]}', '{"status":"fine"}', '<p>'])(
    'takes all of them when it says %j',
    (body) => {
      expect(failedEvents(Buffer.from(body), new Set(['a']))).toEqual(new Map());
    },
  );
});
