import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Ending } from '../../../../src/state/completion.ts';
import {
  CALLBACK,
  event,
  laneKey,
  matched,
  newCursor,
  TOPIC,
} from '../../../contract/state-store-samples.ts';
import { type AdminScene, openAdmin } from '../../../support/admin-api.ts';

let scene: AdminScene;

const ENDING: Ending = { status: 'failed', reason: 'no stock', retryable: true, result: null };

beforeAll(async () => {
  scene = await openAdmin();
  const { state } = scene;
  await state.openCursors([newCursor(0)]);
  const accepted = {
    ...{ attempt: 1, atMs: 1_000, deadlineMs: 60_000, heartbeatMs: null, statusUrl: null },
  };
  for (const [offset, key] of ['a', 'b'].entries()) {
    await state.commit([
      { type: 'lane-append', ...laneKey(key), event: event(offset), accepted },
      matched(offset),
    ]);
    const at = { callback: CALLBACK, topic: TOPIC, partition: 0, offset, attempt: 1 };
    const attempt = { ...at, eventId: event(offset).id };
    await state.complete(attempt, ENDING, { nowMs: 2_000, early: false });
    await state.complete(
      attempt,
      { ...ENDING, status: 'succeeded' },
      { nowMs: 3_000, early: false },
    );
  }
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
