import { afterEach, beforeEach, expect, test } from 'vitest';
import type { LiveCallback } from '../../src/callback-set.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { CallbackOptions } from '../../src/deliver/callback-options.ts';
import type { Outcome, OutgoingEvent } from '../../src/deliver/callback/sender.ts';
import { deadLetterTopic } from '../../src/dead-letter-topic.ts';
import { Deliver } from '../../src/deliver/deliver.ts';
import { REMOVED_CONSUMER, type ChangeLogWriter } from '../../src/log/change-log.ts';
import { replayCallback, replayConfig } from '../../src/replay-callback.ts';
import { Replays } from '../../src/replays.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { LargeWork } from '../../src/shared/large-work.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { openSqliteState } from '../../src/state/sqlite/sqlite-state.ts';
import type { NewReplay, Replay } from '../../src/state/replay-store.ts';
import { type Asked, LEDGER_FIELDS, type StateStore } from '../../src/state/state-store.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryChangeLog, MemoryLogStore } from '../support/memory-change-log.ts';
import { PERSISTENCE, RETRY } from '../support/engine-options.ts';

const TOPIC = 'shop.orders';
const KEYS = 7;
const DELIVER = {
  url: 'https://example.com/',
  secrets: [`whsec_${Buffer.alloc(32, 7).toString('base64')}`],
};
const ASKED: Asked = { actor: 'ann', reason: 'it lost its data', atMs: 5 };

interface Sent {
  readonly offset: number;
  readonly key: string;
  /** Of the replay; null of a live one. */
  readonly replay: number | null;
}

let store: MemoryLogStore;
let log: MemoryChangeLog;
let writer: ChangeLogWriter;
let state: StateStore;
let stop: AbortController;
let engine: Deliver;
let replays: Replays;
let running: Promise<unknown>;
let written: number;
let sent: Sent[];
/** By `replay` or `live`. */
let answer: (sent: Sent) => Promise<Outcome>;
let live: Map<string, LiveCallback>;
let inFlight: Set<string>;
/** Forms of the callback with which replays were begun. */
let built: number;

beforeEach(async () => {
  store = new MemoryLogStore();
  log = new MemoryChangeLog(store, systemClock);
  writer = await log.openWriter('shop');
  await writer.createTopics([{ name: TOPIC, partitions: 2 }]);
  state = await openSqliteState({ path: ':memory:' });
  [written, sent, inFlight, built] = [0, [], new Set(), 0];
  answer = delivered;
  live = new Map([['billing', callback()]]);
  await begin();
});

afterEach(async () => {
  await end();
  await state.close();
});

async function delivered(): Promise<Outcome> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  return { kind: 'delivered' };
}

function callback(more: object = {}): LiveCallback {
  const { callbacks } = parseConfig(
    {
      name: 'shop',
      source: { url: 'mysql://rowcall@127.0.0.1:3306' },
      tables: [{ match: 'shop.*' }],
      callbacks: [
        {
          ...{ name: 'billing', tables: ['shop.*'], from: 'earliest', concurrency: 8 },
          ...{ coalesce: '10m', deliver: DELIVER, ...more },
        },
      ],
    },
    '/',
  );
  const [config] = callbacks;
  if (config === undefined) throw new Error('There is no callback');
  return { config, origin: 'file', version: 1, written: null };
}

