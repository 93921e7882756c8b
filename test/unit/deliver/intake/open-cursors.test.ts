import { beforeEach, describe, expect, test } from 'vitest';
import type { CallbackOptions } from '../../../../src/deliver/callback-options.ts';
import { openCursors } from '../../../../src/deliver/intake/open-cursors.ts';
import type { ChangeLogWriter } from '../../../../src/log/change-log.ts';
import { type Logger, silentLogger } from '../../../../src/shared/logger.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { openSqliteState } from '../../../../src/state/sqlite/sqlite-state.ts';
import type { StateStore } from '../../../../src/state/state-store.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../../support/memory-change-log.ts';
import { PERSISTENCE } from '../../../support/engine-options.ts';

const ORDERS = 'shop.orders';
const ITEMS = 'shop.items';

let store: MemoryLogStore;
let log: MemoryChangeLog;
let writer: ChangeLogWriter;
let state: StateStore;
let warnings: object[];
let logger: Logger;

beforeEach(async () => {
  store = new MemoryLogStore();
  log = new MemoryChangeLog(store, systemClock);
  writer = await log.openWriter('shop');
  state = await openSqliteState({ path: ':memory:' });
  warnings = [];
  logger = { ...silentLogger, warn: (fields) => warnings.push(fields) };
});

function callback(name: string, from: CallbackOptions['from'] = 'earliest'): CallbackOptions {
  return {
    name,
    tables: ['shop.*'],
    operations: ['insert'],
    changed: [],
    from,
    concurrency: 1,
    ...PERSISTENCE,
    lanes: { maxEvents: 1, maxBytes: 1 },
    sender: { send: () => Promise.resolve({ kind: 'delivered' }), close: () => Promise.resolve() },
  };
}

/** Appends records whose timestamps are 0, 1, 2 and so on. */
async function append(topic: string, count: number): Promise<void> {
  await writer.createTopics([{ name: topic, partitions: 1 }]);
  const { end } = await log.bounds({ topic, partition: 0 });
  const records = Array.from({ length: count }, (_, index) => ({
    key: null,
    value: Buffer.from('{}'),
    timestampMs: end + index,
    id: `${topic}-${end + index}`,
    table: topic,
    operation: 'c' as const,
  }));
  await writer.append([{ topic, partition: 0, records }], 'c');
}

async function open(
  callbacks: readonly CallbackOptions[],
  more: { state?: StateStore; acceptLostState?: boolean } = {},
): Promise<Record<string, [topic: string, next: number][]>> {
  const parts = {
    log,
    state: more.state ?? state,
    logger,
    acceptLostState: more.acceptLostState ?? false,
  };
  const opened = await openCursors(callbacks, parts);
  return Object.fromEntries(
    [...opened].map(([name, cursors]) => [
      name,
      cursors.map(({ topic, next }) => [topic, next] as [string, number]),
    ]),
  );
}

/** The callback has settled the first `next` offsets of a topic, all filtered. */
async function settle(name: string, topic: string, next: number): Promise<void> {
  const at = { callback: name, topic, partition: 0 };
  await state.commit([
    { type: 'progress', ...at, next, beyond: [], counts: { read: next, filtered: next } },
  ]);
}

describe('a callback seen for the first time', () => {
  test('begins where its configuration says, and keeps that place', async () => {
    await append(ORDERS, 5);
    const callbacks = [
      callback('all'),
      callback('new', 'latest'),
      callback('since', { timestampMs: 3 }),
    ];
    const expected = { all: [[ORDERS, 0]], new: [[ORDERS, 5]], since: [[ORDERS, 3]] };
    expect(await open(callbacks)).toEqual(expected);
    await append(ORDERS, 5);
    expect(await open(callbacks)).toEqual(expected);
    const starts = (await state.cursors()).map((one) => [one.callback, one.startOffset]);
    expect(Object.fromEntries(starts)).toEqual({ all: 0, new: 5, since: 3 });
  });

  test('has one cursor per partition', async () => {
    await writer.createTopics([{ name: ORDERS, partitions: 3 }]);
    await open([callback('all')]);
    const partitions = (await state.cursors()).map(({ partition }) => partition);
    expect(partitions.toSorted()).toEqual([0, 1, 2]);
  });

  test('reads a topic made later from its beginning, whatever from says', async () => {
    await append(ORDERS, 5);
    await open([callback('new', 'latest')]);
    await append(ITEMS, 4);
    expect(await open([callback('new', 'latest')])).toEqual({
      new: [
        [ORDERS, 5],
        [ITEMS, 0],
      ],
    });
  });

  test('is remembered also while there is no topic at all', async () => {
    await open([callback('new', 'latest')]);
    await append(ORDERS, 4);
    expect(await open([callback('new', 'latest')])).toEqual({ new: [[ORDERS, 0]] });
  });

  test('that reads from the earliest begins where retention has left off', async () => {
    await append(ORDERS, 5);
    await open([callback('old')]);
    await settle('old', ORDERS, 3);
    await mark('old', 3);
    await log.applyRetention(0, ['old']);
    expect(await open([callback('old'), callback('late')])).toEqual({
      old: [[ORDERS, 3]],
      late: [[ORDERS, 3]],
    });
  });

  test('has its marks in the log, so that retention waits for it', async () => {
    await append(ORDERS, 5);
    await open([callback('all'), callback('new', 'latest')]);
    const marks = (await log.lowWater()).map(({ consumer, stateId, marks: its }) => [
      consumer,
      stateId,
      its.map(({ offset }) => offset),
    ]);
    expect(marks).toEqual([
      ['all', state.id, [0]],
      ['new', state.id, [5]],
    ]);
  });
});

