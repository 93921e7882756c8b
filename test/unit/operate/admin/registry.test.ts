import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { RowcallError } from '../../../../src/errors.ts';
import { ANSWER_PENDING } from '../../../../src/state/callback-store.ts';
import type { StateChange, StateStore } from '../../../../src/state/state-store.ts';
import {
  append,
  deadAtOnce,
  FAILURE,
  newCursor,
  progress,
  TOPIC,
} from '../../../contract/state-store-samples.ts';
import { type AdminScene, openAdmin } from '../../../support/admin-api.ts';
import { eventually } from '../../../support/eventually.ts';

const SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

let scene: AdminScene;

beforeAll(async () => {
  scene = await openAdmin({}, { registry: true });
});

afterAll(async () => {
  await scene.close();
});

type Answer = Awaited<ReturnType<AdminScene['ask']>>;
type Headers = Readonly<Record<string, string>>;

function ask(method: string, path: string, json?: object, headers: Headers = {}): Promise<Answer> {
  const body = json === undefined ? {} : { json };
  return scene.ask(`/v1/callbacks${path}`, { role: 'admin', method, headers, ...body });
}

function mail(name: string, more: object = {}, deliver: object = {}): object {
  return {
    name,
    tables: ['shop.*'],
    ...more,
    deliver: { url: 'https://example.com/', ...deliver },
  };
}

const refusal = (status: number, code: string, detail = ''): object =>
  ({
    status,
    body: expect.objectContaining({
      code,
      detail: expect.stringContaining(detail) as string,
    }) as object,
  }) as const;

describe('a callback made through the API', () => {
  it('gets a secret, which is shown once and signs from then on', async () => {
    const made = await ask('POST', '', mail('made'));
    expect(made).toMatchObject({ status: 201, etag: '"1"', body: { origin: 'api', version: 1 } });
    const { secret } = made.body as { secret: string };
    expect(secret).toMatch(/^whsec_/);
    const shown = JSON.stringify((await ask('GET', '/made')).body);
    expect(shown).toContain('***');
    expect(shown).not.toContain(secret);
    expect((await scene.state.registered())[0]?.written).toContain(secret);
    await eventually(() => {
      expect(scene.told).toContain('made@1');
    });
  });

  it('hands nothing over, and says so of whatever it names', async () => {
    const handing = mail('handing', { fallback: 'audit', on_exhausted: 'park-key' });
    expect(await ask('POST', '', handing)).toMatchObject({
      ...{ status: 422, body: { code: 'CALLBACK_INVALID' } },
      body: {
        detail: 'fallback: is only for callbacks of the configuration file; remove it',
      },
    });
  });

  it('is changed in parts, or whole, with its secrets as they were', async () => {
    await ask('POST', '', mail('parts', { concurrency: 3 }, { secrets: [SECRET] }));
    const patched = await ask('PATCH', '/parts', { deliver: { timeout: '2s' }, concurrency: null });
    expect(patched).toMatchObject({
      ...{ status: 200, etag: '"2"' },
      body: { version: 2, config: { concurrency: 32, deliver: { timeout: '2s' } } },
    });
    const put = await ask('PUT', '/parts', mail('parts', {}, { url: 'https://example.org/' }));
    expect(put.body).toMatchObject({ version: 3, config: { deliver: { timeout: '5s' } } });
    expect(put.body).not.toHaveProperty('secret');
    expect(
      (await scene.state.registered()).find(({ name }) => name === 'parts')?.written,
    ).toContain(SECRET);
  });

  it('is changed only as it was seen, where that is asked', async () => {
    await ask('POST', '', mail('seen'));
    const change = { concurrency: 2 };
    expect(await ask('PATCH', '/seen', change, { 'if-match': '"7"' })).toMatchObject(
      refusal(412, 'CALLBACK_CHANGED'),
    );
    expect((await ask('PATCH', '/seen', change, { 'if-match': '"1"' })).status).toBe(200);
    const removal = await ask('DELETE', '/seen?confirm=true', undefined, { 'if-match': '"1"' });
    expect(removal.status).toBe(412);
    expect(await ask('PUT', '/unseen', mail('unseen'), { 'if-match': '*' })).toMatchObject(
      refusal(412, 'CALLBACK_CHANGED'),
    );
    expect((await ask('PUT', '/seen', mail('seen'), { 'if-match': '*' })).status).toBe(200);
  });

  it.each([
    ['a module', {}, { module: './x.js' }, 'deliver.module: is only for callbacks of the'],
    ['an environment variable', {}, { headers: { a: '${HOME}' } }, 'deliver.headers.a: has ${…}'],
    ['a private address', {}, { url: 'https://10.0.0.1/' }, 'deliver.url: leads to 10.0.0.1'],
    ['the private network', {}, { allow_private_network: true }, 'admin.private_callbacks: true'],
    ['a proxy', {}, { proxy: 'http://proxy:3128' }, 'deliver.proxy: is only for'],
    ['a file of this machine', {}, { tls: { ca: '/etc/passwd' } }, 'deliver.tls: is only for'],
    ['a table that nobody captures', { tables: ['other.*'] }, {}, 'is captured by no rule'],
    ['an end that nobody listens for', {}, { async: {} }, 'deliver.async: needs completions'],
    ['a mistyped key', { concurency: 1 }, {}, 'did you mean "concurrency"'],
    ['a wrong expression', { when: 'after.' }, {}, 'when: '],
  ])('may not have %s, and is told so', async (_what, more, deliver, detail) => {
    const refused = await ask('POST', '', mail('bad', more, { secrets: [SECRET], ...deliver }));
    expect(refused).toMatchObject(refusal(422, 'CALLBACK_INVALID', detail));
    expect(JSON.stringify(refused.body)).not.toContain(SECRET);
    expect((await ask('GET', '/bad')).status).toBe(404);
  });

  it('is told of every error at once', async () => {
    const refused = await ask('POST', '', mail('bad', { concurrency: 0, lanse: {} }));
    expect(refused.body).toMatchObject({
      detail: expect.stringMatching(/concurrency.*; .*lanse/) as string,
    });
  });

  it('does not take the name of another, nor that of one in the file', async () => {
    await ask('POST', '', mail('taken'));
    expect(await ask('POST', '', mail('taken'))).toMatchObject(refusal(409, 'CALLBACK_EXISTS'));
    expect(await ask('POST', '', mail('audit'))).toMatchObject(refusal(409, 'CALLBACK_READ_ONLY'));
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      const json = method === 'DELETE' ? undefined : mail('audit');
      const refused = await ask(method, '/audit?confirm=true', json);
      expect(refused).toMatchObject(refusal(409, 'CALLBACK_READ_ONLY'));
    }
  });
});

