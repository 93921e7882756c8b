/** Dead letters that go again, of the port src/state/resend-store.ts: part of the state store's suite. */
import { describe, expect, test } from 'vitest';

import { type Resend, SCANNED_AT_ONCE } from '../../src/state/resend-store.ts';
import type { StateChange, StateStore } from '../../src/state/state-store.ts';
import {
  asked,
  CALLBACK,
  code,
  deadAtOnce,
  event,
  FAILURE,
  intoLane,
  laneKey,
  matched,
  newCursor,
  type StateTraits,
  type StateUnderTest,
  TOPIC,
  eachWithStore,
} from './state-store-samples.ts';

const NONE: ReadonlySet<number> = new Set();
const ALL = { afterId: 0, filter: {} };

export function describeResends(
  make: () => Promise<StateUnderTest>,
  { shared }: StateTraits,
): void {
  describe('resends of dead letters', () => {
    let reopen: () => Promise<StateStore>;
    let state: StateStore;
    eachWithStore(make, [newCursor(0)], (opened, again) => {
      state = opened;
      reopen = again;
    });

    const die = async (...keys: string[]): Promise<void> => {
      for (const [offset, key] of keys.entries()) {
        await state.commit([deadAtOnce(key, offset), matched(offset)]);
      }
    };
    const due = async (nowMs = 0, busy = NONE): Promise<number[]> => {
      const found = await state.dueResends(CALLBACK, nowMs, 100, busy);
      return found.map(({ deadLetter }) => deadLetter);
    };
    const many = (upToId: number, total = upToId): Promise<Resend> =>
      state.resendMany({ callback: CALLBACK }, { upToId, total }, asked(5));
    const delivered = (resend: number, deadLetter: number): StateChange => ({
      ...{ type: 'resend-delivered', callback: CALLBACK, resend, deadLetter, atMs: 9 },
    });
    const failed = (resend: number, deadLetter: number, exhausted: boolean): StateChange => ({
      ...{ type: 'resend-failed', callback: CALLBACK, resend, deadLetter, exhausted, atMs: 9 },
      failure: { ...FAILURE, attempts: 2, error: 'HTTP 502' },
    });
    const books = async (id: number): Promise<object> => {
      const { resend } = await state.resend(id);
      const { taken, waiting, delivered: done, failed: lost, cancelled } = resend;
      expect(taken).toBe(waiting + done + lost + cancelled);
      return { state: resend.state, waiting, delivered: done, failed: lost, cancelled };
    };
    const letters = async (): Promise<number[]> =>
      (await state.deadLetters({ limit: 1_000 })).map(({ id }) => id);

    test('one that is delivered is a dead letter no more, and the ledger keeps it as dead', async () => {
      await die('a', 'b');
      const [before] = await state.cursors();
      const data = Buffer.from('{"fixed":true}');
      const { id } = await state.resendOne(1, data, asked(5));
      const [one] = await state.dueResends(CALLBACK, 0, 10, NONE);
      expect(one).toMatchObject({
        ...{ resend: id, deadLetter: 1, attempts: 1, usedAttempts: 0, firstAttemptAt: null },
        ...laneKey('a'),
        event: { offset: 0, id: event(0).id },
      });
      expect(Buffer.from(one?.data ?? []).toString()).toBe('{"fixed":true}');
      expect(Buffer.from(one?.event.value ?? [])).toEqual(event(0).value);
      await state.commit([delivered(id, 1)]);
      expect(await letters()).toEqual([2]);
      expect(await code(state.deadLetter(1))).toBe('DEAD_LETTER_UNKNOWN');
      expect(await books(id)).toMatchObject({ state: 'done', waiting: 0, delivered: 1 });
      expect((await state.cursors())[0]).toEqual(before);
      expect(await due()).toEqual([]);
      expect(await state.nextResendAt(CALLBACK)).toBeNull();
      expect(await state.audit({ limit: 9 })).toMatchObject([
        { action: 'dead-letter-resend', callback: CALLBACK, eventId: event(0).id, ...asked(5) },
      ]);
    });

    test('a failed one waits for its next attempt; exhausted it stays a dead letter, with the newer failure', async () => {
      await die('a');
      const { id } = await state.resendOne(1, null, asked(5));
      await state.commit([failed(id, 1, false)]);
      expect(await due(2_000)).toEqual([]);
      expect(await state.nextResendAt(CALLBACK)).toBe(2_000.5);
      const [again] = await state.dueResends(CALLBACK, 2_001, 10, NONE);
      expect(again).toMatchObject({ attempts: 2, usedAttempts: 1, firstAttemptAt: 1_000 });
      await state.commit([failed(id, 1, true)]);
      expect(await books(id)).toMatchObject({ state: 'done', failed: 1 });
      expect((await state.deadLetter(1)).deadLetter).toMatchObject({
        ...{ attempts: 2, error: 'HTTP 502', diedAt: 2_000.5 },
      });
      await state.resendOne(1, null, asked(6));
    });

    test('many are those of the filter up to an id, and no later ones', async () => {
      await die('a', 'b', 'c');
      const { id } = await many(2);
      expect(await due()).toEqual([1, 2]);
      expect(await due(0, new Set([1]))).toEqual([2]);
      await state.commit([delivered(id, 1), delivered(id, 2)]);
      expect(await books(id)).toMatchObject({ state: 'done', delivered: 2 });
      expect(await letters()).toEqual([3]);
    });

    test('one is in one resend at a time, and what another has is not taken twice', async () => {
      await die('a', 'b');
      const first = await state.resendOne(1, null, asked(5));
      expect(await code(state.resendOne(1, null, asked(6)))).toBe('RESEND_PENDING');
      const all = await many(2);
      expect(await due()).toEqual([1, 2]);
      await state.commit([delivered(first.id, 1), delivered(all.id, 2)]);
      const { resend } = await state.resend(all.id);
      expect(resend).toMatchObject({ state: 'done', total: 2, taken: 1, looked: true });
    });

    test('a paused one rests, and goes on where it was', async () => {
      await die('a', 'b');
      const { id } = await many(2);
      await due();
      await state.actOnResend(id, 'pause', asked(6));
      expect(await due()).toEqual([]);
      expect(await state.nextResendAt(CALLBACK)).toBeNull();
      // What was in flight is counted all the same.
      await state.commit([delivered(id, 1)]);
      await state.actOnResend(id, 'resume', asked(7));
      expect(await due()).toEqual([2]);
      const actions = (await state.audit({ limit: 9 })).map(({ action }) => action);
      expect(actions).toEqual(['dead-letter-resend', 'resend-pause', 'resend-resume']);
    });

    test('one that a cancelled resend had in flight and delivered is none any more for the resend that was asked for since', async () => {
      await die('a', 'b', 'c');
      const first = await state.resendOne(1, null, asked(5));
      await state.actOnResend(first.id, 'cancel', asked(6));
      const second = await state.resendOne(1, null, asked(7));
      await state.commit([failed(first.id, 1, false)]);
      expect(await due(0, NONE)).toEqual([1]);
      await state.commit([delivered(first.id, 1)]);
      expect(await books(first.id)).toMatchObject({ state: 'cancelled', delivered: 1 });
      expect(await books(second.id)).toMatchObject({ state: 'done', waiting: 0, delivered: 0 });
      expect(await state.nextResendAt(CALLBACK)).toBeNull();
      const some = await many(3);
      expect(await due()).toEqual([2, 3]);
      await state.actOnResend(some.id, 'cancel', asked(8));
      const again = await many(3);
      expect(await due()).toEqual([2, 3]);
      await state.commit([delivered(some.id, 3)]);
      expect(await books(again.id)).toMatchObject({ state: 'running', waiting: 1 });
      await state.commit([delivered(again.id, 2)]);
      expect(await books(again.id)).toMatchObject({ state: 'done', delivered: 1 });
      expect(await letters()).toEqual([]);
    });

    test('a cancelled one has ended; what was in flight counts as what it came to', async () => {
      await die('a', 'b', 'c');
      const { id } = await many(3);
      await due();
      await state.actOnResend(id, 'cancel', asked(6));
      expect(await due()).toEqual([]);
      await state.commit([delivered(id, 1), failed(id, 2, true)]);
      expect(await books(id)).toEqual({
        ...{ state: 'cancelled', waiting: 0, delivered: 1, failed: 0, cancelled: 2 },
      });
      expect(await letters()).toEqual([2, 3]);
      expect(await code(state.actOnResend(id, 'resume', asked(7)))).toBe('RESEND_ENDED');
      expect(await code(state.actOnResend(99, 'pause', asked(7)))).toBe('RESEND_UNKNOWN');
      expect(await code(state.resend(99))).toBe('RESEND_UNKNOWN');
    });

    test('one whose key has a lane waits for its end', async () => {
      await die('a', 'b');
      await state.commit(intoLane('a', 2, FAILURE));
      await many(2);
      expect(await due(100)).toEqual([2]);
      await state.commit([{ type: 'lane-delivered', ...laneKey('a'), offset: 2 }]);
      expect((await due(1_000_000)).toSorted()).toEqual([1, 2]);
    });

    test('no more are taken up at once than a bounded number, and all in the end', async () => {
      const changes: StateChange[] = [];
      const count = 2_500;
      for (let offset = 0; offset < count; offset += 1) {
        changes.push(deadAtOnce(`k${offset}`, offset), matched(offset));
      }
      await state.commit(changes);
      const { id } = await many(count);
      const seen = new Set<number>();
      while ((await state.resend(id)).resend.state === 'running') {
        const found = await due();
        expect(found.length).toBeGreaterThan(0);
        expect((await state.resend(id)).resend.waiting).toBeLessThanOrEqual(2_000);
        for (const one of found) seen.add(one);
        await state.commit(found.map((one) => delivered(id, one)));
      }
      expect(seen.size).toBe(count);
      expect(await books(id)).toMatchObject({ state: 'done', delivered: count });
    });

    test('10,001 that had failed for all times go, as many as were counted, also those that fail once more', async () => {
      const count = 10_001;
      const changes: StateChange[] = [];
      for (let offset = 0; offset < count; offset += 1) {
        const attempts = 1 + (offset % 25);
        const nextAttemptAt = 1_000 + ((offset * 7_919) % 604_800_000);
        const failure = { ...FAILURE, attempts, usedAttempts: attempts, nextAttemptAt };
        changes.push(deadAtOnce(`k${offset % 3_000}`, offset, failure), matched(offset));
      }
      await state.commit(changes);
      let counted = 0;
      let upTo = 0;
      for (let next: number | null = 0; next !== null;) {
        const filter = { callback: CALLBACK };
        const part = await state.countDeadLetters({ filter, afterId: next });
        counted += part.count;
        [upTo, next] = [part.last, part.next];
      }
      expect(counted).toBe(count);
      const { id } = await many(upTo, counted);
      // Those that die meanwhile are not among those that were counted.
      await state.commit([deadAtOnce('later', count), matched(count)]);
      const failedOnce = new Set<number>();
      for (let nowMs = 0; (await state.resend(id)).resend.state === 'running'; nowMs += 60_000) {
        const found = await due(nowMs);
        await state.commit(
          found.map((letter) => {
            if (letter % 3 !== 0 || failedOnce.has(letter)) return delivered(id, letter);
            failedOnce.add(letter);
            const nextAttemptAt = nowMs + ((letter * 31) % 900_000);
            const change = failed(id, letter, false);
            return 'failure' in change
              ? { ...change, failure: { ...FAILURE, nextAttemptAt } }
              : change;
          }),
        );
      }
      expect(failedOnce.size).toBe(Math.floor(count / 3));
      expect(await books(id)).toEqual({
        ...{ state: 'done', waiting: 0, delivered: count, failed: 0, cancelled: 0 },
      });
      expect(await state.deadLetters({ limit: 9 })).toMatchObject([{ id: count + 1 }]);
    });

    test('is looked through by every part of the filter', async () => {
      await die('a', 'b', 'a');
      await state.commit([
        deadAtOnce('d', 3, { ...FAILURE, cause: 'system', nextAttemptAt: 7_000 }),
        matched(3),
      ]);
      const found = async (filter: object): Promise<number[]> => {
        const { letters: some } = await state.scanDeadLetters({ ...ALL, filter, limit: 9 });
        const { count } = await state.countDeadLetters({ ...ALL, filter });
        expect(count).toBe(some.length);
        return some.map(({ id }) => id);
      };
      expect(await found({})).toEqual([1, 2, 3, 4]);
      expect(await found({ callback: CALLBACK, key: laneKey('a').key })).toEqual([1, 3]);
      expect(await found({ callback: 'nobody' })).toEqual([]);
      expect(await found({ topic: TOPIC, table: 'shop.orders' })).toEqual([1, 2, 3, 4]);
      expect(await found({ topic: 'other' })).toEqual([]);
      expect(await found({ table: 'shop.other' })).toEqual([]);
      expect(await found({ cause: 'system' })).toEqual([4]);
      expect(await found({ fromMs: 7_000 })).toEqual([4]);
      expect(await found({ toMs: 7_000 })).toEqual([1, 2, 3]);
      const page = await state.scanDeadLetters({ afterId: 1, upToId: 3, filter: {}, limit: 1 });
      expect(page).toMatchObject({ letters: [{ id: 2 }], next: 2 });
      expect(await state.countDeadLetters({ afterId: 1, upToId: 3, filter: {} })).toEqual({
        ...{ count: 2, last: 3, next: null },
      });
    });

    test('a look is bounded, and says how far it came', async () => {
      const changes: StateChange[] = [];
      for (let offset = 0; offset < SCANNED_AT_ONCE + 1; offset += 1) {
        changes.push(deadAtOnce('k', offset), matched(offset));
      }
      await state.commit(changes);
      const filter = { key: laneKey('none').key };
      const first = await state.scanDeadLetters({ ...ALL, filter, limit: 1 });
      expect(first).toEqual({ letters: [], next: SCANNED_AT_ONCE });
      const rest = { afterId: SCANNED_AT_ONCE, filter, limit: 1 };
      expect(await state.scanDeadLetters(rest)).toEqual({ letters: [], next: null });
      expect(await state.countDeadLetters(ALL)).toEqual({
        ...{ count: SCANNED_AT_ONCE, last: SCANNED_AT_ONCE, next: SCANNED_AT_ONCE },
      });
    });

    test('are listed with the newest first', async () => {
      await die('a', 'b');
      await state.resendOne(1, null, asked(5));
      await many(2);
      const list = await state.resends({ limit: 9 });
      expect(list.map(({ id, total }) => [id, total])).toEqual([
        [2, 2],
        [1, 1],
      ]);
      expect(await state.resends({ callback: 'nobody', limit: 9 })).toEqual([]);
      expect(await state.resends({ beforeId: 2, limit: 9 })).toMatchObject([{ id: 1 }]);
    });

    test.runIf(shared)('outlive the process', async () => {
      await die('a', 'b');
      const { id } = await many(2);
      await due();
      await state.commit([delivered(id, 1)]);
      state = await reopen();
      expect(await due()).toEqual([2]);
      expect(await books(id)).toMatchObject({ state: 'running', waiting: 1, delivered: 1 });
    });
  });
}
