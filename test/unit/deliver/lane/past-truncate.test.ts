import { describe, expect, it } from 'vitest';
import { Tail } from '../../../../src/deliver/intake/tail.ts';
import { isPast } from '../../../../src/deliver/lane/past-truncate.ts';
import { Progress } from '../../../../src/deliver/settle/progress.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../../support/memory-change-log.ts';

const AT = { topic: 'shop.orders', partition: 0 };
const NEVER = new AbortController().signal;
const LEDGER = {
  ...{ read: 0, filtered: 0, matched: 0, delivered: 0, superseded: 0, skipped: 0 },
  ...{ dead: 0, parked: 0, awaiting: 0, retrying: 0, pending: 0 },
};

interface Scene {
  /** `a` a row, `T1` a truncate; each is a millisecond later than the one before. */
  readonly records: string;
  /** So many are not there any more. */
  readonly deleted?: number;
  /** So many at the end were written and cannot be seen yet. */
  readonly unseen?: number;
}

async function partition({ records, deleted = 0, unseen = 0 }: Scene) {
  const store = new MemoryLogStore();
  const log = new MemoryChangeLog(store, systemClock);
  const writer = await log.openWriter('shop');
  const [info] = await writer.createTopics([{ name: AT.topic, partitions: 1 }]);
  const all = records.split(' ').map((id, offset) => ({
    ...{ id, offset, key: null, value: null, table: AT.topic, timestampMs: 1_000 + offset },
    operation: id.startsWith('T') ? ('t' as const) : ('c' as const),
  }));
  const seen = store.partition(AT);
  const put = (count: number): void => {
    seen.start = deleted;
    seen.records.splice(0, Infinity, ...all.slice(deleted, count));
  };
  put(all.length - unseen);
  const tail = new Tail(log, NEVER);
  tail.follow(AT);
  const past = async (
    id: string,
    offset: number,
    { has = false, appending = Promise.resolve() } = {},
  ): Promise<boolean> => {
    const cursor = {
      ...{ ...AT, callback: 'c', topicId: info?.id ?? '', startOffset: 0, next: offset },
      ...{ beyond: [], ledger: LEDGER },
    };
    const place = all.findIndex((record) => record.id === id);
    const written = { read: log.read.bind(log), bounds: log.bounds.bind(log) };
    return isPast(
      {
        log: {
          ...written,
          offsetForTimestamp: log.offsetForTimestamp.bind(log),
          writtenEnd: () => Promise.resolve(all.length),
        },
        appended: { whole: () => appending },
        ...{ tail, signal: NEVER },
      },
      { progress: new Progress(cursor), offset },
      { id, timestampMs: 1_000 + place, has: () => has },
    );
  };
  return { past, tail, put };
}

describe('a partition', () => {
  it('is past a truncate behind its place, and not past one ahead of it or at it', async () => {
    const { past } = await partition({ records: 'a T1 b c T2 d' });
    expect(await past('T1', 2)).toBe(true);
    expect(await past('T1', 1)).toBe(false);
    expect(await past('T2', 2)).toBe(false);
    expect(await past('T2', 6)).toBe(true);
  });

  it('is past a truncate that retention took behind its place', async () => {
    const { past } = await partition({ records: 'a T1 b c T2 d', deleted: 3 });
    expect(await past('T1', 3)).toBe(true);
    expect(await past('T1', 6)).toBe(true);
    expect(await past('T2', 3)).toBe(false);
  });

  it('is not past one that retention took before it came there', async () => {
    const { past } = await partition({ records: 'a T1 b c T2 d', deleted: 3 });
    expect(await past('T1', 1)).toBe(false);
  });

  it('is not past one that it has come to meanwhile', async () => {
    const { past } = await partition({ records: 'a T1 b', deleted: 2 });
    expect(await past('T1', 3, { has: true })).toBe(false);
  });

  it('waits for what is still to be written there', async () => {
    const { past, put } = await partition({ records: 'a b c T1 d', unseen: 2 });
    let written = (): void => undefined;
    const appending = new Promise<void>((resolve) => {
      written = resolve;
    });
    const answer = past('T1', 3, { appending });
    put(5);
    written();
    expect(await answer).toBe(false);
  });

  it('waits for what was written and cannot be seen yet', async () => {
    const { past, tail, put } = await partition({ records: 'a b c T1 d', unseen: 2 });
    const answer = past('T1', 3);
    put(5);
    await tail.look();
    expect(await answer).toBe(false);
  });
});
