import { afterEach, beforeEach, expect, test } from 'vitest';

import type { CallbackOptions } from '../../../src/deliver/callback-options.ts';
import type { Outcome, OutgoingEvent } from '../../../src/deliver/callback/sender.ts';
import { Deliver } from '../../../src/deliver/deliver.ts';
import type { ChangeLogWriter } from '../../../src/log/change-log.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import { LargeWork } from '../../../src/shared/large-work.ts';
import { silentLogger } from '../../../src/shared/logger.ts';
import { openSqliteState } from '../../../src/state/sqlite/sqlite-state.ts';
import type { StateStore } from '../../../src/state/state-store.ts';
import { PERSISTENCE, RETRY } from '../../support/engine-options.ts';
import { eventually } from '../../support/eventually.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../support/memory-change-log.ts';

const TOPIC = 'shop.orders';

let log: MemoryChangeLog;
let writer: ChangeLogWriter;
let state: StateStore;
let written: number;
/** Those that were begun, as they are left when their process is killed. */
const left: (() => Promise<void>)[] = [];

beforeEach(async () => {
  log = new MemoryChangeLog(new MemoryLogStore(), systemClock);
  writer = await log.openWriter('shop');
  await writer.createTopics([{ name: TOPIC, partitions: 1 }]);
  state = await openSqliteState({ path: ':memory:' });
  written = 0;
});

afterEach(async () => {
  for (const stop of left.splice(0)) await stop();
  await state.close();
});

type Send = (event: OutgoingEvent, attempt: number) => Promise<Outcome>;
const DELIVERED: Outcome = { kind: 'delivered' };
const FAILED: Outcome = { kind: 'failed', error: 'no' };
const take: Send = () => Promise.resolve(DELIVERED);

interface Process {
  readonly begun: { readonly offset: number; readonly attempt: number }[];
  /** As asked, with what is in flight cut off. */
  readonly stop: () => Promise<void>;
}

/** Begins a process on the store. One before it whose attempts hang is as good as killed: it does nothing any more. */
async function start(send: Send, more: Partial<CallbackOptions> = {}): Promise<Process> {
  const begun: Process['begun'] = [];
  const callback: CallbackOptions = {
    ...{ name: 'billing', tables: ['shop.*'], operations: ['insert'], changed: [] },
    ...{ from: 'earliest', concurrency: 4, inProcess: true, ...PERSISTENCE },
    retry: { ...RETRY, initialIntervalMs: 1, maximumIntervalMs: 5, maximumAttempts: 2 },
    onExhausted: 'dead-letter',
    lanes: { maxEvents: 1_000, maxBytes: 1_000_000 },
    sender: {
      send: (event, attempt, signal) => {
        begun.push({ offset: event.offset, attempt });
        return new Promise((resolve, reject) => {
          signal.addEventListener('abort', () => {
            reject(signal.reason as Error);
          });
          send(event, attempt).then(resolve, reject);
        });
      },
      close: () => Promise.resolve(),
    },
    ...more,
  };
  const engine = await Deliver.open({
    ...{ name: 'shop', log, state, callbacks: [callback], clock: systemClock },
    ...{ large: new LargeWork(systemClock), random: Math.random, acceptLostState: false },
    ...{ drainTimeoutMs: 0, logger: silentLogger },
  });
  const abort = new AbortController();
  const running = engine.run(abort.signal);
  const stop = async (): Promise<void> => {
    abort.abort();
    await running.catch(() => undefined);
  };
  left.push(stop);
  return { begun, stop };
}

/** An attempt that never ends: the process is killed under it. */
const hangs: Send = () => new Promise(() => undefined);

async function append(...keys: readonly number[]): Promise<void> {
  const records = keys.map((key, index) => ({
    ...{ key: `{"id":${key}}`, value: Buffer.from('{}'), timestampMs: 0, table: TOPIC },
    id: `id-${written + index}`,
    operation: 'c' as const,
  }));
  await writer.append([{ topic: TOPIC, partition: 0, records }], 'c');
  written += keys.length;
}

