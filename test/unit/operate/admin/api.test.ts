import { type IncomingMessage, request as send, type RequestOptions } from 'node:http';
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Tokens } from '../../../../src/operate/admin/tokens.ts';
import {
  CALLBACK,
  event,
  FAILURE,
  laneKey,
  newCursor,
  progress,
  TOPIC,
} from '../../../contract/state-store-samples.ts';
import {
  ADMIN_TOKENS,
  adminConfig,
  type AdminScene,
  openAdmin,
} from '../../../support/admin-api.ts';
import { CAPTURE, delivering } from '../observe/snapshots.ts';

let scene: AdminScene;

beforeAll(async () => {
  scene = await openAdmin({
    capture: { snapshot: () => CAPTURE },
    deliver: { snapshot: () => delivering({ name: CALLBACK }) },
  });
  const { state } = scene;
  await state.openCursors([newCursor(0), newCursor(1), newCursor(2, { callback: 'audit' })]);
  for (const offset of [0, 1, 2]) {
    const key = laneKey(`k${offset}`);
    await state.commit([
      progress(offset + 1, { read: 1, matched: 1 }),
      { type: 'lane-append', ...key, event: event(offset), failure: FAILURE },
    ]);
  }
});

afterAll(async () => {
  await scene.close();
});

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly schema: { readonly type?: string };
}

/** fetch refuses some methods by itself. */
function request(options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    send(options, (answer) => {
      answer.resume();
      resolve(answer);
    })
      .once('error', reject)
      .end();
  });
}

const problem = (status: number, code: string): object => ({
  status,
  type: expect.stringMatching(/^application\/problem\+json/) as string,
  body: expect.objectContaining({
    ...{ type: 'about:blank', status, code },
    cure: expect.any(String) as string,
  }) as object,
});

describe('who may ask', () => {
  it.each<[string, Parameters<AdminScene['ask']>[1], number, string]>([
    ['nobody without a token', { role: null, method: 'POST' }, 401, 'API_UNAUTHENTICATED'],
    [
      'nobody with a wrong one',
      { token: 'x'.repeat(40), method: 'POST' },
      401,
      'API_UNAUTHENTICATED',
    ],
    [
      'nobody with a part of one',
      { token: 'viewer-token-', method: 'POST' },
      401,
      'API_UNAUTHENTICATED',
    ],
    ['a viewer may not change', { role: 'viewer', method: 'POST' }, 403, 'API_FORBIDDEN'],
  ])('%s', async (_what, options, status, code) => {
    expect(await scene.ask('/v1/lanes/1/retry', options)).toEqual(problem(status, code));
  });

  it('an operator may do what a viewer may, and an admin both', async () => {
    for (const role of ['viewer', 'operator', 'admin'] as const) {
      expect((await scene.ask('/v1/status', { role })).status).toBe(200);
    }
    expect((await scene.ask('/v1/lanes/1/retry', { role: 'admin', method: 'POST' })).status).toBe(
      200,
    );
  });

  it('without any token configured the API is closed, and says how it opens', async () => {
    const closed = await openAdmin({ config: adminConfig({ admin: { listen: '127.0.0.1:0' } }) });
    const refused = await closed.ask('/v1/status');
    expect(refused).toEqual(problem(403, 'API_CLOSED'));
    expect((refused.body as { cure: string }).cure).toMatch(/-c FILE.*admin\.tokens/);
    expect((await closed.ask('/healthz', { role: null })).status).toBe(200);
    await closed.close();
  });

  it('a token is found whatever the case of the scheme, and nothing else is one', () => {
    const tokens = new Tokens(adminConfig().admin.tokens);
    const own = 'operator-token-0123456789';
    expect(tokens.find(`bEaReR ${own}`)).toMatchObject({ name: 'the-operator', role: 'operator' });
    for (const text of [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      own,
      `Basic ${own}`,
      `Bearer ${own}x`,
    ]) {
      expect(tokens.find(text)).toBeNull();
    }
  });
});

it('the metrics tell of each callback how late its retries are, and what is held', async () => {
  const text = await (await fetch(`${scene.url}/metrics`)).text();
  expect(text).toMatch(
    new RegExp(`^rowcall_callback_oldest_due_age_seconds\\{callback="${CALLBACK}"\\} [1-9]`, 'm'),
  );
  expect(text).toContain(`rowcall_callback_parked_events{callback="${CALLBACK}"} 0`);
});

