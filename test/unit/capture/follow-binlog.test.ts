import { describe, expect, it } from 'vitest';
import { Place } from '../../../src/capture/append/place.ts';
import type { BinlogEvent } from '../../../src/capture/binlog/binlog-event.ts';
import { BinlogFollower } from '../../../src/capture/follow-binlog.ts';
import { createRouter } from '../../../src/capture/route/router.ts';
import { formatCheckpoint, parseCheckpoint } from '../../../src/checkpoint.ts';
import { RowcallError } from '../../../src/errors.ts';
import type { ChangeLog } from '../../../src/log/change-log.ts';
import type { Checkpoint } from '../../../src/position.ts';
import type { Clock } from '../../../src/shared/clock.ts';
import { LargeWork } from '../../../src/shared/large-work.ts';
import { silentLogger } from '../../../src/shared/logger.ts';
import { type EventBody, gtidEvent, query, rows, tableMap } from '../../support/binlog-events.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../support/memory-change-log.ts';
import { noPrepared } from '../../support/no-prepared.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const FILE = 'binlog.000001';
const TOPIC = 'shop.shop.a_b';
const SPACED = { schema: 'shop', table: 'a b' };
const JOINED = { schema: 'shop', table: 'a_b' };

const clock: Clock = {
  now: () => 0,
  monotonic: () => 0,
  sleep: () => Promise.resolve(),
  timer: () => () => undefined,
  soon: (fire) => {
    queueMicrotask(fire);
  },
};

const START: Checkpoint = {
  version: 3,
  serverUuid: UUID,
  gtidSet: null,
  file: FILE,
  position: 4,
  fileCreated: 100,
  last: null,
  open: [],
  prepared: [],
  topics: {},
  routing: 'r',
};

/** A transaction with one row of each table, from `position` on. */
function transaction(
  position: number,
  ...tables: { readonly schema: string; readonly table: string }[]
): BinlogEvent[] {
  const bodies: EventBody[] = [gtidEvent(null, 1_700_000_000_000_000), query('shop', 'BEGIN')];
  for (const [index, table] of tables.entries()) {
    const sample = { ...table, keyed: true, wide: false, tableId: 90 + index };
    bodies.push(tableMap(sample), rows(sample, 'insert', [{ id: 1, name: 'x' }]));
  }
  bodies.push({ type: 'xid', xid: 7n });
  return bodies.map((body, index) => ({
    ...body,
    ...{ file: FILE, serverId: 1, bytes: 50, timestamp: 1_700_000_000 },
    position: position + index * 50,
    endPosition: position + (index + 1) * 50,
  }));
}

interface Start {
  readonly log: ChangeLog;
  readonly events: readonly BinlogEvent[];
  /** The rule's topic of tables called `a b`. Default: as of all others. */
  readonly topic?: string;
  readonly onProgress?: () => void;
  /** Further parts of the follower. */
  readonly parts?: { readonly transactions?: boolean; readonly maxBufferedBytes?: number };
}

const noop = (): void => undefined;

/** A connector that starts, reads the events, and loses its source. Returns what ended it. */
async function follow({ log, events, topic, onProgress = noop, parts }: Start): Promise<unknown> {
  const writer = await log.openWriter('shop');
  const checkpoint = parseCheckpoint(writer.checkpoint ?? formatCheckpoint(START));
  const rule = { key: null, excludeColumns: [] };
  const batches = [events];
  try {
    const follower = new BinlogFollower({
      ...{ name: 'shop', version: '0', partitions: 1, writer, clock },
      place: new Place(checkpoint, { uuid: UUID, routing: 'r' }),
      router: createRouter({
        name: 'shop',
        rules: [
          ...(topic === undefined ? [] : [{ ...rule, match: ['shop.a b'], topic }]),
          { ...rule, match: ['*'], topic: '{name}.{schema}.{table}' },
        ],
      }),
      large: new LargeWork(clock),
      prepared: noPrepared,
      logger: silentLogger,
      counters: {
        ...{ events: 0, bytes: 0, rows: 0, filteredRowEvents: 0 },
        ...{ transactions: 0, lastCommitMs: 0 },
      },
      listener: { onStreaming: () => undefined, onProgress },
      signal: new AbortController().signal,
      onFailure: () => undefined,
      ...parts,
    });
    return await follower.run({
      next: () => {
        const batch = batches.shift();
        if (batch === undefined) return Promise.reject(new RowcallError('SOURCE_LOST', 'The end'));
        return Promise.resolve(batch);
      },
    });
  } catch (error) {
    return error;
  } finally {
    await writer.close();
  }
}

async function topicsOf(log: ChangeLog): Promise<Checkpoint['topics']> {
  return parseCheckpoint((await log.readCheckpoint('shop')) ?? '').topics;
}

