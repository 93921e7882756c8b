import { describe, expect, test } from 'vitest';
import { Fetcher } from '../../../../src/deliver/intake/fetcher.ts';
import type { ChangeLog, Fetched } from '../../../../src/log/change-log.ts';
import { type Clock, systemClock } from '../../../../src/shared/clock.ts';

const AT = { topic: 'shop.orders', partition: 0 };
const KIB = 1024;

/** A log that answers at once with one record of `bytes` for each offset below `end`. */
function setup(bytes: number, end = Infinity) {
  let reads = 0;
  const read = (_at: typeof AT, offset: number): Promise<Fetched> => {
    reads += 1;
    const record = { offset } as unknown as Fetched['records'][number];
    const found = offset < end;
    return Promise.resolve({
      records: found ? [record] : [],
      nextOffset: found ? offset + 1 : offset,
      bytes: found ? bytes : 0,
    });
  };
  const turns: (() => void)[] = [];
  const clock: Clock = { ...systemClock, soon: (fire) => turns.push(fire) };
  const fetcher = new Fetcher({ read } as unknown as ChangeLog, clock);
  return { fetcher, reads: () => reads, turns };
}

/** Every promise job there is has run. */
const settled = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

describe('the turns of the fetcher', () => {
  test('a reader that never waits for its log lets the event loop turn every 256 KiB', async () => {
    const { fetcher, turns, reads } = setup(64 * KIB);
    let offset = 0;
    const reading = (async () => {
      while (offset < 12) offset = (await fetcher.read(AT, offset)).nextOffset;
    })();
    for (const expected of [4, 8, 12]) {
      await settled();
      expect([offset, reads()]).toEqual([expected, expected]);
      for (const turn of turns.splice(0)) turn();
    }
    await reading;
  });

  test('what is kept counts as well, and all readers share a turn', async () => {
    const { fetcher, turns } = setup(256 * KIB);
    await fetcher.read(AT, 0);
    const done: number[] = [];
    const reading = [1, 2].map(async (reader) => {
      await fetcher.read(AT, 0);
      done.push(reader);
    });
    await settled();
    expect(done).toEqual([]);
    expect(turns).toHaveLength(1);
    turns.shift()?.();
    await settled();
    expect(done).toEqual([1, 2]);
    await Promise.all(reading);
  });

  test('many small reads at the end of the log are kept by number, too', async () => {
    const { fetcher, turns, reads } = setup(10);
    for (let offset = 0; offset < 300; offset += 1) await fetcher.read(AT, offset);
    expect(turns).toEqual([]);
    await fetcher.read(AT, 299);
    await fetcher.read(AT, 44);
    expect(reads()).toBe(300);
    await fetcher.read(AT, 43);
    expect(reads()).toBe(301);
  });

  test('one read larger than all that is kept drives nothing out', async () => {
    const small = setup(10);
    await small.fetcher.read(AT, 0);
    const large = setup(64 * KIB * KIB);
    await large.fetcher.read(AT, 0);
    expect(large.turns).toEqual([]);
    const again = large.fetcher.read(AT, 0);
    await settled();
    for (const turn of large.turns.splice(0)) turn();
    await again;
    expect(large.reads()).toBe(2);
  });
});
