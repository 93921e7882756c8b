import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CallbackOptions } from '../../../src/deliver/callback-options.ts';
import type { OutgoingEvent, Outcome } from '../../../src/deliver/callback/sender.ts';
import { Deliver } from '../../../src/deliver/deliver.ts';
import type { ChangeLogWriter } from '../../../src/log/change-log.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import { LargeWork } from '../../../src/shared/large-work.ts';
import { silentLogger } from '../../../src/shared/logger.ts';
import { openSqliteState } from '../../../src/state/sqlite/sqlite-state.ts';
import type { StateStore } from '../../../src/state/state-store.ts';
import { eventually } from '../../support/eventually.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../support/memory-change-log.ts';
import { PERSISTENCE, RETRY } from '../../support/engine-options.ts';

const TOPIC = 'shop.orders';
const KEYS = 12;

let log: MemoryChangeLog;
let writer: ChangeLogWriter;
let state: StateStore;
let stop: AbortController;
let engine: Deliver;
let running: Promise<void>;
let written: number;
/** Offsets in the order of sending, with the version that sent each. */
let sent: { readonly offset: number; readonly key: string; readonly by: string }[];
let closed: string[];

type Send = (event: OutgoingEvent) => Promise<Outcome>;
const DELIVERED: Send = () => Promise.resolve({ kind: 'delivered' });

beforeEach(async () => {
  log = new MemoryChangeLog(new MemoryLogStore(), systemClock);
  writer = await log.openWriter('shop');
  await writer.createTopics([{ name: TOPIC, partitions: 1 }]);
  state = await openSqliteState({ path: ':memory:' });
  [written, sent, closed, stop] = [0, [], [], new AbortController()];
});

afterEach(async () => {
  stop.abort();
  await running;
  await state.close();
});

function version(by: string, send: Send = DELIVERED, more: Partial<CallbackOptions> = {}) {
  const options: CallbackOptions = {
    name: 'billing',
    tables: ['shop.*'],
    operations: ['insert'],
    changed: [],
    from: 'earliest',
    concurrency: 4,
    ...PERSISTENCE,
    retry: { ...RETRY, initialIntervalMs: 1, maximumIntervalMs: 5 },
    lanes: { maxEvents: 1_000, maxBytes: 1_000_000 },
    sender: {
      send: (event) => {
        sent.push({ offset: event.offset, key: event.key ?? '', by });
        return send(event);
      },
      close: () => {
        closed.push(by);
        return Promise.resolve();
      },
    },
    ...more,
  };
  return options;
}

async function begin(...callbacks: CallbackOptions[]): Promise<void> {
  engine = await Deliver.open({
    ...{ name: 'shop', log, state, callbacks, clock: systemClock, logger: silentLogger },
    ...{ large: new LargeWork(systemClock), random: Math.random, acceptLostState: false },
    drainTimeoutMs: 1_000,
  });
  running = engine.run(stop.signal);
}

async function append(count: number): Promise<void> {
  const records = Array.from({ length: count }, (_, index) => ({
    key: `{"id":${(written + index) % KEYS}}`,
    value: Buffer.from('{}'),
    timestampMs: 0,
    id: `id-${written + index}`,
    table: TOPIC,
    operation: 'c' as const,
  }));
  await writer.append([{ topic: TOPIC, partition: 0, records }], 'c');
  written += count;
}

async function allDelivered(): Promise<void> {
  await eventually(async () => {
    const cursor = (await state.cursors()).find(({ topic }) => topic === TOPIC);
    expect(cursor?.ledger).toMatchObject({ read: written, delivered: written, pending: 0 });
  });
}

