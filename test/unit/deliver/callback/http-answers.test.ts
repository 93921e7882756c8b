import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../support/eventually.ts';
import type { Outcome } from '../../../../src/deliver/callback/sender.ts';
import {
  closeEndpoints,
  deadPort,
  httpEndpoint,
  httpSender,
  SECRET,
  tcpEndpoint,
} from './endpoint.ts';
import { sampleEvent } from './sample-event.ts';

const never = new AbortController().signal;

afterEach(closeEndpoints);

/** Answers with these bytes as soon as the request has begun to arrive. */
async function rawAnswer(bytes: string, then: 'end' | 'reset' | 'hold'): Promise<string> {
  const port = await tcpEndpoint((socket) => {
    socket.once('data', () => {
      socket.write(bytes, () => {
        if (then === 'end') socket.end();
        else if (then === 'reset') socket.resetAndDestroy();
      });
    });
  });
  return `http://127.0.0.1:${port}/`;
}

async function send(url: string, timeoutMs = 10_000): Promise<Outcome> {
  return httpSender(url, { timeoutMs }).send(sampleEvent(), 1, never);
}

describe('an answer over HTTP', () => {
  it.each([200, 201, 202, 204, 299])('of %i is a delivery', async (status) => {
    const { url } = await httpEndpoint((response) => response.writeHead(status).end());
    expect(await send(url)).toEqual({ kind: 'delivered' });
  });

  it.each([
    [400, 'failed'],
    [401, 'failed'],
    [404, 'failed'],
    [409, 'failed'],
    [410, 'gone'],
    [413, 'failed'],
    [422, 'failed'],
    [500, 'failed'],
    [502, 'throttled'],
    [504, 'throttled'],
  ])('of %i is told as %s, with status and words', async (status, kind) => {
    const { url } = await httpEndpoint((response) =>
      response.writeHead(status).end('no such\n\torder\u0007'),
    );
    expect(await send(url)).toEqual({
      kind,
      error: `HTTP ${status}: no such order`,
      ...(kind === 'gone' ? {} : { status }),
    });
  });

  it('that redirects is a failure, and the metadata address is never asked', async () => {
    const location = 'http://169.254.169.254/latest/meta-data/';
    const endpoint = await httpEndpoint((response) => response.writeHead(307, { location }).end());
    expect(await send(endpoint.url)).toEqual({ kind: 'failed', error: 'HTTP 307', status: 307 });
    expect(endpoint.arrivals).toHaveLength(1);
  });

  it.each([429, 503])('of %i with Retry-After tells when to come back', async (status) => {
    const { url } = await httpEndpoint((response) =>
      response.writeHead(status, { 'retry-after': '120' }).end(),
    );
    expect(await send(url)).toEqual({
      kind: 'throttled',
      error: `HTTP ${status}`,
      status,
      retryAfterMs: 120_000,
    });
  });

  it('may begin with announcements (1xx), which are not the answer', async () => {
    const { url } = await httpEndpoint((response) => {
      response.writeProcessing();
      response.writeHead(422).end('late');
    });
    expect(await send(url)).toEqual({ kind: 'failed', error: 'HTTP 422: late', status: 422 });
  });

  it('that repeats our secrets is kept without them', async () => {
    const { url } = await httpEndpoint((response, { headers }) =>
      response
        .writeHead(401)
        .end(`bad ${headers['authorization'] ?? ''}, token tok-123456; ${SECRET}`),
    );
    const sender = httpSender(url, { headers: { authorization: 'Bearer tok-123456' } });
    expect(await sender.send(sampleEvent(), 1, never)).toEqual({
      kind: 'failed',
      error: 'HTTP 401: bad ***, token ***; ***',
      status: 401,
    });
  });

  it('that repeats our login in clear, or the query of our URL, is kept without them', async () => {
    const endpoint = await httpEndpoint((response, { path, headers }) => {
      const login = Buffer.from((headers['authorization'] ?? '').slice(6), 'base64').toString();
      response.writeHead(401).end(`no ${path}, no secret/1, not ${login}`);
    });
    const url = `${new URL(endpoint.url).origin}/hook?token=secret%2F1&n=1`;
    const authorization = `Basic ${Buffer.from('shop:hunter22').toString('base64')}`;
    const sender = httpSender(url, { headers: { authorization } });
    expect(await sender.send(sampleEvent(), 1, never)).toMatchObject({
      error: 'HTTP 401: no /hook?***, no ***, not ***',
    });
  });

  it('with a huge body of an error is cut to a short text, its socket closed, and nobody waits for its end', async () => {
    const endpoint = await httpEndpoint((response) => {
      response.writeHead(500);
      const pour = (): void => {
        while (!response.destroyed && response.write('very much text '.repeat(1000)));
      };
      response.on('drain', pour);
      pour();
    });
    const outcome = await send(endpoint.url);
    expect(outcome).toMatchObject({ kind: 'failed' });
    expect(outcome.kind === 'failed' ? outcome.error.length : 0).toBe(300);
    await eventually(() => {
      expect(endpoint.arrivals[0]?.socket.destroyed).toBe(true);
    });
  });

  it('of success with a huge body is a delivery all the same', async () => {
    const { url } = await httpEndpoint((response) => response.end('x'.repeat(5_000_000)));
    expect(await send(url)).toEqual({ kind: 'delivered' });
  });

  it('that is cut off is a failure, though its status said success', async () => {
    const url = await rawAnswer('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this', 'end');
    expect(await send(url)).toMatchObject({ kind: 'failed' });
  });

  it.each([
    ['closes without an answer', '', 'end'],
    ['resets without an answer', '', 'reset'],
    [
      'resets in the middle of the answer',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel',
      'reset',
    ],
    ['answers something other than HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 'hold'],
  ] as const)('of an endpoint that %s is a failure of this event', async (_what, bytes, then) => {
    expect(await send(await rawAnswer(bytes, then))).toMatchObject({ kind: 'failed' });
  });

  it.each([
    ['never answers', ''],
    ['never ends its headers', 'HTTP/1.1 200 OK\r\nx-a: b\r\n'],
    ['never ends its body', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc'],
  ])('of an endpoint that %s fails at the time-out of the whole exchange', async (_what, bytes) => {
    expect(await send(await rawAnswer(bytes, 'hold'), 150)).toEqual({
      kind: 'failed',
      error: 'no whole answer within 150 ms',
    });
  });

  it('that drips a byte now and then fails at the time-out too', async () => {
    const { url } = await httpEndpoint((response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write('.'), 20);
      response.on('close', () => {
        clearInterval(drip);
      });
    });
    expect(await send(url, 150)).toEqual({
      kind: 'failed',
      error: 'no whole answer within 150 ms',
    });
  });

  it('is not waited for after a stop: the attempt rejects with the reason, its socket closed', async () => {
    const endpoint = await httpEndpoint(() => undefined);
    const stop = new AbortController();
    const sender = httpSender(endpoint.url);
    const sent = sender.send(sampleEvent(), 1, stop.signal);
    await eventually(() => {
      expect(endpoint.arrivals).toHaveLength(1);
    });
    const reason = new Error('stopping');
    stop.abort(reason);
    await expect(sent).rejects.toBe(reason);
    await expect(sender.send(sampleEvent(), 1, stop.signal)).rejects.toBe(reason);
    await eventually(() => {
      expect(endpoint.arrivals[0]?.socket.destroyed).toBe(true);
    });
    expect(endpoint.arrivals).toHaveLength(1);
  });

  it('after failures of every kind leaves the sender able to deliver', async () => {
    let turn = 0;
    const { url } = await httpEndpoint((response) => {
      turn += 1;
      if (turn === 1) response.socket?.resetAndDestroy();
      else if (turn === 2) response.write('never ends');
      else if (turn === 3) response.writeHead(500).end('x'.repeat(1_000_000));
      else response.end();
    });
    const sender = httpSender(url, { concurrency: 1, timeoutMs: 300 });
    const kinds: string[] = [];
    for (let n = 0; n < 4; n += 1) kinds.push((await sender.send(sampleEvent(), 1, never)).kind);
    expect(kinds).toEqual(['failed', 'failed', 'failed', 'delivered']);
  });
});

describe('an endpoint is unreachable', () => {
  it('when it refuses the connection', async () => {
    expect(await send(`http://127.0.0.1:${await deadPort()}/`)).toMatchObject({
      kind: 'unreachable',
      error: expect.stringContaining('ECONNREFUSED') as string,
    });
  });

  it('when its name does not exist', async () => {
    expect(await send('http://no-such-host.invalid/')).toMatchObject({
      kind: 'unreachable',
      error: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/) as string,
    });
  });

  it('when the TLS handshake never ends', async () => {
    const port = await tcpEndpoint(() => undefined);
    expect(await send(`https://127.0.0.1:${port}/`, 150)).toEqual({
      kind: 'unreachable',
      error: 'no connection within 150 ms',
    });
  });

  it('when what answers the TLS handshake is not TLS', async () => {
    const port = await tcpEndpoint((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect(await send(`https://127.0.0.1:${port}/`)).toMatchObject({ kind: 'unreachable' });
  });

  it('when it cuts the connection in the TLS handshake', async () => {
    const port = await tcpEndpoint((socket) => {
      socket.once('data', () => socket.resetAndDestroy());
    });
    expect(await send(`https://127.0.0.1:${port}/`)).toMatchObject({ kind: 'unreachable' });
  });
});
