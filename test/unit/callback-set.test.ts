import { afterEach, beforeEach, expect, test } from 'vitest';
import { CallbackSet } from '../../src/callback-set.ts';
import type { Written } from '../../src/config/callback-form.ts';
import { openFirstCursors } from '../../src/deliver/intake/open-cursors.ts';
import type { ChangeLogWriter } from '../../src/log/change-log.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { openSqliteState } from '../../src/state/sqlite/sqlite-state.ts';
import type { StateStore } from '../../src/state/state-store.ts';
import { adminConfig } from '../support/admin-api.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryChangeLog, MemoryLogStore } from '../support/memory-change-log.ts';

const TOPIC = 'shop.orders';
const ASKED = { actor: 'token:ann', reason: '', atMs: 1 };
const SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
const [file] = adminConfig().callbacks;

let log: MemoryChangeLog;
let writer: ChangeLogWriter;
let state: StateStore;
let set: CallbackSet;
let told: string[];
/** What the leg waits for before it has changed a callback: an attempt in flight. */
let attempts: Map<string, Promise<void>>;

beforeEach(async () => {
  log = new MemoryChangeLog(new MemoryLogStore(), systemClock);
  writer = await log.openWriter('shop');
  await writer.createTopics([{ name: TOPIC, partitions: 1 }]);
  state = await openSqliteState({ path: ':memory:' });
  told = [];
  attempts = new Map();
  set = await openSet();
});

afterEach(async () => {
  await state.close();
});

async function openSet(): Promise<CallbackSet> {
  const opened = await CallbackSet.open({
    ...{ config: { ...adminConfig(), callbacks: [] }, state, log },
    ...{ clock: systemClock, logger: silentLogger, adopted: () => undefined },
    begin: (next) =>
      openFirstCursors(next, { log, state, acceptLostState: false, logger: silentLogger }),
    build: ({ config, version }) =>
      Promise.resolve({
        ...{ ...config, onSettled: undefined, version },
        sender: {
          send: () => Promise.resolve({ kind: 'delivered' as const }),
          close: () => Promise.resolve(),
        },
      }),
  });
  const change = async (one: { name: string; version?: number | undefined } | string) => {
    const name = typeof one === 'string' ? one : one.name;
    await attempts.get(name);
    told.push(typeof one === 'string' ? name : `${name}@${one.version ?? 0}`);
  };
  await opened.attach(Promise.resolve({ change }));
  return opened;
}

function written(name: string, more: object = {}): Written {
  const deliver = { url: 'https://example.com/', secrets: [SECRET] };
  return { name, tables: ['shop.*'], from: 'latest', deliver, ...more };
}

function put(whole: Written, expected: number | '*' | null | undefined) {
  return set.put({ name: String(whole['name']), make: () => whole }, expected, ASKED);
}

async function append(count: number): Promise<void> {
  const records = Array.from({ length: count }, (_, index) => ({
    ...{ key: '{"id":1}', value: Buffer.from('{}'), timestampMs: 0, id: `id-${index}` },
    ...{ table: TOPIC, operation: 'c' as const },
  }));
  await writer.append([{ topic: TOPIC, partition: 0, records }], 'c');
}

/** By callback, where it begins in the log. */
async function beginnings(): Promise<Record<string, number>> {
  const cursors = await state.cursors();
  return Object.fromEntries(cursors.map(({ callback, next }) => [callback, next]));
}

test('a new one begins where the log ended when it was answered, however late the leg hears of it', async () => {
  const attempt = Promise.withResolvers<undefined>();
  await append(2);
  attempts.set('new', attempt.promise);
  await put(written('new'), null);
  expect(await beginnings()).toEqual({ new: 2 });
  await append(3);
  expect(told).toEqual([]);
  attempt.resolve(undefined);
  await eventually(() => {
    expect(told).toEqual(['new@1']);
  });
  expect(await beginnings()).toEqual({ new: 2 });
});

test('one of the file begins where the log ended when the file was read again', async () => {
  if (file === undefined) throw new Error('no callback in the file');
  const attempt = Promise.withResolvers<undefined>();
  attempts.set(file.name, attempt.promise);
  await append(2);
  const reloaded = set.reload([{ ...file, from: 'latest' }]);
  await eventually(async () => {
    expect(await beginnings()).toEqual({ [file.name]: 2 });
  });
  await append(3);
  attempt.resolve(undefined);
  await reloaded;
  expect(await beginnings()).toEqual({ [file.name]: 2 });
});

test('an attempt that hangs holds up changes of its own callback alone', async () => {
  const attempt = Promise.withResolvers<undefined>();
  await put(written('slow'), null);
  await put(written('other'), null);
  await eventually(() => {
    expect(told).toHaveLength(2);
  });
  attempts.set('slow', attempt.promise);
  await put(written('slow', { concurrency: 2 }), undefined);
  await put(written('slow', { concurrency: 3 }), undefined);
  await put(written('other', { concurrency: 2 }), undefined);
  await eventually(() => {
    expect(told.slice(2)).toEqual(['other@2']);
  });
  await set.remove('other', undefined, ASKED);
  await eventually(async () => {
    expect(await state.removedCallbacks()).toEqual([]);
  });
  expect(told.slice(3)).toEqual(['other']);
  attempt.resolve(undefined);
  await eventually(() => {
    expect(told.at(-1)).toBe('slow@3');
  });
});

test('one that is refused leaves no place in the log behind', async () => {
  await expect(put(written('new'), 7)).rejects.toMatchObject({
    code: 'CALLBACK_CHANGED',
  });
  expect(await state.cursors()).toEqual([]);
  expect(await log.lowWater()).toEqual([]);
});

test('two changes that meet both hold, as the second is made of what the first made', async () => {
  await put(written('x'), null);
  const patch = (more: object) =>
    set.put({ name: 'x', make: (before) => ({ ...before, ...more }) }, undefined, ASKED);
  await Promise.all([patch({ concurrency: 4 }), patch({ priority: 'low' })]);
  expect(set.get('x')?.written).toMatchObject({ concurrency: 4, priority: 'low' });
});

test('one that is to be there is not made, and one that was changed meanwhile not removed', async () => {
  const changed = { code: 'CALLBACK_CHANGED' };
  await expect(put(written('x'), '*')).rejects.toMatchObject(changed);
  await put(written('x'), null);
  expect(await put(written('x'), '*')).toMatchObject({ version: 2 });
  await expect(set.remove('x', 1, ASKED)).rejects.toMatchObject(changed);
  expect(await state.removedCallbacks()).toEqual([]);
  expect(set.get('x')).toBeDefined();
  await set.remove('x', 2, ASKED);
  expect(set.get('x')).toBeUndefined();
});