describe('the API', () => {
  it('describes itself as valid OpenAPI 3.1, to everybody', async () => {
    const { status, body } = await scene.ask('/openapi.json', { role: null });
    expect(status).toBe(200);
    const result = await new Validator().validate(body as Record<string, unknown>);
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
    const { openapi, paths } = body as { openapi: string; paths: Record<string, unknown> };
    expect(openapi).toBe('3.1.0');
    expect(Object.keys(paths)).toContain('/v1/lanes/{id}/retry');
    expect(Object.keys(paths).filter((path) => !path.startsWith('/v1/'))).toEqual([]);
  });

  it('takes every address that it describes, and refuses a longer one with a problem', async () => {
    const longest = encodeURIComponent('\u{ffff}'.repeat(4_096));
    expect((await scene.ask(`/v1/dead-letters?key=${longest}`)).status).toBe(200);
    expect(await scene.ask(`/v1/dead-letters?key=${longest}%00`)).toEqual(
      problem(400, 'API_REQUEST_INVALID'),
    );
    expect(await scene.ask(`/v1/dead-letters?key=${longest.repeat(4)}`)).toEqual(
      problem(431, 'API_REQUEST_INVALID'),
    );
  });

  it('takes digits alone for the whole numbers that it describes', async () => {
    const { body } = await scene.ask('/openapi.json', { role: null });
    const { paths } = body as { paths: Record<string, { get?: { parameters?: Parameter[] } }> };
    const asked = Object.entries(paths).flatMap(([path, { get }]) =>
      (get?.parameters ?? [])
        .filter((one) => one.in === 'query' && one.schema.type === 'integer')
        .map(({ name }) => ({ path: path.replaceAll(/\{\w+\}/g, '1'), name })),
    );
    expect(asked).toContainEqual({ path: '/v1/lanes', name: 'cursor' });
    expect(asked).toContainEqual({ path: '/v1/callbacks/1/diff', name: 'from' });
    for (const { path, name } of asked) {
      for (const text of ['', '%20', '0x1', '1e1', '1.0', '-1', '+1']) {
        const answer = await scene.ask(`${path}?${name}=${text}`);
        expect({ path, text, ...answer }).toMatchObject({
          ...{ status: 400, body: { code: 'API_REQUEST_INVALID' } },
        });
        expect((answer.body as { detail: string }).detail).toContain(name);
      }
    }
    expect((await scene.ask('/v1/lanes?cursor=0&limit=01')).status).toBe(200);
    expect(await scene.ask('/v1/resends/0x1')).toEqual(problem(400, 'API_REQUEST_INVALID'));
  });

  it('tells where capture and each callback stand', async () => {
    const { body } = await scene.ask('/v1/status');
    expect(body).toMatchObject({
      name: 'shop',
      capture: { state: 'streaming', file: 'binlog.000007', rows: 700 },
      delivery: { running: true, commits: 77 },
      log: { type: 'embedded', max_bytes: 1e9, answers: true },
    });
    expect((body as { partitions: unknown[] }).partitions).toContainEqual({
      ...{ callback: CALLBACK, topic: TOPIC, partition: 0 },
      ...{ next: 3, end: 3, lag: 0 },
    });
  });

  it('gives the books, of all or of one callback', async () => {
    const all = await scene.ask('/v1/ledger');
    const counts = { read: 3, matched: 3, retrying: 3, delivered: 0, pending: 0 };
    expect(all.body).toMatchObject({
      items: [
        { callback: 'audit', partition: 2, read: 0 },
        { callback: CALLBACK, partition: 0, ...counts },
        { callback: CALLBACK, partition: 1, read: 0 },
      ],
      next: null,
    });
    const one = await scene.ask('/v1/ledger?callback=audit');
    expect(one.body).toMatchObject({ items: [{ callback: 'audit' }], next: null });
  });

  it.each(['/v1/ledger', '/v1/lanes', '/v1/callbacks'])(
    'gives all of %s in pages',
    async (path) => {
      const { items } = (await scene.ask(path)).body as { items: unknown[] };
      const found: unknown[] = [];
      let next: string | null = null;
      do {
        const query: string = next === null ? '' : `&cursor=${next}`;
        const page = (await scene.ask(`${path}?limit=1${query}`)).body as {
          items: unknown[];
          next: string | null;
        };
        expect(page.items).toHaveLength(1);
        found.push(...page.items);
        next = page.next;
      } while (next !== null);
      expect(found).toEqual(items);
    },
  );

  it('shows a callback as configured, without its secrets', async () => {
    const { status, body } = await scene.ask(`/v1/callbacks/${CALLBACK}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      ...{ name: CALLBACK, state: 'active', reason: null, lanes: 4 },
      config: { deliver: { url: 'https://example.com/hook?***', secrets: ['***'] } },
    });
    expect(JSON.stringify(body)).not.toMatch(/secret-in|whsec_/);
    expect(await scene.ask('/v1/callbacks/none')).toEqual(problem(404, 'CALLBACK_UNKNOWN'));
  });

  it('shows a lane with its events, and makes it due', async () => {
    const before = (await scene.ask('/v1/lanes/2')).body;
    expect(before).toMatchObject({
      ...{ id: 2, callback: CALLBACK, state: 'retrying', depth: 1, attempts: 1 },
      ...{ last_error: 'HTTP 500', next_attempt_at: '1970-01-01T00:00:02.000Z' },
      events: [{ offset: 1, op: 'u', table: 'shop.orders' }],
    });
    const retried = await scene.ask('/v1/lanes/2/retry', { role: 'operator', method: 'POST' });
    expect(retried).toMatchObject({ status: 200, body: { id: 2, attempts: 1 } });
    expect(await scene.ask('/v1/lanes/99')).toEqual(problem(404, 'LANE_UNKNOWN'));
  });

  it('parks a lane and asks that a head be skipped, each with who and why', async () => {
    const reason = { reason: 'the order was a test' };
    const operator = { role: 'operator', method: 'POST', json: reason } as const;
    expect((await scene.ask('/v1/lanes/3/park', operator)).status).toBe(202);
    expect((await scene.ask('/v1/lanes/3')).body).toMatchObject({ state: 'parked' });
    const { head } = (await scene.ask('/v1/lanes/3')).body as { head: string };
    const skip = (event_id: unknown): ReturnType<typeof scene.ask> =>
      scene.ask('/v1/lanes/3/skip', { ...operator, json: { ...reason, event_id } });
    expect(await skip(undefined)).toEqual(problem(400, 'API_REQUEST_INVALID'));
    expect(await skip('one before')).toEqual(problem(409, 'LANE_HEAD_CHANGED'));
    expect((await scene.ask('/v1/lanes/3')).body).toMatchObject({ skip_asked: false });
    expect((await skip(head)).status).toBe(202);
    expect((await skip(head)).status).toBe(202);
    expect((await scene.ask('/v1/lanes/3')).body).toMatchObject({ skip_asked: true });
    for (const json of [{}, { reason: ' ' }, { ...reason, why: 'x' }]) {
      const bare = await scene.ask('/v1/lanes/3/park', { ...operator, json });
      expect(bare).toEqual(problem(400, 'API_REQUEST_INVALID'));
    }
  });

  it.each([
    ['/v1/lanes?limit=0', 'limit'],
    ['/v1/lanes?limit=many', 'limit'],
    ['/v1/lanes?cursor=%21', 'cursor'],
    ['/v1/ledger?cursor=%21', 'cursor'],
    ['/v1/lanes/first', 'id'],
    ['/v1/lanes/-1', 'id'],
  ])('says which part of %s is wrong', async (path, place) => {
    const answer = await scene.ask(path);
    expect(answer).toEqual(problem(400, 'API_REQUEST_INVALID'));
    expect((answer.body as { place: string }).place).toContain(place);
  });

  it.each(['DELETE', 'TRACE', 'QUERY', 'OPTIONS'])(
    'says what a path takes instead of %s',
    async (method) => {
      const { hostname, port } = new URL(scene.url);
      const headers = { authorization: `Bearer ${ADMIN_TOKENS.viewer}` };
      const path = '/v1/lanes/1/retry';
      const answer = await request({ hostname, port, path, method, headers });
      expect(answer.statusCode).toBe(405);
      expect(answer.headers.allow).toBe('POST');
      expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    },
  );

  it('says so where this process does not deliver', async () => {
    const other = await openAdmin({ state: null });
    expect(await other.ask('/v1/lanes')).toEqual(problem(409, 'NOT_DELIVERING'));
    expect((await other.ask('/v1/status')).body).toMatchObject({ delivery: null, capture: null });
    await other.close();
  });
});

describe('a callback as a whole', () => {
  const operator = (reason: string): Parameters<AdminScene['ask']>[1] => ({
    ...{ role: 'operator', method: 'POST', json: { reason } },
  });

  it('is disabled, enabled and resumed with a reason, for the audit log', async () => {
    for (const action of ['disable', 'enable', 'resume']) {
      const path = `/v1/callbacks/${CALLBACK}/${action}`;
      expect((await scene.ask(path, operator(`to ${action}`))).status).toBe(200);
    }
    const lines = await scene.state.audit({ callback: CALLBACK, limit: 100 });
    expect(lines.filter(({ action }) => action.startsWith('callback-'))).toMatchObject(
      ['disable', 'enable', 'resume'].map((action) => ({
        ...{ action: `callback-${action}`, actor: 'token:the-operator', reason: `to ${action}` },
      })),
    );
    expect(await scene.state.callbackHolds()).toMatchObject([
      { callback: CALLBACK, disabled: null, wait: null, resumed: 1 },
    ]);
  });

  it('is refused without a reason, for a viewer, and where there is none of the name', async () => {
    const path = `/v1/callbacks/${CALLBACK}/disable`;
    expect((await scene.ask(path, { ...operator(' ') })).status).toBe(400);
    const viewer = { role: 'viewer', method: 'POST', json: { reason: 'none' } } as const;
    expect(await scene.ask(path, viewer)).toEqual(problem(403, 'API_FORBIDDEN'));
    expect(await scene.ask('/v1/callbacks/other/enable', operator('none'))).toEqual(
      problem(404, 'CALLBACK_UNKNOWN'),
    );
  });
});
