/** The port src/log/change-log.ts as a suite: every adapter runs it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { LogRecord } from '../../src/change-event.ts';
import { recordBytes } from '../../src/change-event.ts';
import { PackedRecord } from '../../src/packed-record.ts';
import { copyOf, packed } from '../support/packed.ts';
import type { ChangeLog, ChangeLogWriter, LowWaterMark } from '../../src/log/change-log.ts';
import { describeWriter } from './change-log-writer.contract.ts';
import { describeLimits } from './change-log-limits.contract.ts';
import {
  BIG,
  boundsOf,
  code,
  ids,
  idsOf,
  ORDERS,
  readAll,
  readFrom,
  record,
  records,
} from './change-log-samples.ts';
import type { LogLimits, LogTraits, LogUnderTest } from './change-log-samples.ts';

export function describeChangeLog(
  name: string,
  make: () => Promise<LogUnderTest>,
  traits: LogTraits,
): void {
  let under: LogUnderTest;
  let log: ChangeLog;
  const opened: ChangeLog[] = [];

  const open = async (limits: LogLimits = {}): Promise<ChangeLog> => {
    const another = await under.open(limits);
    opened.push(another);
    return another;
  };

  const writerWithTopics = async (partitions = 1): Promise<ChangeLogWriter> => {
    const writer = await log.openWriter('shop');
    await writer.createTopics([{ name: 'shop.orders', partitions }]);
    return writer;
  };

  beforeEach(async () => {
    under = await make();
    log = await open();
  });
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.close();
    await under.destroy();
  });

  describe(`${name}: topics`, () => {
    test('are made once, each with an id of its own, and told in the order asked', async () => {
      const writer = await log.openWriter('shop');
      const made = await writer.createTopics([
        { name: 'b', partitions: 2 },
        { name: 'a', partitions: 3 },
      ]);
      expect(made.map(({ name: topic, partitions }) => [topic, partitions])).toEqual([
        ['b', 2],
        ['a', 3],
      ]);
      expect(new Set(made.map(({ id }) => id)).size).toBe(2);
      const byName = (await log.topics()).toSorted((x, y) => x.name.localeCompare(y.name));
      expect(byName).toEqual([made[1], made[0]]);
    });

    test('that exist keep id and partition count whatever is asked', async () => {
      const writer = await log.openWriter('shop');
      const [first] = await writer.createTopics([{ name: 'a', partitions: 3 }]);
      const again = await writer.createTopics([
        { name: 'a', partitions: 8 },
        { name: 'c', partitions: 1 },
      ]);
      expect(again[0]).toEqual(first);
      expect(again[1]?.partitions).toBe(1);
    });

    test('begin empty', async () => {
      await writerWithTopics(2);
      expect(await log.bounds({ topic: 'shop.orders', partition: 1 })).toEqual({
        start: 0,
        end: 0,
      });
      expect(await log.read(ORDERS, 0, 100)).toEqual({ records: [], nextOffset: 0, bytes: 0 });
    });

    test('that are unknown are refused by every read', async () => {
      await writerWithTopics(2);
      for (const at of [
        { topic: 'nope', partition: 0 },
        { topic: 'shop.orders', partition: 2 },
      ]) {
        await expect(log.read(at, 0, 1)).rejects.toEqual(code('TOPIC_UNKNOWN'));
        await expect(log.bounds(at)).rejects.toEqual(code('TOPIC_UNKNOWN'));
        await expect(log.offsetForTimestamp(at, 0)).rejects.toEqual(code('TOPIC_UNKNOWN'));
        await expect(log.writtenEnd(at)).rejects.toEqual(code('TOPIC_UNKNOWN'));
      }
    });
  });

  describe(`${name}: append and read`, () => {
    test('gives back every field of every record', async () => {
      const writer = await writerWithTopics();
      const written: LogRecord[] = [
        record(1),
        record(2, { key: null, operation: 'u' }),
        record(3, { value: null, operation: 'd' }),
        record(4, { table: 'other.täble', operation: 't', value: Buffer.alloc(0) }),
        record(5, {
          operation: 'r',
          key: '{"name":"日本 🐬"}',
          headers: [
            ['__debezium.newkey', '{"id":9}'],
            ['empty', ''],
          ],
        }),
      ];
      await writer.append([{ ...ORDERS, records: written }], 'c1');
      const fetched = await log.read(ORDERS, 0, BIG);
      expect(fetched.records.map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4]);
      expect(
        fetched.records.map((one) => ({
          ...one,
          value: one.value === null ? null : Buffer.from(one.value),
        })),
      ).toEqual(written.map((one, offset) => ({ ...one, offset })));
      expect(fetched.nextOffset).toBeGreaterThanOrEqual(5);
      if (traits.gapless) expect(fetched.nextOffset).toBe(5);
      expect(fetched.bytes).toBe(fetched.records.reduce((sum, one) => sum + recordBytes(one), 0));
    });

    test('numbers each partition upwards over many appends, without a gap where the log can', async () => {
      const writer = await writerWithTopics(2);
      const other = { topic: 'shop.orders', partition: 1 };
      await writer.append([{ ...ORDERS, records: records(0, 3) }], 'c1');
      await writer.append(
        [
          { ...other, records: records(100, 2) },
          { ...ORDERS, records: records(3, 2) },
        ],
        'c2',
      );
      await writer.append([{ ...ORDERS, records: records(5, 1) }], 'c3');
      const offsets = (await readAll(log, ORDERS)).map(({ offset }) => offset);
      expect(offsets).toEqual([...new Set(offsets)].toSorted((a, b) => a - b));
      if (traits.gapless) expect(offsets).toEqual([0, 1, 2, 3, 4, 5]);
      expect(await idsOf(log)).toEqual(ids(0, 6));
      expect(await idsOf(log, other)).toEqual(ids(100, 2));
      expect(await log.bounds(ORDERS)).toEqual(boundsOf(6, traits));
    });

    test('takes several batches of one partition in one append, in their order', async () => {
      const writer = await writerWithTopics();
      await writer.append(
        [
          { ...ORDERS, records: records(0, 2) },
          { ...ORDERS, records: records(2, 2) },
        ],
        'c1',
      );
      expect(await idsOf(log)).toEqual(ids(0, 4));
    });

    test('appends asked for without waiting become durable in call order', async () => {
      const writer = await writerWithTopics();
      const order: number[] = [];
      await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          await writer.append([{ ...ORDERS, records: records(index, 1) }], `c${index}`);
          order.push(index);
        }),
      );
      expect(order).toEqual(Array.from({ length: 50 }, (_, index) => index));
      expect(await idsOf(log)).toEqual(ids(0, 50));
      expect(await log.readCheckpoint('shop')).toBe('c49');
    });

    test('reads at least one record, then up to about the bytes asked for', async () => {
      const writer = await writerWithTopics();
      await writer.append([{ ...ORDERS, records: records(0, 100) }], 'c1');
      expect((await log.read(ORDERS, 40, 1)).records.map(({ offset }) => offset)).toEqual([40]);
      const size = recordBytes(record(10));
      const some = await log.read(ORDERS, 10, size * 10);
      expect(some.records.length).toBeGreaterThanOrEqual(9);
      expect(some.records.length).toBeLessThanOrEqual(11);
      expect(some.nextOffset).toBe(10 + some.records.length);
    });

    test('reads from any offset on', async () => {
      const writer = await writerWithTopics();
      for (let n = 0; n < 10; n += 1) {
        await writer.append([{ ...ORDERS, records: records(n * 7, 7) }], 'c');
      }
      const all = await readAll(log, ORDERS, BIG);
      expect(all.map(({ id }) => id)).toEqual(ids(0, 70));
      if (traits.gapless) expect(all.map(({ offset }) => offset)).toEqual([...Array(70).keys()]);
      const { end } = await log.bounds(ORDERS);
      for (let offset = 0; offset <= end; offset += 1) {
        const found = await readFrom(log, ORDERS, offset, BIG);
        expect(found).toEqual(all.filter((one) => one.offset >= offset));
        if (!traits.gapless) continue;
        const { records: atOnce } = await log.read(ORDERS, offset, BIG);
        expect(atOnce.map(({ id }) => id)).toEqual(ids(offset, 70 - offset));
      }
    });

    test('refuses offsets outside of the bounds; at the end there is nothing', async () => {
      const writer = await writerWithTopics();
      await writer.append([{ ...ORDERS, records: records(0, 3) }], 'c1');
      await expect(log.read(ORDERS, -1, 1)).rejects.toEqual(code('OFFSET_OUT_OF_RANGE'));
      const { end } = await log.bounds(ORDERS);
      if (traits.gapless) expect(end).toBe(3);
      await expect(log.read(ORDERS, end + 1, 1)).rejects.toEqual(code('OFFSET_OUT_OF_RANGE'));
      expect(await log.read(ORDERS, end, 1)).toEqual({ records: [], nextOffset: end, bytes: 0 });
    });

    test('carries a value as large as a topic takes between small ones', async () => {
      const writer = await writerWithTopics();
      const large = Buffer.alloc(traits.largeValueBytes, 'x');
      await writer.append(
        [{ ...ORDERS, records: [record(0), record(1, { value: large }), record(2)] }],
        'c1',
      );
      const all = await readAll(log, ORDERS, 100);
      expect(all.map(({ id }) => id)).toEqual(ids(0, 3));
      expect(large.equals(all[1]?.value ?? Buffer.alloc(0))).toBe(true);
    });

    test('leaves the caller free to use its buffers again', async () => {
      const writer = await writerWithTopics();
      const value = Buffer.from('before');
      const appended = writer.append([{ ...ORDERS, records: [record(0, { value })] }], 'c1');
      value.fill('x');
      await appended;
      const { records: found } = await log.read(ORDERS, 0, BIG);
      expect(Buffer.from(found[0]?.value ?? []).toString()).toBe('before');
    });

    test('takes packed records beside others, and keeps nothing of their bytes', async () => {
      const writer = await writerWithTopics();
      const plain = [
        record(0),
        record(1, { key: null, operation: 'd' }),
        record(2, { table: 'shöp.items', headers: [['__debezium.newkey', '{"id":"ü"}']] }),
        record(3),
      ];
      const given = plain.map((one, index) => (index === 3 ? one : packed(one)));
      await writer.append([{ ...ORDERS, records: given }], 'c');
      for (const one of given) if (one instanceof PackedRecord) one.bytes.fill(0);
      const stored = (await readAll(log, ORDERS)).map(copyOf);
      expect(stored).toEqual(plain.map(copyOf));
    });

    test('another handle reads what was acknowledged', async () => {
      const writer = await writerWithTopics();
      const other = await open();
      await writer.append([{ ...ORDERS, records: records(0, 3) }], 'c1');
      expect(await idsOf(other)).toEqual(ids(0, 3));
      expect(await other.readCheckpoint('shop')).toBe('c1');
    });
  });

  describeWriter(name, traits, () => ({ log, open, writerWithTopics }));

  describe(`${name}: offsets by time`, () => {
    test('finds the first record at or after a moment, also when clocks went back', async () => {
      const writer = await writerWithTopics();
      const times = [10, 30, 20, 20, 50, 40, 60];
      for (const [n, timestampMs] of times.entries()) {
        await writer.append([{ ...ORDERS, records: [record(n, { timestampMs })] }], 'c');
      }
      await writer.append(
        [{ ...ORDERS, records: [5, 70, 6].map((timestampMs, n) => record(n, { timestampMs })) }],
        'c',
      );
      const all = await readAll(log, ORDERS);
      expect(all.map(({ timestampMs }) => timestampMs)).toEqual([...times, 5, 70, 6]);
      const { end } = await log.bounds(ORDERS);
      for (let time = 0; time <= 75; time += 5) {
        const first = all.find(({ timestampMs }) => timestampMs >= time);
        expect(await log.offsetForTimestamp(ORDERS, time)).toBe(first?.offset ?? end);
      }
    });

    test('is below the end of what was written', async () => {
      const writer = await writerWithTopics();
      expect(await log.writtenEnd(ORDERS)).toBe(0);
      await writer.append([{ ...ORDERS, records: [record(1), record(2)] }], 'c');
      const last = (await readAll(log, ORDERS)).at(-1);
      expect(await log.writtenEnd(ORDERS)).toBeGreaterThan(last?.offset ?? Infinity);
    });

    test('is the end of an empty partition', async () => {
      await writerWithTopics();
      expect(await log.offsetForTimestamp(ORDERS, 0)).toBe(0);
    });
  });

  describe(`${name}: listening`, () => {
    const called = (
      on: ChangeLog,
    ): { next: Promise<void>; end: () => void; calls: () => number } => {
      let calls = 0;
      let end = (): void => undefined;
      const next = new Promise<void>((resolve) => {
        end = on.onAppend(() => {
          calls += 1;
          resolve();
        });
      });
      return { next, end, calls: () => calls };
    };

    test('tells of an append and of new topics, in this handle and in others', async () => {
      const writer = await log.openWriter('shop');
      const other = await open();
      const made = [called(log), called(other)];
      await writer.createTopics([{ name: 'shop.orders', partitions: 1 }]);
      await Promise.all(made.map(({ next }) => next));
      made.forEach(({ end }) => {
        end();
      });
      const appended = [called(log), called(other)];
      await writer.append([{ ...ORDERS, records: records(0, 1) }], 'c1');
      await Promise.all(appended.map(({ next }) => next));
      expect(await idsOf(other)).toEqual(ids(0, 1));
    });

    test('ends when asked', async () => {
      const writer = await writerWithTopics();
      const ended = called(log);
      ended.end();
      const before = ended.calls();
      const witness = called(log);
      await writer.append([{ ...ORDERS, records: records(0, 1) }], 'c1');
      await witness.next;
      expect(ended.calls()).toBe(before);
    });
  });

  describe(`${name}: low-water marks`, () => {
    const mark = (offset: number, partition = 0): LowWaterMark => ({
      topic: 'shop.orders',
      partition,
      topicId: 'id',
      offset,
    });

    test('are kept per consumer with the identity of its state, and replaced as a whole', async () => {
      await writerWithTopics(2);
      expect(await log.lowWater()).toEqual([]);
      await log.setLowWater('billing', 'state-1', [mark(1, 0), mark(2, 1)]);
      await log.setLowWater('mail', 'state-1', []);
      await log.setLowWater('billing', 'state-2', [mark(7, 1)]);
      const kept = await (await open()).lowWater();
      expect(kept.toSorted((a, b) => a.consumer.localeCompare(b.consumer))).toEqual([
        { consumer: 'billing', stateId: 'state-2', marks: [mark(7, 1)] },
        { consumer: 'mail', stateId: 'state-1', marks: [] },
      ]);
    });
  });

  if (traits.ownLimits) describeLimits(name, open);
}
