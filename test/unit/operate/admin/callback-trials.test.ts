import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Webhook } from 'standardwebhooks';
import { openEvents, eventIdOf } from '../../../support/admin-events.ts';
import type { AdminScene } from '../../../support/admin-api.ts';
import {
  closeEndpoints,
  type Endpoint,
  httpEndpoint,
  SECRET,
} from '../../deliver/callback/endpoint.ts';

let scene: AdminScene;
let endpoint: Endpoint;
let status = 204;

beforeAll(async () => {
  endpoint = await httpEndpoint((response) => response.writeHead(status).end('said'));
  const deliver = {
    ...{ url: endpoint.url, allow_private_network: true, secrets: [SECRET] },
    headers: { 'x-token': 'secret-in-header' },
  };
  const tables = ['shop.orders'];
  scene = await openEvents([
    { name: 'plain', tables, deliver, metadata: { team: 'a' } },
    { name: 'shaped', tables, deliver, payload: '{"total": after.id + 40}' },
    { name: 'strict', tables, deliver, payload: '{"total": after.nothing + 1}' },
    { name: 'many', tables, deliver, batch: { max_events: 5, max_wait: '1s' } },
  ]);
});

afterAll(async () => {
  await scene.close();
  await closeEndpoints();
});

beforeEach(() => {
  status = 204;
  endpoint.arrivals.splice(0);
});

interface Shown {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly body: string;
}

interface Preview {
  readonly matched: number;
  readonly others: object;
  readonly items: readonly {
    readonly id: string;
    readonly request: Shown | null;
    readonly error: string | null;
  }[];
}

async function preview(json: object): Promise<Preview> {
  const { body, status: answered } = await scene.ask('/v1/preview', {
    ...{ role: 'operator', method: 'POST', json },
  });
  expect(answered, JSON.stringify(body)).toBe(200);
  return body as Preview;
}

function test(name: string, json: object = {}): ReturnType<AdminScene['ask']> {
  return scene.ask(`/v1/callbacks/${name}/test`, { role: 'operator', method: 'POST', json });
}

const headersOf = ({ headers }: Shown): Record<string, string> =>
  Object.fromEntries(headers.map(({ name, value }) => [name, value]));

describe('a preview', () => {
  it('shows which of the newest events a callback gets, and why not the others', async () => {
    const body = await preview({ name: 'supply-chain', last: 5 });
    expect(body).toMatchObject({ events: 5, matched: 4, others: { when: 1 }, complete: true });
    expect(body.items.map(({ id }) => id)).toEqual([9, 8, 7, 5].map(eventIdOf));
    expect(await preview({ name: 'audit' })).toMatchObject({
      ...{ events: 10, matched: 0, others: { operation: 10 }, items: [] },
    });
  });

  it('is of one that is not made yet, checked as if it were to be', async () => {
    const callback = {
      ...{ name: 'mail', tables: ['shop.*'], when: 'after.id == 0' },
      deliver: { url: 'https://example.com/mail', format: 'cloudevents-binary' },
    };
    const { items, matched } = await preview({ callback });
    expect(matched).toBe(4);
    const [first] = items;
    expect(first?.request).toMatchObject({ method: 'POST', url: 'https://example.com/mail' });
    expect(first?.request === null || first === undefined ? {} : headersOf(first.request)).toEqual(
      expect.objectContaining({ 'ce-specversion': '1.0', 'ce-type': 'shop.orders.update' }),
    );
    const standard = { ...callback, deliver: { url: 'https://example.com/mail' } };
    const [signed] = (await preview({ callback: standard })).items;
    expect(signed?.request?.headers).toContainEqual({ name: 'webhook-signature', value: '***' });
    const wrong = { callback: { ...callback, when: 'after.' } };
    const refused = await scene.ask('/v1/preview', {
      ...{ role: 'operator', method: 'POST', json: wrong },
    });
    expect(refused).toMatchObject({ status: 422, body: { code: 'CALLBACK_INVALID' } });
  });

  it('shows what would be sent, without what is secret, and sends nothing', async () => {
    const { items } = await preview({ name: 'plain', last: 1 });
    const [item] = items;
    const request = item?.request ?? null;
    if (request === null) throw new Error('There is a request');
    expect(request.url).toBe(`${endpoint.url.replace(/\?.*/, '')}?***`);
    expect(headersOf(request)).toMatchObject({
      ...{ 'webhook-id': `${eventIdOf(9)}:plain`, 'webhook-signature': '***', 'x-token': '***' },
      ...{ 'rowcall-sequence': '00000000000000000009', 'rowcall-attempt': '1' },
    });
    expect(JSON.parse(request.body)).toMatchObject({
      ...{ id: eventIdOf(9), type: 'shop.orders.update', metadata: { team: 'a' } },
      data: { key: { id: 0 }, after: { id: 0, status: 'SENT' } },
    });
    expect(JSON.stringify(items)).not.toContain('secret-in-header');
    expect(endpoint.connections()).toBe(0);
  });

  it('shows payloads and batches as they are made, and which cannot be', async () => {
    const [shaped] = (await preview({ name: 'shaped', last: 1 })).items;
    expect(JSON.parse(shaped?.request?.body ?? '')).toMatchObject({ data: { total: 40 } });
    const [many] = (await preview({ name: 'many', last: 1 })).items;
    expect(JSON.parse(many?.request?.body ?? '')).toMatchObject([{ id: eventIdOf(9) }]);
    const [strict] = (await preview({ name: 'strict', last: 1 })).items;
    expect(strict).toMatchObject({
      ...{ request: null, error: expect.stringContaining('shape-failed') as string },
    });
  });

  it('is for operators: it shows values', async () => {
    const json = { name: 'plain' };
    expect(await scene.ask('/v1/preview', { method: 'POST', json })).toMatchObject({ status: 403 });
  });
});

