import { generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, it } from 'vitest';
import { eventType } from '../../../../src/change-event.ts';
import { signatures, signingKey } from '../../../../src/deliver/callback/signature.ts';
import { webhookBody } from '../../../../src/deliver/callback/standard-webhook.ts';
import { closeEndpoints, httpEndpoint, httpSender, SECRET } from './endpoint.ts';
import { sampleEvent } from './sample-event.ts';

const never = new AbortController().signal;

afterEach(closeEndpoints);

/** A `whsk_` secret and the key that verifies its signatures. */
function keyPair(): { secret: string; publicKey: KeyObject } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
  const bytes = Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]);
  return { secret: `whsk_${bytes.toString('base64')}`, publicKey };
}

describe('a signature', () => {
  const vector = {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    timestamp: 1_614_265_330,
    body: [Buffer.from('{"test":'), Buffer.from(' 2432232314}')] as const,
  };
  // Published with the vectors: no secrets.
  const shared = signingKey(['whsec', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'].join('_'));
  const own = signingKey(
    [
      'whsk',
      '6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==',
    ].join('_'),
  );
  const V1 = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';
  const V1A =
    'v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==';

  it.each([
    ['v1', [shared], V1],
    ['v1a', [own], V1A],
    ['both', [shared, own], `${V1} ${V1A}`],
  ])("of %s equals the vectors of the specification's libraries", (_what, keys, expected) => {
    expect(signatures({ ...vector, keys })).toBe(expected);
  });

  it('by a private key is verified with its public one alone', async () => {
    const { secret, publicKey } = keyPair();
    const endpoint = await httpEndpoint();
    await httpSender(endpoint.url, { secrets: [SECRET, secret] }).send(sampleEvent(), 1, never);
    const [arrival] = endpoint.arrivals;
    if (arrival === undefined) throw new Error('One request has arrived');
    const { body, headers } = arrival;
    const signature = /v1a,(\S+)/.exec(headers['webhook-signature'] ?? '')?.[1] ?? '';
    const message = `${headers['webhook-id'] ?? ''}.${headers['webhook-timestamp'] ?? ''}.${body}`;
    const bytes = Buffer.from(signature, 'base64');
    expect(verify(null, Buffer.from(message), publicKey, bytes)).toBe(true);
    expect(verify(null, Buffer.from(`${message} `), publicKey, bytes)).toBe(false);
    // A receiver that knows v1 alone passes over what it does not know.
    expect(() => new Webhook(SECRET).verify(body, headers)).not.toThrow();
  });

  it('of an event that is tried again after its secret was replaced verifies with old and new alike', async () => {
    const next = Buffer.alloc(32, 7).toString('base64');
    const rotated = ['whsec', next].join('_');
    const endpoint = await httpEndpoint((response) => response.writeHead(500).end());
    await httpSender(endpoint.url).send(sampleEvent(), 1, never);
    await httpSender(endpoint.url, { secrets: [rotated, SECRET] }).send(sampleEvent(), 2, never);
    await httpSender(endpoint.url, { secrets: [rotated] }).send(sampleEvent(), 3, never);
    const accepted = endpoint.arrivals.map(({ body, headers }) =>
      [SECRET, rotated].map((secret) => {
        try {
          new Webhook(secret).verify(body, headers);
          return true;
        } catch {
          return false;
        }
      }),
    );
    expect(accepted).toEqual([
      [true, false],
      [true, true],
      [false, true],
    ]);
    expect(new Set(endpoint.arrivals.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(endpoint.arrivals.map(({ body }) => body)).size).toBe(1);
  });
});

describe('a type', () => {
  it.each([
    ['shop.orders', 'c', 'shop.orders.insert'],
    ['shop.orders', 'd', 'shop.orders.delete'],
    ['shop.orders', 't', 'shop.orders.truncate'],
    ['my-shop.order items', 'r', 'my_shop.order_items.read'],
    ['shop.\u{1d11e}', 'u', 'shop._.update'],
  ] as const)('of %j and %s is %s', (table, operation, type) => {
    expect(eventType({ table, operation })).toBe(type);
  });
});

describe('a body', () => {
  it('is JSON with the envelope inside, whatever the id holds', () => {
    const pieces = webhookBody(sampleEvent('{"a":"}}"}', { id: 'a"\\b' }));
    expect(pieces).toHaveLength(1);
    const body = Buffer.concat(pieces).toString();
    expect(JSON.parse(body)).toMatchObject({ id: 'a"\\b', data: { after: { a: '}}' } } });
  });
});
