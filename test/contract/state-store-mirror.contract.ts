/** Dead letters that have yet to be mirrored, of the port src/state/mirror-store.ts: part of the suite. */
import { describe, expect, test } from 'vitest';

import { handOverTopic, type StateChange, type StateStore } from '../../src/state/state-store.ts';
import type { UnmirroredLetter } from '../../src/state/mirror-store.ts';
import {
  asked,
  CALLBACK,
  code,
  deadHead,
  event,
  eachWithStore,
  FAILURE,
  intoLane,
  laneKey,
  matched,
  newCursor,
  type StateTraits,
  type StateUnderTest,
  TOPIC,
} from './state-store-samples.ts';

const MAIL = 'mail';
const LARGE_BYTES = 3 * 1024 * 1024;

type Dead = Extract<StateChange, { type: 'dead' }>;

/** An event of a key in no lane is given up. */
function dead(key: string, offset: number, over: Partial<Dead> = {}): Dead {
  return { type: 'dead', ...laneKey(key), event: event(offset), failure: FAILURE, ...over };
}

function matchedBy(callback: string, offset: number): StateChange {
  const counts = { read: 1, matched: 1 };
  const at = { callback, topic: TOPIC, partition: 0 };
  return { type: 'progress', ...at, next: offset + 1, beyond: [], counts };
}

/** Values of stores are plain bytes; those of the samples are Buffers. */
function shown(letters: readonly UnmirroredLetter[]): unknown[] {
  return letters.map(({ event: { value, ...rest }, ...letter }) => ({
    ...letter,
    event: { ...rest, value: value === null ? null : Buffer.from(value) },
  }));
}

