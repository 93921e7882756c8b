import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { RowcallError } from '../../../../src/errors.ts';
import type { ChangeLog } from '../../../../src/log/change-log.ts';
import { openDatabase } from '../../../../src/log/embedded/database.ts';
import { openEmbeddedLog } from '../../../../src/log/embedded/embedded-log.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';
import { eventually } from '../../../support/eventually.ts';

let folder: string;
let path: string;
const logs: ChangeLog[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rowcall-db-'));
  path = join(folder, 'events.db');
});
afterEach(async () => {
  for (const log of logs.splice(0)) await log.close();
  rmSync(folder, { recursive: true });
});

const NONE = Buffer.alloc(0);

const open = async (create = true, thread = false): Promise<ChangeLog> => {
  const log = await openEmbeddedLog({
    path,
    maxBytes: Infinity,
    retention: { ageMs: Infinity, sizeBytes: Infinity },
    clock: systemClock,
    logger: silentLogger,
    thread,
    create,
  });
  logs.push(log);
  return log;
};

const unusable = expect.objectContaining({
  code: 'LOG_UNUSABLE',
  place: expect.any(String) as string,
}) as RowcallError;

const filled = async (): Promise<void> => {
  const log = await open();
  const writer = await log.openWriter('shop');
  await writer.createTopics([{ name: 't', partitions: 1 }]);
  const value = Buffer.alloc(3 * 1024 * 1024, 'v');
  const record = {
    key: null,
    value,
    timestampMs: 1,
    id: 'i',
    table: 's.t',
    operation: 'c',
  } as const;
  await writer.append([{ topic: 't', partition: 0, records: [record] }], 'c1');
  await log.close();
};

const change = (sql: string): void => {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
};

