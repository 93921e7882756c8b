/** The part of the port src/log/change-log.ts that a log without a broker keeps by itself. */
import { describe, expect, test } from 'vitest';

import type { ChangeLog, ChangeLogWriter } from '../../src/log/change-log.ts';
import { BIG, code, ids, idsOf, markAt, ORDERS, record, records } from './change-log-samples.ts';
import type { LogLimits } from './change-log-samples.ts';

/** Retention and the size limit, for logs that have their own. */
export function describeLimits(
  name: string,
  open: (limits: LogLimits) => Promise<ChangeLog>,
): void {
  /** A log with ten appends of ten records of about 1 kB, with timestamps 0, 1, … 99. */
  const filled = async (limits: LogLimits): Promise<[ChangeLog, ChangeLogWriter]> => {
    const log = await open(limits);
    const writer = await log.openWriter('shop');
    await writer.createTopics([{ name: 'shop.orders', partitions: 1 }]);
    for (let n = 0; n < 100; n += 10) {
      const value = Buffer.alloc(1_000, 'v');
      const some = records(n, 10).map((one, i) => ({ ...one, value, timestampMs: n + i }));
      await writer.append([{ ...ORDERS, records: some }], `c${n}`);
    }
    return [log, writer];
  };

  describe(`${name}: retention`, () => {
    const byAge = { retention: { ageMs: 1_000, sizeBytes: Infinity } };

    test('deletes by age what nobody holds, and the rest keeps its offsets', async () => {
      const [log, writer] = await filled(byAge);
      expect(await log.applyRetention(1_000, [])).toBe(0);
      expect(await log.applyRetention(1_045, [])).toBeGreaterThan(0);
      const { start, end } = await log.bounds(ORDERS);
      // Only whole batches go, and never a record younger than the age.
      expect(start).toBeGreaterThan(0);
      expect(start).toBeLessThanOrEqual(45);
      expect(end).toBe(100);
      await expect(log.read(ORDERS, start - 1, 1)).rejects.toEqual(code('OFFSET_OUT_OF_RANGE'));
      expect(await idsOf(log)).toEqual(ids(start, 100 - start));
      expect(await log.offsetForTimestamp(ORDERS, 0)).toBe(start);
      await writer.append([{ ...ORDERS, records: records(100, 1) }], 'next');
      expect((await log.bounds(ORDERS)).end).toBe(101);
    });

    test('deletes nothing from a mark of a consumer named on', async () => {
      const [log] = await filled(byAge);
      await log.setLowWater('billing', 'state', [await markAt(log, 75)]);
      await log.setLowWater('mail', 'state', [await markAt(log, 35)]);
      await log.applyRetention(99_999, ['billing', 'mail']);
      const { start } = await log.bounds(ORDERS);
      expect(start).toBeLessThanOrEqual(35);
      expect(start).toBeGreaterThanOrEqual(30);
      await log.setLowWater('mail', 'state', [await markAt(log, 100)]);
      await log.applyRetention(99_999, ['billing', 'mail']);
      expect((await log.bounds(ORDERS)).start).toBeGreaterThanOrEqual(70);
    });

    test('a consumer that is not named any more holds nothing', async () => {
      const [log] = await filled(byAge);
      await log.setLowWater('billing', 'state', [await markAt(log, 100)]);
      await log.setLowWater('removed', 'state', [await markAt(log, 0)]);
      await log.setLowWater('removed before there was a topic', 'state', []);
      await log.applyRetention(99_999, ['billing']);
      expect(await log.bounds(ORDERS)).toEqual({ start: 100, end: 100 });
    });

    test('where none is named, every consumer ever marked holds', async () => {
      const [log] = await filled(byAge);
      await log.setLowWater('billing', 'state', [await markAt(log, 100)]);
      await log.setLowWater('mail', 'state', []);
      expect(await log.applyRetention(99_999, [])).toBe(0);
      await log.setLowWater('mail', 'state', [await markAt(log, 50)]);
      await log.applyRetention(99_999, []);
      expect(await log.bounds(ORDERS)).toEqual({ start: 50, end: 100 });
    });

    test('a consumer holds the partitions that it has not marked', async () => {
      const log = await open(byAge);
      const writer = await log.openWriter('shop');
      await writer.createTopics([{ name: 'shop.orders', partitions: 2 }]);
      const other = { topic: 'shop.orders', partition: 1 };
      await writer.append(
        [
          { ...ORDERS, records: records(0, 5) },
          { ...other, records: records(5, 5) },
        ],
        'c',
      );
      await log.setLowWater('billing', 'state', [await markAt(log, 5)]);
      await log.applyRetention(99_999_999, ['billing']);
      expect(await log.bounds(ORDERS)).toEqual({ start: 5, end: 5 });
      expect(await log.bounds(other)).toEqual({ start: 0, end: 5 });
    });

    test('a consumer without marks holds everything', async () => {
      const [log] = await filled(byAge);
      await log.setLowWater('billing', 'state', [await markAt(log, 100)]);
      expect(await log.applyRetention(99_999, ['billing', 'new'])).toBe(0);
      await log.setLowWater('new', 'state', []);
      expect(await log.applyRetention(99_999, ['billing', 'new'])).toBe(0);
      expect(await log.bounds(ORDERS)).toEqual({ start: 0, end: 100 });
    });

    test('a mark of another topic of the same name holds everything', async () => {
      const [log] = await filled(byAge);
      const mark = await markAt(log, 100);
      await log.setLowWater('billing', 'state', [{ ...mark, topicId: 'another' }]);
      expect(await log.applyRetention(99_999, ['billing'])).toBe(0);
    });

    test('a consumer holds the topics made after its marks', async () => {
      const [log, writer] = await filled(byAge);
      await log.setLowWater('billing', 'state', [await markAt(log, 100)]);
      await writer.createTopics([{ name: 'later', partitions: 1 }]);
      const later = { topic: 'later', partition: 0 };
      await writer.append([{ ...later, records: records(0, 5) }], 'later');
      await log.applyRetention(99_999, ['billing']);
      expect(await log.bounds(ORDERS)).toEqual({ start: 100, end: 100 });
      expect(await log.bounds(later)).toEqual({ start: 0, end: 5 });
    });

    test('deletes the oldest until the size fits', async () => {
      const [probe] = await filled({});
      const { bytes } = await probe.usage();
      await probe.close();
      const log = await open({ retention: { ageMs: Infinity, sizeBytes: bytes - 40_000 } });
      await log.applyRetention(0, []);
      const { start } = await log.bounds(ORDERS);
      expect(start).toBeGreaterThan(0);
      expect(start).toBeLessThan(100);
      expect((await log.usage()).bytes).toBeLessThanOrEqual(bytes - 40_000);
      expect(await idsOf(log)).toEqual(ids(start, 100 - start));
    });

    test('an emptied log still knows that its checkpoint may be lost', async () => {
      const [log, writer] = await filled(byAge);
      await log.applyRetention(99_999, []);
      expect(await log.bounds(ORDERS)).toEqual({ start: 100, end: 100 });
      await writer.close();
      await expect(log.openWriter('other')).rejects.toEqual(code('CHECKPOINT_LOST'));
      const next = await log.openWriter('shop');
      await next.append([{ ...ORDERS, records: records(100, 1) }], 'c');
      expect(await log.bounds(ORDERS)).toEqual({ start: 100, end: 101 });
    });

    test('ends, although a writer goes on appending what may be deleted', async () => {
      const [log, writer] = await filled(byAge);
      let ended = false;
      const write = async (): Promise<void> => {
        for (let n = 100; !ended; n += 1) {
          await writer.append([{ ...ORDERS, records: records(n, 1) }], `c${n}`);
        }
      };
      const clean = async (): Promise<void> => {
        await log.applyRetention(99_999_999, []);
        ended = true;
      };
      await Promise.all([write(), clean()]);
      expect((await log.bounds(ORDERS)).start).toBeGreaterThanOrEqual(100);
    });

    test('deletes more than one transaction holds, over partitions, oldest first', async () => {
      const log = await open(byAge);
      const writer = await log.openWriter('shop');
      await writer.createTopics([{ name: 'shop.orders', partitions: 3 }]);
      const appends: Promise<void>[] = [];
      for (let n = 0; n < 2_400; n += 1) {
        const at = { topic: 'shop.orders', partition: n % 3 };
        const one = { ...record(n), timestampMs: n };
        appends.push(writer.append([{ ...at, records: [one] }], `c${n}`));
      }
      await Promise.all(appends);
      await log.applyRetention(1_000 + 2_100, []);
      for (const partition of [0, 1, 2]) {
        const bounds = await log.bounds({ topic: 'shop.orders', partition });
        expect(bounds).toEqual({ start: 700, end: 800 });
      }
    });

    test('what one partition holds does not keep the others from being deleted', async () => {
      const log = await open(byAge);
      const writer = await log.openWriter('shop');
      await writer.createTopics([{ name: 'shop.orders', partitions: 2 }]);
      const appends: Promise<void>[] = [];
      for (let n = 0; n < 1_300; n += 1) {
        // Partition 0 comes first, in many batches; one half of it is held, the other half is young.
        const partition = n < 1_250 ? 0 : 1;
        const timestampMs = n < 600 || partition === 1 ? 0 : 5_000;
        const one = { ...record(n), timestampMs };
        appends.push(writer.append([{ topic: 'shop.orders', partition, records: [one] }], `c${n}`));
      }
      await Promise.all(appends);
      const other = { topic: 'shop.orders', partition: 1 };
      const mark = await markAt(log, 0);
      await log.setLowWater('billing', 'state', [mark, { ...mark, ...other, offset: 20 }]);
      await log.applyRetention(5_000, ['billing']);
      expect(await log.bounds(ORDERS)).toEqual({ start: 0, end: 1_250 });
      expect((await log.bounds(other)).start).toBe(20);
      await log.setLowWater('billing', 'state', [
        { ...mark, offset: 1_250 },
        { ...mark, ...other, offset: 50 },
      ]);
      await log.applyRetention(5_000, ['billing']);
      expect(await log.bounds(ORDERS)).toEqual({ start: 600, end: 1_250 });
      expect((await log.bounds(other)).start).toBe(50);
    });

    test('works beside a writer that appends all the time', async () => {
      const log = await open({ retention: { ageMs: 0, sizeBytes: Infinity } });
      const other = await open({ retention: { ageMs: 0, sizeBytes: Infinity } });
      const writer = await log.openWriter('shop');
      await writer.createTopics([{ name: 'shop.orders', partitions: 1 }]);
      let appended = 0;
      const write = async (): Promise<void> => {
        for (; appended < 300; appended += 1) {
          await writer.append([{ ...ORDERS, records: records(appended, 1) }], `c${appended}`);
        }
      };
      const clean = async (): Promise<void> => {
        while (appended < 300) await other.applyRetention(99_999, []);
      };
      await Promise.all([write(), clean()]);
      const { start, end } = await log.bounds(ORDERS);
      expect(end).toBe(300);
      expect(await idsOf(log)).toEqual(ids(start, 300 - start));
      expect(await log.readCheckpoint('shop')).toBe('c299');
    });
  });

  describe(`${name}: size limit`, () => {
    test('tells what is used and the limit', async () => {
      const [log] = await filled({ maxBytes: 10 * BIG });
      const { bytes, maxBytes } = await log.usage();
      expect(maxBytes).toBe(10 * BIG);
      expect(bytes).toBeGreaterThan(100_000);
      expect(bytes).toBeLessThan(BIG);
    });

    test('at the limit nothing is written until there is room, then the same append is taken', async () => {
      const limits = { maxBytes: 3 * BIG, retention: { ageMs: 0, sizeBytes: Infinity } };
      const log = await open(limits);
      const writer = await log.openWriter('shop');
      await writer.createTopics([{ name: 'shop.orders', partitions: 1 }]);
      const value = Buffer.alloc(BIG, 'v');
      const append = (n: number): Promise<void> =>
        writer.append([{ ...ORDERS, records: [record(n, { value })] }], `c${n}`);
      await append(0);
      await append(1);
      await expect(append(2)).rejects.toEqual(code('LOG_FULL'));
      await expect(append(2)).rejects.toEqual(code('LOG_FULL'));
      expect(await log.readCheckpoint('shop')).toBe('c1');
      expect(await log.bounds(ORDERS)).toEqual({ start: 0, end: 2 });
      const moved = writer.append([], 'empty transactions move on');
      await moved;
      await log.applyRetention(99_999, []);
      await append(2);
      expect(await log.bounds(ORDERS)).toEqual({ start: 2, end: 3 });
      expect((await log.usage()).bytes).toBeLessThanOrEqual(3 * BIG);
    });
  });
}
