import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { MIGRATIONS } from '../../src/state/sqlite/migrations.ts';
import { openSqliteState } from '../../src/state/sqlite/sqlite-state.ts';
import { openThreadedState } from '../../src/state/sqlite/threaded-state.ts';
import type { StateUnderTest } from './state-store-samples.ts';
import {
  asked,
  balanced,
  CALLBACK,
  code,
  FAILURE,
  intoLane,
  newCursor,
  progress,
  TOPIC,
} from './state-store-samples.ts';
import { describeStateStore } from './state-store.contract.ts';

const makeFile = async (): Promise<StateUnderTest> => {
  const folder = await mkdtemp(join(tmpdir(), 'rowcall-state-'));
  return {
    open: () => openSqliteState({ path: join(folder, 'data', 'state.db') }),
    destroy: () => rm(folder, { recursive: true }),
  };
};

const makeThreaded = async (): Promise<StateUnderTest> => {
  const folder = await mkdtemp(join(tmpdir(), 'rowcall-state-'));
  return {
    open: () => openThreadedState({ path: join(folder, 'data', 'state.db') }),
    destroy: () => rm(folder, { recursive: true }),
  };
};

const makeMemory = (): Promise<StateUnderTest> =>
  Promise.resolve({
    open: () => openSqliteState({ path: ':memory:' }),
    destroy: () => Promise.resolve(),
  });

describeStateStore('SQLite state', makeFile);
describeStateStore('SQLite state in a thread', makeThreaded);
describeStateStore('SQLite state in memory', makeMemory, { shared: false });

