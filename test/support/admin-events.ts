/** An admin address over a log with ten events of one table, and what became of some of them for a callback. */

import type { LogRecord } from '../../src/change-event.ts';
import type { ChangeLog } from '../../src/log/change-log.ts';
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { FAILURE } from '../contract/state-store-samples.ts';
import { delivering } from '../unit/operate/observe/snapshots.ts';
import { adminConfig, type AdminScene, openAdmin } from './admin-api.ts';
import { tempDir } from './temp-dir.ts';

export const EVENT_GTID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
export const EVENT_TOPIC = 'shop.shop.orders';
export const EVENT_CALLBACK = 'supply-chain';
const TABLE = { partition: 0, table: 'shop.orders', operation: 'u' } as const;

const DELIVER = {
  url: 'https://example.com/hook',
  secrets: [`whsec_${Buffer.alloc(32, 7).toString('base64')}`],
};

export function eventIdOf(n: number): string {
  return `${EVENT_GTID}:${n}:shop/orders:1`;
}

export function eventRecord(n: number): LogRecord {
  const image = (status: string): string => `{"id":${n % 3},"status":"${status}"}`;
  const value = `{"before":${image('NEW')},"after":${image(n === 6 ? 'LOST' : 'SENT')},"source":{}`;
  return {
    key: `{"id":${n % 3}}`,
    value: Buffer.from(`${value},"op":"u","ts_ms":${n}}`),
    timestampMs: 1_700_000_000_000 + n * 1_000,
    id: eventIdOf(n),
    table: 'shop.orders',
    operation: 'u',
  };
}

/** @param more callbacks beside the two */
export async function openEvents(
  more: readonly object[] = [],
): Promise<AdminScene & { readonly log: ChangeLog }> {
  const log = await openEmbeddedLog({
    ...{ path: `${tempDir()}/events.db`, maxBytes: 1e9, create: true },
    retention: { ageMs: 1e9, sizeBytes: 1e9 },
    ...{ clock: systemClock, logger: silentLogger },
  });
  const writer = await log.openWriter('shop');
  await writer.createTopics([{ name: EVENT_TOPIC, partitions: 2 }]);
  const records = Array.from({ length: 10 }, (_, n) => eventRecord(n));
  await writer.append([{ topic: EVENT_TOPIC, partition: 0, records }], 'a');
  const config = adminConfig({
    callbacks: [
      {
        name: EVENT_CALLBACK,
        tables: ['shop.orders'],
        when: 'after.status == "SENT"',
        deliver: DELIVER,
      },
      {
        ...{ name: 'audit', tables: ['shop.*'], operations: ['insert'] },
        deliver: DELIVER,
      },
      ...more,
    ],
  });
  const snapshot = delivering({ name: EVENT_CALLBACK });
  const scene = await openAdmin({ log, config, deliver: { snapshot: () => snapshot } });
  const { state } = scene;
  const cursor = {
    callback: EVENT_CALLBACK,
    topic: EVENT_TOPIC,
    topicId: 't',
    startOffset: 1,
    next: 1,
  };
  await state.openCursors([{ ...cursor, partition: 0 }]);
  const laned = (n: number): object => ({
    ...{ callback: EVENT_CALLBACK, topic: EVENT_TOPIC, key: `{"id":${n % 3}}` },
    event: { ...TABLE, offset: n, id: eventIdOf(n), timestampMs: 1, value: Buffer.from('{}') },
  });
  await state.commit([
    {
      ...{
        type: 'progress',
        callback: EVENT_CALLBACK,
        topic: EVENT_TOPIC,
        partition: 0,
        next: 6,
        beyond: [],
      },
      counts: { read: 5, matched: 5, delivered: 2 },
    },
    { type: 'lane-append', ...laned(2), failure: FAILURE } as never,
    { type: 'lane-append', ...laned(5) } as never,
    { type: 'dead', ...laned(4), failure: FAILURE } as never,
  ]);
  return { ...scene, log };
}
