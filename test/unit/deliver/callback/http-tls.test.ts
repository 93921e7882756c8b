import { createServer, type ServerOptions } from 'node:https';
import { afterEach, describe, expect, it } from 'vitest';
import { type Certificate, selfSigned } from './certificate.ts';
import { closeEndpoints, httpEndpoint, httpSender, listen } from './endpoint.ts';
import { sampleEvent } from './sample-event.ts';

const never = new AbortController().signal;
const good = selfSigned(['hooks.test']);

afterEach(closeEndpoints);

async function tlsEndpoint(certificate: Certificate, options: ServerOptions = {}): Promise<string> {
  const server = createServer({ ...certificate, ...options }, (request, response) => {
    request.resume().on('end', () => response.writeHead(204).end());
  });
  server.on('tlsClientError', () => undefined);
  return `https://127.0.0.1:${await listen(server)}/`;
}

describe('a callback over TLS', () => {
  it('is delivered when the certificate is trusted and bears the name', async () => {
    const sender = httpSender(await tlsEndpoint(good), { tls: { ca: good.cert } });
    expect(await sender.send(sampleEvent(), 1, never)).toEqual({ kind: 'delivered' });
  });

  it.each([
    ['self-signed', good, undefined, /DEPTH_ZERO_SELF_SIGNED_CERT.*deliver\.tls\.ca/],
    [
      'expired',
      selfSigned(['hooks.test'], { expired: true }),
      'own',
      /CERT_HAS_EXPIRED.*must be renewed there/,
    ],
    [
      'of another name',
      selfSigned(['x.test'], { loopback: false }),
      'own',
      /ERR_TLS_CERT_ALTNAME_INVALID/,
    ],
  ] as const)(
    'finds an endpoint whose certificate is %s unreachable',
    async (_what, certificate, trust, code) => {
      const ca = trust === undefined ? {} : { tls: { ca: certificate.cert } };
      const sender = httpSender(await tlsEndpoint(certificate), ca);
      for (let attempt = 1; attempt <= 2; attempt += 1) {
        expect(await sender.send(sampleEvent(), attempt, never)).toMatchObject({
          kind: 'unreachable',
          error: expect.stringMatching(code) as string,
        });
      }
    },
  );
});

describe('an endpoint that asks for a certificate', () => {
  const ours = selfSigned(['rowcall.test']);

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('is called with ours, over %s', async (version) => {
    const asking = { requestCert: true, ca: ours.cert, maxVersion: version };
    const url = await tlsEndpoint(good, asking);
    const sender = httpSender(url, { tls: { ca: good.cert, ...ours } });
    expect(await sender.send(sampleEvent(), 1, never)).toEqual({ kind: 'delivered' });
  });

  // Over TLS 1.3 Node's server cuts the connection after the handshake, without a word of why.
  it.each([
    ['TLSv1.2', 'none', {}, 'unreachable'],
    ['TLSv1.3', 'none', {}, 'failed'],
    ['TLSv1.2', 'another', selfSigned(['stranger.test']), 'unreachable'],
    ['TLSv1.3', 'another', selfSigned(['stranger.test']), 'failed'],
  ] as const)('and over %s gets %s takes no event', async (version, _what, certificate, kind) => {
    const asking = { requestCert: true, ca: ours.cert, maxVersion: version };
    const url = await tlsEndpoint(good, asking);
    const sender = httpSender(url, { tls: { ca: good.cert, ...certificate } });
    expect(await sender.send(sampleEvent(), 1, never)).toMatchObject({ kind });
  });
});

describe('an endpoint at a port that speaks no TLS', () => {
  it('is unreachable, and the error says so', async () => {
    const { url } = await httpEndpoint();
    const sender = httpSender(url.replace('http:', 'https:'));
    expect(await sender.send(sampleEvent(), 1, never)).toMatchObject({
      kind: 'unreachable',
      error: expect.stringContaining('the endpoint speaks no TLS at this port') as string,
    });
  });
});