describe('a test', () => {
  it('sends a made-up row under an id of its own, signed and marked', async () => {
    const { body } = await test('plain');
    expect(body).toMatchObject({ outcome: 'delivered', status: null, error: null });
    const [arrival] = endpoint.arrivals;
    expect(endpoint.arrivals).toHaveLength(1);
    expect(arrival?.headers).toMatchObject({
      ...{ 'rowcall-test': 'true', 'rowcall-topic': 'rowcall-test', 'x-token': 'secret-in-header' },
    });
    const sent = new Webhook(SECRET).verify(arrival?.body ?? '', arrival?.headers ?? {});
    expect(sent).toMatchObject({
      id: expect.stringMatching(/^test-[0-9a-f-]{36}:shop\/orders:1$/) as string,
      ...{ type: 'shop.orders.insert', data: { key: { id: 0 }, before: null, after: { id: 0 } } },
    });
    // What was shown is what was sent.
    const { request } = body as { request: Shown };
    expect(request.body).toBe(arrival?.body);
    expect(headersOf(request)).toMatchObject({ 'rowcall-test': 'true', 'x-token': '***' });
  });

  it('sends the row of an event where one is named', async () => {
    await test('shaped', { event_id: eventIdOf(4) });
    expect(JSON.parse(endpoint.arrivals[0]?.body ?? '')).toMatchObject({ data: { total: 41 } });
    const none = await test('shaped', { event_id: 'none' });
    expect(none).toMatchObject({ status: 404, body: { code: 'EVENT_UNKNOWN' } });
  });

  it('tells what the endpoint answers', async () => {
    status = 500;
    expect((await test('plain')).body).toMatchObject({
      ...{ outcome: 'failed', status: 500, error: 'HTTP 500: said' },
    });
    status = 410;
    expect((await test('plain')).body).toMatchObject({ outcome: 'gone' });
  });

  it('of which no request can be made sends none', async () => {
    expect((await test('strict')).body).toMatchObject({ outcome: 'not-sent', request: null });
    expect(endpoint.arrivals).toEqual([]);
  });

  it('is in no books: it disables nothing and leaves nothing behind', async () => {
    const before = JSON.stringify([
      await scene.state.cursors(),
      await scene.state.lanes({ limit: 9 }),
    ]);
    status = 410;
    await test('many');
    expect(endpoint.arrivals).toHaveLength(1);
    const after = [await scene.state.cursors(), await scene.state.lanes({ limit: 9 })];
    expect(JSON.stringify(after)).toBe(before);
    expect(await scene.state.callbackHolds()).toEqual([]);
  });

  it('is of a callback that is there, and for operators', async () => {
    expect(await test('nobody')).toMatchObject({ status: 404, body: { code: 'CALLBACK_UNKNOWN' } });
    const asViewer = { method: 'POST', json: {} } as const;
    expect((await scene.ask('/v1/callbacks/plain/test', asViewer)).status).toBe(403);
  });
});