async function ledgerIs(wanted: Readonly<Record<string, number>>): Promise<void> {
  await eventually(async () => {
    expect((await state.cursors())[0]?.ledger).toMatchObject(wanted);
  });
}

async function hasBegun(process: Process, count: number): Promise<void> {
  await eventually(() => {
    expect(process.begun).toHaveLength(count);
  });
}

test('what was in hand is tried one by one; what comes afterwards goes side by side', async () => {
  const first = await start(hangs, { concurrency: 2 });
  await append(1, 2, 3);
  await hasBegun(first, 2);
  const open: (() => void)[] = [];
  const second = await start(
    () =>
      new Promise((resolve) => {
        open.push(() => {
          resolve(DELIVERED);
        });
      }),
  );
  for (let one = 1; one <= 3; one += 1) {
    await hasBegun(second, one);
    expect(open).toHaveLength(1);
    open.shift()?.();
  }
  await append(4, 5);
  await hasBegun(second, 5);
  expect(open).toHaveLength(2);
  for (const answer of open) answer();
  await ledgerIs({ delivered: 5 });
  expect(second.begun.slice(0, 3).map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
});

test('an event that ends the process alone has that attempt counted, and is given up after its last one', async () => {
  const poison: Send = (event) => (event.offset === 1 ? hangs(event, 0) : take(event, 0));
  await append(1, 2, 3);
  const attempts: number[][] = [];
  for (let process = 0; process < 3; process += 1) {
    const { begun } = await start(poison);
    await eventually(() => {
      expect(begun.filter(({ offset }) => offset === 1)).toHaveLength(1);
    });
    await ledgerIs({ delivered: 2 });
    attempts.push(begun.filter(({ offset }) => offset === 1).map(({ attempt }) => attempt));
  }
  await start(poison);
  await ledgerIs({ delivered: 2, dead: 1, retrying: 0 });
  expect(attempts).toEqual([[1], [1], [2]]);
  const [dead] = await state.deadLetters({ limit: 9 });
  expect(dead).toMatchObject({ event: { offset: 1 }, attempts: 2, cause: 'system' });
  expect(dead?.error).toMatch(/^handler-crashed: /);
});

test('a dead letter that goes again and ends the process fails as well, so that it does so no more often than others', async () => {
  await append(1);
  const one = await start(() => Promise.resolve(FAILED));
  await ledgerIs({ dead: 1 });
  await one.stop();
  const { id } = await state.resendOne(1, null, { actor: 'ann', reason: 'again', atMs: 1_000 });
  await hasBegun(await start(hangs), 1);
  await hasBegun(await start(hangs), 1);
  const last = await start(hangs);
  await eventually(async () => {
    expect(await state.resend(id)).toMatchObject({ resend: { state: 'done', failed: 1 } });
  });
  expect(last.begun).toEqual([]);
  const { deadLetter } = await state.deadLetter(1);
  expect(deadLetter).toMatchObject({ attempts: 4, cause: 'system' });
  expect(deadLetter.error).toMatch(/^handler-crashed: /);
});

test('a stop as asked leaves nothing to be careful with', async () => {
  const first = await start(hangs);
  await append(1, 2, 3);
  await hasBegun(first, 3);
  await first.stop();
  expect(await state.handlers()).toEqual({ runs: [], alone: null });
  const second = await start(hangs);
  await hasBegun(second, 3);
});

test('what a stop as asked left of the events in hand is as careful with after the next start', async () => {
  await append(1, 2);
  await hasBegun(await start(hangs), 2);
  // Of these the first is tried alone, and the process stopped under it.
  const second = await start(hangs, { lanes: { maxEvents: 1, maxBytes: 1_000_000 } });
  await hasBegun(second, 1);
  await second.stop();
  const third = await start(hangs);
  await hasBegun(third, 1);
  await third.stop();
  expect((await state.cursors())[0]?.ledger).toMatchObject({ dead: 0, delivered: 0 });
});
