import { afterEach, expect, test } from 'vitest';
import type { OperationCode } from '../../../../src/change-event.ts';
import type { CallbackOptions } from '../../../../src/deliver/callback-options.ts';
import type { Outcome, OutgoingEvent, Sender } from '../../../../src/deliver/callback/sender.ts';
import { Deliver } from '../../../../src/deliver/deliver.ts';
import { recountLedger } from '../../../../src/deliver/recount.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { LargeWork } from '../../../../src/shared/large-work.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';
import { openSqliteState } from '../../../../src/state/sqlite/sqlite-state.ts';
import type { StateStore } from '../../../../src/state/state-store.ts';
import { eventually } from '../../../support/eventually.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../../support/memory-change-log.ts';
import { BREAKER, RETRY } from '../../../support/engine-options.ts';

const TABLE = 'shop.orders';
const SELECTION = { name: 'billing', tables: ['shop.*'], changed: [] } as const;
const DELIVERED: Outcome = { kind: 'delivered' };
const FAILED: Outcome = { kind: 'failed', error: 'HTTP 500' };

/** Partitions of a topic as texts: `a` a row of the key a, `T1` the truncate of this number. */
async function logOf(...partitions: readonly string[]): Promise<MemoryChangeLog> {
  const log = new MemoryChangeLog(new MemoryLogStore(), systemClock);
  const writer = await log.openWriter('shop');
  await writer.createTopics([{ name: TABLE, partitions: partitions.length }]);
  const batches = partitions.map((text, partition) => {
    const records = text.split(' ').map((name, offset) => {
      const operation: OperationCode = name.startsWith('T') ? 't' : 'c';
      return {
        key: operation === 't' ? null : `{"id":"${name}"}`,
        value: Buffer.from('{}'),
        timestampMs: 1_000,
        id: operation === 't' ? name : `${name}@${partition}/${offset}`,
        table: TABLE,
        operation,
      };
    });
    return { topic: TABLE, partition, records };
  });
  await writer.append(batches, 'c');
  return log;
}

interface Open {
  readonly event: OutgoingEvent;
  readonly attempt: number;
  readonly answer: (outcome: Outcome) => void;
}

const running: Scene[] = [];

afterEach(async () => {
  for (const scene of running.splice(0)) await scene.kill();
});

/** A dispatcher whose attempts the test answers. */
class Scene {
  readonly #engine: Deliver;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #open: Open[] = [];
  readonly sent: string[] = [];

  static async start(
    log: MemoryChangeLog,
    state: StateStore,
    operations: CallbackOptions['operations'] = ['insert', 'truncate'],
  ): Promise<Scene> {
    const made: { scene?: Scene } = {};
    const sender: Sender = {
      send: (event, attempt, signal) =>
        new Promise((resolve, reject) => {
          made.scene?.sending({ event, attempt, answer: resolve });
          signal.addEventListener('abort', () => {
            reject(signal.reason as Error);
          });
        }),
      close: () => Promise.resolve(),
    };
    const engine = await Deliver.open({
      ...{
        name: 'shop',
        log,
        state,
        clock: systemClock,
        large: new LargeWork(systemClock),
        random: () => 0,
      },
      ...{ logger: silentLogger, acceptLostState: false, drainTimeoutMs: 1 },
      callbacks: [
        {
          ...SELECTION,
          ...{ operations, from: 'earliest', concurrency: 8, sender },
          retry: { ...RETRY, initialIntervalMs: 1, backoff: 'fixed' },
          breaker: BREAKER,
          onExhausted: 'park-key',
          lanes: { maxEvents: 100, maxBytes: 100_000 },
        },
      ],
    });
    const scene = new Scene(engine);
    made.scene = scene;
    running.push(scene);
    return scene;
  }

  private constructor(engine: Deliver) {
    this.#engine = engine;
    this.#running = engine.run(this.#stop.signal);
  }

  sending(open: Open): void {
    this.sent.push(nameOf(open.event));
    this.#open.push(open);
  }

  get open(): string[] {
    return this.#open.map(({ event }) => nameOf(event)).sort();
  }

  async opened(...names: string[]): Promise<void> {
    await eventually(() => {
      expect(this.open).toEqual([...names].sort());
    });
  }

  /** Answers an attempt and returns its number. */
  answer(name: string, outcome = DELIVERED): number {
    const found = this.#open.find(({ event }) => nameOf(event) === name);
    if (found === undefined) throw new Error(`${name} is not being sent, but ${this.open.join()}`);
    this.#open = this.#open.filter((one) => one !== found);
    found.answer(outcome);
    return found.attempt;
  }

