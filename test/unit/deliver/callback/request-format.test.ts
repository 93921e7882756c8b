import { CloudEvent, HTTP } from 'cloudevents';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, it } from 'vitest';
import type { RequestFormatName } from '../../../../src/deliver/callback/request-format.ts';
import type { OutgoingEvent } from '../../../../src/deliver/callback/sender.ts';
import { type Arrival, closeEndpoints, httpEndpoint, httpSender, SECRET } from './endpoint.ts';
import { SAMPLE_ID, sampleEvent } from './sample-event.ts';

const never = new AbortController().signal;
const DATA = {
  key: { id: 7 },
  before: { id: 7, total: '11.00' },
  after: { id: 7, total: '12.50' },
  source: { db: 'shop', table: 'orders' },
};

afterEach(closeEndpoints);

/** What arrives of an event, sent twice. */
async function sent(
  format: RequestFormatName,
  event: OutgoingEvent,
  secrets: readonly string[] = [SECRET],
): Promise<readonly [Arrival, Arrival]> {
  const endpoint = await httpEndpoint();
  const sender = httpSender(endpoint.url, { format, secrets });
  for (const attempt of [1, 2]) {
    expect(await sender.send(event, attempt, never)).toEqual({ kind: 'delivered' });
  }
  const [first, second] = endpoint.arrivals;
  if (first === undefined || second === undefined) throw new Error('Two requests have arrived');
  return [first, second];
}

/** As the package reads it; it leaves header values encoded, so that is undone as the specification says. */
function cloudEvent({ headers, body }: Arrival): CloudEvent<unknown> {
  const decoded = Object.entries(headers).map(([name, value]) => [
    name,
    name.startsWith('ce-') ? decodeURIComponent(value) : value,
  ]);
  const event = HTTP.toEvent({ headers: Object.fromEntries(decoded) as never, body });
  if (!(event instanceof CloudEvent)) throw new Error('One event is no batch');
  expect(event.validate()).toBe(true);
  return event;
}

describe.each(['cloudevents-structured', 'cloudevents-binary'] as const)('%s', (format) => {
  it('is a CloudEvent that the reference library reads, with all its extensions', async () => {
    const [arrival] = await sent(format, sampleEvent());
    expect(cloudEvent(arrival)).toMatchObject({
      specversion: '1.0',
      id: SAMPLE_ID,
      source: '/rowcall/shop/shop/orders',
      type: 'shop.orders.update',
      subject: '{"id":7}',
      time: '2023-11-14T22:13:20.123Z',
      datacontenttype: 'application/json',
      partitionkey: '{"id":7}',
      sequence: '00000000000000000042',
      traceparent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/) as string,
      data: DATA,
    });
  });

  it('bears the signature and the headers of every format', async () => {
    const [{ headers, body }] = await sent(format, sampleEvent());
    expect(() => new Webhook(SECRET).verify(body, headers)).not.toThrow();
    expect(headers).toMatchObject({
      'webhook-id': `${SAMPLE_ID}:supply-chain`,
      'rowcall-attempt': '1',
      'rowcall-sequence': '00000000000000000042',
    });
  });

  it('is sent without a signature where the callback has no secret', async () => {
    const [{ headers }] = await sent(format, sampleEvent(), []);
    expect(headers['webhook-signature']).toBeUndefined();
    expect(headers['webhook-id']).toBe(`${SAMPLE_ID}:supply-chain`);
  });

  it('is the same on every attempt, but for what tells the attempt', async () => {
    const [first, second] = await sent(format, sampleEvent());
    expect(second.body).toBe(first.body);
    const own = ({ headers }: Arrival): [string, string][] =>
      Object.entries(headers).filter(([name]) => name.startsWith('ce-'));
    expect(own(second)).toEqual(own(first));
    expect(second.headers['rowcall-attempt']).toBe('2');
  });

  it.each([
    ['quotes, spaces and percent signs', '{"id":"a \\"b\\" 100%41"}'],
    ['other scripts', '{"id":"Zoë 注文 \u{1f4e6}"}'],
    ['a name of one character', '{"é":1}'],
  ])('keeps a key with %s', async (_what, key) => {
    const [arrival] = await sent(format, sampleEvent(undefined, { key }));
    expect(cloudEvent(arrival)).toMatchObject({ subject: key, partitionkey: key });
  });

  it('has a partition key of bounded length for a long key, the same for the same key', async () => {
    const key = JSON.stringify({ id: '注'.repeat(700) });
    const [arrival, again] = await sent(format, sampleEvent(undefined, { key }));
    const { subject, partitionkey } = cloudEvent(arrival);
    expect(subject).toBe(key);
    expect(partitionkey).toMatch(/^sha256-[0-9a-f]{64}$/);
    expect(cloudEvent(again)['partitionkey']).toBe(partitionkey);
  });

  it('of a table without a key has neither subject nor partition key', async () => {
    const [arrival] = await sent(format, sampleEvent(undefined, { key: null }));
    const event = cloudEvent(arrival);
    expect(event.subject).toBeUndefined();
    expect(event['partitionkey']).toBeUndefined();
    expect(event.data).toEqual({ ...DATA, key: null });
  });

  it('of many megabytes is one body', async () => {
    const event = sampleEvent(JSON.stringify({ text: 'ä'.repeat(3 * 1024 * 1024) }));
    const [arrival] = await sent(format, event);
    expect(arrival.headers['content-length']).toBe(String(arrival.bytes));
    expect(cloudEvent(arrival)).toMatchObject({ id: SAMPLE_ID });
  });
});

