import { expect, test } from 'vitest';

import { HandlerTurns } from '../../../../src/deliver/lane/handler-turns.ts';

const never = new AbortController().signal;

/** Notes who has begun. */
function scene() {
  const turns = new HandlerTurns(null);
  const begun: string[] = [];
  const enter = async (name: string, alone: boolean, signal = never): Promise<void> => {
    await turns.enter(alone, signal);
    begun.push(name);
  };
  return { turns, begun, enter };
}

async function settled(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

test('no handler begins before what was left is judged', async () => {
  const { turns, begun, enter } = scene();
  const entering = enter('a', false);
  await settled();
  expect(begun).toEqual([]);
  turns.open();
  await entering;
  expect(begun).toEqual(['a']);
});

test('one that runs alone waits for those before it, and those behind it for it', async () => {
  const { turns, begun, enter } = scene();
  turns.open();
  await Promise.all([enter('a', false), enter('b', false)]);
  const rest = [enter('alone', true), enter('c', false), enter('d', false)];
  turns.leave(false);
  await settled();
  expect(begun).toEqual(['a', 'b']);
  turns.leave(false);
  await rest[0];
  await settled();
  expect(begun).toEqual(['a', 'b', 'alone']);
  turns.leave(true);
  await Promise.all(rest);
  expect(begun).toEqual(['a', 'b', 'alone', 'c', 'd']);
});

test('one that gives up while it waits holds nobody behind it', async () => {
  const { turns, begun, enter } = scene();
  turns.open();
  await enter('a', false);
  const abort = new AbortController();
  const waiting = enter('alone', true, abort.signal);
  const behind = enter('b', false);
  abort.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow('stopped');
  await behind;
  expect(begun).toEqual(['a', 'b']);
});
