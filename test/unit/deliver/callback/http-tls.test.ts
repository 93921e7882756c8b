import { createServer } from 'node:https';
import { afterEach, describe, expect, it } from 'vitest';
import { type Certificate, selfSigned } from './certificate.ts';
import { closeEndpoints, httpSender, listen } from './endpoint.ts';
import { sampleEvent } from './sample-event.ts';

const never = new AbortController().signal;
const good = selfSigned(['hooks.test']);

afterEach(closeEndpoints);

async function tlsEndpoint(certificate: Certificate): Promise<string> {
  const server = createServer({ ...certificate }, (request, response) => {
    request.resume().on('end', () => response.writeHead(204).end());
  });
  server.on('tlsClientError', () => undefined);
  return `https://127.0.0.1:${await listen(server)}/`;
}

describe('a callback over TLS', () => {
  it('is delivered when the certificate is trusted and bears the name', async () => {
    const sender = httpSender(await tlsEndpoint(good), { ca: good.cert });
    expect(await sender.send(sampleEvent(), 1, never)).toEqual({ kind: 'delivered' });
  });

  it.each([
    ['self-signed', good, undefined, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['expired', selfSigned(['hooks.test'], { expired: true }), 'own', 'CERT_HAS_EXPIRED'],
    [
      'of another name',
      selfSigned(['x.test'], { loopback: false }),
      'own',
      'ERR_TLS_CERT_ALTNAME_INVALID',
    ],
  ] as const)(
    'finds an endpoint whose certificate is %s unreachable',
    async (_what, certificate, trust, code) => {
      const ca = trust === undefined ? {} : { ca: certificate.cert };
      const sender = httpSender(await tlsEndpoint(certificate), ca);
      for (let attempt = 1; attempt <= 2; attempt += 1) {
        expect(await sender.send(sampleEvent(), attempt, never)).toMatchObject({
          kind: 'unreachable',
          error: expect.stringContaining(code) as string,
        });
      }
    },
  );
});
