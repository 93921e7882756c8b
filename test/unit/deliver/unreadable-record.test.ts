import { afterEach, beforeEach, expect, test } from 'vitest';
import { HEADER_FORMAT, HEADER_SOURCE } from '../../../src/change-event.ts';
import type { CallbackOptions } from '../../../src/deliver/callback-options.ts';
import { ClaimSender } from '../../../src/deliver/callback/claim-sender.ts';
import { Deliver } from '../../../src/deliver/deliver.ts';
import { recountLedger } from '../../../src/deliver/recount.ts';
import type { ChangeLogWriter } from '../../../src/log/change-log.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import { LargeWork } from '../../../src/shared/large-work.ts';
import { silentLogger } from '../../../src/shared/logger.ts';
import { openSqliteState } from '../../../src/state/sqlite/sqlite-state.ts';
import type { StateStore } from '../../../src/state/state-store.ts';
import { eventually } from '../../support/eventually.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../support/memory-change-log.ts';
import { PERSISTENCE, RETRY } from '../../support/engine-options.ts';

const [A, B] = ['shop.a', 'shop.b'];
const FLAT = '{"id":1,"__op":"u","__ts_ms":1,"__deleted":"false"}';
const claims = { read: () => Promise.resolve(null) };

let log: MemoryChangeLog;
let writer: ChangeLogWriter;
let state: StateStore;
let sent: string[];
let stop: AbortController;
let running: Promise<void>;
let engine: Deliver;

beforeEach(async () => {
  log = new MemoryChangeLog(new MemoryLogStore(), systemClock);
  writer = await log.openWriter('shop');
  await writer.createTopics([A, B].map((name) => ({ name, partitions: 1 })));
  state = await openSqliteState({ path: ':memory:' });
  sent = [];
});

afterEach(async () => {
  stop.abort();
  await running;
  await state.close();
});

function callback(name: string, table: string): CallbackOptions {
  const sender = {
    send: (event: { id: string }) => {
      sent.push(`${name} ${event.id}`);
      return Promise.resolve({ kind: 'delivered' as const });
    },
    close: () => Promise.resolve(),
  };
  return {
    ...{ name, tables: [table], operations: ['insert', 'update'], changed: [], from: 'earliest' },
    ...{ concurrency: 8, ...PERSISTENCE, lanes: { maxEvents: 100, maxBytes: 100_000 } },
    retry: { ...RETRY, initialIntervalMs: 1, maximumIntervalMs: 1 },
    sender: new ClaimSender(sender, claims),
  };
}

const CALLBACKS = [callback('healthy', A), callback('newcomer', B)];

async function begin(): Promise<void> {
  stop = new AbortController();
  engine = await Deliver.open({
    ...{ name: 'shop', log, state, callbacks: CALLBACKS, large: new LargeWork(systemClock) },
    ...{ clock: systemClock, random: () => 0, logger: silentLogger, acceptLostState: false },
    drainTimeoutMs: 1_000,
  });
  running = engine.run(stop.signal);
}

async function append(
  topic: string,
  record: { id: string; key: number; operation?: 'c' | 'u'; format?: string; value?: string },
): Promise<void> {
  const { id, key, operation = 'c', format, value = '{}' } = record;
  const headers: [string, string][] =
    format === undefined
      ? []
      : [
          [HEADER_FORMAT, format],
          [HEADER_SOURCE, '{}'],
        ];
  const whole = { id, key: `{"id":${key}}`, value: Buffer.from(value), operation, headers };
  const records = [{ ...whole, timestampMs: 0, table: topic }];
  await writer.append([{ topic, partition: 0, records }], 'c');
}

test('one that lacks what the callback needs waits in the lane of its key, and nothing else waits', async () => {
  await append(B, { id: 'b1', key: 1, operation: 'u', format: 'flat', value: FLAT });
  await append(B, { id: 'b2', key: 1 });
  await append(B, { id: 'b3', key: 2 });
  await append(A, { id: 'a1', key: 1 });
  await begin();
  await eventually(async () => {
    expect(sent.toSorted()).toEqual(['healthy a1', 'newcomer b3']);
    const [lane] = await state.lanes({ limit: 2 });
    expect(lane).toMatchObject({ callback: 'newcomer', key: '{"id":1}', depth: 2 });
    expect(lane).toMatchObject({ cause: 'system', lastError: expect.any(String) as string });
    expect(lane?.lastError).toMatch(/^shape-failed: FORMAT_INCOMPLETE: /);
    expect(lane?.attempts).toBeGreaterThan(1);
  });
  const [lane] = await state.lanes({ limit: 1 });
  const asked = { actor: 'a', reason: 'r', atMs: 1 };
  await state.actOnLane(lane?.id ?? 0, 'skip', asked, lane?.headId);
  await eventually(async () => {
    expect(sent.at(-1)).toBe('newcomer b2');
    const cursors = await state.cursors();
    const own = cursors.find(({ callback: name, topic }) => name === 'newcomer' && topic === B);
    expect(own?.ledger).toMatchObject({
      matched: 3,
      delivered: 2,
      skipped: 1,
      pending: 0,
      retrying: 0,
    });
  });
  for (const { agrees } of await recountLedger({ log, state, callbacks: CALLBACKS, claims })) {
    expect(agrees).toBe(true);
  }
});

test('one whose key is not known stops its partition for its callback, which says so', async () => {
  await append(B, { id: 'b1', key: 1 });
  await append(B, { id: 'b2', key: 1, format: 'of tomorrow' });
  await append(B, { id: 'b3', key: 1 });
  await append(A, { id: 'a1', key: 1 });
  await begin();
  await eventually(() => {
    expect(sent.toSorted()).toEqual(['healthy a1', 'newcomer b1']);
    const { running: works, callbacks } = engine.snapshot();
    const stopped = callbacks.flatMap(({ partitions }) => partitions.map((one) => one.stopped));
    expect(works).toBe(true);
    expect(stopped.filter((one) => one !== null)).toEqual([
      `newcomer has stopped at ${B}/0, offset 1: A record has the unknown format of tomorrow`,
    ]);
  });
});
