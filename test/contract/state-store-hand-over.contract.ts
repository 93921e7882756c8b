/** What one callback gives up and another gets, of the port src/state/state-store.ts: part of its suite. */
import { describe, expect, test } from 'vitest';

import type { LedgerCounts, StateChange, StateStore } from '../../src/state/state-store.ts';
import { handOverTopic, laneEventBytes } from '../../src/state/state-store.ts';
import type { StateUnderTest } from './state-store-samples.ts';
import {
  CALLBACK,
  code,
  counts,
  deadAtOnce,
  deadHead,
  event,
  everything,
  FAILURE,
  intoLane,
  laneKey,
  matched,
  newCursor,
  TOPIC,
  eachWithStore,
} from './state-store-samples.ts';

const NONE: ReadonlySet<number> = new Set();
const TO = 'by-mail';
const UNDO = 'undo';
const AGAIN = { ...FAILURE, attempts: 3, usedAttempts: 3, nextAttemptAt: 8_000, error: 'HTTP 501' };
const FALLBACK = { origin: 'fallback', to: TO } as const;
const COMPENSATION = { origin: 'compensation', to: UNDO } as const;
const AT = handOverTopic('fallback', CALLBACK, TOPIC);

function toFallback(change: StateChange, handOvers = [FALLBACK]): StateChange {
  return { ...change, handOvers } as StateChange;
}

export function describeHandOvers(make: () => Promise<StateUnderTest>): void {
  describe('handed over', () => {
    let state: StateStore;
    eachWithStore(make, [newCursor(0)], (opened) => {
      state = opened;
    });

    const books = async (): Promise<Record<string, LedgerCounts>> =>
      Object.fromEntries(
        (await state.handedOver()).map(({ callback, topic, ledger }) => [
          `${callback} ${topic}`,
          ledger,
        ]),
      );

    test('an event given up at its first attempt is in a lane of the other callback, and in books of its own', async () => {
      const sent = event(0);
      await state.commit([toFallback(deadAtOnce('a', 0, FAILURE)), matched(0)]);
      const [due] = await state.dueLanes(TO, 0, 9, NONE);
      const failed = { callback: CALLBACK, attempts: 1, error: 'HTTP 500', cause: 'endpoint' };
      expect(due).toMatchObject({
        ...{ callback: TO, topic: AT, key: laneKey('a').key, state: 'retrying', depth: 1 },
        ...{ attempts: 0, usedAttempts: 0, lastError: null, bytes: laneEventBytes(sent) },
        head: { id: sent.id, table: sent.table, timestampMs: sent.timestampMs, offset: 0, failed },
      });
      expect(Buffer.from(due?.head.value ?? [])).toEqual(sent.value);
      expect(await books()).toEqual({
        [`${TO} ${AT}`]: counts({ read: 1, matched: 1, retrying: 1 }),
      });
      expect((await state.cursors()).map(({ callback, ledger }) => [callback, ledger])).toEqual([
        [CALLBACK, counts({ read: 1, matched: 1, dead: 1 })],
      ]);
      expect(await state.deadLetters({ limit: 9 })).toMatchObject([{ callback: CALLBACK }]);
    });

    test('the events of a key come in the order in which they were given up, each as its own', async () => {
      await state.commit(intoLane('a', 3, FAILURE));
      await state.commit([...intoLane('a', 4), ...intoLane('a', 5)]);
      await state.commit([
        toFallback(deadHead('a', 3, AGAIN)),
        toFallback(deadHead('a', 4, FAILURE)),
      ]);
      const [lane] = await state.lanes({ callback: TO, limit: 9 });
      const { events } = await state.lane(lane?.id ?? 0);
      expect(events.map(({ id, offset }) => [id, offset])).toEqual([
        [event(3).id, 0],
        [event(4).id, 1],
      ]);
      const key = { callback: TO, topic: AT, key: laneKey('a').key };
      await state.commit([{ type: 'lane-delivered', ...key, offset: 0 }]);
      const [due] = await state.dueLanes(TO, 1e12, 9, NONE);
      expect(due?.head).toMatchObject({ id: event(4).id, failed: { attempts: 1 } });
      expect(await books()).toEqual({
        [`${TO} ${AT}`]: counts({ read: 2, matched: 2, delivered: 1, retrying: 1 }),
      });
    });

    test('one event goes to two callbacks at once, large as it may be', async () => {
      const value = Buffer.alloc(3 * 1024 * 1024 + 5, 'x');
      const change = { ...deadAtOnce('a', 0, FAILURE), event: event(0, { value }) };
      const handOvers = [FALLBACK, COMPENSATION];
      await state.commit([{ ...change, handOvers } as StateChange, matched(0)]);
      for (const to of [TO, UNDO]) {
        const [due] = await state.dueLanes(to, 0, 9, NONE);
        expect(Buffer.compare(Buffer.from(due?.head.value ?? []), value)).toBe(0);
      }
      const [letter] = await state.deadLetters({ limit: 9 });
      const { value: kept } = await state.deadLetter(letter?.id ?? 0);
      expect(Buffer.compare(Buffer.from(kept ?? []), value)).toBe(0);
    });

    test('what was handed over may be given up in its turn, and go on', async () => {
      await state.commit([toFallback(deadAtOnce('a', 0, FAILURE)), matched(0)]);
      const dead = { type: 'lane-dead', callback: TO, topic: AT, key: laneKey('a').key } as const;
      await state.commit([{ ...dead, offset: 0, failure: AGAIN, handOvers: [COMPENSATION] }]);
      expect(await books()).toEqual({
        [`${TO} ${AT}`]: counts({ read: 1, matched: 1, dead: 1 }),
        [`${UNDO} ${handOverTopic('compensation', TO, AT)}`]: counts({
          ...{ read: 1, matched: 1, retrying: 1 },
        }),
      });
      const [due] = await state.dueLanes(UNDO, 1e12, 9, NONE);
      expect(due?.head).toMatchObject({ id: event(0).id, failed: { callback: TO, attempts: 3 } });
    });

    test('of a commit that is refused nothing was handed over, and the next one is', async () => {
      const before = await everything(state);
      const wrong = [toFallback(deadAtOnce('a', 0, FAILURE))];
      expect(await code(state.commit(wrong))).toBe('INTERNAL');
      expect(await everything(state)).toEqual(before);
      expect(await state.handedOver()).toEqual([]);
      await state.commit([toFallback(deadAtOnce('a', 0, FAILURE)), matched(0)]);
      expect(await state.handedOver()).toMatchObject([{ callback: TO, next: 1 }]);
    });
  });
}
