import { afterEach, describe, expect, test } from 'vitest';
import { createReceiver, nodeListener } from '../../../../src/receiver/receiver.ts';
import { eventually } from '../../../support/eventually.ts';
import { AsyncScene, type AsyncSceneOptions, post, SECRET } from './async-scene.ts';
import { createServer } from 'node:http';

let scene: AsyncScene | undefined;

afterEach(async () => {
  await scene?.close();
  scene = undefined;
});

/** Waits until so many requests came, and the ledger is as expected. */
async function opened(
  keys: readonly number[],
  options: AsyncSceneOptions = {},
): Promise<AsyncScene> {
  scene = await AsyncScene.open(keys, options);
  return scene;
}

async function arrived(of: AsyncScene, requests: number): Promise<void> {
  await eventually(() => {
    expect(of.arrivals).toHaveLength(requests);
  });
}

async function ledgerIs(of: AsyncScene, expected: object): Promise<void> {
  await eventually(async () => {
    expect(await of.ledger()).toEqual(expected);
  });
}

describe('an event that was answered with 202', () => {
  test('awaits its end, and its key with it; other keys go on', async () => {
    const one = await opened([1, 1, 2]);
    await arrived(one, 2);
    await ledgerIs(one, { read: 3, matched: 3, awaiting: 2, pending: 1 });
    const answer = await one.tell(2, { status: 'succeeded' });
    expect(answer).toEqual({
      status: 200,
      body: {
        status: 'taken',
        callback: 'billing',
        event: 'uuid:2:shop/orders:1',
        attempt: 1,
        metadata: { team: 'logistics' },
      },
    });
    await ledgerIs(one, { read: 3, matched: 3, delivered: 1, awaiting: 1, pending: 1 });
    expect(one.arrivals).toHaveLength(2);
    await one.tell(0, { status: 'succeeded', result: { stock: 7 } });
    await arrived(one, 3);
    await one.tell(1, { status: 'succeeded' });
    await ledgerIs(one, { read: 3, matched: 3, delivered: 3 });
    expect(await one.state.lanes({ limit: 9 })).toEqual([]);
  });

  test('that failed is tried again; its old URL is late then, and the new one good', async () => {
    const one = await opened([1]);
    await arrived(one, 1);
    await ledgerIs(one, { read: 1, matched: 1, awaiting: 1 });
    expect(await one.tell(0, { status: 'failed', reason: 'no\nstock' })).toMatchObject({
      status: 200,
    });
    await arrived(one, 2);
    expect((await one.state.lanes({ limit: 1 }))[0]?.lastError).toBe('no stock');
    await ledgerIs(one, { read: 1, matched: 1, awaiting: 1 });
    expect(await one.tell(0, { status: 'failed' })).toMatchObject({
      status: 200,
      body: { status: 'repeated' },
    });
    expect(await one.tell(0, { status: 'succeeded' })).toMatchObject({
      status: 409,
      body: { code: 'COMPLETION_LATE' },
    });
    expect(await one.tell(0, { status: 'succeeded' }, 2)).toMatchObject({ status: 200 });
    await ledgerIs(one, { read: 1, matched: 1, delivered: 1 });
    expect(await one.tell(0, { status: 'succeeded' }, 2)).toMatchObject({
      status: 200,
      body: { status: 'repeated' },
    });
    expect(await one.tell(0, { status: 'failed' }, 2)).toMatchObject({ status: 409 });
    expect(await one.state.completions({ limit: 9 })).toMatchObject([
      { attempt: 1, status: 'failed', late: false },
      { attempt: 1, status: 'succeeded', late: true },
      { attempt: 2, status: 'succeeded', late: false },
      { attempt: 2, status: 'failed', late: true },
    ]);
  });

  test('that failed for good is exhausted at once', async () => {
    const one = await opened([1, 1]);
    await arrived(one, 1);
    await ledgerIs(one, { read: 2, matched: 2, awaiting: 1, pending: 1 });
    await one.tell(0, { status: 'failed', reason: 'unknown product', retryable: false });
    await ledgerIs(one, { read: 2, matched: 2, parked: 2 });
    expect(one.arrivals).toHaveLength(1);
  });

  test('that is not heard of within its heartbeat, or ended by its deadline, is tried again', async () => {
    const one = await opened([1], { async: { heartbeatMs: 50 } });
    await arrived(one, 2);
    expect((await one.state.lanes({ limit: 1 }))[0]?.lastError).toMatch(/gave no sign/);
    expect(await one.tell(0, { status: 'progress' })).toMatchObject({ status: 409 });
    expect(await one.tell(0, { status: 'succeeded' })).toMatchObject({ status: 409 });
    await one.close();
    const other = await opened([1], { async: { deadlineMs: 50 } });
    await arrived(other, 2);
    expect((await other.state.lanes({ limit: 1 }))[0]?.lastError).toMatch(/by its deadline/);
  });

  test('and its clock live through a restart; its URL as well', async () => {
    const one = await opened([1, 1]);
    await arrived(one, 1);
    await ledgerIs(one, { read: 2, matched: 2, awaiting: 1, pending: 1 });
    const [before] = await one.state.lanes({ limit: 1 });
    await one.stop();
    await one.start();
    expect((await one.state.lanes({ limit: 1 }))[0]?.awaiting).toEqual(before?.awaiting);
    expect(await one.tell(0, { status: 'progress' })).toMatchObject({ status: 200 });
    expect(await one.tell(0, { status: 'succeeded' })).toMatchObject({ status: 200 });
    await arrived(one, 2);
    await one.tell(1, { status: 'succeeded' });
    await ledgerIs(one, { read: 2, matched: 2, delivered: 2 });
  });
});