export function describeMirror(make: () => Promise<StateUnderTest>, traits: StateTraits): void {
  describe('dead letters to be mirrored', () => {
    let state: StateStore;
    let reopen: () => Promise<StateStore>;
    eachWithStore(make, [newCursor(0), newCursor(0, { callback: MAIL })], (opened, again) => {
      state = opened;
      reopen = again;
    });

    const die = async (key: string, offset: number): Promise<void> => {
      await state.commit([dead(key, offset), matched(offset)]);
    };
    const ids = async (callback = CALLBACK, limit = 9): Promise<number[]> =>
      (await state.unmirroredLetters(callback, limit)).map(({ id }) => id);
    const deliverAfterAll = async (id: number): Promise<void> => {
      await state.resendOne(id, null, asked(5));
      const [resend] = await state.resends({ limit: 1 });
      await state.commit([
        {
          type: 'resend-delivered',
          callback: CALLBACK,
          resend: resend?.id ?? 0,
          deadLetter: id,
          atMs: 9,
        },
      ]);
    };

    test('are none unless that is asked for', async () => {
      await die('a', 0);
      expect(await state.countUnmirrored()).toEqual([]);
      expect(await ids()).toEqual([]);
      await state.setMirroring(false);
      expect(await ids()).toEqual([]);
    });

    test('wait from the commit that gives the event up, of the fast path and of a lane, whole', async () => {
      await state.setMirroring(true);
      const failure = { ...FAILURE, attempts: 3, version: 4 };
      await state.commit(intoLane('a', 0, FAILURE));
      await state.commit([dead('b', 1, { failure }), matched(1), deadHead('a', 0)]);
      const told = { attempts: 3, firstAttemptAt: 1_000, diedAt: 2_000.5, error: 'HTTP 500' };
      expect(shown(await state.unmirroredLetters(CALLBACK, 9))).toEqual([
        { id: 1, ...laneKey('b'), event: event(1), ...told, cause: 'endpoint', version: 4 },
        {
          ...{ id: 2, ...laneKey('a'), event: event(0), ...told, attempts: 1 },
          ...{ cause: 'endpoint', version: null },
        },
      ]);
      expect(await state.countUnmirrored()).toEqual([
        { callback: CALLBACK, waiting: 2, oldestAt: 2_000.5 },
      ]);
      if (!traits.shared) return;
      state = await reopen();
      expect(await ids()).toEqual([1, 2]);
    });

    test('are not there when the commit is refused', async () => {
      await state.setMirroring(true);
      expect(await code(state.commit([dead('a', 0)]))).toBe('INTERNAL');
      expect(await state.countUnmirrored()).toEqual([]);
    });

    test('leave when they were mirrored, and leave the dead letters', async () => {
      await state.setMirroring(true);
      for (const [offset, key] of ['a', 'b', 'c'].entries()) await die(key, offset);
      await state.lettersMirrored([1, 3]);
      expect(await ids()).toEqual([2]);
      await state.lettersMirrored([1, 2, 77]);
      expect(await state.countUnmirrored()).toEqual([]);
      const { value } = await state.deadLetter(2);
      expect(Buffer.from(value ?? [])).toEqual(event(1).value);
    });

    test('come in pages, of one callback alone, and counted apart', async () => {
      await state.setMirroring(true);
      await die('a', 0);
      await state.commit([dead('a', 0, { callback: MAIL }), matchedBy(MAIL, 0)]);
      await die('b', 1);
      expect(await ids()).toEqual([1, 3]);
      expect(await ids(CALLBACK, 1)).toEqual([1]);
      expect(await ids(MAIL)).toEqual([2]);
      expect(await state.countUnmirrored()).toMatchObject([
        { callback: MAIL, waiting: 1 },
        { callback: CALLBACK, waiting: 2 },
      ]);
    });

    test('of many bytes come a few at a time, the first one always', async () => {
      await state.setMirroring(true);
      const value = new Uint8Array(LARGE_BYTES);
      for (const offset of [0, 1, 2]) {
        await state.commit([
          dead('a', offset, { event: event(offset, { value }) }),
          matched(offset),
        ]);
      }
      expect(await ids()).toEqual([1, 2]);
      await state.lettersMirrored([1, 2]);
      const [last] = await state.unmirroredLetters(CALLBACK, 9);
      expect(last?.event.value?.byteLength).toBe(LARGE_BYTES);
    });

    test('wait as they were, also when they failed again, were delivered, or went with their callback', async () => {
      await state.setMirroring(true);
      for (const [offset, key] of ['a', 'b', 'c'].entries()) await die(key, offset);
      const before = await state.unmirroredLetters(CALLBACK, 9);
      await deliverAfterAll(1);
      const again = { ...FAILURE, attempts: 9, error: 'HTTP 599' };
      const { id } = await state.resendOne(2, Buffer.from('{"price":"9.90"}'), asked(6));
      const place = { callback: CALLBACK, resend: id, deadLetter: 2, atMs: 10 };
      await state.commit([{ type: 'resend-failed', ...place, failure: again, exhausted: true }]);
      expect(await state.deadLetters({ limit: 9 })).toMatchObject([
        { id: 2, attempts: 9, error: 'HTTP 599' },
        { id: 3 },
      ]);
      expect(await state.unmirroredLetters(CALLBACK, 9)).toEqual(before);
      await state.removeCallback(CALLBACK, asked(11));
      while (await state.purgeCallback(CALLBACK, 100));
      expect(await state.deadLetters({ limit: 9 })).toEqual([]);
      expect(await state.unmirroredLetters(CALLBACK, 9)).toEqual(before);
      await state.lettersMirrored([1, 2, 3]);
      expect(await state.countUnmirrored()).toEqual([]);
    });

    test('of before it was asked for wait as well, once', async () => {
      for (const [offset, key] of ['a', 'b', 'c'].entries()) await die(key, offset);
      await deliverAfterAll(2);
      await state.setMirroring(true);
      expect(await ids(), 'what is no dead letter any more is none').toEqual([1, 3]);
      await state.lettersMirrored([1]);
      await state.setMirroring(true);
      expect(await ids()).toEqual([3]);
    });

    test('stay while it is turned off, and those of meanwhile come when it is on again', async () => {
      await state.setMirroring(true);
      await die('a', 0);
      await die('b', 1);
      await state.lettersMirrored([2]);
      await state.setMirroring(false);
      await die('c', 2);
      expect(await ids()).toEqual([1]);
      if (traits.shared) state = await reopen();
      await state.setMirroring(true);
      expect(await ids()).toEqual([1, 3]);
      await die('d', 3);
      expect(await ids()).toEqual([1, 3, 4]);
    });

    test('of what was handed over say what it came to before', async () => {
      await state.setMirroring(true);
      const handOvers = [{ origin: 'fallback', to: MAIL }] as const;
      await state.commit([dead('a', 0, { handOvers }), matched(0)]);
      const topic = handOverTopic('fallback', CALLBACK, TOPIC);
      const lane = { callback: MAIL, topic, key: laneKey('a').key };
      await state.commit([{ type: 'lane-dead', ...lane, offset: 0, failure: FAILURE }]);
      const [letter] = await state.unmirroredLetters(MAIL, 9);
      expect(letter).toMatchObject({ id: 2, topic, event: { id: event(0).id, offset: 0 } });
      expect(letter?.event.failed).toMatchObject({ callback: CALLBACK, attempts: 1 });
    });
  });
}
