import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CALLBACK,
  deadAtOnce,
  event,
  laneKey,
  matched,
  threeDeadLetters,
} from '../../../contract/state-store-samples.ts';
import { type AdminScene, openAdmin } from '../../../support/admin-api.ts';

let scene: AdminScene;

beforeEach(async () => {
  scene = await openAdmin();
  await threeDeadLetters(scene.state);
});

afterEach(() => scene.close());

const REASON = { reason: 'the receiver is mended' };

function post(path: string, json: object): ReturnType<AdminScene['ask']> {
  return scene.ask(path, { role: 'operator', method: 'POST', json });
}

describe('dead letters', () => {
  it('are listed in pages, by every filter', async () => {
    const first = await scene.ask('/v1/dead-letters?limit=2');
    expect(first.body).toMatchObject({
      items: [
        { id: 1, callback: CALLBACK, key: laneKey('a').key, event_id: event(0).id, op: 'u' },
        { id: 2, cause: 'endpoint', last_error: 'HTTP 500', attempts: 1 },
      ],
      next: '2',
    });
    expect((await scene.ask('/v1/dead-letters?limit=2&cursor=2')).body).toMatchObject({
      items: [{ id: 3 }],
      next: null,
    });
    const key = encodeURIComponent(laneKey('a').key);
    const from = '1970-01-01T00:00:02Z';
    const some = `/v1/dead-letters?key=${key}&table=shop.orders&cause=endpoint&from=${from}`;
    expect((await scene.ask(some)).body).toMatchObject({ items: [{ id: 1 }, { id: 3 }] });
    expect((await scene.ask('/v1/dead-letters?to=1970-01-01T00:00:02Z')).body).toMatchObject({
      items: [],
    });
  });

  it('are shown with their values to those who act on them', async () => {
    const value = Buffer.from(event(0).value ?? []).toString();
    const shown = await scene.ask('/v1/dead-letters/1', { role: 'operator' });
    expect(shown.body).toMatchObject({ id: 1, value });
    expect((await scene.ask('/v1/dead-letters/1')).body).toMatchObject({ id: 1, value: null });
    expect((await scene.ask('/v1/dead-letters/9')).body).toMatchObject({
      ...{ status: 404, code: 'DEAD_LETTER_UNKNOWN' },
    });
  });
});

describe('a resend', () => {
  it('of one takes what a person wrote in the place of its data', async () => {
    const answer = await post('/v1/dead-letters/2/resend', { ...REASON, data: { fixed: 1 } });
    expect(answer).toMatchObject({
      status: 202,
      body: {
        id: 1,
        dead_letter: 2,
        state: 'running',
        total: 1,
        waiting: 1,
        by: 'token:the-operator',
      },
    });
    const shown = await scene.ask('/v1/resends/1', { role: 'operator' });
    expect(shown.body).toMatchObject({ data: '{"fixed":1}', ...REASON });
    expect((await scene.ask('/v1/resends/1')).body).toMatchObject({ data: null });
    expect(await post('/v1/dead-letters/2/resend', REASON)).toMatchObject({
      ...{ status: 409, body: { code: 'RESEND_PENDING' } },
    });
    expect((await scene.ask('/v1/audit')).body).toMatchObject({
      items: [{ action: 'dead-letter-resend', actor: 'token:the-operator', event_id: event(1).id }],
      next: null,
    });
  });

  it('of many is counted first, and is of those that were counted', async () => {
    const which = { callback: CALLBACK, key: laneKey('a').key, ...REASON };
    const counted = await post('/v1/resends', { ...which, dry_run: true });
    expect(counted).toMatchObject({ status: 200, body: { count: 2, up_to: 3 } });
    await scene.state.commit([deadAtOnce('a', 3), matched(3)]);
    expect(await post('/v1/resends', { ...which, expected: 2 })).toMatchObject({
      ...{ status: 409, body: { code: 'RESEND_COUNT_CHANGED' } },
    });
    expect(await post('/v1/resends', which)).toMatchObject({
      ...{ status: 409, body: { code: 'RESEND_COUNT_CHANGED', place: 'body/expected' } },
    });
    expect(await post('/v1/resends', { ...which, expected: 2, up_to: 3 })).toMatchObject({
      status: 202,
      body: { total: 2, filter: { callback: CALLBACK, key: laneKey('a').key }, passed_by: null },
    });
    const due = await scene.state.dueResends(CALLBACK, 0, 9, new Set());
    expect(due.map(({ deadLetter }) => deadLetter)).toEqual([1, 3]);
  });

  it('is paused, goes on and is cancelled', async () => {
    const which = { callback: CALLBACK, ...REASON };
    await post('/v1/resends', { ...which, expected: 3 });
    for (const [action, state] of [
      ['pause', 'paused'],
      ['resume', 'running'],
      ['cancel', 'cancelled'],
    ]) {
      const answer = await post(`/v1/resends/1/${action ?? ''}`, REASON);
      expect(answer).toMatchObject({ status: 200, body: { state } });
    }
    expect(await post('/v1/resends/1/resume', REASON)).toMatchObject({
      ...{ status: 409, body: { code: 'RESEND_ENDED' } },
    });
    expect((await scene.ask('/v1/resends')).body).toMatchObject({ items: [{ id: 1 }], next: null });
    expect((await scene.ask('/v1/resends/7')).body).toMatchObject({ code: 'RESEND_UNKNOWN' });
  });

  it('is for operators, and says why', async () => {
    const asViewer = { role: 'viewer', method: 'POST', json: REASON } as const;
    expect((await scene.ask('/v1/dead-letters/1/resend', asViewer)).status).toBe(403);
    expect((await post('/v1/dead-letters/1/resend', {})).status).toBe(400);
  });
});