async function begin(): Promise<void> {
  stop = new AbortController();
  const build = ({ config }: Pick<LiveCallback, 'config'>): CallbackOptions => ({
    ...config,
    ...PERSISTENCE,
    onSettled: undefined,
    onExhausted: config.onExhausted,
    retry: { ...RETRY, initialIntervalMs: 1, maximumIntervalMs: 5, maximumAttempts: 3 },
    sender: { send, close: () => Promise.resolve() },
  });
  replays = new Replays({
    ...{ state, log, callbacks: live, clock: systemClock, logger: silentLogger, logKeeps: true },
    build: (one, replay) => {
      built += 1;
      return Promise.resolve(
        replayCallback(build({ config: replayConfig(one.config, replay) }), replay),
      );
    },
  });
  const callbacks = [...live.values()].map((one) => ({ ...build(one), coalesceMs: undefined }));
  const leg = (async () =>
    Deliver.open({
      ...{ name: 'shop', log, state, clock: systemClock, logger: silentLogger },
      callbacks: [...callbacks, ...(await replays.options())],
      ...{ large: new LargeWork(systemClock), random: Math.random, acceptLostState: false },
      drainTimeoutMs: 1_000,
    }))();
  replays.attach(leg);
  engine = await leg;
  running = Promise.all([engine.run(stop.signal), replays.run(stop.signal)]);
}

async function end(): Promise<void> {
  stop.abort();
  await running;
}

async function send(event: OutgoingEvent): Promise<Outcome> {
  const { offset, partition } = event;
  const key = `${partition} ${event.key ?? ''}`;
  const one = { offset: offset * 2 + partition, key, replay: event.replay?.id ?? null };
  expect(inFlight.has(key), `two in flight of ${key}`).toBe(false);
  inFlight.add(key);
  sent.push(one);
  try {
    return await answer(one);
  } finally {
    inFlight.delete(key);
  }
}

async function append(count: number): Promise<void> {
  for (const partition of [0, 1]) {
    const records = Array.from({ length: count }, (_, index) => ({
      key: `{"id":${((written + index) % KEYS) * 2 + partition}}`,
      value: Buffer.from('{}'),
      timestampMs: written + index,
      id: `id-${partition}-${written + index}`,
      table: (written + index) % 2 === 0 ? 'shop.orders' : 'shop.items',
      operation: 'c' as const,
    }));
    await writer.append([{ topic: TOPIC, partition, records }], 'c');
  }
  written += count;
}

async function settled(): Promise<void> {
  await eventually(async () => {
    const cursors = (await state.cursors()).filter((one) => one.callback === 'billing');
    expect(cursors).toHaveLength(2);
    for (const { next } of cursors) expect(next).toBe(written);
  });
}

async function ask(from: number, to: number, more: Partial<NewReplay> = {}): Promise<Replay> {
  const [topic] = await log.topics();
  const ranges = [0, 1].map((partition) => ({
    ...{ topic: TOPIC, topicId: topic?.id ?? '', partition, from, to },
  }));
  return replays.start(
    {
      ...{ callback: 'billing', version: 1, filter: {}, ranges, total: null },
      options: { concurrency: 4, rate: null, newIds: false },
      ...more,
    },
    ASKED,
  );
}

async function ended(id = 1): Promise<Replay> {
  return eventually(async () => {
    const { replay, books } = await state.replay(id);
    for (const { ledger } of books) {
      const { read, matched, filtered, ...ends } = ledger;
      expect(read).toBe(matched + filtered);
      expect(matched).toBe(Object.values(ends).reduce((sum, count) => sum + count, 0));
    }
    expect(replay.endedAtMs).not.toBeNull();
    return replay;
  });
}

async function books(id = 1): Promise<Record<string, number>> {
  const { books: all } = await state.replay(id);
  const sum = (field: (typeof LEDGER_FIELDS)[number]): number =>
    all.reduce((count, { ledger }) => count + ledger[field], 0);
  return Object.fromEntries(
    LEDGER_FIELDS.filter((field) => sum(field) > 0).map((field) => [field, sum(field)]),
  );
}

const replayed = (id = 1): Sent[] => sent.filter(({ replay }) => replay === id);

test('each event of the ranges is sent once more, in the order of its key, and the books say so', async () => {
  await append(60);
  await settled();
  await ask(10, 40);
  expect(await ended()).toMatchObject({ state: 'done' });
  const offsets = replayed().map(({ offset }) => offset);
  expect([...offsets].sort((a, b) => a - b)).toEqual(
    Array.from({ length: 60 }, (_, index) => index + 20),
  );
  for (const key of new Set(replayed().map((one) => one.key))) {
    const own = replayed().filter((one) => one.key === key);
    expect(own).toEqual([...own].sort((a, b) => a.offset - b.offset));
  }
  expect(await books()).toEqual({ read: 60, matched: 60, delivered: 60 });
  const names = (await state.cursors()).map(({ callback: name }) => name);
  expect(new Set(names)).toEqual(new Set(['billing']));
});

