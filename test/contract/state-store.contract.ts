/** The port src/state/state-store.ts as a suite: every adapter runs it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { OffsetRun, StateStore } from '../../src/state/state-store.ts';
import { laneEventBytes, LEDGER_FIELDS } from '../../src/state/state-store.ts';
import { describeStateModel } from './state-store-model.ts';
import type { StateTraits, StateUnderTest } from './state-store-samples.ts';
import {
  append,
  CALLBACK,
  code,
  counts,
  deliveredHead,
  event,
  everything,
  FAILURE,
  failedAgain,
  intoLane,
  laneKey,
  matched,
  newCursor,
  progress,
  TOPIC,
} from './state-store-samples.ts';

const NONE: ReadonlySet<number> = new Set();

export function describeStateStore(
  name: string,
  make: () => Promise<StateUnderTest>,
  traits: StateTraits = { shared: true },
): void {
  let under: StateUnderTest;
  let state: StateStore;
  const opened: StateStore[] = [];

  const open = async (): Promise<StateStore> => {
    const another = await under.open();
    opened.push(another);
    return another;
  };

  beforeEach(async () => {
    under = await make();
    state = await open();
  });
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.close();
    await under.destroy();
  });

  describe(`${name}: cursors`, () => {
    test('there are none in a new store', async () => {
      expect(await state.cursors()).toEqual([]);
    });

    test('begin where they were opened, with empty books', async () => {
      const cursor = newCursor(3, { startOffset: 40, next: 42, topicId: 'other' });
      await state.openCursors([cursor]);
      expect(await state.cursors()).toEqual([{ ...cursor, beyond: [], ledger: counts({}) }]);
    });

    test('are apart for each callback, topic and partition', async () => {
      const all = [
        newCursor(0),
        newCursor(1),
        newCursor(0, { topic: 'shop.items' }),
        newCursor(0, { callback: 'mail' }),
      ];
      await state.openCursors(all);
      await state.commit([progress(5, { read: 5, filtered: 5 })]);
      const moved = (await state.cursors()).filter(({ next }) => next === 5);
      expect(moved.map(({ callback, topic, partition }) => [callback, topic, partition])).toEqual([
        [CALLBACK, TOPIC, 0],
      ]);
      expect(await state.cursors()).toHaveLength(4);
    });

    test('opened a second time are refused, and with them those named beside them', async () => {
      await state.openCursors([newCursor(0)]);
      expect(await code(state.openCursors([newCursor(1), newCursor(0)]))).toBe('STATE_UNUSABLE');
      expect(await code(state.openCursors([newCursor(2), newCursor(2)]))).toBe('STATE_UNUSABLE');
      expect(await state.cursors()).toHaveLength(1);
      await state.openCursors([newCursor(1), newCursor(2)]);
      expect(await state.cursors()).toHaveLength(3);
    });
  });

  describe(`${name}: progress`, () => {
    beforeEach(() => state.openCursors([newCursor(0, { startOffset: 10, next: 10 })]));

    test('moves the cursor and adds to the books', async () => {
      await state.commit([progress(12, { read: 2, matched: 1, filtered: 1, delivered: 1 })]);
      await state.commit([progress(15, { read: 3, matched: 3, delivered: 3 })]);
      expect(await state.cursors()).toMatchObject([
        {
          next: 15,
          startOffset: 10,
          ledger: counts({ read: 5, matched: 4, filtered: 1, delivered: 4 }),
        },
      ]);
    });

    test('adds each count of the ledger to its own', async () => {
      for (const field of LEDGER_FIELDS.slice(3)) {
        await state.commit([progress(10, { read: 1, matched: 1, [field]: 1 })]);
      }
      const each = Object.fromEntries(LEDGER_FIELDS.slice(3).map((field) => [field, 1]));
      expect((await state.cursors())[0]?.ledger).toEqual(counts({ read: 8, matched: 8, ...each }));
    });

    test('keeps what is settled beyond exactly, until it is replaced', async () => {
      const beyond: OffsetRun[] = [
        [12, 13],
        [20, 4_000_000_000],
        [2 ** 52, 2 ** 53 - 1],
      ];
      await state.commit([progress(11, {}, beyond)]);
      expect((await state.cursors())[0]?.beyond).toEqual(beyond);
      await state.commit([progress(13, {}, [[20, 21]])]);
      expect(await state.cursors()).toMatchObject([{ next: 13, beyond: [[20, 21]] }]);
      await state.commit([progress(21)]);
      expect(await state.cursors()).toMatchObject([{ next: 21, beyond: [] }]);
    });

    test('of one cursor several times in a commit counts them all and ends at the last', async () => {
      await state.commit([
        progress(11, { read: 1, filtered: 1 }, [[12, 13]]),
        progress(13, { read: 2, filtered: 2 }),
      ]);
      expect(await state.cursors()).toMatchObject([
        { next: 13, beyond: [], ledger: counts({ read: 3, filtered: 3 }) },
      ]);
    });

    test.each([
      ['a cursor that goes back', [progress(11)]],
      ['a cursor that goes back within the commit', [progress(14), progress(13)]],
      ['books that do not balance in what was read', [progress(13, { read: 1 })]],
      ['books that do not balance in what matched', [progress(13, { read: 1, matched: 1 })]],
      ['a count below zero', [progress(13, { delivered: -3, skipped: 3 })]],
      ['half a count', [progress(13, { read: 0.5, filtered: 0.5 })]],
      ['a cursor never opened', [{ ...progress(13), partition: 7 } as const]],
      ['a run that begins at the cursor', [progress(13, {}, [[13, 14]])]],
      [
        'runs that touch',
        [
          progress(13, {}, [
            [14, 15],
            [15, 16],
          ]),
        ],
      ],
      [
        'runs out of order',
        [
          progress(13, {}, [
            [20, 21],
            [15, 16],
          ]),
        ],
      ],
      ['an empty run', [progress(13, {}, [[15, 15]])]],
    ])('with %s is a defect that leaves nothing of the commit', async (_, wrong) => {
      await state.commit([progress(12, { read: 2, matched: 2, delivered: 2 })]);
      const before = await everything(state);
      const whole = [progress(13, { read: 1, filtered: 1 }), ...wrong];
      expect(await code(state.commit(whole))).toBe('INTERNAL');
      expect(await everything(state)).toEqual(before);
      await state.commit([progress(13, { read: 1, filtered: 1 })]);
      expect(await state.cursors()).toMatchObject([{ next: 13 }]);
    });

    test('of nothing is nothing', async () => {
      await state.commit([]);
      expect(await state.cursors()).toMatchObject([{ next: 10, ledger: counts({}) }]);
    });
  });

  describe(`${name}: lanes`, () => {
    beforeEach(() => state.openCursors([newCursor(0), newCursor(1)]));

    const ledger = async () => (await state.cursors())[0]?.ledger;
    const dueIds = async (now: number, limit = 10, busy = NONE): Promise<string[]> =>
      (await state.dueLanes(CALLBACK, now, limit, busy)).map(({ head }) => String(head.offset));

    test('a failed event makes its lane, of which it is the head', async () => {
      await state.commit(intoLane('a', 0, FAILURE));
      const [lane] = await state.lanes({ limit: 10 });
      const bytes = laneEventBytes(event(0));
      expect(lane).toEqual({
        ...laneKey('a'),
        id: lane?.id,
        state: 'retrying',
        depth: 1,
        bytes,
        attempts: 1,
        firstAttemptAt: 1_000,
        nextAttemptAt: 2_000.5,
        lastError: 'HTTP 500',
      });
      expect(await ledger()).toEqual(counts({ read: 1, matched: 1, retrying: 1 }));
    });

    test('an event without a failure makes a lane that is due at once', async () => {
      await state.commit(intoLane('a', 0));
      const lanes = await state.dueLanes(CALLBACK, 5, 10, NONE);
      expect(lanes).toMatchObject([{ attempts: 0, firstAttemptAt: null, lastError: null }]);
      expect(await ledger()).toEqual(counts({ read: 1, matched: 1, retrying: 1 }));
    });

    test('later events stand behind the head and leave its attempts alone', async () => {
      await state.commit(intoLane('a', 0, FAILURE));
      await state.commit([
        append('a', 1),
        append('a', 5),
        progress(6, { read: 6, matched: 2, filtered: 4 }),
      ]);
      const [lane] = await state.lanes({ limit: 10 });
      const bytes = [0, 1, 5].reduce((sum, offset) => sum + laneEventBytes(event(offset)), 0);
      expect(lane).toMatchObject({ depth: 3, bytes, attempts: 1, nextAttemptAt: 2_000.5 });
      expect(await ledger()).toMatchObject({ matched: 3, retrying: 1, pending: 2 });
    });

    test('show their events in order, without values', async () => {
      await state.commit(intoLane('a', 0, FAILURE));
      await state.commit(intoLane('b', 1, FAILURE));
      await state.commit(intoLane('a', 2));
      const [lane] = await state.lanes({ limit: 1 });
      const shown = await state.lane(lane?.id ?? 0);
      const withoutValue = [0, 2].map((offset) => {
        const { value: _, ...rest } = event(offset);
        return rest;
      });
      expect(shown).toEqual({ lane, events: withoutValue });
    });

    test('show no more than the first 1,000 events', async () => {
      const offsets = Array.from({ length: 1_100 }, (_, offset) => offset);
      await state.commit([
        ...offsets.map((offset) => append('a', offset, offset === 0 ? FAILURE : undefined)),
        progress(1_100, { read: 1_100, matched: 1_100 }),
      ]);
      const [lane] = await state.lanes({ limit: 1 });
      const shown = await state.lane(lane?.id ?? 0);
      expect(shown.lane.depth).toBe(1_100);
      expect(shown.events.map(({ offset }) => offset)).toEqual(offsets.slice(0, 1_000));
    });

    test('a head that fails again keeps its place with a new time', async () => {
      await state.commit([...intoLane('a', 0, FAILURE)]);
      await state.commit(intoLane('a', 1));
      const again = { attempts: 2, firstAttemptAt: 1_000, nextAttemptAt: 9_000, error: 'time-out' };
      await state.commit([failedAgain('a', 0, again)]);
      const [lane] = await state.lanes({ limit: 10 });
      expect(lane).toMatchObject({
        depth: 2,
        attempts: 2,
        firstAttemptAt: 1_000,
        nextAttemptAt: 9_000,
        lastError: 'time-out',
      });
      expect(await ledger()).toMatchObject({ retrying: 1, pending: 1, delivered: 0 });
      expect(await dueIds(8_999)).toEqual([]);
      expect(await dueIds(9_000)).toEqual(['0']);
    });

    test('a delivered head leaves, and the next event is due at once with nothing used up', async () => {
      await state.commit(intoLane('a', 0, FAILURE));
      await state.commit(intoLane('a', 1));
      expect(await dueIds(3_000)).toEqual(['0']);
      await state.commit([deliveredHead('a', 0)]);
      const [due] = await state.dueLanes(CALLBACK, 3_000, 10, NONE);
      expect(due).toMatchObject({
        depth: 1,
        bytes: laneEventBytes(event(1)),
        attempts: 0,
        firstAttemptAt: null,
        lastError: null,
        head: { offset: 1 },
      });
      expect(await ledger()).toEqual(counts({ read: 2, matched: 2, delivered: 1, retrying: 1 }));
    });

    test('the last event delivered takes the lane with it, and its id is never used again', async () => {
      await state.commit(intoLane('a', 0, FAILURE));
      const [first] = await state.lanes({ limit: 1 });
      await state.commit([deliveredHead('a', 0)]);
      expect(await state.lanes({ limit: 1 })).toEqual([]);
      expect(await state.nextDueAt(CALLBACK)).toBe(null);
      expect(await ledger()).toEqual(counts({ read: 1, matched: 1, delivered: 1 }));
      expect(await code(state.lane(first?.id ?? 0))).toBe('LANE_UNKNOWN');
      await state.commit(intoLane('a', 1, FAILURE));
      const [second] = await state.lanes({ limit: 1 });
      expect(second?.id).toBeGreaterThan(first?.id ?? Infinity);
    });

    test('a lane may be made, drained and made again in one commit', async () => {
      await state.commit([
        append('a', 0, FAILURE),
        append('a', 1),
        deliveredHead('a', 0),
        deliveredHead('a', 1),
        append('a', 2, FAILURE),
        progress(3, { read: 3, matched: 3 }),
      ]);
      expect(await state.lanes({ limit: 10 })).toMatchObject([{ depth: 1, attempts: 1 }]);
      expect(await ledger()).toEqual(counts({ read: 3, matched: 3, delivered: 2, retrying: 1 }));
    });

    test('give back the whole head: bytes, no value, an empty value', async () => {
      const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const heads = [
        event(0, { value: all, timestampMs: 1_700_000_000_123.25, table: 'shop.ordérs' }),
        event(1, { value: null, operation: 'd' }),
        event(2, { value: new Uint8Array(0), operation: 't' }),
      ];
      await state.commit([
        ...heads.map((head, index) => ({
          type: 'lane-append' as const,
          ...laneKey(`k${index}`),
          event: head,
          failure: FAILURE,
        })),
        progress(3, { read: 3, matched: 3 }),
      ]);
      const due = await state.dueLanes(CALLBACK, 10_000, 10, NONE);
      expect(due.map(({ head }) => ({ ...head, value: head.value && [...head.value] }))).toEqual(
        heads.map((head) => ({ ...head, value: head.value && [...head.value] })),
      );
    });

    test.each([
      ['a failure that is not the head', [...intoLane('a', 2, FAILURE)]],
      ['an event that is in the lane already', [...intoLane('a', 1)]],
      [
        'an event older than the last of the lane',
        [append('a', 0), progress(2, { read: 1, matched: 1 })],
      ],
      [
        'an event of another partition',
        [{ ...append('a', 5), event: event(5, { partition: 1 }) } as never],
      ],
      ['an event that was never counted as matched', [append('a', 2)]],
      ['another head failing', [failedAgain('a', 1, FAILURE)]],
      ['another head delivered', [deliveredHead('a', 1)]],
      ['an unknown lane failing', [failedAgain('z', 0, FAILURE)]],
      ['an unknown lane delivered', [deliveredHead('z', 0)]],
      ['a lane of a cursor never opened', [{ ...append('b', 5), topic: 'nowhere' } as never]],
      ['a cursor that goes back', [deliveredHead('a', 0), progress(1)]],
    ])('%s is a defect that leaves nothing of the commit', async (_, wrong) => {
      await state.commit(intoLane('a', 0, FAILURE));
      await state.commit(intoLane('a', 1));
      const before = await everything(state);
      const whole = [append('c', 9, FAILURE), progress(2, { read: 1, matched: 1 }), ...wrong];
      expect(await code(state.commit(whole))).toBe('INTERNAL');
      expect(await everything(state)).toEqual(before);
      await state.commit([deliveredHead('a', 0)]);
      expect(await ledger()).toMatchObject({ matched: 2, delivered: 1, retrying: 1 });
    });

    test('come up when due, oldest first, without those in flight', async () => {
      for (const [offset, at] of [5_000, 3_000, 4_000, 9_000].entries()) {
        await state.commit(intoLane(`k${offset}`, offset, { ...FAILURE, nextAttemptAt: at }));
      }
      expect(await dueIds(2_999)).toEqual([]);
      expect(await dueIds(5_000)).toEqual(['1', '2', '0']);
      expect(await dueIds(5_000, 2)).toEqual(['1', '2']);
      const [oldest] = await state.dueLanes(CALLBACK, 5_000, 1, NONE);
      expect(await dueIds(5_000, 2, new Set([oldest?.id ?? 0]))).toEqual(['2', '0']);
      expect(await state.dueLanes('another', 5_000, 10, NONE)).toEqual([]);
      expect(await state.nextDueAt(CALLBACK)).toBe(3_000);
      expect(await state.nextDueAt('another')).toBe(null);
    });

    test('a lane that drains stands behind the ones that were due before it', async () => {
      await state.commit(intoLane('deep', 0, { ...FAILURE, nextAttemptAt: 1 }));
      await state.commit(intoLane('deep', 1));
      await state.commit(intoLane('other', 2, { ...FAILURE, nextAttemptAt: 2 }));
      expect(await dueIds(10, 1)).toEqual(['0']);
      await state.commit([deliveredHead('deep', 0)]);
      expect(await dueIds(10)).toEqual(['2', '1']);
    });

    test('with large events come up a few at a time, always at least one', async () => {
      const large = new Uint8Array(12 * 1024 * 1024);
      for (let offset = 0; offset < 4; offset += 1) {
        const [put, ...rest] = intoLane(`k${offset}`, offset, FAILURE);
        await state.commit([{ ...put, event: event(offset, { value: large }) } as never, ...rest]);
      }
      expect(await dueIds(10_000)).toEqual(['0', '1']);
      const first = await state.dueLanes(CALLBACK, 10_000, 10, NONE);
      expect(await dueIds(10_000, 10, new Set(first.map(({ id }) => id)))).toEqual(['2', '3']);
    });

    test('are listed by id in pages, of one callback or of all', async () => {
      await state.openCursors([newCursor(0, { callback: 'mail' })]);
      for (let offset = 0; offset < 5; offset += 1) {
        await state.commit(intoLane(`k${offset}`, offset, FAILURE));
      }
      const mail = { ...laneKey('k'), callback: 'mail' };
      await state.commit([
        { type: 'lane-append', ...mail, event: event(0) },
        { ...matched(0), callback: 'mail' } as never,
      ]);
      const ids = (await state.lanes({ limit: 10 })).map(({ id }) => id);
      expect(ids).toEqual(ids.toSorted((x, y) => x - y));
      expect(ids).toHaveLength(6);
      const page = await state.lanes({ callback: CALLBACK, afterId: ids[1] ?? 0, limit: 2 });
      expect(page.map(({ id }) => id)).toEqual(ids.slice(2, 4));
      expect(await state.lanes({ callback: 'mail', limit: 10 })).toMatchObject([mail]);
      expect(await state.lanes({ callback: 'nobody', limit: 10 })).toEqual([]);
    });

    test('10,000 that wait do not slow the few that are due', async () => {
      const changes = Array.from({ length: 10_000 }, (_, offset) =>
        append(`k${offset}`, offset, { ...FAILURE, nextAttemptAt: offset < 9_999 ? 1e12 : 5 }),
      );
      await state.commit([...changes, progress(10_000, { read: 10_000, matched: 10_000 })]);
      const asked = 200;
      const begin = performance.now();
      for (let n = 0; n < asked; n += 1) await state.dueLanes(CALLBACK, 10, 32, NONE);
      // A walk over all lanes takes 5 ms and more; the index takes some tens of microseconds.
      expect((performance.now() - begin) / asked).toBeLessThan(2);
      expect(await dueIds(10)).toEqual(['9999']);
    });

    test('an operator makes a head due now, and one that is due keeps its place', async () => {
      await state.commit(intoLane('a', 0, { ...FAILURE, nextAttemptAt: 9_000 }));
      await state.commit(intoLane('b', 1, { ...FAILURE, nextAttemptAt: 3_000 }));
      for (const { id } of await state.lanes({ limit: 10 })) await state.retryLane(id, 4_000);
      expect(await dueIds(3_999)).toEqual(['1']);
      expect(await dueIds(4_000)).toEqual(['1', '0']);
      expect(await state.lanes({ limit: 1 })).toMatchObject([
        { attempts: 1, lastError: 'HTTP 500' },
      ]);
    });

    test('that are not there cannot be shown or retried', async () => {
      expect(await code(state.lane(77))).toBe('LANE_UNKNOWN');
      expect(await code(state.retryLane(77, 0))).toBe('LANE_UNKNOWN');
    });
  });

  describe(`${name}: the store`, () => {
    test('has an identity of its own', async () => {
      const other = await make();
      const another = await other.open();
      expect(state.id).not.toBe('');
      expect(another.id).not.toBe(state.id);
      await another.close();
      await other.destroy();
    });

    test('closes more than once, and answers nothing afterwards', async () => {
      await state.openCursors([newCursor()]);
      await state.close();
      await state.close();
      await expect(state.cursors()).rejects.toThrow();
      await expect(state.commit([progress(1)])).rejects.toThrow();
    });
  });

  if (traits.shared) describeShared(name, { state: () => state, open });
  describeStateModel(name, make, traits);
}

/** What a second opening of the same store sees. */
function describeShared(
  name: string,
  store: { readonly state: () => StateStore; readonly open: () => Promise<StateStore> },
): void {
  describe(`${name}: opened again`, () => {
    test('is the same store, with all that was committed', async () => {
      const state = store.state();
      await state.openCursors([newCursor()]);
      await state.commit(intoLane('a', 0, FAILURE));
      await state.commit([...intoLane('a', 1), progress(2, {}, [[4, 9]])]);
      const before = await everything(state);
      await state.close();
      const again = await store.open();
      expect(again.id).toBe(state.id);
      expect(await everything(again)).toEqual(before);
      const due = await again.dueLanes(CALLBACK, 10_000, 10, NONE);
      expect(due.map(({ head }) => Buffer.from(head.value ?? []).toString())).toEqual([
        '{"before":null,"n":0}',
      ]);
    });

    test('the version of the data changes when another wrote, not when we did', async () => {
      const state = store.state();
      await state.openCursors([newCursor()]);
      await state.commit(intoLane('a', 0, FAILURE));
      const version = await state.dataVersion();
      await state.commit(intoLane('a', 1));
      expect(await state.dataVersion()).toBe(version);
      const operator = await store.open();
      const [lane] = await operator.lanes({ limit: 1 });
      expect(await state.dataVersion()).toBe(version);
      await operator.retryLane(lane?.id ?? 0, 5);
      expect(await state.dataVersion()).not.toBe(version);
      expect(await state.nextDueAt(CALLBACK)).toBe(5);
    });
  });
}
