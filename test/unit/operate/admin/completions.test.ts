import { afterAll, beforeAll, expect, it } from 'vitest';
import { CALLBACK, event, TOPIC } from '../../../contract/state-store-samples.ts';
import { fourCompletions } from '../../../support/completion-samples.ts';
import { type AdminScene, openAdmin } from '../../../support/admin-api.ts';

let scene: AdminScene;

beforeAll(async () => {
  scene = await openAdmin();
  await fourCompletions(scene.state);
});

afterAll(() => scene.close());

it('the ends that came are listed in pages, the late ones marked', async () => {
  const first = await scene.ask('/v1/completions?limit=3');
  expect(first.body).toMatchObject({
    items: [
      {
        ...{ id: 1, callback: CALLBACK, topic: TOPIC, partition: 0, offset: 0, attempt: 1 },
        ...{ event_id: event(0).id, at: '1970-01-01T00:00:02.000Z' },
        ...{ status: 'failed', reason: 'no stock', late: false },
      },
      { id: 2, status: 'succeeded', late: true },
      { id: 3, offset: 1, late: false },
    ],
    next: '3',
  });
  const second = await scene.ask('/v1/completions?limit=3&cursor=3');
  expect(second.body).toMatchObject({ items: [{ id: 4, late: true }], next: null });
  expect((await scene.ask('/v1/completions?callback=other')).body).toEqual({
    ...{ items: [], next: null },
  });
});

it('are for whoever has a token', async () => {
  expect((await scene.ask('/v1/completions', { role: null })).status).toBe(401);
});