test('live events go on beside it, and of a key there is never one in flight beside another', async () => {
  await append(100);
  await settled();
  await ask(0, 100);
  for (let more = 0; more < 20; more += 1) {
    await append(10);
    await delivered();
  }
  await ended();
  await settled();
  expect(replayed()).toHaveLength(200);
  expect(sent.filter(({ replay }) => replay === null)).toHaveLength(600);
  // Live events were sent while the replay was.
  const first = sent.findIndex(({ replay }) => replay === 1);
  const last = sent.findLastIndex(({ replay }) => replay === 1);
  expect(sent.slice(first, last).some(({ replay }) => replay === null)).toBe(true);
});

test('only what was asked for is sent: tables, key and time', async () => {
  await append(60);
  await settled();
  const filter = { tables: ['shop.i*'], key: '{"id":7}', fromMs: 10, toMs: 50 };
  await ask(0, 60, { filter });
  await ended();
  const wanted = Array.from({ length: 60 }, (_, at) => at).filter(
    (at) => at % KEYS === 3 && at % 2 === 1 && at >= 10 && at < 50,
  );
  expect(await books()).toEqual({
    ...{ read: 120, filtered: 120 - wanted.length },
    ...{ matched: wanted.length, delivered: wanted.length },
  });
});

test('what fails for good is set aside in its own books, and it ends', async () => {
  await append(10);
  await settled();
  answer = ({ replay, key }) =>
    replay !== null && key === '0 {"id":2}'
      ? Promise.resolve({ kind: 'failed', error: 'no' })
      : delivered();
  await ask(0, 10);
  await ended();
  expect(await books()).toEqual({ read: 20, matched: 20, delivered: 18, dead: 2 });
  const letters = await state.deadLetters({ limit: 9 });
  expect(letters.map(({ callback: name }) => name)).toEqual(
    Array.from({ length: 2 }, () => 'billing.replay-1'),
  );
  // Mirrored, they stand beside those of the callback.
  expect(deadLetterTopic('shop', 'billing.replay-1')).toBe(deadLetterTopic('shop', 'billing'));
});

test('paused it sends nothing, resumed it sends the rest and nothing twice', async () => {
  await append(50);
  await settled();
  const gate = Promise.withResolvers<Outcome>();
  answer = (one) => (one.replay !== null && one.offset > 20 ? gate.promise : delivered());
  await ask(0, 50);
  await eventually(() => {
    expect(replayed().length).toBeGreaterThan(20);
  });
  await replays.act(1, 'pause', ASKED);
  answer = delivered;
  gate.resolve({ kind: 'delivered' });
  await eventually(() => {
    expect(engine.snapshot().callbacks.map(({ name }) => name)).toEqual(['billing']);
  });
  const before = replayed().length;
  expect(before).toBeLessThan(100);
  await append(5);
  await settled();
  expect(replayed()).toHaveLength(before);
  await replays.act(1, 'resume', ASKED);
  await ended();
  expect(new Set(replayed().map(({ offset }) => offset)).size).toBe(100);
  expect(replayed()).toHaveLength(100);
});

test('cancelled it ends with what it has done, also where something stands in a lane', async () => {
  await append(50);
  await settled();
  const gate = Promise.withResolvers<Outcome>();
  answer = (one) => {
    if (one.replay === null) return delivered();
    return one.key === '0 {"id":2}'
      ? Promise.resolve({ kind: 'throttled', error: 'later', retryAfterMs: 60_000 })
      : gate.promise;
  };
  await ask(0, 50);
  await eventually(async () => {
    expect(await state.lanes({ callback: 'billing.replay-1', limit: 9 })).toHaveLength(1);
  });
  await replays.act(1, 'cancel', { ...ASKED, reason: 'not now' });
  gate.resolve({ kind: 'delivered' });
  expect(await ended()).toMatchObject({ state: 'cancelled', why: 'not now' });
  expect(await state.lanes({ callback: 'billing.replay-1', limit: 9 })).toEqual([]);
  expect((await books())['skipped']).toBeGreaterThan(0);
});