describe('the file of the SQLite state', () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rowcall-state-'));
    path = join(folder, 'data', 'deep', 'state.db');
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('is made with its folder, for its owner alone', async () => {
    const state = await openSqliteState({ path });
    await state.openCursors([newCursor()]);
    for (const file of [path, `${path}-wal`, `${path}-shm`]) {
      expect(((await stat(file)).mode & 0o777).toString(8)).toBe('600');
    }
    expect(((await stat(join(folder, 'data'))).mode & 0o777).toString(8)).toBe('700');
    await state.close();
  });

  test('is not made, nor an empty one filled, where it shall be there', async () => {
    expect(await code(openSqliteState({ path, create: false }))).toBe('STATE_UNUSABLE');
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
    const empty = join(folder, 'empty.db');
    await writeFile(empty, '');
    expect(await code(openSqliteState({ path: empty, create: false }))).toBe('STATE_UNUSABLE');
    expect((await stat(empty)).size).toBe(0);
  });

  test('may be an empty file that a crash left behind', async () => {
    const empty = join(folder, 'empty.db');
    await writeFile(empty, '');
    const state = await openSqliteState({ path: empty });
    expect(await state.cursors()).toEqual([]);
    await state.close();
  });

  test('is refused where it cannot be made', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    const below = join(file, 'state.db');
    expect(await code(openSqliteState({ path: below }))).toBe('STATE_UNUSABLE');
  });

  test('that is no database, or another program’s, is refused and left as it is', async () => {
    const text = join(folder, 'text.db');
    await writeFile(
      text,
      'This is not a database, but a text that is long enough to be read.'.repeat(20),
    );
    expect(await code(openSqliteState({ path: text }))).toBe('STATE_UNUSABLE');

    const foreign = join(folder, 'foreign.db');
    const db = new DatabaseSync(foreign);
    db.exec('CREATE TABLE theirs (n)');
    db.close();
    const { mtimeMs, size } = await stat(foreign);
    expect(await code(openSqliteState({ path: foreign }))).toBe('STATE_UNUSABLE');
    expect(await stat(foreign)).toMatchObject({ mtimeMs, size });
  });

  test('of format 1 is brought forward with its lanes, their attempts and their books', async () => {
    const file = join(folder, 'old.db');
    const old = new DatabaseSync(file);
    old.exec(MIGRATIONS[0] ?? '');
    old.exec(`PRAGMA application_id = 1382241140; PRAGMA user_version = 1;
      INSERT INTO meta VALUES ('id', 'the-old-one');
      INSERT INTO cursors (callback, topic, partition, topic_id, start_offset, next, read, matched, retrying, pending)
        VALUES ('${CALLBACK}', '${TOPIC}', 0, 'topic-1', 0, 2, 2, 2, 1, 1);
      INSERT INTO lanes (cursor, callback, topic, key, depth, bytes, head_offset, last_offset, attempts,
        first_attempt_at, next_attempt_at, last_error)
        VALUES (1, '${CALLBACK}', '${TOPIC}', 'k', 2, 200, 0, 1, 7, 10, 20, 'HTTP 500');
      INSERT INTO lane_events (lane, offset, id, table_name, operation, timestamp_ms, bytes, value_bytes, value)
        VALUES (1, 0, 'first', 'shop.orders', 'u', 1, 100, 1, x'01'), (1, 1, 'next', 'shop.orders', 'u', 1, 100, 1, x'02');`);
    old.close();
    const state = await openSqliteState({ path: file });
    expect(state.id).toBe('the-old-one');
    const [lane] = await state.dueLanes(CALLBACK, 20, 9, new Set());
    expect(lane).toMatchObject({
      ...{ state: 'retrying', attempts: 7, usedAttempts: 7, cause: 'endpoint', skipAsked: false },
      head: { id: 'first' },
    });
    await state.actOnLane(lane?.id ?? 0, 'park', asked(1));
    const [cursor] = await state.cursors();
    expect(cursor).toMatchObject({ ledger: { retrying: 0, pending: 0, parked: 2 } });
    await state.close();
  });

  test('of a newer version is refused and left as it is', async () => {
    await (await openSqliteState({ path })).close();
    const db = new DatabaseSync(path);
    db.exec('PRAGMA user_version = 999');
    db.close();
    expect(await code(openSqliteState({ path }))).toBe('STATE_UNUSABLE');
    const after = new DatabaseSync(path);
    expect({ ...after.prepare('PRAGMA user_version').get() }).toEqual({ user_version: 999 });
    after.close();
  });

  test('with torn pages stops with an error, never with other books', async () => {
    const state = await openSqliteState({ path });
    await state.openCursors([newCursor()]);
    await state.close();
    const bytes = Buffer.alloc((await stat(path)).size, 0x5a);
    const original = await readFile(path);
    original.copy(bytes, 0, 0, 4096);
    await writeFile(path, bytes);
    expect(await code(openSqliteState({ path }))).toBe('STATE_UNUSABLE');
  });

  test('locked by another for longer than we wait fails the commit and leaves nothing of it', async () => {
    const state = await openSqliteState({ path, busyTimeoutMs: 20 });
    await state.openCursors([newCursor()]);
    const other = new DatabaseSync(path);
    other.exec('BEGIN IMMEDIATE');
    expect(await code(state.commit([progress(1)]))).toBe('STATE_WRITE_FAILED');
    other.exec('ROLLBACK');
    other.close();
    expect(await state.cursors()).toMatchObject([{ next: 0 }]);
    await state.commit([progress(2)]);
    expect(await state.cursors()).toMatchObject([{ next: 2 }]);
    await state.close();
  });
});

