import { createHmac, generateKeyPairSync } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, it } from 'vitest';
import { completionOf } from '../../../src/receiver/completion.ts';
import {
  type CompletionMessage,
  createReceiver,
  type DeliveryContext,
  type Delivery,
  NonRetryableError,
  type Receive,
  RetryAfterError,
  WebhookVerifier,
} from '../../../src/receiver/receiver.ts';
import { signatures, signingKey } from '../../../src/deliver/callback/signature.ts';
import { closeEndpoints, listen } from '../deliver/callback/endpoint.ts';

const NOW = 1_700_000_000_000;
const SECRET = ['whsec', Buffer.alloc(32, 1).toString('base64')].join('_');
const OTHER = ['whsec', Buffer.alloc(32, 2).toString('base64')].join('_');

afterEach(closeEndpoints);

async function servedAt(listener: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(createServer(listener))}/completions/x`;
}

interface Sent {
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

/** A request as the reference library signs it. */
function sent(change: {
  readonly id?: string;
  readonly atMs?: number;
  readonly secret?: string;
  readonly body?: string;
  readonly headers?: Record<string, string>;
}): Sent {
  const { id = 'gtid:1:shop/orders:1:web', atMs = NOW, secret = SECRET } = change;
  const body = change.body ?? '{"data":{"key":{"id":7}}}';
  const headers = {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(atMs / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, new Date(atMs), body),
    'rowcall-callback': 'web',
    'rowcall-attempt': '2',
    'rowcall-topic': 'shop.shop.orders',
    'rowcall-partition': '0',
    'rowcall-sequence': '00000000000000000042',
    ...change.headers,
  };
  return { headers, body: Buffer.from(body) };
}

type Handle = (delivery: Delivery, context: DeliveryContext<null>) => Promise<void> | void;

function receiverOf(handle: Handle, change: object = {}): { receive: Receive; errors: unknown[] } {
  const errors: unknown[] = [];
  const receive = createReceiver({
    secrets: [SECRET],
    handle,
    onError: (error) => errors.push(error),
    now: () => NOW,
    ...change,
  });
  return { receive, errors };
}

async function statusOf(request: Sent, change: object = {}): Promise<number> {
  let taken = 0;
  const { receive } = receiverOf(() => void (taken += 1), change);
  const { status } = await receive(request);
  expect(taken).toBe(status === 204 ? 1 : 0);
  return status;
}

describe('a receiver', () => {
  it('takes what the reference library signed, and gives the handler all of it', async () => {
    const seen: Delivery[] = [];
    const { receive } = receiverOf((delivery) => void seen.push(delivery));
    const body = '{"data":{"key":{"id":18446744073709551615}},"n":9007199254740993,"x":1.5}';
    expect(await receive(sent({ body }))).toEqual({ status: 204, headers: {}, body: '' });
    expect(seen[0]).toMatchObject({
      id: 'gtid:1:shop/orders:1:web',
      callback: 'web',
      attempt: 2,
      sequence: '00000000000000000042',
    });
    expect(seen[0]?.json()).toEqual({
      data: { key: { id: 18_446_744_073_709_551_615n } },
      n: 9_007_199_254_740_993n,
      x: 1.5,
    });
  });

  it.each([
    ['of another secret', sent({ secret: OTHER }), 401],
    ['with another body', { ...sent({}), body: Buffer.from('{}') }, 401],
    ['with another id', sent({ headers: { 'webhook-id': 'x' } }), 401],
    ['without a signature', sent({ headers: { 'webhook-signature': '' } }), 401],
    ['with half a signature', sent({ headers: { 'webhook-signature': 'v1' } }), 401],
    ['with another version', sent({ headers: { 'webhook-signature': 'v2,AAAA' } }), 401],
    ['five minutes old', sent({ atMs: NOW - 300_000 }), 204],
    ['older than five minutes', sent({ atMs: NOW - 301_000 }), 401],
    ['more than five minutes ahead', sent({ atMs: NOW + 301_000 }), 401],
    ['of no time', sent({ headers: { 'webhook-timestamp': '1e9' } }), 401],
    ['without any header', { headers: {}, body: Buffer.from('{}') }, 400],
  ])('answers a request %s as it should', async (_what, request, status) => {
    expect(await statusOf(request)).toBe(status);
  });

  it('takes headers of the Web as well', async () => {
    const { headers, body } = sent({});
    expect(
      (await receiverOf(() => undefined).receive({ headers: new Headers(headers), body })).status,
    ).toBe(204);
  });

  it('takes any of several signatures and secrets, and no more than twenty signatures', async () => {
    const request = sent({});
    const own = request.headers['webhook-signature'] ?? '';
    const with_ = (signature: string): Sent =>
      sent({ headers: { 'webhook-signature': signature } });
    const wrong = `v1,${createHmac('sha256', 'x').digest('base64')}`;
    expect(await statusOf(with_(`${wrong} v1a,AAAA v9 ${own}`))).toBe(204);
    expect(await statusOf(sent({ secret: OTHER }), { secrets: [SECRET, OTHER] })).toBe(204);
    expect(await statusOf(with_(`${`${wrong} `.repeat(20)}${own}`))).toBe(401);
  });

  it('verifies v1a with the public key alone', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
    const [seed, open] = [Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')];
    const keys = [signingKey(`whsk_${Buffer.concat([seed, open]).toString('base64')}`)];
    const { headers, body } = sent({});
    const message = {
      id: headers['webhook-id'] ?? '',
      timestamp: NOW / 1000,
      body: [body] as const,
    };
    const signed = { ...headers, 'webhook-signature': signatures({ ...message, keys }) };
    const secrets = [`whpk_${open.toString('base64')}`];
    expect(await statusOf({ headers: signed, body }, { secrets })).toBe(204);
    expect(await statusOf({ headers: signed, body: Buffer.from('{}') }, { secrets })).toBe(401);
    expect(await statusOf({ headers: signed, body })).toBe(401);
  });

  it("verifies the vectors of the specification's libraries", () => {
    const vector = {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
    };
    const body = Buffer.from('{"test": 2432232314}');
    const check = (secret: string, signature: string): string =>
      new WebhookVerifier([secret]).verify(
        { ...vector, 'webhook-signature': signature },
        body,
        1_614_265_330_000,
      );
    const shared = ['whsec', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'].join('_');
    const both = Buffer.from(
      '6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==',
      'base64',
    );
    const open = `whpk_${both.subarray(32).toString('base64')}`;
    expect(check(shared, 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')).toBe(
      vector['webhook-id'],
    );
    expect(
      check(
        open,
        'v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==',
      ),
    ).toBe(vector['webhook-id']);
  });

  it.each([[[]], [['secret']], [['whsec_AAAA']], [['whpk_AAAA']]])(
    'is not made with %j',
    (secrets) => {
      expect(() => receiverOf(() => undefined, { secrets })).toThrow(TypeError);
    },
  );

  it('never takes what is not signed, whatever is sent', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.string(), fc.string()),
        fc.string(),
        async (extra, text) => {
          const headers = { ...sent({}).headers, 'webhook-signature': text, ...extra };
          expect(await statusOf({ headers, body: Buffer.from(text) })).toBeGreaterThanOrEqual(400);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('what a handler does', () => {
  it.each([
    ['throws', new Error('secret detail'), 500, undefined],
    ['cannot ever succeed', new NonRetryableError('secret detail'), 422, undefined],
    ['wants it later', new RetryAfterError('secret detail', 1500), 503, '2'],
    ['wants it at a time', new RetryAfterError('x', new Date(NOW + 60_000)), 503, '60'],
  ])('when it %s is answered without its words, and told', async (_what, error, status, after) => {
    const { receive, errors } = receiverOf(() => {
      throw error;
    });
    const answer = await receive(sent({}));
    expect(answer.status).toBe(status);
    expect(answer.headers['retry-after']).toBe(after);
    expect(answer.body).not.toContain('detail');
    expect(errors).toEqual([error]);
  });

  it('is done once for an id, and again after it failed', async () => {
    let calls = 0;
    const { receive } = receiverOf(() => {
      calls += 1;
      if (calls === 1) throw new Error('first');
    });
    const statuses: number[] = [];
    for (let n = 0; n < 4; n += 1) statuses.push((await receive(sent({}))).status);
    expect(statuses).toEqual([500, 204, 204, 204]);
    expect(calls).toBe(2);
  });

  it('is done once for an id that comes twice at the same time, and both are answered by its outcome', async () => {
    let calls = 0;
    let finish = (): void => undefined;
    const { receive } = receiverOf(() => {
      calls += 1;
      return new Promise((resolve) => (finish = resolve));
    });
    const both = [receive(sent({})), receive(sent({}))];
    await Promise.resolve();
    finish();
    expect((await Promise.all(both)).map(({ status }) => status)).toEqual([204, 204]);
    expect(calls).toBe(1);
  });

  it('is told where an event stands among those of its key', async () => {
    const orders: string[] = [];
    const { receive } = receiverOf((_delivery, { order }) => void orders.push(order));
    const send = (id: string, sequence: number, key: unknown = { id: 7 }): Promise<unknown> =>
      receive(
        sent({
          id,
          body: JSON.stringify({ data: { key } }),
          headers: { 'rowcall-sequence': String(sequence).padStart(20, '0') },
        }),
      );
    await send('a', 5);
    await send('b', 6);
    await send('c', 4);
    await send('d', 6);
    await send('e', 10);
    await send('f', 3, { id: 8 });
    await send('g', 3, null);
    expect(orders).toEqual(['first', 'next', 'inversion', 'repeat', 'next', 'first', 'unknown']);
  });
});

describe('an event that another callback gave up', () => {
  it('stands in no order with those of the log, nor with those of another callback', async () => {
    const orders: string[] = [];
    const { receive } = receiverOf((_delivery, { order }) => void orders.push(order));
    const send = (id: string, sequence: number): Promise<unknown> =>
      receive(sent({ id, headers: { 'rowcall-sequence': String(sequence).padStart(20, '0') } }));
    await send('gtid:1:shop/orders:1:web', 500);
    await send('gtid:0:shop/orders:1:fallback:mail:web', 0);
    await send('gtid:2:shop/orders:1:web', 501);
    await send('gtid:9:shop/orders:1:compensation:mail:web', 501);
    await send('gtid:8:shop/orders:1:fallback:mail:web', 1);
    expect(orders).toEqual(['first', 'first', 'next', 'first', 'next']);
  });
});

describe('what a person sends to try a callback', () => {
  const id = 'test-8f14e45f-ceea-467f-a8d2-0a5b1c3d9e77:shop/orders:1:web';

  it('is no event: it reaches neither the handler, nor the inbox, nor the order of its key', async () => {
    const seen: Delivery[] = [];
    const { receive } = receiverOf((delivery) => void seen.push(delivery), {
      inbox: { once: () => Promise.reject(new Error('a test in the inbox')) },
    });
    expect(await receive(sent({ id }))).toEqual({ status: 204, headers: {}, body: '' });
    const batch = sent({
      ...{ id: 'b'.repeat(64), body: `[{"id":"${id.slice(0, -4)}","data":{"key":{"id":7}}}]` },
    });
    expect((await receive(batch)).status).toBe(204);
    expect(seen).toEqual([]);
    const orders: string[] = [];
    const watching = receiverOf((_delivery, { order }) => void orders.push(order));
    await watching.receive(sent({ id }));
    await watching.receive(sent({}));
    expect(orders).toEqual(['first']);
  });

  it('reaches who wants it, each time, and is answered by what they make of it', async () => {
    const seen: (readonly [string, boolean])[] = [];
    const { receive, errors } = receiverOf(() => undefined, {
      onTest: (delivery: Delivery) => {
        seen.push([delivery.id, delivery.test]);
        if (seen.length === 2) throw new NonRetryableError('no such table');
      },
    });
    expect((await receive(sent({ id }))).status).toBe(204);
    expect((await receive(sent({ id }))).status).toBe(422);
    expect(seen).toEqual([
      [id, true],
      [id, true],
    ]);
    expect(String(errors[0])).toContain('no such table');
  });

  it('is known by its signed id, and not by a header that anybody could add or take', async () => {
    const tests: boolean[] = [];
    const { receive } = receiverOf((delivery) => void tests.push(delivery.test));
    await receive(sent({ headers: { 'rowcall-test': 'true' } }));
    expect(tests).toEqual([false]);
    expect((await receive(sent({ headers: { 'webhook-id': id } }))).status).toBe(401);
  });
});

describe('the end of an event that is told while Rowcall starts, is busy or goes away', () => {
  it('is told again until it is taken', async () => {
    const answers = ['reset', 503, 429, 200] as const;
    let told = 0;
    const url = await servedAt((request, response) => {
      const answer = answers[told] ?? 500;
      told += 1;
      if (answer === 'reset') request.socket.destroy();
      else response.writeHead(answer, { 'retry-after': '0' }).end();
    });
    expect(await completionOf(url, [new URL(url).origin]).succeed()).toBe('taken');
    expect(told).toBe(4);
  });

  it('is told once where the answer is final', async () => {
    let told = 0;
    const url = await servedAt((_request, response) => {
      told += 1;
      response.writeHead(409).end();
    });
    expect(await completionOf(url, [new URL(url).origin]).fail('x')).toBe('late');
    expect(told).toBe(1);
  });
});

describe('an event that is accepted', () => {
  const url = 'https://rowcall.example.com/v1/completions/abc';
  const request = sent({ headers: { 'rowcall-completion-url': url } });

  function accepting(status: number): {
    receive: Receive;
    posted: (readonly [string, CompletionMessage])[];
    answers: Promise<unknown>[];
    errors: unknown[];
  } {
    const posted: (readonly [string, CompletionMessage])[] = [];
    const answers: Promise<unknown>[] = [];
    const post = (to: string, message: CompletionMessage): Promise<number> => {
      posted.push([to, message]);
      return Promise.resolve(status);
    };
    const { receive, errors } = receiverOf(
      (_delivery, context) => {
        const completion = context.accept();
        answers.push(completion.progress(), completion.succeed(), completion.fail('no stock'));
      },
      { completions: { origins: ['https://rowcall.example.com'], post } },
    );
    return { receive, posted, answers, errors };
  }

  it('is answered with 202, and completed at the URL that came with it', async () => {
    const { receive, posted, answers } = accepting(204);
    expect((await receive(request)).status).toBe(202);
    expect(await Promise.all(answers)).toEqual(['taken', 'taken', 'taken']);
    expect(posted).toEqual([
      [url, { status: 'progress' }],
      [url, { status: 'succeeded' }],
      [url, { status: 'failed', reason: 'no stock', retryable: true }],
    ]);
  });

  it('is told that it comes too late, and of any other answer by an error', async () => {
    const late = accepting(409);
    await late.receive(request);
    expect(await Promise.all(late.answers)).toEqual(['late', 'late', 'late']);
    const wrong = accepting(404);
    await wrong.receive(request);
    for (const answer of wrong.answers) await expect(answer).rejects.toThrow('404');
  });

  it('is not remembered: another attempt has a completion of its own', async () => {
    const { receive, posted } = accepting(204);
    await receive(request);
    expect((await receive(request)).status).toBe(202);
    expect(posted).toHaveLength(6);
  });

  it.each([
    ['of another origin', 'https://rowcall.example.com.evil.example/x'],
    ['of another scheme', 'http://rowcall.example.com/x'],
    ['that is none', 'not a url'],
  ])('is never completed at a URL %s', async (_what, other) => {
    const { receive, posted, errors } = accepting(204);
    const headers = { 'rowcall-completion-url': other };
    expect((await receive(sent({ headers }))).status).toBe(500);
    expect(posted).toEqual([]);
    expect(String(errors[0])).toContain('none of completions.origins');
  });

  it('without a completion URL is an error of the handler', async () => {
    const { receive, errors } = accepting(204);
    expect((await receive(sent({}))).status).toBe(500);
    expect(String(errors[0])).toContain('no deliver.async');
  });
});