describe('a CloudEvent', () => {
  it('is of the source that its table names, dots and all', async () => {
    const id = '3e11fa47-71ca-11e1-9e33-c80aa9429562:23:my%2Eshop/a%2Eb:1:d';
    const event = sampleEvent(undefined, { id, table: 'my.shop.a.b' });
    const [arrival] = await sent('cloudevents-structured', event);
    expect(cloudEvent(arrival).source).toBe('/rowcall/shop/my%2Eshop/a%2Eb');
  });

  it('is never made of what is no event: the attempt fails, and nothing is sent', async () => {
    const endpoint = await httpEndpoint();
    const sender = httpSender(endpoint.url, { format: 'cloudevents-binary' });
    expect(await sender.send(sampleEvent(undefined, { id: 'x' }), 1, never)).toMatchObject({
      kind: 'failed',
      error: expect.stringContaining('ENVELOPE_INVALID') as string,
    });
    expect(endpoint.arrivals).toEqual([]);
  });
});

describe('raw', () => {
  it('is the value as it is, signed, with the headers of every format', async () => {
    const event = sampleEvent();
    const [{ headers, body }] = await sent('raw', event);
    expect(body).toBe(Buffer.from(event.value).toString());
    expect(headers['content-type']).toBe('application/json');
    expect(new Webhook(SECRET).verify(body, headers)).toMatchObject({ op: 'u', after: DATA.after });
  });
});

describe('a payload and metadata', () => {
  const event = sampleEvent(undefined, {
    data: Buffer.from('{"order":7}'),
    metadata: '{"team":"Zoë"}',
  });

  it.each(['cloudevents-structured', 'cloudevents-binary'] as const)(
    'are data and extension of %s',
    async (format) => {
      const [arrival] = await sent(format, event);
      const expected = { data: { order: 7 }, metadata: '{"team":"Zoë"}' };
      expect(cloudEvent(arrival)).toMatchObject(expected);
    },
  );

  it('are body and header of raw', async () => {
    const [{ headers, body }] = await sent('raw', event);
    expect(body).toBe('{"order":7}');
    expect(decodeURIComponent(headers['rowcall-metadata'] ?? '')).toBe('{"team":"Zoë"}');
  });
});

describe('a method', () => {
  it.each(['POST', 'PUT', 'PATCH'] as const)('%s is what the endpoint sees', async (method) => {
    const endpoint = await httpEndpoint();
    await httpSender(endpoint.url, { method }).send(sampleEvent(), 1, never);
    expect(endpoint.arrivals[0]?.method).toBe(method);
  });
});
