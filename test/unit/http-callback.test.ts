import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import type { HttpSender } from '../../src/deliver/callback/http-sender.ts';
import { httpSender } from '../../src/http-callback.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { tempDir } from '../support/temp-dir.ts';
import { selfSigned } from './deliver/callback/certificate.ts';
import { closeEndpoints, httpEndpoint, SECRET } from './deliver/callback/endpoint.ts';
import { sampleEvent } from './deliver/callback/sample-event.ts';

const never = new AbortController().signal;
const senders: HttpSender[] = [];

afterEach(async () => {
  for (const sender of senders.splice(0)) await sender.close();
  await closeEndpoints();
});

async function senderOf(deliver: object, baseDir = '/'): Promise<HttpSender> {
  const config = parseConfig(
    {
      name: 'shop',
      source: { url: 'mysql://u:p@h' },
      tables: [{ match: 'shop.*' }],
      callbacks: [
        {
          name: 'web',
          tables: 'shop.*',
          deliver: { secrets: [SECRET], allow_private_network: true, ...deliver },
        },
      ],
    },
    baseDir,
    { handlers: [] },
  );
  const callback = config.callbacks[0];
  if (callback?.deliver.type !== 'http') throw new Error('One callback over HTTP is configured');
  const sender = await httpSender(callback.deliver, {
    pipeline: config.name,
    callback: callback.name,
    concurrency: 1,
    version: '1.2.3',
    clock: systemClock,
  });
  senders.push(sender);
  return sender;
}

describe('a configured endpoint', () => {
  it.each([
    [{ type: 'bearer', token: 'tok-123' }, 'Bearer tok-123'],
    // RFC 7617's own example, whose password holds a colon here.
    [
      { type: 'basic', user: 'Aladdin', password: 'open:sesame' },
      'Basic QWxhZGRpbjpvcGVuOnNlc2FtZQ==',
    ],
    [{ type: 'basic', user: 'test', password: '123£' }, 'Basic dGVzdDoxMjPCow=='],
  ])('that wants %j is told %s', async (auth, authorization) => {
    const endpoint = await httpEndpoint();
    const sender = await senderOf({ url: endpoint.url, auth });
    expect(await sender.send(sampleEvent(), 1, never)).toEqual({ kind: 'delivered' });
    expect(endpoint.arrivals[0]?.headers['authorization']).toBe(authorization);
  });

  it('that repeats our login is heard without it', async () => {
    const { url } = await httpEndpoint((response, { headers }) =>
      response.writeHead(401).end(`not you, ${headers['authorization'] ?? ''}`),
    );
    const sender = await senderOf({ url, auth: { type: 'bearer', token: 'tok-123' } });
    expect(await sender.send(sampleEvent(), 1, never)).toEqual({
      kind: 'failed',
      error: 'HTTP 401: not you, ***',
      status: 401,
    });
  });

  it('has its certificates read at the start, and refused where they cannot be used', async () => {
    const folder = tempDir();
    const [one, other] = [selfSigned(['a.test']), selfSigned(['b.test'])];
    await writeFile(join(folder, 'one.pem'), one.cert);
    await writeFile(join(folder, 'one-key.pem'), one.key);
    await writeFile(join(folder, 'other-key.pem'), other.key);
    const url = 'https://127.0.0.1:1';
    const good = { ca: 'one.pem', cert: 'one.pem', key: 'one-key.pem' };
    await expect(senderOf({ url, tls: good }, folder)).resolves.toBeDefined();
    for (const bad of [
      { ca: 'none.pem' },
      { cert: 'one.pem', key: 'other-key.pem' },
      { cert: 'one-key.pem', key: 'one-key.pem' },
    ]) {
      await expect(senderOf({ url, tls: bad }, folder)).rejects.toMatchObject({
        code: 'CALLBACK_TLS',
      });
    }
  });
});
