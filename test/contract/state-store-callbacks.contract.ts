/** Callbacks, their versions and their removal, of the port src/state/callback-store.ts: part of the state store's suite. */
import { describe, expect, test } from 'vitest';

import { ANSWER_PENDING } from '../../src/state/callback-store.ts';
import type { NewVersion } from '../../src/state/callback-store.ts';
import type { StateStore } from '../../src/state/state-store.ts';
import type { StateUnderTest } from './state-store-samples.ts';
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
  TOPIC,
  eachWithStore,
} from './state-store-samples.ts';

function version(
  name: string,
  says: string,
  written: string | null = `{"says":"${says}"}`,
): NewVersion {
  return { name, shown: `{"shown":"${says}"}`, written, digest: says, ...asked(7) };
}

export function describeCallbacks(make: () => Promise<StateUnderTest>): void {
  describe('callbacks', () => {
    let state: StateStore;
    eachWithStore(make, [], (opened) => {
      state = opened;
    });

    test('are registered with their versions and a line in the audit log', async () => {
      expect(await state.registered()).toEqual([]);
      expect(await state.registerCallback(version('mail', 'a'), null)).toBe(1);
      expect(await state.registerCallback(version('mail', 'b'), 1)).toBe(2);
      expect(await state.registerCallback(version('mail', 'b'))).toBe(3);
      expect(await state.registered()).toEqual([
        { name: 'mail', version: 3, written: '{"says":"b"}' },
      ]);
      const versions = await state.callbackVersions('mail');
      expect(versions.map((one) => [one.version, one.shown, one.atMs])).toEqual([
        [3, '{"shown":"b"}', 7],
        [2, '{"shown":"b"}', 7],
        [1, '{"shown":"a"}', 7],
      ]);
      const audit = await state.audit({ callback: 'mail', limit: 10 });
      expect(audit.map(({ action }) => action)).toEqual(Array(3).fill('callback-register'));
    });

    test('that were changed meanwhile stay as they are', async () => {
      await state.registerCallback(version('mail', 'a'), null);
      expect(await code(state.registerCallback(version('mail', 'b'), null))).toBe(
        'CALLBACK_EXISTS',
      );
      expect(await code(state.registerCallback(version('mail', 'b'), 2))).toBe('CALLBACK_CHANGED');
      expect(await code(state.registerCallback(version('none', 'b'), 1))).toBe('CALLBACK_CHANGED');
      expect(await state.callbackVersions('mail')).toHaveLength(1);
      expect(await state.audit({ limit: 10 })).toHaveLength(1);
    });

    test('that were changed meanwhile are not removed', async () => {
      await state.registerCallback(version('mail', 'a'), null);
      for (const [name, expected] of [
        ['mail', 2],
        ['mail', 0],
        ['none', 1],
      ] as const) {
        expect(await code(state.removeCallback(name, asked(9), expected))).toBe('CALLBACK_CHANGED');
      }
      expect(await state.removedCallbacks()).toEqual([]);
      expect(await state.audit({ limit: 10 })).toHaveLength(1);
      await state.removeCallback('mail', asked(9), 1);
      await state.removeCallback('orphan', asked(9), 0);
      expect(await state.removedCallbacks()).toEqual(['mail', 'orphan']);
    });

    test('of the file get a version only where they say something else', async () => {
      expect(await state.noteVersion(version('file', 'a', null))).toBe(1);
      expect(await state.noteVersion(version('file', 'a', null))).toBe(1);
      expect(await state.noteVersion(version('file', 'b', null))).toBe(2);
      expect(await state.noteVersion(version('file', 'a', null))).toBe(3);
      expect(await state.registered()).toEqual([]);
    });

    test('keep at least their last ten versions, and not all of them', async () => {
      for (let n = 0; n < 120; n += 1) await state.noteVersion(version('file', String(n), null));
      const versions = await state.callbackVersions('file');
      expect(versions[0]?.version).toBe(120);
      expect(versions.length).toBeGreaterThanOrEqual(10);
      expect(versions.length).toBeLessThan(120);
    });

    test('that were tried leave who did it, why, and with the row of which event', async () => {
      await state.noteTest(CALLBACK, null, asked(1));
      await state.noteTest(CALLBACK, 'event-1', asked(2));
      const about = { action: 'callback-test', callback: CALLBACK, topic: null, key: null };
      expect(await state.audit({ limit: 9 })).toEqual([
        { ...asked(1), ...about, id: 1, eventId: null },
        { ...asked(2), ...about, id: 2, eventId: 'event-1' },
      ]);
    });

    test('that are removed leave nothing behind, in steps, and others as they are', async () => {
      await state.registerCallback(version(CALLBACK, 'a'), null);
      const other = newCursor(0, { callback: 'mail' });
      await state.openCursors([newCursor(0), other]);
      await state.commit(intoLane('a', 0, FAILURE));
      await state.commit([...intoLane('a', 1), ...intoLane('b', 2)]);
      await state.commit([matched(3), deadAtOnce('c', 3)]);
      const accepted = { attempt: 1, atMs: 1, deadlineMs: 9, heartbeatMs: null, statusUrl: null };
      const awaited = { type: 'lane-append', ...laneKey('d'), event: event(4), accepted } as const;
      await state.commit([matched(4), awaited]);
      const attempt = { callback: CALLBACK, topic: TOPIC, partition: 0, offset: 4, attempt: 1 };
      const ending = { status: 'succeeded', reason: null, retryable: true, result: null } as const;
      const at = { nowMs: 5, early: false };
      expect(await state.complete({ ...attempt, eventId: 'e4' }, ending, at)).toBe('taken');
      for (const one of [CALLBACK, 'mail']) {
        await state.actOnCallback(one, 'disable', { ...asked(8), reason: 'it moves' });
      }
      expect(await state.callbackVersions(CALLBACK)).toMatchObject([
        { version: 1, written: expect.any(String) as string },
      ]);
      await state.removeCallback(CALLBACK, asked(9));
      expect(await state.callbackVersions(CALLBACK), 'secrets go at once').toMatchObject([
        { version: 1, written: null, digest: '' },
      ]);
      expect(await state.registered()).toEqual([]);
      expect(await state.removedCallbacks()).toEqual([CALLBACK]);
      let steps = 0;
      while (await state.purgeCallback(CALLBACK, 2)) {
        steps += 1;
        // Shown until they are gone.
        for (const { id, headId } of await state.lanes({ limit: 10 })) {
          expect((await state.lane(id)).events[0]?.id).toBe(headId);
        }
      }
      expect(steps).toBeGreaterThan(1);
      expect(await state.lanes({ limit: 10 })).toEqual([]);
      expect(await state.deadLetters({ limit: 10 })).toEqual([]);
      expect(await state.cursors()).toMatchObject([{ callback: 'mail' }]);
      expect(await state.completions({ limit: 10 })).toEqual([]);
      expect(await state.callbackHolds()).toMatchObject([{ callback: 'mail' }]);
      await state.forgetRemoved(CALLBACK);
      expect(await state.removedCallbacks()).toEqual([]);
      expect((await state.audit({ limit: 10 })).at(-1)).toMatchObject({
        action: 'callback-remove',
      });
      // Made anew it begins anew, and its versions are not taken for those of before.
      expect(await state.registerCallback(version(CALLBACK, 'b'), null)).toBe(2);
      await state.openCursors([newCursor(0)]);
      await state.commit(intoLane('a', 0, FAILURE));
      expect(await state.lanes({ limit: 10 })).toMatchObject([{ depth: 1 }]);
    });

    test('an answer is kept as it was first given, until it is too old', async () => {
      const answer = { request: 'r', status: 201, headers: '{}', body: '{"a":1}' };
      expect(await state.keptAnswer('k', 0)).toBeNull();
      for (const status of [ANSWER_PENDING, 409, ANSWER_PENDING]) {
        await state.keepAnswer('k', { ...answer, status }, 90, 50);
        expect(await state.keptAnswer('k', 50)).toMatchObject({ status });
      }
      await state.keepAnswer('k', answer, 100, 50);
      await state.keepAnswer('k', { ...answer, body: 'another' }, 110, 60);
      expect(await state.keptAnswer('k', 60)).toEqual(answer);
      expect(await state.keptAnswer('k', 100)).toBeNull();
      await state.keepAnswer('l', answer, 300, 200);
      expect(await state.keptAnswer('k', 0)).toBeNull();
    });
  });
}