describe('its versions', () => {
  it('are listed, compared and gone back to, with the secrets of now', async () => {
    await ask('POST', '', mail('old', { concurrency: 5 }));
    const rotated = await ask('POST', '/old/rotate-secret?reason=leaked');
    const { secret } = rotated.body as { secret: string };
    await ask('PATCH', '/old?reason=slower', { concurrency: 1, when: 'after.id > 1' });
    const list = (await ask('GET', '/old/versions')).body as { items: object[] };
    expect(list.items).toMatchObject([
      { version: 3, actor: 'token:admin', reason: 'slower' },
      { version: 2, reason: 'leaked' },
      { version: 1, config: { concurrency: 5 } },
    ]);
    expect((await ask('GET', '/old/diff?from=1&to=3')).body).toEqual({
      items: [
        { path: 'deliver.secrets', from: ['***'], to: ['***', '***'] },
        { path: 'concurrency', from: 5, to: 1 },
        { path: 'when', to: 'after.id > 1' },
      ],
    });
    const back = await ask('POST', '/old/rollback?version=1');
    expect(back.body).toMatchObject({ version: 4, config: { concurrency: 5 } });
    expect(back.body).not.toHaveProperty('config.when');
    expect((await scene.state.registered()).find(({ name }) => name === 'old')?.written).toContain(
      secret,
    );
    expect(await ask('POST', '/old/rollback?version=9')).toMatchObject(
      refusal(404, 'VERSION_UNKNOWN'),
    );
  });

  it('of one in the file are there to be looked at', async () => {
    expect((await ask('GET', '/audit/versions')).body).toMatchObject({
      items: [{ version: 1, actor: 'file', reason: 'start' }],
    });
  });

  it('tell of another secret without telling it', async () => {
    await ask('POST', '', mail('rotated', {}, { secrets: [SECRET] }));
    const other = SECRET.replace('CQkJ', 'CAkJ');
    await ask('PATCH', '/rotated', { deliver: { secrets: [other] } });
    expect((await ask('GET', '/rotated/diff?from=1&to=2')).body).toEqual({
      items: [{ path: 'secrets', from: '***', to: '***' }],
    });
  });
});

