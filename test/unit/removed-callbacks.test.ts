import { expect, it } from 'vitest';
import { CallbackSet } from '../../src/callback-set.ts';
import { openSqliteState } from '../../src/state/sqlite/sqlite-state.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import type { StateStore } from '../../src/state/state-store.ts';
import { asked, CALLBACK, FAILURE, intoLane, newCursor } from '../contract/state-store-samples.ts';
import { adminConfig } from '../support/admin-api.ts';
import { eventually } from '../support/eventually.ts';

const FILE = [{ name: CALLBACK, tables: ['shop.*'], deliver: { module: './audit.mjs' } }];

/** A store in which a removed callback has yet to go, at a step when `step` says so. */
async function left(step: () => Promise<void>): Promise<StateStore> {
  const store = await openSqliteState({ path: ':memory:' });
  await store.openCursors([newCursor(0)]);
  await store.commit(intoLane('a', 0, FAILURE));
  await store.removeCallback(CALLBACK, asked(1));
  const some: Partial<StateStore> = {
    ...{ id: store.id, registered: () => store.registered() },
    removedCallbacks: () => store.removedCallbacks(),
    noteVersion: (next) => store.noteVersion(next),
    forgetRemoved: (name) => store.forgetRemoved(name),
    purgeCallback: async (name, limit) => {
      await step();
      return store.purgeCallback(name, limit);
    },
    cursors: () => store.cursors(),
  };
  return some as StateStore;
}

function open(state: StateStore, callbacks: readonly object[]): Promise<CallbackSet> {
  return CallbackSet.open({
    ...{ config: adminConfig({ callbacks }), state, logger: silentLogger },
    log: { setLowWater: () => Promise.resolve() },
    begin: () => Promise.resolve(),
    build: () => Promise.reject(new Error('Nothing is built')),
    adopted: () => undefined,
    clock: { now: () => 1, timer: () => () => undefined },
  } as never);
}

it('a removal goes on behind a start, which does not wait for it', async () => {
  const go = Promise.withResolvers<undefined>();
  const state = await left(() => go.promise);
  const set = await open(state, []);
  expect(set.isRemoving(CALLBACK)).toBe(true);
  go.resolve(undefined);
  await eventually(() => {
    expect(set.isRemoving(CALLBACK)).toBe(false);
  });
  expect([await state.cursors(), await state.removedCallbacks()]).toEqual([[], []]);
});

it('a callback of the file begins when that of its name is gone', async () => {
  const set = await open(await left(() => Promise.resolve()), FILE);
  expect(set.isRemoving(CALLBACK)).toBe(false);
});