async function tablesIn(log: ChangeLog): Promise<string[]> {
  const { records } = await log.read({ topic: TOPIC, partition: 0 }, 0, 1_000_000);
  return records.map(({ table }) => table);
}

function newLog(): ChangeLog {
  return new MemoryChangeLog(new MemoryLogStore(), clock);
}

const lost = expect.objectContaining({ code: 'SOURCE_LOST' }) as Error;
const collision = expect.objectContaining({
  code: 'TOPIC_COLLISION',
  place: expect.stringMatching(/^table shop\.a_b, \S+:\d+/) as string,
  message: 'Both shop.shop.a b and shop.shop.a_b become the topic shop.shop.a_b',
}) as Error;

describe('a connection', () => {
  it('is progress when it brings rows, and none when it brings nothing', async () => {
    const log = newLog();
    let progress = 0;
    const onProgress = (): void => {
      progress += 1;
    };
    await follow({ log, events: transaction(4, SPACED), onProgress });
    expect(progress).toBe(1);
    await follow({ log, events: [], onProgress });
    expect(progress).toBe(1);
    const { topics, ...rest } = parseCheckpoint((await log.readCheckpoint('shop')) ?? '');
    expect(Object.keys(topics)).toEqual([TOPIC]);
    await log.setCheckpoint(
      'shop',
      JSON.stringify({ ...rest, prepared: undefined, version: 1, topics: {} }),
    );
    await follow({ log, events: [], onProgress });
    expect(progress).toBe(1);
  });
});

describe('the transactions topic', () => {
  const events = transaction(4, SPACED, { schema: 'shop', table: 'c' }, SPACED);
  const statuses = async (log: ChangeLog): Promise<unknown[]> => {
    const { records } = await log.read({ topic: 'shop.transactions', partition: 0 }, 0, 1_000_000);
    return records.map(({ id, value }) => [
      id.split(':').at(-1),
      (JSON.parse(Buffer.from(value ?? []).toString()) as { event_count: unknown }).event_count,
    ]);
  };

  it.each(events.slice(1).map((_, index) => index + 1))(
    'has the beginning and the end once, wherever the transaction was cut: after event %i',
    async (cut) => {
      const log = newLog();
      const parts = { transactions: true, maxBufferedBytes: 1 };
      expect(await follow({ log, events: events.slice(0, cut), parts })).toEqual(lost);
      expect(await follow({ log, events, parts })).toEqual(lost);
      expect(await statuses(log)).toEqual([
        ['BEGIN', null],
        ['END', 3],
      ]);
    },
  );
});

describe('a topic, over restarts', () => {
  it('stays the table that it was made for: another that its name fits stops the capture', async () => {
    const log = newLog();
    expect(await follow({ log, events: transaction(4, SPACED) })).toEqual(lost);
    expect((await topicsOf(log))[TOPIC]?.table).toEqual(SPACED);
    const events = transaction(254, JOINED);
    expect(await follow({ log, events })).toEqual(collision);
    expect(await follow({ log, events })).toEqual(collision);
    expect(await follow({ log, events: transaction(254, SPACED) })).toEqual(lost);
    expect(await tablesIn(log)).toEqual(['shop.a b', 'shop.a b']);
  });

  it("becomes the other table's once the rules lead the first elsewhere", async () => {
    const log = newLog();
    await follow({ log, events: transaction(4, SPACED) });
    const topic = 'shop.spaced';
    expect(await follow({ log, topic, events: transaction(254, SPACED, JOINED) })).toEqual(lost);
    expect(await topicsOf(log)).toMatchObject({
      [TOPIC]: { table: JOINED },
      [topic]: { table: SPACED },
    });
    expect(await tablesIn(log)).toEqual(['shop.a b', 'shop.a_b']);
    // Led back by the earlier rules, the first one would share it.
    expect(await follow({ log, events: transaction(604, SPACED) })).toMatchObject({
      code: 'TOPIC_COLLISION',
      place: expect.stringMatching(/^table shop\.a b, \S+:\d+/) as string,
    });
  });

  it('of a checkpoint that does not tell its table is that of the next table seen', async () => {
    const log = newLog();
    await follow({ log, events: transaction(4, SPACED) });
    const earlier = await log.readCheckpoint('shop');
    const { topics, ...rest } = parseCheckpoint(earlier ?? '');
    const made = topics[TOPIC];
    await log.setCheckpoint(
      'shop',
      JSON.stringify({
        ...rest,
        prepared: undefined,
        version: 1,
        topics: { [TOPIC]: { id: made?.id, partitions: made?.partitions } },
      }),
    );
    expect(await follow({ log, events: transaction(254, SPACED) })).toEqual(lost);
    expect((await topicsOf(log))[TOPIC]).toEqual(made);
    expect(await follow({ log, events: transaction(504, JOINED) })).toEqual(collision);
  });
});