describe('a callback that was there before', () => {
  test('goes on where it has settled', async () => {
    await append(ORDERS, 5);
    await open([callback('all')]);
    await settle('all', ORDERS, 4);
    expect(await open([callback('all')])).toEqual({ all: [[ORDERS, 4]] });
  });

  test('stops when its topic was made anew', async () => {
    await append(ORDERS, 5);
    await open([callback('all')]);
    store.topics.clear();
    await append(ITEMS, 1);
    await append(ORDERS, 5);
    await expect(open([callback('all')])).rejects.toMatchObject({ code: 'TOPIC_RECREATED' });
  });

  test('stops when its topic is gone', async () => {
    await append(ORDERS, 5);
    await open([callback('all')]);
    store.topics.clear();
    await expect(open([callback('all')])).rejects.toMatchObject({
      code: 'TOPIC_RECREATED',
      message: expect.stringContaining('the log was made anew') as string,
      cure: expect.stringContaining('rowcall position set') as string,
    });
  });

  test('stops when the log ends before what it has settled', async () => {
    await append(ORDERS, 5);
    await open([callback('all')]);
    await settle('all', ORDERS, 4);
    store.partition({ topic: ORDERS, partition: 0 }).records.length = 2;
    await expect(open([callback('all')])).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
  });
});

describe('a state store that was lost', () => {
  test('is a stop, never a silent latest, and nothing is saved', async () => {
    await append(ORDERS, 5);
    await open([callback('all', 'latest')]);
    const empty = await openSqliteState({ path: ':memory:' });
    await expect(open([callback('all', 'latest')], { state: empty })).rejects.toMatchObject({
      code: 'STATE_LOST',
    });
    expect(await empty.cursors()).toEqual([]);
  });

  test('accepted knowingly, is gone on from what the log remembers', async () => {
    await append(ORDERS, 5);
    await open([callback('all')]);
    await mark('all', 3);
    const empty = await openSqliteState({ path: ':memory:' });
    const more = { state: empty, acceptLostState: true };
    expect(await open([callback('all')], more)).toEqual({ all: [[ORDERS, 3]] });
    expect(warnings).toEqual([{ callback: 'all', offsets: { [`${ORDERS}/0`]: 3 } }]);
    const [cursor] = await empty.cursors();
    expect(cursor).toMatchObject({ startOffset: 3, next: 3 });
    expect((await log.lowWater())[0]?.stateId).toBe(empty.id);
    expect(await open([callback('all')], { state: empty })).toEqual({ all: [[ORDERS, 3]] });
  });

  test('accepted, reads a topic that the marks do not know from its beginning', async () => {
    await append(ORDERS, 5);
    await open([callback('all', 'latest')]);
    await append(ITEMS, 2);
    const empty = await openSqliteState({ path: ':memory:' });
    const more = { state: empty, acceptLostState: true };
    expect(await open([callback('all', 'latest')], more)).toEqual({
      all: [
        [ORDERS, 5],
        [ITEMS, 0],
      ],
    });
  });
});

test('a state store that another one has overtaken is a stop', async () => {
  await append(ORDERS, 5);
  await open([callback('all')]);
  const other = await openSqliteState({ path: ':memory:' });
  await open([callback('all')], { state: other, acceptLostState: true });
  await expect(open([callback('all')])).rejects.toMatchObject({ code: 'STATE_LOST' });
  warnings = [];
  expect(await open([callback('all')], { acceptLostState: true })).toEqual({ all: [[ORDERS, 0]] });
  expect(warnings).toEqual([{ callback: 'all', offsets: { [`${ORDERS}/0`]: 0 } }]);
});

/** What delivery tells the log now and then. */
async function mark(name: string, offset: number): Promise<void> {
  const [topic] = await log.topics();
  const at = { topic: ORDERS, partition: 0, topicId: topic?.id ?? '', offset };
  await log.setLowWater(name, state.id, [at]);
}
