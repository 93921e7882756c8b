import { expect, test } from 'vitest';
import type { CallbackOptions } from '../../../src/deliver/callback-options.ts';
import type { Sender } from '../../../src/deliver/callback/sender.ts';
import { Deliver } from '../../../src/deliver/deliver.ts';
import { RowcallError } from '../../../src/errors.ts';
import { type Clock, systemClock } from '../../../src/shared/clock.ts';
import { LargeWork } from '../../../src/shared/large-work.ts';
import { silentLogger } from '../../../src/shared/logger.ts';
import { openSqliteState } from '../../../src/state/sqlite/sqlite-state.ts';
import type { StateStore } from '../../../src/state/state-store.ts';
import { eventually } from '../../support/eventually.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../support/memory-change-log.ts';
import { PERSISTENCE } from '../../support/engine-options.ts';

const TOPIC = 'shop.orders';

async function logOf(keys: readonly number[]): Promise<MemoryChangeLog> {
  const log = new MemoryChangeLog(new MemoryLogStore(), systemClock);
  const writer = await log.openWriter('shop');
  await writer.createTopics([{ name: TOPIC, partitions: 1 }]);
  const records = keys.map((key, offset) => ({
    key: `{"id":${key}}`,
    value: Buffer.from('{}'),
    timestampMs: 0,
    id: `id-${offset}`,
    table: TOPIC,
    operation: 'c' as const,
  }));
  await writer.append([{ topic: TOPIC, partition: 0, records }], 'c');
  return log;
}

function deliver(
  log: MemoryChangeLog,
  state: StateStore,
  sender: Sender,
  clock: Clock = systemClock,
): Promise<Deliver> {
  const callback: CallbackOptions = {
    name: 'billing',
    tables: ['shop.*'],
    operations: ['insert'],
    changed: [],
    from: 'earliest',
    concurrency: 8,
    ...PERSISTENCE,
    lanes: { maxEvents: 100, maxBytes: 100_000 },
    sender,
  };
  return Deliver.open({
    name: 'shop',
    log,
    state,
    callbacks: [callback],
    large: new LargeWork(clock),
    clock,
    random: () => 0,
    logger: silentLogger,
    acceptLostState: false,
    drainTimeoutMs: 20,
  });
}

test('a receiver that hangs past the drain deadline is left alone, and what others did is saved', async () => {
  const log = await logOf([1, 2, 3]);
  const state = await openSqliteState({ path: ':memory:' });
  let sent = 0;
  const sender: Sender = {
    send: (event, _attempt, signal) => {
      sent += 1;
      if (event.offset !== 1) return Promise.resolve({ kind: 'delivered' });
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reject(signal.reason as Error);
        });
      });
    },
    close: () => Promise.resolve(),
  };
  const stop = new AbortController();
  const engine = await deliver(log, state, sender);
  const running = engine.run(stop.signal);
  await eventually(() => {
    expect(sent).toBe(3);
  });
  stop.abort();
  await expect(running).resolves.toBeUndefined();
  expect((await state.cursors())[0]).toMatchObject({
    next: 1,
    beyond: [[2, 3]],
    ledger: { read: 2, matched: 2, delivered: 2 },
  });
  expect((await log.lowWater())[0]?.marks).toMatchObject([{ offset: 1 }]);
});

test('an endpoint that is down leaves no timer behind', async () => {
  const log = await logOf([1]);
  const state = await openSqliteState({ path: ':memory:' });
  let sent = 0;
  const sender: Sender = {
    send: () => {
      sent += 1;
      return Promise.resolve({ kind: 'unreachable', error: 'refused' });
    },
    close: () => Promise.resolve(),
  };
  const stop = new AbortController();
  // The engine's own timers only: the runner of the tests has some that come and go.
  const pending = new Set<() => void>();
  const timer: Clock['timer'] = (ms, fire) => {
    const cancel = systemClock.timer(ms, () => {
      pending.delete(cancel);
      fire();
    });
    pending.add(cancel);
    return () => {
      pending.delete(cancel);
      cancel();
    };
  };
  const engine = await deliver(log, state, sender, { ...systemClock, timer });
  const running = engine.run(stop.signal);
  await eventually(() => {
    expect([sent, engine.snapshot().callbacks[0]?.pause?.reason]).toEqual([1, 'refused']);
  });
  expect(pending.size).toBeGreaterThan(0);
  stop.abort();
  await running;
  expect(pending.size).toBe(0);
});

test('a log that cannot take how far delivery is holds up no delivery, and is told when it can', async () => {
  const log = await logOf([1, 2]);
  const state = await openSqliteState({ path: ':memory:' });
  const sent: number[] = [];
  const sender: Sender = {
    send: (event) => {
      sent.push(event.offset);
      return Promise.resolve({ kind: 'delivered' });
    },
    close: () => Promise.resolve(),
  };
  // Fired by hand: the time until the log is told again is no part of what is shown.
  const turns: (() => void)[] = [];
  const timer: Clock['timer'] = (ms, fire) => {
    if (ms !== 5_000) return systemClock.timer(ms, fire);
    turns.push(fire);
    return () => undefined;
  };
  let told = 0;
  let writable = false;
  const setLowWater = log.setLowWater.bind(log);
  const engine = await deliver(log, state, sender, { ...systemClock, timer });
  log.setLowWater = async (...args) => {
    told += 1;
    if (!writable) throw new RowcallError('LOG_WRITE_FAILED', 'disk full');
    await setLowWater(...args);
  };
  const stop = new AbortController();
  const running = engine.run(stop.signal);
  await eventually(() => {
    expect(sent).toEqual([0, 1]);
    expect(turns.length).toBe(1);
  });
  const before = told;
  turns.shift()?.();
  await eventually(() => {
    expect(told).toBe(before + 1);
  });
  expect(engine.snapshot().running).toBe(true);
  writable = true;
  await eventually(async () => {
    // What was sent may not have been durable when it was told before.
    turns.shift()?.();
    expect((await log.lowWater())[0]?.marks).toMatchObject([{ offset: 2 }]);
  });
  stop.abort();
  await expect(running).resolves.toBeUndefined();
  expect(sent).toEqual([0, 1]);
});

test('a log of no use ends the leg', async () => {
  const log = await logOf([]);
  const state = await openSqliteState({ path: ':memory:' });
  const sender: Sender = {
    send: () => Promise.resolve({ kind: 'delivered' }),
    close: () => Promise.resolve(),
  };
  const timer: Clock['timer'] = (ms, fire) => systemClock.timer(ms === 5_000 ? 1 : ms, fire);
  const engine = await deliver(log, state, sender, { ...systemClock, timer });
  log.setLowWater = () => Promise.reject(new RowcallError('LOG_CORRUPT', 'not a log'));
  await expect(engine.run(new AbortController().signal)).rejects.toMatchObject({
    code: 'LOG_CORRUPT',
  });
});

test('one that is not to run after all closes its senders, and lets nobody wait for it', async () => {
  const state = await openSqliteState({ path: ':memory:' });
  let closed = 0;
  const sender: Sender = {
    send: () => Promise.reject(new Error('nothing is sent')),
    close: () => {
      closed += 1;
      return Promise.resolve();
    },
  };
  const engine = await deliver(await logOf([]), state, sender);
  const changed = expect(engine.change('billing')).rejects.toThrow('does not begin');
  await engine.discard();
  await changed;
  expect(closed).toBe(1);
  await state.close();
});