it('one that is removed with events pending asks first, with their count', async () => {
  await ask('POST', '', mail('busy'));
  await scene.state.openCursors([newCursor(0, { callback: 'gone' })]);
  await scene.state.commit([{ ...progress(1, { read: 1, filtered: 1 }), callback: 'gone' }]);
  const busy = { callback: 'gone', topic: TOPIC };
  await scene.state.commit([
    { ...progress(4, { read: 3, matched: 3 }), callback: 'gone' },
    { ...append('parked', 1, FAILURE), ...busy },
    { ...append('parked', 2), ...busy },
    { ...append('retried', 3, FAILURE), ...busy },
  ] as StateChange[]);
  const [lane] = await scene.state.lanes({ callback: 'gone', limit: 1 });
  await scene.state.actOnLane(lane?.id ?? 0, 'park', { actor: 'a', reason: 'b', atMs: 1 });
  expect((await ask('GET', '/gone')).body).toMatchObject({
    ...{ state: 'orphaned', config: null, lanes: 2, lane_events: 3 },
  });
  expect(await ask('PATCH', '/gone', { concurrency: 2 })).toMatchObject({
    ...{ status: 409, body: { code: 'CALLBACK_READ_ONLY' } },
    body: { cure: expect.stringMatching(/again, in the file or whole by PUT/) as string },
  });
  expect(await ask('DELETE', '/busy')).toMatchObject(refusal(409, 'CALLBACK_PENDING', 'unknown'));
  expect((await ask('DELETE', '/busy?confirm=true&reason=done')).status).toBe(202);
  expect((await ask('DELETE', '/gone?confirm=true')).status).toBe(202);
  await eventually(async () => {
    expect((await ask('GET', '/gone')).status).toBe(404);
  });
  expect(scene.told).toEqual(expect.arrayContaining(['busy', 'gone']));
  const audit = await scene.state.audit({ callback: 'busy', limit: 10 });
  expect(audit).toMatchObject([
    { action: 'callback-register' },
    { action: 'callback-remove', actor: 'token:admin', reason: 'done' },
  ]);
});

it('one that is removed takes its dead letters and statements along, and asks first, with their count', async () => {
  await scene.state.openCursors([newCursor(0, { callback: 'dead' })]);
  await scene.state.commit([
    { ...progress(1, { read: 1, matched: 1 }), callback: 'dead' },
    { ...deadAtOnce('a', 0), callback: 'dead' },
  ] as StateChange[]);
  expect(await ask('DELETE', '/dead', undefined, { 'if-match': '"7"' })).toMatchObject(
    refusal(409, 'CALLBACK_PENDING', '1 dead letters and 0 statements'),
  );
  expect(await ask('DELETE', '/dead?confirm=true', undefined, { 'if-match': '"7"' })).toMatchObject(
    refusal(412, 'CALLBACK_CHANGED'),
  );
  expect(await ask('DELETE', '/dead?confirm=true')).toMatchObject({
    ...{ status: 202, body: { lane_events: 0, dead_letters: 1, statements: 0 } },
  });
});

it('a second rotation waits until the secret before is retired, or says that it is to be dropped', async () => {
  const first = await ask('POST', '', mail('twice-rotated'));
  const { secret } = first.body as { secret: string };
  const rotate = (query = ''): Promise<Answer> =>
    ask('POST', `/twice-rotated/rotate-secret${query}`, undefined, {
      'content-type': 'application/json',
    });
  const written = async (): Promise<string> =>
    (await scene.state.registered()).find(({ name }) => name === 'twice-rotated')?.written ?? '';
  expect((await rotate()).status).toBe(200);
  expect(await rotate()).toMatchObject(refusal(409, 'SECRET_NOT_RETIRED'));
  expect(await written()).toContain(secret);
  expect((await rotate('?retire=true')).status).toBe(200);
  expect((await rotate()).status).toBe(200);
  expect(await written()).not.toContain(secret);
  expect((await rotate('?drop_older=true')).status).toBe(200);
});

