/** Lanes of the port src/state/state-store.ts: part of its suite. */
import { describe, expect, test } from 'vitest';

import type { LedgerCounts, StateStore } from '../../src/state/state-store.ts';
import { laneEventBytes } from '../../src/state/state-store.ts';
import type { StateUnderTest } from './state-store-samples.ts';
import {
  append,
  asked,
  CALLBACK,
  code,
  counts,
  deliveredHead,
  filteredHead,
  event,
  everything,
  FAILURE,
  failedAgain,
  intoLane,
  laneKey,
  matched,
  newCursor,
  progress,
  eachWithStore,
} from './state-store-samples.ts';

const NONE: ReadonlySet<number> = new Set();

export function describeLanes(make: () => Promise<StateUnderTest>): void {
  describe('lanes', () => {
    let state: StateStore;
    eachWithStore(make, [newCursor(0), newCursor(1)], (opened) => {
      state = opened;
    });

    const ledger = async (): Promise<LedgerCounts | undefined> =>
      (await state.cursors())[0]?.ledger;
    const dueIds = async (now: number, limit = 10, busy = NONE): Promise<string[]> =>
      (await state.dueLanes(CALLBACK, now, limit, busy)).map(({ head }) => String(head.offset));

    test('a failed event makes its lane, of which it is the head', async () => {
      await state.commit(intoLane('a', 0, FAILURE));
      const [lane] = await state.lanes({ limit: 10 });
      const bytes = laneEventBytes(event(0));
      expect(lane).toEqual({
        ...laneKey('a'),
        id: lane?.id,
        headId: event(0).id,
        state: 'retrying',
        depth: 1,
        bytes,
        attempts: 1,
        usedAttempts: 1,
        firstAttemptAt: 1_000,
        nextAttemptAt: 2_000.5,
        lastError: 'HTTP 500',
        cause: 'endpoint',
        version: null,
        awaiting: null,
        skipAsked: false,
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
      expect(shown).toEqual({
        lane,
        events: [0, 2].map((offset) => ({ ...event(offset), value: undefined })),
      });
      expect(shown.events.some((one) => 'value' in one)).toBe(false);
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
      const again = {
        ...FAILURE,
        attempts: 2,
        usedAttempts: 1,
        nextAttemptAt: 9_000,
        error: 'time-out',
      };
      await state.commit([failedAgain('a', 0, again)]);
      const [lane] = await state.lanes({ limit: 10 });
      expect(lane).toMatchObject({
        depth: 2,
        attempts: 2,
        usedAttempts: 1,
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

    test('a head that is none of the callback any more leaves as filtered, and the next one follows', async () => {
      await state.commit([...intoLane('a', 0, FAILURE), ...intoLane('a', 1)]);
      await state.commit([filteredHead('a', 0)]);
      expect(await ledger()).toEqual(counts({ read: 2, matched: 1, filtered: 1, retrying: 1 }));
      await state.commit([filteredHead('a', 1)]);
      expect(await ledger()).toEqual(counts({ read: 2, filtered: 2 }));
      expect(await state.lanes({ limit: 10 })).toEqual([]);
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
        [append('a', 8), append('a', 6), progress(9, { read: 2, matched: 2 })],
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
      ['a lane of a cursor never opened', [{ ...append('b', 5), topic: 'nowhere' }]],
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

    test('give back a large head byte by byte, whatever its size', async () => {
      const MIB = 1024 * 1024;
      const sizes = [MIB - 1, MIB, MIB + 1, 3 * MIB, 5 * MIB + 7];
      const filled = (offset: number): Buffer =>
        Buffer.alloc(sizes[offset % sizes.length] ?? 0, `offset ${offset}, of odd length`);
      // Twice, so that what the first ones left behind would be met.
      for (const offset of [...sizes, ...sizes].keys()) {
        const value = filled(offset);
        const put = {
          type: 'lane-append',
          ...laneKey('a'),
          event: event(offset, { value }),
        } as const;
        await state.commit([put, matched(offset)]);
        if (offset % sizes.length < sizes.length - 1) continue;
        for (let head = offset + 1 - sizes.length; head <= offset; head += 1) {
          const [due] = await state.dueLanes(CALLBACK, 1, 1, NONE);
          expect(filled(head).equals(due?.head.value ?? Buffer.alloc(0))).toBe(true);
          await state.commit([deliveredHead('a', head)]);
        }
      }
      expect(await state.lanes({ limit: 1 })).toEqual([]);
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
        { ...matched(0), callback: 'mail' },
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
      const fastest = async (ask: () => Promise<unknown>): Promise<number> => {
        const times: number[] = [];
        for (let n = 0; n < 10; n += 1) {
          const begin = performance.now();
          await ask();
          times.push(performance.now() - begin);
        }
        return Math.min(...times);
      };
      const walk = await fastest(() => state.lanes({ limit: 10_000 }));
      const due = await fastest(() => state.dueLanes(CALLBACK, 10, 32, NONE));
      const next = await fastest(() => state.nextDueAt(CALLBACK));
      expect(Math.max(due, next)).toBeLessThan(walk / 10);
      expect(await dueIds(10)).toEqual(['9999']);
    });

    test('an operator makes a head due now, and one that is due keeps its place', async () => {
      await state.commit(intoLane('a', 0, { ...FAILURE, nextAttemptAt: 9_000 }));
      await state.commit(intoLane('b', 1, { ...FAILURE, nextAttemptAt: 3_000 }));
      for (const { id } of await state.lanes({ limit: 10 })) {
        await state.actOnLane(id, 'retry', asked(4_000));
      }
      expect(await dueIds(3_999)).toEqual(['1']);
      expect(await dueIds(4_000)).toEqual(['1', '0']);
      expect(await state.lanes({ limit: 1 })).toMatchObject([
        { attempts: 1, lastError: 'HTTP 500' },
      ]);
    });

    test('that are not there cannot be shown or retried', async () => {
      expect(await code(state.lane(77))).toBe('LANE_UNKNOWN');
      expect(await code(state.actOnLane(77, 'retry', asked(0)))).toBe('LANE_UNKNOWN');
    });
  });
}