test('a start goes on with what runs, from what is durable', async () => {
  await append(80);
  await settled();
  const gate = Promise.withResolvers<Outcome>();
  answer = (one) => (one.replay !== null && one.offset > 60 ? gate.promise : delivered());
  await ask(0, 80);
  await eventually(() => {
    expect(replayed().length).toBeGreaterThan(60);
  });
  gate.resolve({ kind: 'delivered' });
  answer = delivered;
  await end();
  await begin();
  await ended();
  expect(new Set(replayed().map(({ offset }) => offset)).size).toBe(160);
  expect(await books()).toEqual({ read: 160, matched: 160, delivered: 160 });
});

test('it is called as the callback is by now, and ends with the callback', async () => {
  await append(30);
  await settled();
  const gate = Promise.withResolvers<Outcome>();
  answer = (one) => (one.replay === null ? delivered() : gate.promise);
  await ask(0, 30);
  await eventually(() => {
    expect(replayed()).not.toHaveLength(0);
  });
  live.set('billing', callback({ tables: ['shop.items'] }));
  await eventually(() => {
    expect(built).toBe(2);
  });
  gate.resolve({ kind: 'delivered' });
  await ended();
  expect((await books())['filtered']).toBeGreaterThan(10);
  answer = (one) => (one.replay === null ? delivered() : new Promise(() => undefined));
  await ask(0, 30);
  live.delete('billing');
  expect(await ended(2)).toMatchObject({ state: 'cancelled', why: 'billing was removed' });
});

test('one that awaits completions by now cannot go on', async () => {
  await append(3);
  await settled();
  live.set(
    'billing',
    callback({
      deliver: {
        ...DELIVER,
        async: { completion: { mode: 'poll', url: 'body.url', done_when: 'true' } },
      },
    }),
  );
  await ask(0, 3);
  const { state: is, why } = await ended();
  expect([is, why]).toEqual(['cancelled', expect.stringContaining('deliver.async')]);
});

test('the log keeps what it has yet to read, and nothing for it when it has ended', async () => {
  await append(50);
  await settled();
  const gate = Promise.withResolvers<Outcome>();
  answer = (one) => (one.replay === null ? delivered() : gate.promise);
  await ask(10, 20);
  const marks = async (): Promise<object | undefined> =>
    (await log.lowWater()).find(({ consumer }) => consumer === 'billing.replay-1');
  await eventually(async () => {
    expect(await marks()).toMatchObject({
      stateId: state.id,
      marks: [{ offset: 10 }, { offset: 10 }],
    });
  });
  gate.resolve({ kind: 'delivered' });
  await ended();
  await eventually(async () => {
    expect(await marks()).toMatchObject({ stateId: REMOVED_CONSUMER, marks: [] });
  });
});

test('where retention was there first it is cancelled, with the count', async () => {
  await append(50);
  await settled();
  await end();
  for (const partition of [0, 1]) {
    const kept = store.partition({ topic: TOPIC, partition });
    kept.records.splice(0, 15);
    kept.start = 15;
  }
  await begin();
  await ask(10, 20);
  const { why } = await ended();
  expect(why).toContain('5 records were deleted before it read them');
});

test('a topic that was made anew is not what was meant', async () => {
  await append(5);
  await settled();
  const ranges = [{ topic: TOPIC, topicId: 'another', partition: 0, from: 0, to: 5 }];
  await ask(0, 5, { ranges });
  expect((await ended()).why).toContain('TOPIC_RECREATED');
  expect(replayed()).toEqual([]);
});
