import { describe, expect, it } from 'vitest';
import { eventType } from '../../../../src/change-event.ts';
import {
  signingKey,
  webhookBody,
  signatures,
} from '../../../../src/deliver/callback/standard-webhook.ts';
import { sampleEvent } from './sample-event.ts';

describe('a signature', () => {
  it("equals the vector of the specification's libraries", () => {
    const message = {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: 1_614_265_330,
      body: [Buffer.from('{"test":'), Buffer.from(' 2432232314}')] as const,
      // Published with the vector: not a secret.
      keys: [signingKey(['whsec', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'].join('_'))],
    };
    expect(signatures(message)).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
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
