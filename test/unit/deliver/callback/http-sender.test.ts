import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../../src/shared/clock.ts';
import { closeEndpoints, httpEndpoint, httpSender, SECRET } from './endpoint.ts';
import { SAMPLE_ID, sampleEvent } from './sample-event.ts';

const never = new AbortController().signal;

afterEach(closeEndpoints);

describe('a callback over HTTP', () => {
  it('is a Standard Webhook that the reference library verifies', async () => {
    const endpoint = await httpEndpoint();
    const outcome = await httpSender(endpoint.url).send(sampleEvent(), 1, never);
    expect(outcome).toEqual({ kind: 'delivered' });
    const [arrival] = endpoint.arrivals;
    expect(arrival).toMatchObject({ method: 'POST', path: '/hooks/orders?shop=1' });
    expect(new Webhook(SECRET).verify(arrival?.body ?? '', arrival?.headers ?? {})).toEqual({
      id: SAMPLE_ID,
      type: 'shop.orders.update',
      timestamp: '2023-11-14T22:13:20.123Z',
      data: {
        key: { id: 7 },
        before: { id: 7, total: '11.00' },
        after: { id: 7, total: '12.50' },
        source: { db: 'shop', table: 'orders' },
      },
    });
    expect(arrival?.headers).toMatchObject({
      'webhook-id': `${SAMPLE_ID}:supply-chain`,
      'content-type': 'application/json',
      'user-agent': 'rowcall/1.2.3',
      'rowcall-attempt': '1',
      'rowcall-callback': 'supply-chain',
      'rowcall-sequence': '00000000000000000042',
    });
  });

  it('of many megabytes, sent in pieces, is one body of known length that verifies', async () => {
    const endpoint = await httpEndpoint();
    const sender = httpSender(endpoint.url, { concurrency: 1 });
    const event = sampleEvent(JSON.stringify({ text: 'ä'.repeat(3 * 1024 * 1024) }));
    for (const attempt of [1, 2]) {
      expect(await sender.send(event, attempt, never)).toEqual({ kind: 'delivered' });
    }
    const [first, second] = endpoint.arrivals;
    expect(second?.body === first?.body).toBe(true);
    expect(first?.headers['content-length']).toBe(String(first?.bytes));
    expect(first?.headers['transfer-encoding']).toBeUndefined();
    const body = new Webhook(SECRET).verify(first?.body ?? '', first?.headers ?? {});
    expect(body).toMatchObject({ id: SAMPLE_ID, data: { source: { table: 'orders' } } });
    expect(endpoint.connections()).toBe(1);
  });

  it('is verified with each of two secrets, so that one can be rotated out', async () => {
    const other = `whsec_${randomBytes(24).toString('base64')}`;
    const endpoint = await httpEndpoint();
    await httpSender(endpoint.url, { secrets: [SECRET, other] }).send(sampleEvent(), 1, never);
    const { body, headers } = endpoint.arrivals[0] ?? { body: '', headers: {} };
    for (const secret of [SECRET, other]) {
      expect(() => new Webhook(secret).verify(body, headers)).not.toThrow();
    }
    const stranger = new Webhook(`whsec_${randomBytes(32).toString('base64')}`);
    expect(() => stranger.verify(body, headers)).toThrow();
  });

  it('keeps id, body and trace over attempts; the timestamp, attempt and span are new', async () => {
    const endpoint = await httpEndpoint();
    let now = 1_800_000_000_999;
    const clock = { ...systemClock, now: () => now };
    const sender = httpSender(endpoint.url, { clock });
    await sender.send(sampleEvent(), 1, never);
    now += 60_000;
    await sender.send(sampleEvent(), 2, never);
    const [first, second] = endpoint.arrivals;
    if (first === undefined || second === undefined) throw new Error('Two requests have arrived');
    expect(second.body).toBe(first.body);
    expect(second.headers['webhook-id']).toBe(first.headers['webhook-id']);
    expect(first.headers['webhook-timestamp']).toBe('1800000000');
    expect(second.headers['webhook-timestamp']).toBe('1800000060');
    expect(second.headers['rowcall-attempt']).toBe('2');
    const [, traceA, spanA] = (first.headers['traceparent'] ?? '').split('-');
    const [, traceB, spanB] = (second.headers['traceparent'] ?? '').split('-');
    expect(traceA).toMatch(/^[0-9a-f]{32}$/);
    expect(traceB).toBe(traceA);
    expect(spanA).toMatch(/^[0-9a-f]{16}$/);
    expect(spanB).not.toBe(spanA);
  });

  it('sends text of any script byte for byte, and a keyless event with key null', async () => {
    const endpoint = await httpEndpoint();
    const after = '{"name":"Ünïcödé ☃ 𝄞","n":12345678901234567890,"d":1.10}';
    const event = sampleEvent(after, { key: null, table: 'shop.größe x' });
    expect(await httpSender(endpoint.url).send(event, 1, never)).toEqual({ kind: 'delivered' });
    const { body, headers } = endpoint.arrivals[0] ?? { body: '', headers: {} };
    expect(body).toContain(`"after":${after},`);
    expect(body).toContain('"key":null,');
    expect(body).toContain('"type":"shop.gr__e_x.update"');
    expect(() => new Webhook(SECRET).verify(body, headers)).not.toThrow();
  });

  it('sends the configured headers and method', async () => {
    const endpoint = await httpEndpoint();
    const headers = { authorization: 'Bearer token-of-shop', 'x-tenant': 'a' };
    await httpSender(endpoint.url, { headers, method: 'PUT' }).send(sampleEvent(), 1, never);
    expect(endpoint.arrivals[0]?.method).toBe('PUT');
    expect(endpoint.arrivals[0]?.headers).toMatchObject(headers);
  });

  it.each([
    ['webhook-signature', 'v1,x'],
    ['Webhook-Id', 'x'],
    ['content-length', '3'],
    ['x-a', 'one\r\nwebhook-id: two'],
    ['x-a\r\nb', 'c'],
    ['x-a', 'smile ☺'],
  ])('refuses to be built with the header %j: %j', (name, value) => {
    expect(() => httpSender('http://127.0.0.1:1/', { headers: { [name]: value } })).toThrow(
      TypeError,
    );
  });

  it('fails without a request when the body is over its limit, and names the limit', async () => {
    const endpoint = await httpEndpoint();
    const big = sampleEvent(`{"text":"${'x'.repeat(3000)}"}`);
    const outcome = await httpSender(endpoint.url, { maxBodyBytes: 2048 }).send(big, 1, never);
    expect(outcome).toMatchObject({
      kind: 'failed',
      error: expect.stringMatching(/over deliver\.max_body \(2048\)/) as string,
    });
    expect(endpoint.arrivals).toEqual([]);
  });

  it('delivers a body of 30 MB', async () => {
    const endpoint = await httpEndpoint();
    const big = sampleEvent(`{"text":"${'x'.repeat(30_000_000)}"}`);
    expect(await httpSender(endpoint.url).send(big, 1, never)).toEqual({ kind: 'delivered' });
    expect(endpoint.arrivals[0]?.bytes).toBeGreaterThan(30_000_000);
  });

  it('fails when the record is not an envelope, naming the code', async () => {
    const endpoint = await httpEndpoint();
    const event = sampleEvent('{}', { value: Buffer.from('{"some":"thing"}') });
    expect(await httpSender(endpoint.url).send(event, 1, never)).toMatchObject({
      kind: 'failed',
      error: expect.stringContaining('ENVELOPE_INVALID') as string,
    });
  });

  it('uses a connection again for the next event', async () => {
    const endpoint = await httpEndpoint((response) => response.writeHead(200).end('thank you'));
    const sender = httpSender(endpoint.url);
    for (let n = 0; n < 20; n += 1) await sender.send(sampleEvent(), 1, never);
    expect(endpoint.arrivals).toHaveLength(20);
    // The answer is told a moment before its socket is free: the second event may find it busy.
    expect(endpoint.connections()).toBeLessThanOrEqual(2);
  });

  it('opens at most 64 sockets, and the time of those who wait for one has not begun', async () => {
    let running = 0;
    let most = 0;
    const clock = {
      ...systemClock,
      timer: () => {
        running += 1;
        most = Math.max(most, running);
        return (): void => {
          running -= 1;
        };
      },
    };
    const endpoint = await httpEndpoint();
    const sender = httpSender(endpoint.url, { concurrency: 1000, clock });
    const sends = Array.from({ length: 640 }, () => sender.send(sampleEvent(), 1, never));
    const outcomes = await Promise.all(sends);
    expect(outcomes.every(({ kind }) => kind === 'delivered')).toBe(true);
    expect(most).toBe(64);
    expect(running).toBe(0);
    expect(endpoint.connections()).toBeLessThanOrEqual(64);
  });

  it('of those who wait for a socket, sends none that may not go any more when it is free', async () => {
    let open = true;
    const endpoint = await httpEndpoint((response) => {
      open = false;
      response.writeHead(410).end();
    });
    const sender = httpSender(endpoint.url, { concurrency: 1 });
    const sends = [1, 2, 3].map(() => sender.send(sampleEvent(), 1, never, () => open));
    const kinds = (await Promise.all(sends)).map(({ kind }) => kind);
    expect(kinds).toEqual(['gone', 'held', 'held']);
    expect(endpoint.arrivals).toHaveLength(1);
  });
});
