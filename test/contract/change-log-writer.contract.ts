/** The part of the port src/log/change-log.ts about its one writer: refusals, checkpoint, fence. */
import { describe, expect, test } from 'vitest';

import type { ChangeLog, ChangeLogWriter } from '../../src/log/change-log.ts';
import { boundsOf, code, ids, idsOf, ORDERS, record, records } from './change-log-samples.ts';
import type { LogTraits } from './change-log-samples.ts';

/** What a test has while it runs. */
export interface WriterUnderTest {
  readonly log: ChangeLog;
  readonly open: () => Promise<ChangeLog>;
  readonly writerWithTopics: (partitions?: number) => Promise<ChangeLogWriter>;
}

export function describeWriter(name: string, traits: LogTraits, now: () => WriterUnderTest): void {
  describe(`${name}: refusals`, () => {
    test('an unknown topic or partition: nothing is written, and the writer goes on', async () => {
      const { log, writerWithTopics } = now();
      const writer = await writerWithTopics();
      await writer.append([{ ...ORDERS, records: records(0, 1) }], 'c1');
      for (const at of [
        { topic: 'nope', partition: 0 },
        { topic: 'shop.orders', partition: 1 },
      ]) {
        const batches = [
          { ...ORDERS, records: records(1, 1) },
          { ...at, records: records(9, 1) },
        ];
        await expect(writer.append(batches, 'bad')).rejects.toEqual(code('TOPIC_UNKNOWN'));
      }
      expect(await log.readCheckpoint('shop')).toBe('c1');
      await writer.append([{ ...ORDERS, records: records(1, 1) }], 'c2');
      expect(await idsOf(log)).toEqual(ids(0, 2));
      expect(await log.readCheckpoint('shop')).toBe('c2');
    });

    test('a record over the limit: nothing is written, and the writer goes on', async () => {
      const { log, writerWithTopics } = now();
      const writer = await writerWithTopics();
      const value = new Uint8Array(1_000_000_001);
      await expect(
        writer.append([{ ...ORDERS, records: [record(0), record(1, { value })] }], 'bad'),
      ).rejects.toEqual(code('RECORD_TOO_LARGE'));
      expect(await log.bounds(ORDERS)).toEqual({ start: 0, end: 0 });
      await writer.append([{ ...ORDERS, records: records(0, 1) }], 'c1');
      expect(await idsOf(log)).toEqual(ids(0, 1));
    });

    test('appends asked for before a refusal was told are refused with it, never written past it', async () => {
      const { log, writerWithTopics } = now();
      const writer = await writerWithTopics();
      const append = (n: number, topic = 'shop.orders'): Promise<void> =>
        writer.append([{ topic, partition: 0, records: records(n, 1) }], `c${n}`);
      const outcomes = await Promise.allSettled([
        append(0),
        append(1, 'nope'),
        append(2),
        append(3, 'nope'),
        append(4),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual([
        'fulfilled',
        'rejected',
        'rejected',
        'rejected',
        'rejected',
      ]);
      expect(await idsOf(log)).toEqual(ids(0, 1));
      expect(await log.readCheckpoint('shop')).toBe('c0');
      await Promise.all([append(1), append(2)]);
      expect(await idsOf(log)).toEqual(ids(0, 3));
    });

    test('an owner that keeps appends in flight and goes on at each answer never leaves a gap', async () => {
      const { log, writerWithTopics } = now();
      const writer = await writerWithTopics();
      let next = 0;
      const acknowledged: number[] = [];
      const lane = async (): Promise<void> => {
        while (next < 60) {
          const n = next;
          next += 1;
          const topic = n === 31 ? 'nope' : 'shop.orders';
          await writer.append([{ topic, partition: 0, records: records(n, 1) }], `c${n}`);
          acknowledged.push(n);
        }
      };
      const outcomes = await Promise.allSettled([lane(), lane(), lane(), lane()]);
      expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
      expect(acknowledged).toEqual(Array.from({ length: 31 }, (_, n) => n));
      expect(await idsOf(log)).toEqual(ids(0, 31));
      expect(await log.readCheckpoint('shop')).toBe('c30');
    });
  });

  describe(`${name}: checkpoint and fence`, () => {
    test('a log without records has no checkpoint, and that is no loss', async () => {
      const { log, writerWithTopics } = now();
      expect(await log.readCheckpoint('shop')).toBeNull();
      const writer = await writerWithTopics();
      expect(writer.checkpoint).toBeNull();
      await writer.close();
      expect((await log.openWriter('shop')).checkpoint).toBeNull();
    });

    test('moves with each append, also with an empty one', async () => {
      const { log, writerWithTopics } = now();
      const writer = await writerWithTopics();
      await writer.append([{ ...ORDERS, records: records(0, 1) }], 'c1');
      await writer.append([], 'c2');
      await writer.append([{ ...ORDERS, records: [] }], 'c3');
      expect(await log.readCheckpoint('shop')).toBe('c3');
      expect(await log.bounds(ORDERS)).toEqual(boundsOf(1, traits));
      expect(await idsOf(log)).toEqual(ids(0, 1));
      await writer.close();
      expect((await log.openWriter('shop')).checkpoint).toBe('c3');
    });

    test('records without a checkpoint of that name are a stop, until one is set by hand', async () => {
      const { log, writerWithTopics } = now();
      const writer = await writerWithTopics();
      await writer.append([{ ...ORDERS, records: records(0, 1) }], 'c1');
      await expect(log.openWriter('other')).rejects.toEqual(code('CHECKPOINT_LOST'));
      // The refused one must not have fenced the writer.
      await writer.append([{ ...ORDERS, records: records(1, 1) }], 'c2');
      await log.setCheckpoint('other', 'by hand');
      expect((await log.openWriter('other')).checkpoint).toBe('by hand');
      expect(await log.readCheckpoint('shop')).toBe('c2');
    });

    test('a newer writer fences the older one, whichever handle it is of', async () => {
      const { log, open, writerWithTopics } = now();
      const older = await writerWithTopics();
      await older.append([{ ...ORDERS, records: records(0, 1) }], 'c1');
      const newer = await (await open()).openWriter('shop');
      expect(newer.checkpoint).toBe('c1');
      await expect(older.append([{ ...ORDERS, records: records(8, 1) }], 'stale')).rejects.toEqual(
        code('WRITER_FENCED'),
      );
      await expect(older.append([], 'stale')).rejects.toEqual(code('WRITER_FENCED'));
      await expect(older.createTopics([{ name: 'x', partitions: 1 }])).rejects.toEqual(
        code('WRITER_FENCED'),
      );
      await newer.append([{ ...ORDERS, records: records(1, 1) }], 'c2');
      const stale = traits.fencesRecords ? [] : ids(8, 1);
      expect((await idsOf(log)).filter((id) => !stale.includes(id))).toEqual(ids(0, 2));
      expect(await log.readCheckpoint('shop')).toBe('c2');
    });

    test('what an older writer was told is durable is in the checkpoint that the newer one begins with', async () => {
      const { log, open, writerWithTopics } = now();
      const other = await open();
      let older = await writerWithTopics();
      await older.append([], '0');
      let next = 0;
      for (let round = 0; round < 10; round += 1) {
        let acknowledged = next;
        const appending = (async () => {
          for (let n = next + 1; ; n += 1) {
            await older.append([{ ...ORDERS, records: records(n, 1) }], String(n));
            acknowledged = n;
          }
        })();
        const [newer, fenced] = await Promise.allSettled([
          (round % 2 === 0 ? other : log).openWriter('shop'),
          appending,
        ]);
        expect(fenced.status).toBe('rejected');
        if (newer.status === 'rejected') throw newer.reason;
        older = newer.value;
        next = Number(older.checkpoint);
        expect(next).toBeGreaterThanOrEqual(acknowledged);
        expect(await log.readCheckpoint('shop')).toBe(older.checkpoint);
      }
    });

    test('a checkpoint set by hand fences a running writer', async () => {
      const { log, open, writerWithTopics } = now();
      const writer = await writerWithTopics();
      await writer.append([{ ...ORDERS, records: records(0, 1) }], 'c1');
      await (await open()).setCheckpoint('shop', 'by hand');
      await expect(writer.append([], 'c2')).rejects.toEqual(code('WRITER_FENCED'));
      expect(await log.readCheckpoint('shop')).toBe('by hand');
      expect((await log.openWriter('shop')).checkpoint).toBe('by hand');
    });

    test('closing waits for appends in flight, may be repeated, and ends the writer', async () => {
      const { log, writerWithTopics } = now();
      const writer = await writerWithTopics();
      const appended = writer.append([{ ...ORDERS, records: records(0, 1) }], 'c1');
      await writer.close();
      await writer.close();
      expect(await log.readCheckpoint('shop')).toBe('c1');
      await appended;
      await expect(writer.append([], 'c2')).rejects.toThrow();
    });

    test('all of it is there after the log was closed and opened again', async () => {
      const { log, open, writerWithTopics } = now();
      const writer = await writerWithTopics(2);
      await writer.append([{ ...ORDERS, records: records(0, 5) }], 'c1');
      const topics = await log.topics();
      await log.close();
      await log.close();
      const again = await open();
      expect(await again.topics()).toEqual(topics);
      expect(await idsOf(again)).toEqual(ids(0, 5));
      const writer2 = await again.openWriter('shop');
      expect(writer2.checkpoint).toBe('c1');
      await writer2.append([{ ...ORDERS, records: records(5, 1) }], 'c2');
      expect(await idsOf(again)).toEqual(ids(0, 6));
    });
  });
}
