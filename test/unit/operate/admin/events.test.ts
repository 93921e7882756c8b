import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findEvents, placeOf, placeText } from '../../../../src/operate/admin/find-events.ts';
import {
  EVENT_CALLBACK as CALLBACK,
  EVENT_GTID as GTID,
  EVENT_TOPIC as TOPIC,
  eventIdOf as idOf,
  eventRecord as record,
  openEvents,
} from '../../../support/admin-events.ts';

let scene: Awaited<ReturnType<typeof openEvents>>;

beforeAll(async () => {
  scene = await openEvents();
});

afterAll(() => scene.close());

describe('events', () => {
  it.each([
    ['id', `id=${encodeURIComponent(idOf(3))}`, [3]],
    ['GTID', `gtid=${GTID}:7`, [7]],
    ['key', `key=${encodeURIComponent('{"id":1}')}`, [1, 4, 7]],
    ['time', 'from=2023-11-14T22:13:22Z&to=2023-11-14T22:13:24Z', [2, 3]],
    ['another table', 'table=shop.other', []],
  ])('are found by %s', async (_what, query, offsets) => {
    const { body } = await scene.ask(`/v1/events?${query}`);
    const { items, next } = body as { items: { offset: number }[]; next: string | null };
    expect(items.map(({ offset }) => offset)).toEqual(offsets);
    expect(next).toBeNull();
  });

  it('come in pages that pass over nothing, each saying how far it looked', async () => {
    const seen: number[] = [];
    let cursor = '';
    do {
      const { body } = await scene.ask(`/v1/events?limit=3${cursor}`);
      const page = body as { items: { offset: number }[]; next: string | null; records: number };
      expect(page.records).toBeLessThanOrEqual(3);
      seen.push(...page.items.map(({ offset }) => offset));
      cursor = page.next === null ? '' : `&cursor=${page.next}`;
    } while (cursor !== '');
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('have a life: their place in binlog and log, and what became of them', async () => {
    const path = `/v1/events/${encodeURIComponent(idOf(2))}`;
    const { body } = await scene.ask(path, { role: 'operator' });
    expect(body).toMatchObject({
      event: {
        ...{ topic: TOPIC, partition: 0, offset: 2, key: '{"id":2}', op: 'update' },
        binlog: { gtid: `${GTID}:2`, file: null, position: null },
        value: record(2).value?.toString(),
      },
      callbacks: [
        { callback: CALLBACK, outcome: 'retrying', attempts: 1 },
        { callback: 'audit', outcome: 'not-matched', match: 'operation' },
      ],
    });
    expect((await scene.ask(path)).body).toMatchObject({ event: { value: null } });
  });
});

describe('why an event did not come', () => {
  it.each<[string, number, object]>([
    ['it came', 3, { outcome: 'settled', reason: 'Delivered' }],
    ['it stands before where the callback begins', 0, { outcome: 'before-start' }],
    ['it is retried', 2, { outcome: 'retrying', attempts: 1, lane: 1 }],
    ['it waits behind another', 5, { outcome: 'behind', lane: 1 }],
    ['it was given up', 4, { outcome: 'dead', dead_letter: 1, attempts: 1 }],
    ['when does not hold', 6, { outcome: 'not-matched', match: 'when' }],
    ['it was not read yet', 8, { outcome: 'not-read', match: 'matched' }],
  ])('%s', async (_what, n, expected) => {
    const id = encodeURIComponent(idOf(n));
    const { body } = await scene.ask(`/v1/explain?callback=${CALLBACK}&id=${id}`);
    expect(body).toMatchObject({ explanation: expected });
  });

  it('says whom it waits for and until when', async () => {
    const { body } = await scene.ask(
      `/v1/explain?callback=${CALLBACK}&id=${encodeURIComponent(idOf(5))}`,
    );
    const { reason } = (body as { explanation: { reason: string } }).explanation;
    expect(reason).toBe(
      `Waits behind ${idOf(2)}, which is tried again at 1970-01-01T00:00:02.000Z: HTTP 500`,
    );
  });

  it('is not known of an event that is not there, nor of a callback that is none', async () => {
    expect((await scene.ask(`/v1/explain?callback=${CALLBACK}&id=nothing`)).body).toEqual({
      ...{ explanation: null, records: 10, next: null, reached: null },
    });
    const none = await scene.ask('/v1/explain?callback=nobody&id=nothing');
    expect(none).toMatchObject({ status: 404, body: { code: 'CALLBACK_UNKNOWN' } });
  });
});

it('a place is told as a text and read again; another text is none', async () => {
  const place = { topic: TOPIC, partition: 1, offset: 12 };
  expect(placeOf(placeText(place))).toEqual(place);
  expect(placeOf('anything')).toBeNull();
  expect((await findEvents(scene.log, {}, { limit: 9, from: place })).records).toBe(0);
});
