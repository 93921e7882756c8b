/** Delivery while somebody sets the clock. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import type { OutgoingEvent, Outcome } from '../../../src/deliver/callback/sender.ts';
import { Deliver } from '../../../src/deliver/deliver.ts';
import { type Clock, systemClock } from '../../../src/shared/clock.ts';
import { LargeWork } from '../../../src/shared/large-work.ts';
import { silentLogger } from '../../../src/shared/logger.ts';
import { SteadyClock } from '../../../src/shared/steady-clock.ts';
import { openSqliteState } from '../../../src/state/sqlite/sqlite-state.ts';
import type { StateStore } from '../../../src/state/state-store.ts';
import { PERSISTENCE, RETRY } from '../../support/engine-options.ts';
import { eventually } from '../../support/eventually.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../support/memory-change-log.ts';

const TOPIC = 'shop.orders';
const KEYS = 5;
const EVENTS = 4 * KEYS;
const HOUR_MS = 3_600_000;
const LIMIT = 3;

let state: StateStore;
let stop: AbortController;
let running: Promise<void>;
let shiftMs: number;
let sent: { readonly offset: number; readonly key: string; readonly attempt: number }[];

/** The machine's, as it was set. */
const wall: Clock = { ...systemClock, now: () => Date.now() + shiftMs };

beforeEach(async () => {
  state = await openSqliteState({ path: ':memory:' });
  [shiftMs, sent, stop] = [0, [], new AbortController()];
});

afterEach(async () => {
  stop.abort();
  await running;
  await state.close();
});

/** `answer` is of the attempt and how often the event came. */
async function deliver(answer: (event: OutgoingEvent, attempt: number) => Outcome): Promise<void> {
  const log = new MemoryChangeLog(new MemoryLogStore(), systemClock);
  const writer = await log.openWriter('shop');
  await writer.createTopics([{ name: TOPIC, partitions: 1 }]);
  const records = Array.from({ length: EVENTS }, (_, index) => ({
    key: `{"id":${index % KEYS}}`,
    ...{ value: Buffer.from('{}'), timestampMs: 0, id: `id-${index}`, table: TOPIC },
    operation: 'c' as const,
  }));
  await writer.append([{ topic: TOPIC, partition: 0, records }], 'c');
  const engine = await Deliver.open({
    ...{ name: 'shop', log, state, clock: new SteadyClock(wall), logger: silentLogger },
    ...{ large: new LargeWork(systemClock), random: Math.random, acceptLostState: false },
    drainTimeoutMs: 1_000,
    callbacks: [
      {
        ...{ name: 'billing', tables: ['shop.*'], operations: ['insert'], changed: [] },
        ...{ from: 'earliest', concurrency: 4, ...PERSISTENCE },
        retry: { ...RETRY, initialIntervalMs: 100, maximumIntervalMs: 200, maximumAttempts: LIMIT },
        lanes: { maxEvents: 1_000, maxBytes: 1_000_000 },
        sender: {
          send: (event, attempt) => {
            sent.push({ offset: event.offset, key: event.key ?? '', attempt });
            return Promise.resolve(answer(event, attempt));
          },
          close: () => Promise.resolve(),
        },
      },
    ],
  });
  running = engine.run(stop.signal);
}

test.each([-24 * HOUR_MS, -HOUR_MS, HOUR_MS, 24 * HOUR_MS])(
  'a clock that is set by %i ms while keys wait keeps nobody waiting, in order and within the attempts',
  async (shift) => {
    // Each event fails once; at the first of the second round somebody sets the clock.
    await deliver((event, attempt) => {
      if (event.offset === KEYS && attempt === 1) shiftMs = shift;
      return attempt === 1 ? { kind: 'failed', error: 'HTTP 500' } : { kind: 'delivered' };
    });
    await eventually(async () => {
      const [cursor] = await state.cursors();
      expect(cursor?.ledger).toMatchObject({ read: EVENTS, delivered: EVENTS, retrying: 0 });
    });
    expect(shiftMs).toBe(shift);
    for (let key = 0; key < KEYS; key += 1) {
      const own = sent.filter((one) => one.key === `{"id":${key}}`);
      const expected = Array.from({ length: EVENTS / KEYS }, (_, round) => key + round * KEYS);
      expect(own.map(({ offset, attempt }) => `${offset} ${attempt}`)).toEqual(
        expected.flatMap((offset) => [`${offset} 1`, `${offset} 2`]),
      );
    }
  },
);

test('an endpoint that asked all to wait is waited for no longer because the clock was set back', async () => {
  const asked = new Set<number>();
  await deliver((event) => {
    const first = !asked.has(event.offset) && event.offset < KEYS;
    asked.add(event.offset);
    if (!first) return { kind: 'delivered' };
    return { kind: 'throttled', error: 'HTTP 429', retryAfterMs: 1_000 };
  });
  await eventually(async () => {
    const [cursor] = await state.cursors();
    expect(cursor?.ledger.retrying).toBe(4);
  });
  shiftMs = -HOUR_MS;
  await eventually(async () => {
    const [cursor] = await state.cursors();
    expect(cursor?.ledger).toMatchObject({ read: EVENTS, delivered: EVENTS });
  });
});
