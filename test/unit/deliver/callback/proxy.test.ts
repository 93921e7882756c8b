import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { HttpSenderOptions } from '../../../../src/deliver/callback/http-sender.ts';
import { selfSigned } from './certificate.ts';
import {
  closeEndpoints,
  deadPort,
  httpEndpoint,
  httpSender,
  listen,
  tcpEndpoint,
} from './endpoint.ts';
import { sampleEvent } from './sample-event.ts';

const never = new AbortController().signal;
const certificate = selfSigned(['hooks.example']);

afterEach(closeEndpoints);

interface Proxy {
  readonly url: string;
  readonly asked: string[];
  readonly logins: (string | undefined)[];
}

/** A CONNECT proxy whose every name leads to one port of this machine; with another status it refuses. */
async function tunnelTo(port: number, status = 200): Promise<Proxy> {
  const asked: string[] = [];
  const logins: (string | undefined)[] = [];
  const server = createServer();
  server.on('connect', (request: IncomingMessage, client: Socket) => {
    asked.push(request.url ?? '');
    logins.push(request.headers['proxy-authorization']);
    client.on('error', () => undefined);
    if (status !== 200) {
      client.end(`HTTP/1.1 ${status} No\r\n\r\n`);
      return;
    }
    const target = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      target.pipe(client).pipe(target);
    });
    target.on('error', () => client.destroy());
    client.on('close', () => target.destroy());
  });
  return { url: `http://127.0.0.1:${await listen(server)}`, asked, logins };
}

async function tlsPort(): Promise<number> {
  return listen(
    createTlsServer({ ...certificate }, (request, response) => {
      request.resume().on('end', () => response.writeHead(204).end());
    }),
  );
}

const guarded = { allowPrivateNetwork: false, tls: { ca: certificate.cert } };

function through(
  proxy: string,
  change: Partial<HttpSenderOptions> = {},
): Partial<HttpSenderOptions> {
  return { ...guarded, proxy: { url: proxy }, ...change };
}

describe('a callback through a proxy', () => {
  it('is delivered in a tunnel to a name that only the proxy can resolve, its certificate checked', async () => {
    const proxy = await tunnelTo(await tlsPort());
    const sender = httpSender('https://hooks.example/orders', through(proxy.url));
    for (const attempt of [1, 2]) {
      expect(await sender.send(sampleEvent(), attempt, never)).toEqual({ kind: 'delivered' });
    }
    expect(new Set(proxy.asked)).toEqual(new Set(['hooks.example:443']));
    expect(proxy.logins[0]).toBeUndefined();
  });

  it('tells the proxy its login, and the endpoint nothing of it', async () => {
    const proxy = await tunnelTo(await tlsPort());
    const login = { url: proxy.url, authorization: 'Basic c2hvcDpzZWNyZXQ=' };
    const sender = httpSender('https://hooks.example/', { ...guarded, proxy: login });
    expect(await sender.send(sampleEvent(), 1, never)).toEqual({ kind: 'delivered' });
    expect(proxy.logins).toEqual(['Basic c2hvcDpzZWNyZXQ=']);
  });

  it('is unreachable when the certificate is of another name than the URL’s', async () => {
    const proxy = await tunnelTo(await tlsPort());
    const sender = httpSender('https://other.example/', through(proxy.url));
    expect(await sender.send(sampleEvent(), 1, never)).toMatchObject({ kind: 'unreachable' });
  });

  it.each([403, 407, 502])('is unreachable when the proxy answers %i', async (status) => {
    const proxy = await tunnelTo(0, status);
    const sender = httpSender('https://hooks.example/', through(proxy.url));
    expect(await sender.send(sampleEvent(), 1, never)).toMatchObject({
      kind: 'unreachable',
      error: expect.stringContaining(String(status)) as string,
    });
  });

  it('is unreachable when the proxy is not there, cuts the connection, or never answers', async () => {
    const reset = await tcpEndpoint((socket) =>
      socket.once('data', () => socket.resetAndDestroy()),
    );
    const mute = await tcpEndpoint(() => undefined);
    for (const port of [await deadPort(), reset, mute]) {
      const options = through(`http://127.0.0.1:${port}`, { timeoutMs: 300 });
      const sender = httpSender('https://hooks.example/', options);
      const outcome = await sender.send(sampleEvent(), 1, never);
      expect(outcome).toMatchObject({ kind: 'unreachable' });
    }
  });

  it('over plain http is forwarded, where that is allowed', async () => {
    const endpoint = await httpEndpoint();
    const port = Number(new URL(endpoint.url).port);
    const seen: string[] = [];
    const proxy = createServer((request, response) => {
      seen.push(request.url ?? '');
      request.resume().on('end', () => response.writeHead(204).end());
    });
    const options = through(`http://127.0.0.1:${await listen(proxy)}`, {
      allowPrivateNetwork: true,
    });
    const sender = httpSender(`http://127.0.0.1:${port}/a?b=1`, options);
    expect(await sender.send(sampleEvent(), 1, never)).toEqual({ kind: 'delivered' });
    expect(seen).toEqual([`http://127.0.0.1:${port}/a?b=1`]);
  });

  it.each([
    'https://127.0.0.1/',
    'https://[::ffff:10.0.0.1]/',
    'https://2130706433/',
    'https://localhost/',
    'http://hooks.example/',
  ])('is never made to %s, which only the URL need be read for', (url) => {
    expect(() => httpSender(url, through('http://127.0.0.1:1'))).toThrow(
      expect.objectContaining({ code: 'TARGET_REFUSED' }),
    );
  });
});
