import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../../../src/shared/clock.ts';
import { type Arrival, closeEndpoints, deadPort, httpEndpoint, httpSender } from './endpoint.ts';
import { sampleEvent } from './sample-event.ts';

const never = new AbortController().signal;
const handshake = { origin: 'shop.example.com', ratePerMinute: null };

afterEach(closeEndpoints);

type Headers = Readonly<Record<string, string>>;

/** It goes on by what is slept. */
function sleptClock(): Clock {
  let now = 0;
  return {
    ...systemClock,
    monotonic: () => now,
    sleep: (ms) => {
      now += ms;
      return Promise.resolve();
    },
  };
}

/** Answers OPTIONS with these headers, and everything else with 204. */
function allowing(headers: Headers | (() => Headers), status = 200) {
  return (response: ServerResponse, { method }: Arrival): void => {
    if (method !== 'OPTIONS') response.writeHead(204).end();
    else response.writeHead(status, typeof headers === 'function' ? headers() : headers).end();
  };
}

describe('an endpoint that must allow its callback', () => {
  it('is asked once, by its origin and with the callback’s own headers, before the first event', async () => {
    const endpoint = await httpEndpoint(allowing({ 'webhook-allowed-origin': 'Shop.Example.COM' }));
    const headers = { authorization: 'Bearer t' };
    const sender = httpSender(endpoint.url, { handshake, headers });
    const outcomes = await Promise.all([1, 2, 3].map(() => sender.send(sampleEvent(), 1, never)));
    expect(outcomes.map(({ kind }) => kind)).toEqual(['delivered', 'delivered', 'delivered']);
    const methods = endpoint.arrivals.map(({ method }) => method);
    expect(methods).toEqual(['OPTIONS', 'POST', 'POST', 'POST']);
    expect(endpoint.arrivals[0]).toMatchObject({
      path: '/hooks/orders?shop=1',
      headers: { 'webhook-request-origin': 'shop.example.com', authorization: 'Bearer t' },
      body: '',
    });
    expect(endpoint.arrivals[0]?.headers['webhook-request-rate']).toBeUndefined();
  });

  it.each([
    ['names nobody', {}, 200, 'no WebHook-Allowed-Origin'],
    [
      'names another',
      { 'webhook-allowed-origin': 'x.example' },
      200,
      'it allows the origin x.example',
    ],
    ['knows no OPTIONS', { 'webhook-allowed-origin': '*' }, 405, 'HTTP 405'],
    ['redirects', { location: 'http://169.254.169.254/' }, 307, 'HTTP 307'],
    [
      'allows no rate',
      { 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '0' },
      200,
      'WebHook-Allowed-Rate is 0',
    ],
    [
      'allows a rate that is none',
      { 'webhook-allowed-origin': '*', 'webhook-allowed-rate': 'fast' },
      200,
      'WebHook-Allowed-Rate is fast',
    ],
  ])('and %s is unreachable, and gets no event', async (_what, headers, status, why) => {
    const endpoint = await httpEndpoint(allowing(headers, status));
    expect(await httpSender(endpoint.url, { handshake }).send(sampleEvent(), 1, never)).toEqual({
      kind: 'unreachable',
      error: `the endpoint did not allow deliveries (OPTIONS): ${why}`,
    });
    expect(endpoint.arrivals.map(({ method }) => method)).toEqual(['OPTIONS']);
  });

  it('is asked again at the next attempt after it refused', async () => {
    let allowed = 'x.example';
    const endpoint = await httpEndpoint(allowing(() => ({ 'webhook-allowed-origin': allowed })));
    const sender = httpSender(endpoint.url, { handshake });
    expect((await sender.send(sampleEvent(), 1, never)).kind).toBe('unreachable');
    allowed = '*';
    expect((await sender.send(sampleEvent(), 1, never)).kind).toBe('delivered');
  });

  it('and is not there, or never answers, is unreachable', async () => {
    const dead = httpSender(`http://127.0.0.1:${await deadPort()}/`, { handshake });
    expect(await dead.send(sampleEvent(), 1, never)).toMatchObject({
      kind: 'unreachable',
      error: expect.stringContaining('ECONNREFUSED') as string,
    });
    const { url } = await httpEndpoint(() => undefined);
    const sender = httpSender(url, { handshake, timeoutMs: 100 });
    expect(await sender.send(sampleEvent(), 1, never)).toMatchObject({
      kind: 'unreachable',
      error: expect.stringContaining('no answer to OPTIONS within 100 ms') as string,
    });
  });

  it.each([
    ['it allows', { 'webhook-allowed-rate': '120' }, 500],
    ['was asked for, where it says nothing', {}, 1000],
  ])('is called at the rate that %s', async (_what, rate, spacingMs) => {
    const clock = sleptClock();
    const answer = { 'webhook-allowed-origin': '*', ...rate } as Headers;
    const endpoint = await httpEndpoint(allowing(answer));
    const asked = { ...handshake, ratePerMinute: 60 };
    const sender = httpSender(endpoint.url, { handshake: asked, clock });
    const began: number[] = [];
    for (let n = 0; n < 4; n += 1) {
      await sender.send(sampleEvent(), 1, never);
      began.push(clock.monotonic());
    }
    expect(endpoint.arrivals[0]?.headers['webhook-request-rate']).toBe('60');
    expect(began).toEqual([0, spacingMs, 2 * spacingMs, 3 * spacingMs]);
  });

  it('gets nothing of what waits for its rate once nothing may be sent, and the next one at its rate', async () => {
    const clock = sleptClock();
    const answer = { 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '60' };
    const endpoint = await httpEndpoint(allowing(answer));
    const sender = httpSender(endpoint.url, { handshake, clock });
    const may = (): boolean => clock.monotonic() < 600;
    const sent = await Promise.all([1, 2, 3].map(() => sender.send(sampleEvent(), 1, never, may)));
    expect(sent.map(({ kind }) => kind)).toEqual(['delivered', 'held', 'held']);
    expect(clock.monotonic()).toBeLessThan(1000);
    expect(await sender.send(sampleEvent(), 1, never)).toEqual({ kind: 'delivered' });
    expect(clock.monotonic()).toBe(1000);
  });

  it('and allows any rate is called at once', async () => {
    const clock = { ...systemClock, sleep: () => Promise.reject(new Error('no wait was due')) };
    const answer = { 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '*' };
    const endpoint = await httpEndpoint(allowing(answer));
    const asked = { ...handshake, ratePerMinute: 1 };
    const sender = httpSender(endpoint.url, { handshake: asked, clock });
    for (let n = 0; n < 3; n += 1) {
      expect((await sender.send(sampleEvent(), 1, never)).kind).toBe('delivered');
    }
  });

  it('is not waited for after a stop', async () => {
    const { url } = await httpEndpoint(() => undefined);
    const stop = new AbortController();
    const sent = httpSender(url, { handshake }).send(sampleEvent(), 1, stop.signal);
    const reason = new Error('stopping');
    stop.abort(reason);
    await expect(sent).rejects.toBe(reason);
  });
});
