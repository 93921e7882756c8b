import { describe, expect, test } from 'vitest';
import { RETRY } from '../../../support/engine-options.ts';
import { DELIVERED, DispatcherScene, FAILED, FILTERED, UNREACHABLE } from './dispatcher-scene.ts';

const PERIOD_MS = 5_000;

function open(over: Parameters<typeof DispatcherScene.open>[0] = {}): Promise<DispatcherScene> {
  return DispatcherScene.open({ coalesceMs: PERIOD_MS, ...over });
}

describe('coalescing', () => {
  test('sends the newest event of a key when the period ends, and settles the others as superseded', async () => {
    const scene = await open();
    for (const key of ['a', 'b', 'a', 'a']) scene.offer(key);
    await scene.pass(PERIOD_MS - 1);
    expect(scene.sending).toEqual([]);
    await scene.pass(1);
    expect(scene.sending).toEqual([1, 3]);
    await scene.answer(3, DELIVERED);
    await scene.answer(1, DELIVERED);
    expect(await scene.ledger()).toEqual({ read: 4, matched: 4, delivered: 2, superseded: 2 });
    expect(await scene.next()).toBe(4);
    expect(scene.counters.supersededCount).toBe(2);
  });

  test('does not wait longer for newer events: a key that never rests is sent, too', async () => {
    const scene = await open();
    for (let n = 0; n < 9; n += 1) {
      scene.offer('a');
      await scene.pass(1_000);
      if (n < 4) expect(scene.sending).toEqual([]);
    }
    expect(scene.sending).toEqual([4]);
  });

  test('books a superseded event while the newer one is open, and never moves the cursor past that', async () => {
    const scene = await open();
    for (const key of ['a', 'b', 'a']) scene.offer(key);
    await scene.pass(300);
    expect(await scene.ledger()).toEqual({ read: 1, matched: 1, superseded: 1 });
    expect(await scene.next()).toBe(1);
    expect(scene.dispatcher.windowEvents).toBe(2);
  });

  test('begins the next period with the first event behind the one in flight', async () => {
    const scene = await open();
    scene.offer('a');
    await scene.pass(PERIOD_MS);
    scene.offer('a');
    await scene.pass(2_000);
    scene.offer('a');
    await scene.answer(0, DELIVERED);
    expect(scene.sending).toEqual([]);
    await scene.pass(2_999);
    expect(scene.sending).toEqual([]);
    await scene.pass(1);
    expect(scene.sending).toEqual([2]);
  });

  test('sends what waited behind an event in flight at once, when its period is over by then', async () => {
    const scene = await open();
    scene.offer('a');
    await scene.pass(PERIOD_MS);
    scene.offer('a');
    scene.offer('a');
    await scene.pass(PERIOD_MS);
    expect(scene.sending).toEqual([0]);
    scene.offer('a');
    await scene.answer(0, DELIVERED);
    expect(scene.sending).toEqual([3]);
    await scene.answer(3, DELIVERED);
    expect(await scene.ledger()).toEqual({ read: 4, matched: 4, delivered: 2, superseded: 2 });
  });

  test('begins no attempt before it is durable what the event superseded', async () => {
    const scene = await open();
    scene.offer('a');
    scene.hold();
    scene.offer('a');
    await scene.pass(PERIOD_MS);
    // It is the one to be sent: a key that gets one after another would never be.
    scene.offer('a');
    expect(scene.sending).toEqual([]);
    await scene.release();
    await scene.pass(0);
    expect(scene.sending).toEqual([1]);
    await scene.answer(1, DELIVERED);
    await scene.pass(PERIOD_MS);
    expect(scene.sending).toEqual([2]);
  });

  test('lets an event that waits for a slot give way, until its attempt begins', async () => {
    const scene = await open({ concurrency: 1 });
    scene.offer('a');
    scene.offer('b');
    await scene.pass(PERIOD_MS);
    expect(scene.sending).toEqual([0]);
    scene.offer('b');
    await scene.answer(0, DELIVERED);
    await scene.pass(0);
    expect(scene.sending).toEqual([2]);
  });

  test('holds one event behind the head of a key that cannot be reached', async () => {
    const scene = await open();
    scene.offer('a');
    await scene.pass(PERIOD_MS);
    await scene.answer(0, UNREACHABLE);
    for (let n = 0; n < 50; n += 1) scene.offer('a');
    expect(scene.dispatcher.windowEvents).toBe(2);
    await scene.pass(2_000);
    expect(scene.sending).toEqual([0]);
    await scene.answer(0, DELIVERED);
    await scene.pass(PERIOD_MS);
    expect(scene.sending).toEqual([50]);
  });

  test('leaves the events of a table without a key alone', async () => {
    const scene = await open();
    for (let n = 0; n < 3; n += 1) scene.offer('', 0, { key: null });
    for (const offset of [0, 1, 2]) {
      expect(scene.sending).toEqual([offset]);
      await scene.answer(offset, DELIVERED);
    }
    expect(await scene.ledger()).toEqual({ read: 3, matched: 3, delivered: 3 });
  });

  test('lets an event that may be none of the callback supersede nothing, nor be superseded', async () => {
    const scene = await open();
    scene.offer('a');
    scene.offer('a', 0, { undecided: true });
    scene.offer('a');
    scene.offer('a');
    expect(scene.sending).toEqual([0]);
    await scene.answer(0, DELIVERED);
    expect(scene.sending).toEqual([1]);
    await scene.answer(1, FILTERED);
    expect(scene.sending).toEqual([]);
    await scene.pass(PERIOD_MS);
    expect(scene.sending).toEqual([3]);
    await scene.answer(3, DELIVERED);
    expect(await scene.ledger()).toEqual({
      ...{ read: 4, filtered: 1, matched: 3 },
      ...{ delivered: 2, superseded: 1 },
    });
  });

  test('ends the oldest periods early when the window is full, so that reading goes on', async () => {
    const scene = await open({ concurrency: 10_000 });
    for (let n = 0; scene.dispatcher.hasRoom; n += 1) scene.offer(`k${n}`);
    const read = scene.dispatcher.windowEvents;
    expect(scene.sending).toEqual([]);
    const room = scene.dispatcher.room(new AbortController().signal);
    const sent = scene.sending;
    expect(sent.length).toBeCloseTo(read / 4, -1);
    expect(sent[0]).toBe(0);
    for (const offset of sent) scene.attempt(offset).answer(DELIVERED).catch(fail);
    await scene.pass(0);
    await room;
  });

  test('holds nothing back before a truncate', async () => {
    const scene = await open();
    for (const key of ['a', 'b', 'a']) scene.offer(key);
    const quiet = scene.dispatcher.quiet('shop.orders', new AbortController().signal);
    await scene.pass(0);
    expect(scene.sending).toEqual([1, 2]);
    await scene.answer(1, DELIVERED);
    await scene.answer(2, DELIVERED);
    await quiet;
    expect(await scene.ledger()).toEqual({ read: 3, matched: 3, delivered: 2, superseded: 1 });
  });

  test('sends nothing more once it stops', async () => {
    const scene = await open();
    scene.offer('a');
    await scene.dispatcher.stop();
    await scene.pass(PERIOD_MS);
    expect(scene.sending).toEqual([]);
    expect(await scene.ledger()).toEqual({});
  });
});