describe('the file of an embedded log', () => {
  test('made by several at once it is made once, and none is refused', async () => {
    const threads = Array.from(
      { length: 6 },
      () =>
        new Promise<void>((resolve, reject) => {
          const thread = new Worker(new URL('../../../support/open-database.ts', import.meta.url), {
            workerData: path,
          });
          thread.once('error', reject);
          thread.once('exit', () => {
            resolve();
          });
        }),
    );
    await Promise.all(threads);
    expect(readdirSync(folder)).toEqual(['events.db']);
  });

  test('is made with its folder, readable by its owner alone', async () => {
    path = join(folder, 'deep', 'er', 'events.db');
    const log = await open();
    await log.setCheckpoint('shop', 'c');
    for (const file of [path, `${path}-wal`, `${path}-shm`]) {
      expect(statSync(file).mode & 0o777).toBe(0o600);
    }
    expect(statSync(join(folder, 'deep')).mode & 0o777).toBe(0o700);
  });

  test.each([false, true])(
    'gives a checkpoint of a megabyte back as it was appended, over restarts (thread: %s)',
    async (thread) => {
      const topics = `"topics":"${'öl😀 '.repeat(300_000)}"`;
      let log = await open(true, thread);
      let writer = await log.openWriter('shop');
      for (let position = 0; position < 40; position += 1) {
        if (position % 15 === 14) {
          await log.close();
          log = await open(true, thread);
          writer = await log.openWriter('shop');
          expect(writer.checkpoint === `{"position":${position - 1},${topics}}`).toBe(true);
        }
        await writer.append([], `{"position":${position},${topics}}`);
      }
      expect((await log.readCheckpoint('shop')) === `{"position":39,${topics}}`).toBe(true);
      await log.setCheckpoint('shop', 'c');
      expect(await log.readCheckpoint('shop')).toBe('c');
    },
  );

  test('has the settings that durability and retention rest on', () => {
    const db = openDatabase(path, true);
    const get = (name: string): unknown =>
      Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0];
    expect(get('journal_mode')).toBe('wal');
    expect(get('synchronous')).toBe(2);
    expect(get('auto_vacuum')).toBe(2);
    db.close();
  });

  test('is not made where only reading was asked for', async () => {
    await expect(open(false)).rejects.toEqual(unusable);
    expect(existsSync(path)).toBe(false);
  });

  test('of another program is refused and left as it is', async () => {
    change('CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)');
    const before = statSync(path);
    await expect(open()).rejects.toEqual(unusable);
    expect(statSync(path)).toMatchObject({ size: before.size, mtimeMs: before.mtimeMs });
  });

  test('that is no database is refused', async () => {
    writeFileSync(path, 'x'.repeat(10_000));
    await expect(open()).rejects.toEqual(unusable);
  });

  test('that is a folder, or inside of a file, is refused', async () => {
    mkdirSync(path);
    await expect(open()).rejects.toEqual(unusable);
    writeFileSync(join(folder, 'file'), '');
    path = join(folder, 'file', 'events.db');
    await expect(open()).rejects.toEqual(unusable);
  });

  test('of a newer format is refused', async () => {
    await filled();
    change("UPDATE meta SET value = 99 WHERE key = 'format'");
    await expect(open()).rejects.toEqual(unusable);
  });

  test('left empty by a crash while it was made is made again', async () => {
    writeFileSync(path, '');
    await (await open()).close();
    const log = await open(false);
    expect(await log.topics()).toEqual([]);
  });

  test.each([
    ['here', false],
    ['by its thread', true],
  ])(
    'a value in shared memory is written %s from where it lies, and stays whole',
    async (_where, thread) => {
      const log = await open(true, thread);
      const writer = await log.openWriter('shop');
      await writer.createTopics([{ name: 't', partitions: 1 }]);
      const value = Buffer.from(new SharedArrayBuffer(5 * 1024 * 1024 + 7)).fill('large');
      const records = ['a', 'b', 'c'].map((id) => ({
        key: null,
        value: id === 'b' ? value : Buffer.from(id),
        timestampMs: 1,
        id,
        table: 's.t',
        operation: 'c' as const,
        headers: [['name', 'text']] as const,
      }));
      let written = false;
      const toldAt: boolean[] = [];
      log.onAppend(() => toldAt.push(written));
      await writer.append([{ topic: 't', partition: 0, records }], 'c1');
      written = true;
      // Who reads hears of it when it is not held for writing any more.
      await eventually(() => {
        expect(toldAt[0]).toBe(true);
      });
      const read = await log.read({ topic: 't', partition: 0 }, 0, Infinity);
      expect(read.records.map(({ id, headers }) => [id, headers])).toEqual(
        records.map(({ id, headers }) => [id, headers]),
      );
      expect(read.records.map((one) => Buffer.compare(one.value ?? NONE, value) === 0)).toEqual([
        false,
        true,
        false,
      ]);
      expect(value.includes('largelarge')).toBe(true);
    },
  );

  test('a chunk lost from a large record is found', async () => {
    await filled();
    change('DELETE FROM chunks WHERE n = 1');
    const log = await open();
    await expect(log.read({ topic: 't', partition: 0 }, 0, 1)).rejects.toMatchObject({
      code: 'LOG_CORRUPT',
      place: 't/0, offset 0',
    });
  });

  test('a batch lost from the middle is found', async () => {
    await filled();
    change('DELETE FROM batches');
    const log = await open();
    await expect(log.read({ topic: 't', partition: 0 }, 0, 1)).rejects.toMatchObject({
      code: 'LOG_CORRUPT',
      place: 't/0, offset 0',
    });
  });

  test('a failed write kills the writer, and a new one goes on from what is there', async () => {
    await filled();
    const log = await open();
    const writer = await log.openWriter('shop');
    const record = {
      key: null,
      value: null,
      timestampMs: 1,
      id: 'j',
      table: 's.t',
      operation: 'd',
    } as const;
    const append = (): Promise<void> =>
      writer.append([{ topic: 't', partition: 0, records: [record] }], 'c2');
    // The statement fails inside of the transaction, as a full disk would make it.
    change("CREATE TRIGGER fail BEFORE INSERT ON batches BEGIN SELECT raise(ABORT, 'disk'); END");
    const outcomes = await Promise.allSettled([append(), append()]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'LOG_WRITE_FAILED' } });
    }
    change('DROP TRIGGER fail');
    await expect(append()).rejects.toMatchObject({ code: 'LOG_WRITE_FAILED' });
    expect(await log.readCheckpoint('shop')).toBe('c1');
    const next = await log.openWriter('shop');
    expect(next.checkpoint).toBe('c1');
    await next.append([{ topic: 't', partition: 0, records: [record] }], 'c2');
    expect(await log.bounds({ topic: 't', partition: 0 })).toEqual({ start: 0, end: 2 });
  });

  test('large records leave nothing behind when retention deletes them', async () => {
    await filled();
    const log = await openEmbeddedLog({
      path,
      maxBytes: Infinity,
      retention: { ageMs: 0, sizeBytes: Infinity },
      clock: systemClock,
      logger: silentLogger,
    });
    logs.push(log);
    expect(await log.applyRetention(10, [])).toBeGreaterThan(3 * 1024 * 1024);
    expect((await log.usage()).bytes).toBeLessThan(300_000);
  });

  test('is not made anew beside what an earlier one left, which SQLite would play back into it', async () => {
    await filled();
    const lost = await open();
    await (await lost.openWriter('shop')).append([], 'c9');
    // As kill -9 leaves it, with the file itself lost afterwards.
    const wal = readFileSync(`${path}-wal`);
    for (const log of logs.splice(0)) await log.close();
    rmSync(path);
    writeFileSync(`${path}-wal`, wal);
    await expect(open()).rejects.toEqual(unusable);
    expect(existsSync(path)).toBe(false);
    rmSync(`${path}-wal`);
    const log = await open();
    expect(await log.readCheckpoint('shop')).toBeNull();
    expect(await log.topics()).toEqual([]);
  });
});