describe('processes of the SQLite state', () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rowcall-state-'));
    path = join(folder, 'state.db');
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** Starts a dispatcher, lets it print `outputs` times, and hands it over. */
  const dispatcher = async (outputs: number): Promise<{ kill: () => Promise<void> }> => {
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, 'state-store-child.ts'), path],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let printed = 0;
    await new Promise<void>((resolve, reject) => {
      child.once('exit', reject);
      child.stdout.on('data', (chunk: Buffer) => {
        printed += chunk.length;
        if (printed >= 'ready'.length + outputs) resolve();
      });
    });
    child.removeAllListeners('exit');
    return {
      kill: async () => {
        child.kill('SIGKILL');
        await once(child, 'exit');
      },
    };
  };

  test('killed with -9 among commits leave books that balance and a cursor to go on from', async () => {
    let last = 0;
    for (let round = 0; round < 6; round += 1) {
      const running = await dispatcher(1 + round * 2);
      await running.kill();
      const state = await openSqliteState({ path });
      const [cursor] = await state.cursors();
      const lanes = await state.lanes({ limit: 100 });
      const depth = lanes.reduce((sum, lane) => sum + lane.depth, 0);
      expect(cursor?.ledger).toMatchObject({
        read: cursor?.next,
        retrying: lanes.length,
        pending: depth - lanes.length,
      });
      expect(cursor !== undefined && balanced(cursor.ledger)).toBe(true);
      for (const { id, depth: events } of lanes) {
        expect((await state.lane(id)).events).toHaveLength(events);
      }
      expect(cursor?.next).toBeGreaterThan(last);
      last = cursor?.next ?? 0;
      await state.close();
    }
  });

  test('is open to one dispatcher at a time, to the next one as soon as the first is killed', async () => {
    const running = await dispatcher(1);
    await expect(openSqliteState({ path, exclusive: true })).rejects.toMatchObject({
      code: 'STATE_UNUSABLE',
      exitCode: 3,
      message: 'Another process delivers from this state store',
      place: path,
    });
    const beside = await openSqliteState({ path, create: false });
    expect(await beside.cursors()).toHaveLength(1);
    await beside.close();
    await running.kill();
    const next = await openSqliteState({ path, exclusive: true });
    expect(await code(openSqliteState({ path, exclusive: true }))).toBe('STATE_UNUSABLE');
    await next.close();
    await (await openSqliteState({ path, exclusive: true })).close();
  });

  test('that cannot be opened leaves no lock behind', async () => {
    await (await openSqliteState({ path })).close();
    const intact = await readFile(path);
    await writeFile(path, 'x'.repeat(5_000));
    expect(await code(openSqliteState({ path, exclusive: true }))).toBe('STATE_UNUSABLE');
    await writeFile(path, intact);
    await (await openSqliteState({ path, exclusive: true })).close();
  });

  test('on a full disk stop at the first commit that fails, and all before it are there', async () => {
    // Past this size a write fails with EFBIG, as one past the end of the disk fails with ENOSPC.
    const limited = 'ulimit -f 400; exec "$0" "$@"';
    const script = join(import.meta.dirname, 'state-store-child.ts');
    const child = spawn('bash', ['-c', limited, process.execPath, script, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await once(child, 'close');
    expect(output).toMatch(/\.STATE_WRITE_FAILED at \d+, then STATE_WRITE_FAILED$/);
    const failedAt = Number(/ at (\d+)/.exec(output)?.[1]);

    const state = await openSqliteState({ path });
    const [cursor] = await state.cursors();
    expect([failedAt, failedAt + 1]).toContain(cursor?.next);
    expect(cursor !== undefined && balanced(cursor.ledger)).toBe(true);
    await state.close();
  });

  test('an operator’s retry is taken beside a dispatcher that commits all the time', async () => {
    const before = await openSqliteState({ path });
    await before.openCursors([newCursor(), newCursor(0, { callback: 'mail' })]);
    const far = { ...FAILURE, nextAttemptAt: 1e15 };
    await before.commit(
      intoLane('other', 0, far).map((change) => ({ ...change, callback: 'mail' })),
    );
    const [lane] = await before.lanes({ callback: 'mail', limit: 1 });
    await before.close();

    const running = await dispatcher(1);
    const operator = await openSqliteState({ path, create: false });
    for (let now = 200; now > 0; now -= 1) {
      await operator.actOnLane(lane?.id ?? 0, 'retry', asked(now));
    }
    expect(await operator.nextDueAt('mail')).toBe(1);
    const seen = await operator.cursors();
    await expect.poll(() => operator.cursors()).not.toEqual(seen);
    await running.kill();
    for (const { ledger } of await operator.cursors()) expect(balanced(ledger)).toBe(true);
    expect(await operator.lanes({ callback: 'mail', limit: 9 })).toEqual([
      { ...lane, nextAttemptAt: 1 },
    ]);
    await operator.close();
  });
});
