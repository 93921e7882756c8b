import { describe, expect, test } from 'vitest';
import { Fetcher } from '../../../../src/deliver/intake/fetcher.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../../support/memory-change-log.ts';
import type { ChangeLog } from '../../../../src/log/change-log.ts';

const AT = { topic: 'shop.orders', partition: 0 };

/** A log of `count` records, and how often it is read. */
async function setup(
  count: number,
  bytes = 100,
): Promise<{ fetcher: Fetcher; reads: number[]; append: (more: number) => Promise<void> }> {
  const log = new MemoryChangeLog(new MemoryLogStore(), systemClock);
  const writer = await log.openWriter('shop');
  await writer.createTopics([{ name: AT.topic, partitions: 2 }]);
  let written = 0;
  const append = async (more: number): Promise<void> => {
    const records = Array.from({ length: more }, (_, index) => ({
      key: `{"id":${written + index}}`,
      value: Buffer.alloc(bytes, 'v'),
      timestampMs: 0,
      id: `id-${written + index}`,
      table: 'shop.orders',
      operation: 'c' as const,
    }));
    await writer.append([{ ...AT, records }], 'c');
    written += more;
  };
  await append(count);
  const reads: number[] = [];
  const counted = {
    read: (at: typeof AT, offset: number, maxBytes: number) => {
      reads.push(offset);
      return log.read(at, offset, maxBytes);
    },
  } as unknown as ChangeLog;
  return { fetcher: new Fetcher(counted, systemClock), reads, append };
}

describe('the fetcher', () => {
  test('shares one read among all who ask for a place at the same time, and after it', async () => {
    const { fetcher, reads } = await setup(10);
    const fetched = await Promise.all([1, 2, 3].map(() => fetcher.read(AT, 0)));
    expect(new Set(fetched).size).toBe(1);
    expect(await fetcher.read(AT, 0)).toBe(fetched[0]);
    expect(reads).toEqual([0]);
  });

  test('gives a place inside of what was read the same records', async () => {
    const { fetcher, reads } = await setup(10);
    const whole = await fetcher.read(AT, 0);
    expect(await fetcher.read(AT, 7)).toBe(whole);
    expect(whole.nextOffset).toBe(10);
    expect(reads).toEqual([0]);
  });

  test('reads again at the end, where news may come, and keeps nothing empty', async () => {
    const { fetcher, reads, append } = await setup(3);
    await fetcher.read(AT, 0);
    expect((await fetcher.read(AT, 3)).records).toEqual([]);
    await append(2);
    expect((await fetcher.read(AT, 3)).records.map(({ offset }) => offset)).toEqual([3, 4]);
    expect(reads).toEqual([0, 3, 3]);
  });

  test('keeps partitions apart', async () => {
    const { fetcher } = await setup(3);
    await fetcher.read(AT, 0);
    expect((await fetcher.read({ ...AT, partition: 1 }, 0)).records).toEqual([]);
  });

  test('forgets the oldest over its bound, and reads that again when asked', async () => {
    const { fetcher, reads } = await setup(20, 1024 * 1024);
    for (let offset = 0; offset < 20; offset += 1) {
      const { records } = await fetcher.read(AT, offset);
      expect(records.map((record) => record.offset)).toEqual([offset]);
    }
    expect(reads).toHaveLength(20);
    await fetcher.read(AT, 19);
    expect(reads).toHaveLength(20);
    await fetcher.read(AT, 0);
    expect(reads).toHaveLength(21);
  });

  test('passes an error of the log on, and tries anew afterwards', async () => {
    const { fetcher, append } = await setup(1);
    await expect(fetcher.read(AT, 5)).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
    await append(6);
    expect((await fetcher.read(AT, 5)).records[0]?.offset).toBe(5);
  });
});