test('an attempt in flight ends under the old version, and its key goes on under the new one', async () => {
  const answer = Promise.withResolvers<Outcome>();
  await begin(version('old', () => answer.promise));
  await append(1);
  await eventually(() => {
    expect(sent).toHaveLength(1);
  });
  const changed = engine.change(version('new'));
  await append(KEYS);
  expect(sent).toEqual([{ offset: 0, key: '{"id":0}', by: 'old' }]);
  answer.resolve({ kind: 'delivered' });
  await changed;
  await allDelivered();
  expect(sent.filter(({ offset }) => offset === 0)).toHaveLength(1);
  expect(new Set(sent.slice(1).map(({ by }) => by))).toEqual(new Set(['new']));
  expect(closed).toEqual(['old']);
});

test('under many changes and failures each event is delivered once, in the order of its key', async () => {
  const delivered: { offset: number; key: string }[] = [];
  const fails = new Map<number, number>();
  const send: Send = async (event) => {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    const failures = fails.get(event.offset) ?? 0;
    if (event.offset % 7 === 0 && failures < 2) {
      fails.set(event.offset, failures + 1);
      return { kind: 'failed', error: 'not yet' };
    }
    delivered.push({ offset: event.offset, key: event.key ?? '' });
    return { kind: 'delivered' };
  };
  await begin(version('0', send));
  for (let change = 1; change <= 20; change += 1) {
    await append(40);
    await engine.change(version(String(change), send, { concurrency: 1 + (change % 6) }));
  }
  await allDelivered();
  expect(delivered).toHaveLength(written);
  for (let key = 0; key < KEYS; key += 1) {
    const own = delivered.filter((one) => one.key === `{"id":${key}}`).map((one) => one.offset);
    expect(own).toEqual([...own].sort((a, b) => a - b));
  }
  expect(engine.snapshot().callbacks).toMatchObject([{ delivered: written }]);
});

test('one that goes leaves its place behind, and goes on from there when it is back', async () => {
  await begin(version('first'));
  await append(5);
  await allDelivered();
  await engine.change('billing');
  expect(engine.snapshot()).toMatchObject({ running: true, callbacks: [] });
  await append(5);
  await writer.createTopics([{ name: 'shop.items', partitions: 1 }]);
  await engine.change(version('second', DELIVERED, { from: 'latest' }));
  await allDelivered();
  expect(sent.filter(({ by }) => by === 'second').map(({ offset }) => offset)).toEqual([
    5, 6, 7, 8, 9,
  ]);
  expect((await state.cursors()).map(({ topic }) => topic)).toEqual(['shop.items', TOPIC]);
});

test('one that comes begins where it says, also beside a topic that is being made', async () => {
  await begin();
  await append(3);
  await Promise.all([
    engine.change(version('new', DELIVERED, { from: 'latest' })),
    writer.createTopics([{ name: 'shop.items', partitions: 1 }]),
  ]);
  await append(2);
  await eventually(() => {
    expect(sent.map(({ offset }) => offset)).toEqual([3, 4]);
  });
});

test('two changes at once leave one version at work, the newer one', async () => {
  await begin(version('old'));
  await Promise.all([engine.change(version('new')), engine.change(version('newer'))]);
  await append(KEYS);
  await allDelivered();
  expect(sent.map(({ by }) => by)).toEqual(Array.from({ length: KEYS }, () => 'newer'));
  await Promise.all([engine.change('billing'), engine.change(version('newest'))]);
  await append(KEYS);
  await allDelivered();
  expect(sent.slice(KEYS).map(({ by }) => by)).toEqual(
    Array.from({ length: KEYS }, () => 'newest'),
  );
  expect(closed).toEqual(['old', 'new', 'newer']);
});

test('one that was about to begin when all end is closed', async () => {
  await begin(version('old'));
  await append(1);
  await allDelivered();
  const [reached, go] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  const callbackHolds = state.callbackHolds.bind(state);
  state.callbackHolds = async () => {
    reached.resolve(undefined);
    await go.promise;
    return callbackHolds();
  };
  const changed = engine.change(version('new'));
  const ended = expect(changed).rejects.toThrow('stopping');
  await reached.promise;
  stop.abort();
  await running;
  go.resolve(undefined);
  await ended;
  expect(closed).toEqual(['old', 'new']);
});
