import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LogRecord } from '../../../../src/change-event.ts';
import type { ChangeLog } from '../../../../src/log/change-log.ts';
import { findEvents, placeOf, placeText } from '../../../../src/operate/admin/find-events.ts';
import { FAILURE } from '../../../contract/state-store-samples.ts';
import { adminConfig, type AdminScene, openAdmin } from '../../../support/admin-api.ts';
import { openEmbeddedLog } from '../../../../src/log/embedded/embedded-log.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';
import { tempDir } from '../../../support/temp-dir.ts';
import { delivering } from '../observe/snapshots.ts';

const GTID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const TOPIC = 'shop.shop.orders';
const CALLBACK = 'supply-chain';
const TABLE = { partition: 0, table: 'shop.orders', operation: 'u' } as const;

const DELIVER = {
  url: 'https://example.com/hook',
  secrets: [`whsec_${Buffer.alloc(32, 7).toString('base64')}`],
};

let scene: AdminScene;
let log: ChangeLog;

function idOf(n: number): string {
  return `${GTID}:${n}:shop/orders:1`;
}

function record(n: number): LogRecord {
  const image = (status: string): string => `{"id":${n % 3},"status":"${status}"}`;
  const value = `{"before":${image('NEW')},"after":${image(n === 6 ? 'LOST' : 'SENT')},"source":{}`;
  return {
    key: `{"id":${n % 3}}`,
    value: Buffer.from(`${value},"op":"u","ts_ms":${n}}`),
    timestampMs: 1_700_000_000_000 + n * 1_000,
    id: idOf(n),
    table: 'shop.orders',
    operation: 'u',
  };
}

beforeAll(async () => {
  log = await openEmbeddedLog({
    ...{ path: `${tempDir()}/events.db`, maxBytes: 1e9, create: true },
    retention: { ageMs: 1e9, sizeBytes: 1e9 },
    ...{ clock: systemClock, logger: silentLogger },
  });
  const writer = await log.openWriter('shop');
  await writer.createTopics([{ name: TOPIC, partitions: 2 }]);
  const records = Array.from({ length: 10 }, (_, n) => record(n));
  await writer.append([{ topic: TOPIC, partition: 0, records }], 'a');
  const config = adminConfig({
    callbacks: [
      {
        name: CALLBACK,
        tables: ['shop.orders'],
        when: 'after.status == "SENT"',
        deliver: DELIVER,
      },
      {
        ...{ name: 'audit', tables: ['shop.*'], operations: ['insert'] },
        deliver: DELIVER,
      },
    ],
  });
  const snapshot = delivering({ name: CALLBACK });
  scene = await openAdmin({ log, config, deliver: { snapshot: () => snapshot } });
  const { state } = scene;
  const cursor = { callback: CALLBACK, topic: TOPIC, topicId: 't', startOffset: 1, next: 1 };
  await state.openCursors([{ ...cursor, partition: 0 }]);
  const laned = (n: number): object => ({
    ...{ callback: CALLBACK, topic: TOPIC, key: `{"id":${n % 3}}` },
    event: { ...TABLE, offset: n, id: idOf(n), timestampMs: 1, value: Buffer.from('{}') },
  });
  await state.commit([
    {
      ...{ type: 'progress', callback: CALLBACK, topic: TOPIC, partition: 0, next: 6, beyond: [] },
      counts: { read: 5, matched: 5, delivered: 2 },
    },
    { type: 'lane-append', ...laned(2), failure: FAILURE } as never,
    { type: 'lane-append', ...laned(5) } as never,
    { type: 'dead', ...laned(4), failure: FAILURE } as never,
  ]);
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
    ['it came', 3, { outcome: 'settled' }],
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
      ...{ explanation: null, records: 10, next: null },
    });
    const none = await scene.ask('/v1/explain?callback=nobody&id=nothing');
    expect(none).toMatchObject({ status: 404, body: { code: 'CALLBACK_UNKNOWN' } });
  });
});

it('a place is told as a text and read again; another text is none', async () => {
  const place = { topic: TOPIC, partition: 1, offset: 12 };
  expect(placeOf(placeText(place))).toEqual(place);
  expect(placeOf('anything')).toBeNull();
  expect((await findEvents(log, {}, { limit: 9, from: place })).records).toBe(0);
});
