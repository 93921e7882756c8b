import { expect, test } from 'vitest';
import type { OutgoingEvent } from '../../../../src/deliver/callback/sender.ts';
import { Deliver } from '../../../../src/deliver/deliver.ts';
import { LargeWork } from '../../../../src/shared/large-work.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';
import { openSqliteState } from '../../../../src/state/sqlite/sqlite-state.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../../support/memory-change-log.ts';
import { Scheduler } from '../../../support/simulation-scheduler.ts';
import { PERSISTENCE } from '../../../support/engine-options.ts';

const TOPIC = 'shop.orders';

test('retention past a cursor stops that partition alone, with the count, and skips nothing', async () => {
  const scheduler = new Scheduler(() => 0);
  const clock = scheduler.clockOf({ name: 'process', alive: true });
  const store = new MemoryLogStore();
  const log = new MemoryChangeLog(store, clock);
  const writer = await log.openWriter('shop');
  const [topic] = await writer.createTopics([{ name: TOPIC, partitions: 2 }]);
  const append = (partition: number, count: number): Promise<void> => {
    const records = Array.from({ length: count }, (_, n) => ({
      key: `{"id":${n}}`,
      value: Buffer.from('{"before":null,"after":{},"op":"c"}'),
      timestampMs: 0,
      id: `${partition}-${n}`,
      table: 'shop.orders',
      operation: 'c' as const,
    }));
    return writer.append([{ topic: TOPIC, partition, records }], 'c');
  };
  await append(0, 4);
  await append(1, 3);
  const state = await openSqliteState({ path: ':memory:' });
  const at = { callback: 'billing', topic: TOPIC, topicId: topic?.id ?? '' };
  const cursor = { ...at, startOffset: 0, next: 0 };
  await state.openCursors([0, 1].map((partition) => ({ ...cursor, partition })));
  const marks = [0, 1].map((partition) => ({ ...at, partition, offset: partition === 0 ? 3 : 0 }));
  await log.setLowWater('billing', state.id, marks);
  await log.applyRetention(0, ['billing']);

  const sent: string[] = [];
  const deliver = await Deliver.open({
    name: 'shop',
    ...{ log, state, large: new LargeWork(clock), clock, random: () => 0, logger: silentLogger },
    acceptLostState: false,
    drainTimeoutMs: 1_000,
    callbacks: [
      {
        name: 'billing',
        tables: ['shop.*'],
        operations: ['insert'],
        changed: [],
        from: 'earliest',
        concurrency: 4,
        ...PERSISTENCE,
        lanes: { maxEvents: 10, maxBytes: 10_000 },
        sender: {
          send: (event: OutgoingEvent) => {
            sent.push(event.id);
            return Promise.resolve({ kind: 'delivered' });
          },
          close: () => Promise.resolve(),
        },
      },
    ],
  });
  const stop = new AbortController();
  const running = deliver.run(stop.signal);
  await new Promise((resolve) => setImmediate(resolve));
  await scheduler.advance(1_000);
  await append(0, 1);
  await scheduler.advance(1_000);
  const partitions = deliver.snapshot().callbacks[0]?.partitions ?? [];
  expect(partitions.map(({ partition, next }) => [partition, next])).toEqual([
    [0, 0],
    [1, 3],
  ]);
  expect(partitions[0]?.stopped).toMatch(/3 records were deleted/);
  expect(partitions[1]?.stopped).toBeNull();
  expect(sent).toEqual(['1-0', '1-1', '1-2']);
  stop.abort(new Error('Told to stop'));
  await new Promise((resolve) => setImmediate(resolve));
  await scheduler.advance(5_000);
  await running;
  expect((await state.cursors()).map(({ next }) => next)).toEqual([0, 3]);
});
