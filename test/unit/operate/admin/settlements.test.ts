import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AdminScene, openAdmin } from '../../../support/admin-api.ts';
import { SECRET_VALUE, threeSettlements } from '../../../support/settlement-samples.ts';

const WHY = "MySQL: Unknown column 'paid' in 'field list' (1054)";
const REASON = { reason: 'the row was deleted by hand' };

let scene: AdminScene;

beforeEach(async () => {
  scene = await openAdmin();
  await threeSettlements(scene.state);
});

afterEach(() => scene.close());

function post(
  path: string,
  { json, headers = {} }: { json?: object; headers?: Readonly<Record<string, string>> } = {},
): ReturnType<AdminScene['ask']> {
  const asked = { role: 'operator', method: 'POST', headers } as const;
  return scene.ask(`/v1/settlements${path}`, json === undefined ? asked : { ...asked, json });
}

describe('statements of on_settled that wait', () => {
  it('are listed in pages, all of them or of one callback, with what they came to', async () => {
    const first = await scene.ask('/v1/settlements?limit=2');
    expect(first.body).toEqual({
      items: [
        {
          ...{ id: 1, callback: 'payment', topic: 'shop.orders', key: '{"id":1}', failures: 1 },
          ...{ event_id: 'event-1', status: 'delivered', last_error: WHY },
          settled_at: '1970-01-01T00:00:01.000Z',
          next_at: '1970-01-01T00:01:00.000Z',
        },
        expect.objectContaining({ id: 2, failures: 0, next_at: null, last_error: null }),
      ],
      next: '2',
    });
    const second = await scene.ask('/v1/settlements?limit=2&cursor=2');
    expect(second.body).toMatchObject({ items: [{ id: 3, callback: 'mail' }], next: null });
    const own = await scene.ask('/v1/settlements?callback=mail');
    expect(own.body).toMatchObject({ items: [{ id: 3 }], next: null });
  });

  it('are shown one by one with the names of their values, and never with the values', async () => {
    const shown = await scene.ask('/v1/settlements/1', { role: 'admin' });
    expect(shown.body).toMatchObject({
      ...{ id: 1, last_error: WHY },
      parameters: [':event_id', ':after.`net price`'],
    });
    const all = await scene.ask('/v1/settlements', { role: 'admin' });
    expect(JSON.stringify([shown.body, all.body])).not.toContain(SECRET_VALUE);
    expect(await scene.ask('/v1/settlements/9')).toMatchObject({
      ...{ status: 404, body: { code: 'SETTLEMENT_UNKNOWN' } },
    });
  });

  it.each([
    ['GET', '/v1/settlements', null, 401],
    ['GET', '/v1/settlements/1', null, 401],
    ['POST', '/v1/settlements/1/retry', null, 401],
    ['POST', '/v1/settlements/1/retry', 'viewer', 403],
    ['POST', '/v1/settlements/1/skip', 'viewer', 403],
    ['DELETE', '/v1/settlements/1', 'admin', 405],
  ] as const)('%s %s by %s is refused', async (method, path, role, status) => {
    const json = path.endsWith('skip') ? { json: REASON } : {};
    expect((await scene.ask(path, { method, role, ...json })).status).toBe(status);
    expect(await scene.state.settlements({ limit: 9 })).toHaveLength(3);
  });

  it('are retried and skipped, with who and why in the audit log', async () => {
    expect(await post('/1/retry')).toMatchObject({ status: 202, body: { id: 1 } });
    expect(await post('/1/skip', { json: REASON })).toMatchObject({ status: 202 });
    const left = await scene.state.settlements({ limit: 9 });
    expect(left).toMatchObject([{ id: 2, nextAt: 2_000 }, { id: 3 }]);
    expect((await scene.ask('/v1/audit?callback=payment')).body).toMatchObject({
      items: [
        { action: 'settlement-retry', actor: 'token:the-operator', event_id: 'event-1' },
        { action: 'settlement-skip', actor: 'token:the-operator', ...REASON },
      ],
    });
    expect(await post('/1/retry')).toMatchObject({
      ...{ status: 404, body: { code: 'SETTLEMENT_UNKNOWN' } },
    });
  });

  it.each([
    ['without a body', undefined],
    ['without a reason', {}],
    ['with blanks for a reason', { reason: '  ' }],
    ['with what is not known', { ...REASON, all: true }],
  ])('are not skipped %s', async (_what, json) => {
    const answer = await post('/1/skip', json === undefined ? {} : { json });
    expect(answer).toMatchObject({ status: 400, body: { code: 'API_REQUEST_INVALID' } });
    expect(await scene.state.settlements({ limit: 9 })).toHaveLength(3);
  });

  it('that are skipped twice with one Idempotency-Key are skipped once', async () => {
    const headers = { 'idempotency-key': 'skip-1' };
    const first = await post('/1/skip', { json: REASON, headers });
    expect(await post('/1/skip', { json: REASON, headers })).toEqual(first);
    expect(await post('/2/skip', { json: REASON, headers })).toMatchObject({ status: 422 });
    expect(await scene.state.settlements({ limit: 9 })).toMatchObject([{ id: 2 }, { id: 3 }]);
  });
});

describe('the status', () => {
  it('says of which callbacks statements wait, since when, and why they fail', async () => {
    expect((await scene.ask('/v1/status')).body).toMatchObject({
      settlements: [
        {
          ...{ callback: 'mail', waiting: 1, failing: 0, last_error: null },
          oldest_at: '1970-01-01T00:00:03.000Z',
        },
        {
          ...{ callback: 'payment', waiting: 2, failing: 1, last_error: WHY },
          oldest_at: '1970-01-01T00:00:01.000Z',
          oldest_age_ms: expect.any(Number) as number,
        },
      ],
    });
  });
});