describe('an end that is told before the answer', () => {
  test('is taken, and settles the event when the 202 has come', async () => {
    const one = await opened([1, 1], {
      react: async ({ url }) => {
        const { status } = await post(url, { status: 'succeeded' });
        return status === 200 ? 202 : 500;
      },
    });
    await arrived(one, 2);
    await ledgerIs(one, { read: 2, matched: 2, delivered: 2 });
  });

  test('holds although the answer was lost', async () => {
    const one = await opened([1], {
      react: async ({ url }, response) => {
        await post(url, { status: 'succeeded' });
        response.destroy();
        return 202;
      },
    });
    await ledgerIs(one, { read: 1, matched: 1, delivered: 1 });
    expect(one.arrivals).toHaveLength(1);
    expect(await one.tell(0, { status: 'succeeded' })).toMatchObject({
      body: { status: 'repeated' },
    });
  });

  test('told after an answer that says otherwise is late: that attempt has ended', async () => {
    const one = await opened([1], { react: ({ attempt }) => (attempt === 1 ? 500 : 202) });
    await arrived(one, 2);
    expect(await one.tell(0, { status: 'succeeded' })).toMatchObject({ status: 409 });
    await ledgerIs(one, { read: 1, matched: 1, awaiting: 1 });
  });
});

describe('the completions listener', () => {
  test('tells a URL that is none from one that was forged, and a body that is none', async () => {
    const one = await opened([1]);
    await arrived(one, 1);
    const url = one.arrivals[0]?.url ?? '';
    const origin = one.completionsOrigin;
    expect(url.startsWith(`${origin}/completions/v1.`)).toBe(true);
    const ok = { status: 'succeeded' };
    expect(await post(`${origin}/completions/nothing`, ok)).toMatchObject({
      status: 404,
      body: { code: 'COMPLETION_UNKNOWN' },
    });
    expect(await post(`${origin}/elsewhere`, ok)).toMatchObject({ status: 404 });
    const [head = '', payload = '', signature = ''] = url.split('.').slice(-3);
    const other = Buffer.from(
      Buffer.from(payload, 'base64url').toString().replace('billing', 'mailing'),
    );
    const prefix = url.slice(0, url.length - [head, payload, signature].join('.').length);
    const forged = `${prefix}${head}.${other.toString('base64url')}.${signature}`;
    expect(await post(forged, ok)).toMatchObject({
      status: 401,
      body: { code: 'COMPLETION_FORGED' },
    });
    for (const body of ['', '{', '[]', '{"status":"done"}', { status: 'failed', reason: 7 }]) {
      expect(await post(url, body)).toMatchObject({
        status: 400,
        body: { code: 'COMPLETION_INVALID' },
      });
    }
    const large = { status: 'succeeded', result: 'x'.repeat(20_000) };
    expect(await post(url, large)).toMatchObject({ status: 400 });
    expect(await post(url, { status: 'succeeded', result: 'x'.repeat(80_000) })).toMatchObject({
      status: 413,
    });
    expect((await fetch(url)).status).toBe(404);
    await ledgerIs(one, { read: 1, matched: 1, awaiting: 1 });
  });
});

describe('rowcall/receiver', () => {
  test('answers 202 and completes: one succeeds, one fails and is tried again', async () => {
    const seen: string[] = [];
    const origins: string[] = [];
    const endpoint = createServer(
      nodeListener(
        createReceiver({
          secrets: [SECRET],
          handle: (delivery, context) => {
            const completion = context.accept();
            seen.push(`${delivery.id} ${delivery.attempt}`);
            const ending =
              delivery.attempt === 1 && seen.length === 1
                ? completion.progress().then(() => completion.fail('busy'))
                : completion.succeed();
            ending.then(
              (answer) => seen.push(answer),
              (error: unknown) => seen.push(String(error)),
            );
          },
          onError: (error) => seen.push(String(error)),
          completions: { origins },
        }),
      ),
    );
    scene = await AsyncScene.open([1, 1], {
      endpoint,
      before: (origin: string) => origins.push(origin),
    });
    await ledgerIs(scene, { read: 2, matched: 2, delivered: 2 });
    expect(seen).toEqual([
      'uuid:0:shop/orders:1:billing 1',
      'taken',
      'uuid:0:shop/orders:1:billing 2',
      'taken',
      'uuid:1:shop/orders:1:billing 1',
      'taken',
    ]);
  });
});