  /** What is in flight is given up, as its outcome would be by a crash. */
  async kill(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    expect(this.#engine.snapshot().running).toBe(false);
  }
}

function nameOf({ id }: OutgoingEvent): string {
  return id.replace(/@.*/, '');
}

async function ledgers(state: StateStore): Promise<string[]> {
  const cursors = await state.cursors();
  return cursors.map(({ partition, ledger: { read, filtered, matched, delivered, retrying } }) =>
    [partition, read, filtered, matched, delivered, retrying].join(' '),
  );
}

async function settled(state: StateStore, ...nexts: number[]): Promise<void> {
  await eventually(async () => {
    expect((await state.cursors()).map(({ next }) => next)).toEqual(nexts);
  });
}

test('a truncate is sent once, when all before it in every partition is done, and all behind it waits', async () => {
  const log = await logOf('a T1 b', 'c d T1 e', 'T1 f');
  const state = await openSqliteState({ path: ':memory:' });
  const scene = await Scene.start(log, state);
  await scene.opened('a', 'c', 'd');
  scene.answer('a');
  scene.answer('c');
  await settled(state, 1, 1, 0);
  await scene.opened('d');
  scene.answer('d');
  await scene.opened('T1');
  await settled(state, 1, 2, 0);
  scene.answer('T1');
  await scene.opened('b', 'e', 'f');
  // In one commit, counted in the books of partition 0 alone.
  await settled(state, 2, 3, 1);
  expect(await ledgers(state)).toEqual(['0 2 0 2 2 0', '1 3 1 2 2 0', '2 1 1 0 0 0']);
  for (const name of ['b', 'e', 'f']) scene.answer(name);
  await settled(state, 3, 4, 2);
  expect(scene.sent.filter((name) => name === 'T1')).toHaveLength(1);
  const operations = ['insert', 'truncate'] as const;
  const recounts = await recountLedger({
    log,
    state,
    claims: { read: () => Promise.resolve(null) },
    callbacks: [{ ...SELECTION, operations }],
  });
  expect(recounts.map(({ agrees }) => agrees)).toEqual([true, true, true]);
});

test('an event before it that is in a lane does not hold it', async () => {
  const log = await logOf('a T1 b', 'T1 c');
  const state = await openSqliteState({ path: ':memory:' });
  const scene = await Scene.start(log, state);
  await scene.opened('a');
  scene.answer('a', FAILED);
  await scene.opened('T1', 'a');
  scene.answer('T1');
  await scene.opened('a', 'b', 'c');
});

test('one that fails is tried again from its lane, all behind it waits, over a restart as well', async () => {
  const log = await logOf('T1 a T2 c', 'T1 b T2');
  const state = await openSqliteState({ path: ':memory:' });
  const scene = await Scene.start(log, state);
  await scene.opened('T1');
  expect(scene.answer('T1', FAILED)).toBe(1);
  await scene.opened('T1');
  expect(scene.answer('T1', FAILED)).toBe(2);
  await scene.opened('T1');
  expect(await ledgers(state)).toEqual(['0 1 0 1 0 1', '1 1 1 0 0 0']);
  expect((await state.lanes({ limit: 10 })).map(({ key }) => key)).toEqual([`!${TABLE}`]);
  await scene.kill();
  const again = await Scene.start(log, state);
  await again.opened('T1');
  expect(again.answer('T1')).toBe(3);
  await again.opened('a', 'b');
  again.answer('a');
  again.answer('b');
  await again.opened('T2');
  again.answer('T2');
  await again.opened('c');
  expect(again.sent).toEqual(['T1', 'a', 'b', 'T2', 'c']);
});

test('one whose outcome was lost comes again, and nothing behind it before', async () => {
  const log = await logOf('T1 a', 'T1 b');
  const state = await openSqliteState({ path: ':memory:' });
  const scene = await Scene.start(log, state);
  await scene.opened('T1');
  await scene.kill();
  await settled(state, 0, 0);
  const again = await Scene.start(log, state);
  await again.opened('T1');
  expect(again.answer('T1')).toBe(1);
  await again.opened('a', 'b');
});

test('a callback that does not ask for truncates passes over them without waiting', async () => {
  const log = await logOf('a T1 b', 'T1 c');
  const state = await openSqliteState({ path: ':memory:' });
  const scene = await Scene.start(log, state, ['insert']);
  await scene.opened('a', 'b', 'c');
  for (const name of ['a', 'b', 'c']) scene.answer(name);
  await settled(state, 3, 2);
  expect(await ledgers(state)).toEqual(['0 3 1 2 2 0', '1 2 1 1 1 0']);
});

test.for([
  ['delivers it where another partition was past it', [0, 2, 0], ['T1']],
  ['leaves it out where partition 0 was past it', [2, 0, 0], []],
] as const)('a callback that began around a truncate %s', async ([, places, sent]) => {
  const log = await logOf('x T1 a', 'y T1 b', 'T1 c');
  const state = await openSqliteState({ path: ':memory:' });
  const topicId = (await log.topics())[0]?.id ?? '';
  await state.openCursors(
    places.map((next, partition) => {
      return { callback: 'billing', topic: TABLE, topicId, partition, startOffset: next, next };
    }),
  );
  await log.setLowWater('billing', state.id, []);
  const scene = await Scene.start(log, state);
  await eventually(() => {
    for (const name of scene.open) scene.answer(name);
    expect(scene.sent).toEqual(expect.arrayContaining(['a', 'b', 'c', ...sent]));
  });
  await settled(state, 3, 3, 2);
  expect(scene.sent.filter((name) => name === 'T1')).toEqual(sent);
});

test('a table without a key whose events are in a lane has its truncate there, in order', async () => {
  const log = new MemoryChangeLog(new MemoryLogStore(), systemClock);
  const writer = await log.openWriter('shop');
  await writer.createTopics([{ name: TABLE, partitions: 1 }]);
  const common = { key: null, value: Buffer.from('{}'), timestampMs: 1, table: TABLE };
  const records = (['a', 'T1', 'b'] as const).map((id) => {
    return { ...common, id, operation: id === 'T1' ? ('t' as const) : ('c' as const) };
  });
  await writer.append([{ topic: TABLE, partition: 0, records }], 'c');
  const state = await openSqliteState({ path: ':memory:' });
  const scene = await Scene.start(log, state);
  await scene.opened('a');
  scene.answer('a', FAILED);
  await settled(state, 3);
  await scene.opened('a');
  for (const name of ['a', 'T1', 'b']) {
    await scene.opened(name);
    scene.answer(name);
  }
  await eventually(async () => {
    expect(await ledgers(state)).toEqual(['0 3 0 3 3 0']);
  });
  expect(scene.sent).toEqual(['a', 'a', 'T1', 'b']);
});