it('a secret that was made is not kept with the answer, nor shown to whoever repeats the request', async () => {
  const key = { 'idempotency-key': 'secret-1' };
  const kept = vi.spyOn(scene.state, 'keepAnswer');
  const first = await ask('POST', '', mail('secretive'), key);
  const { secret, ...rest } = first.body as { secret: string };
  expect(JSON.stringify(kept.mock.calls)).not.toContain(secret);
  kept.mockRestore();
  const again = await ask('POST', '', mail('secretive'), key);
  expect(again).toMatchObject({ status: 201, body: { ...rest, secret_withheld: true } });
  expect(JSON.stringify(again)).not.toContain(secret);
});

it('one that was just made is starting where this process delivers', async () => {
  const deliver = { snapshot: () => ({ running: true, commits: 0, callbacks: [] }) };
  const delivering = await openAdmin({ deliver }, { registry: true });
  const made = await delivering.ask('/v1/callbacks', {
    ...{ role: 'admin', method: 'POST', json: mail('soon') },
  });
  expect(made.body).toMatchObject({ state: 'starting' });
  await delivering.close();
});

it('a request that is sent again is answered as the first time, and not done twice', async () => {
  const key = { 'idempotency-key': 'order-1' };
  const first = await ask('POST', '', mail('once'), key);
  const again = await ask('POST', '', mail('once'), key);
  expect(again).toMatchObject({ status: 201, etag: first.etag, body: { version: 1 } });
  expect(await ask('POST', '', mail('twice'), key)).toMatchObject(
    refusal(422, 'IDEMPOTENCY_KEY_REUSED'),
  );
  expect(await scene.state.callbackVersions('once')).toHaveLength(1);
  const refused = { 'idempotency-key': 'order-2' };
  expect((await ask('POST', '', mail('once'), refused)).status).toBe(409);
  expect((await ask('POST', '', mail('other'), refused)).status, 'nothing was done').toBe(201);
});

it('a request that a crash cut off is not done once more, as it may have been done', async () => {
  const crashed = vi.spyOn(scene.state, 'keepAnswer');
  const { keepAnswer } = Object.getPrototypeOf(scene.state) as Pick<StateStore, 'keepAnswer'>;
  crashed.mockImplementation((...args) =>
    args[1].status === ANSWER_PENDING
      ? keepAnswer.apply(scene.state, args)
      : Promise.reject(new RowcallError('STATE_UNUSABLE', 'cut off')),
  );
  const key = { 'idempotency-key': 'order-3' };
  expect((await ask('POST', '', mail('cut'), key)).status).toBeGreaterThanOrEqual(500);
  crashed.mockRestore();
  expect(await ask('POST', '', mail('cut'), key)).toMatchObject(
    refusal(409, 'IDEMPOTENCY_KEY_CUT_OFF', 'is not known'),
  );
  expect(await scene.state.callbackVersions('cut')).toHaveLength(1);
});

it('nobody but an admin makes one', async () => {
  for (const role of ['viewer', 'operator'] as const) {
    const refused = await scene.ask('/v1/callbacks', { role, method: 'POST', json: mail('no') });
    expect(refused).toMatchObject(refusal(403, 'API_FORBIDDEN'));
  }
});

it('the description shows the options of a callback, and none that only the file may say', async () => {
  const { body } = await scene.ask('/openapi.json', { role: null });
  expect(body).toMatchObject({
    paths: {
      '/v1/callbacks': {
        post: {
          requestBody: {
            required: true,
            content: {
              'application/json': {
                schema: {
                  required: ['name', 'tables', 'deliver'],
                  additionalProperties: false,
                  properties: {
                    concurrency: { type: 'integer', minimum: 1 },
                    deliver: {
                      required: ['url'],
                      properties: expect.not.objectContaining({
                        module: expect.anything() as unknown,
                      }) as object,
                    },
                  },
                },
              },
            },
          },
        },
      },
    },
  });
});