describe('coalescing in a lane', () => {
  test('takes the place of the last event, never of the head', async () => {
    const scene = await open({ retry: { ...RETRY, initialIntervalMs: 60_000 } });
    scene.offer('a');
    await scene.pass(PERIOD_MS);
    await scene.answer(0, FAILED);
    for (let n = 0; n < 3; n += 1) scene.offer('a');
    await scene.pass(300);
    expect(await scene.ledger()).toEqual({
      ...{ read: 4, matched: 4 },
      ...{ retrying: 1, pending: 1, superseded: 2 },
    });
    expect([scene.lanes.events, scene.counters.supersededCount]).toEqual([2, 2]);
    await scene.pass(60_000);
    expect(scene.sending).toEqual([0]);
    await scene.answer(0, DELIVERED);
    await scene.pass(0);
    expect(scene.sending).toEqual([3]);
    await scene.answer(3, DELIVERED);
    expect([scene.lanes.lanes, scene.lanes.events, scene.lanes.bytes]).toEqual([0, 0, 0]);
    expect(await scene.ledger()).toEqual({ read: 4, matched: 4, delivered: 2, superseded: 2 });
    scene.offer('a');
    await scene.pass(PERIOD_MS);
    expect(scene.sending).toEqual([4]);
  });

  test('goes on in the commit in which what waited behind the head joins it', async () => {
    const scene = await open();
    scene.offer('a');
    await scene.pass(PERIOD_MS);
    scene.offer('a');
    scene.hold();
    await scene.answer(0, FAILED);
    scene.offer('a');
    scene.offer('a', 0, { undecided: true });
    scene.offer('a');
    await scene.release();
    expect(await scene.ledger()).toEqual({
      ...{ read: 5, matched: 5 },
      ...{ retrying: 1, pending: 3, superseded: 1 },
    });
    expect(scene.lanes.events).toBe(4);
  });
});

function fail(error: unknown): never {
  throw error;
}
