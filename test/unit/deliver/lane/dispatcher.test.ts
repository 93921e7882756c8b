import { describe, expect, test } from 'vitest';
import { LARGE_EVENT_BYTES } from '../../../../src/shared/large-work.ts';
import {
  DELIVERED,
  DispatcherScene,
  FAILED,
  FILTERED,
  SHAPE_FAILED,
  UNREACHABLE,
} from './dispatcher-scene.ts';

describe('order per key', () => {
  test('keys go side by side, the events of a key one after another', async () => {
    const scene = await DispatcherScene.open();
    for (const key of ['a', 'b', 'a', 'c', 'b']) scene.offer(key);
    expect(scene.sending).toEqual([0, 1, 3]);
    await scene.answer(0, DELIVERED);
    expect(scene.sending).toEqual([1, 3, 2]);
    for (const offset of [1, 3, 2, 4]) await scene.answer(offset, DELIVERED);
    expect(await scene.ledger()).toEqual({ read: 5, matched: 5, delivered: 5 });
    expect(await scene.next()).toBe(5);
  });

  test('the next event of a key waits until the outcome of the one before is durable; other keys do not', async () => {
    const scene = await DispatcherScene.open({ concurrency: 1 });
    for (const key of ['a', 'a', 'b']) scene.offer(key);
    scene.hold();
    await scene.answer(0, DELIVERED);
    expect(scene.sending).toEqual([2]);
    await scene.answer(2, DELIVERED);
    expect(scene.sending).toEqual([]);
    await scene.release();
    expect(scene.sending).toEqual([1]);
  });

  test('no more keys are in flight than the concurrency allows', async () => {
    const scene = await DispatcherScene.open({ concurrency: 3 });
    for (let n = 0; n < 10; n += 1) scene.offer(`k${n}`);
    expect(scene.sending).toEqual([0, 1, 2]);
    await scene.answer(1, DELIVERED);
    expect(scene.sending).toEqual([0, 2, 3]);
    expect(scene.dispatcher.inFlight).toBe(3);
    expect(scene.dispatcher.windowEvents).toBe(9);
  });
});

describe('a large event', () => {
  test('that waited for its turn is not sent where the callback pauses by then, and is the first to go afterwards', async () => {
    const scene = await DispatcherScene.open();
    for (const key of ['a', 'b', 'b']) scene.offer(key, LARGE_EVENT_BYTES);
    await scene.pass(0);
    expect(scene.sending).toEqual([0]);
    await scene.answer(0, UNREACHABLE);
    expect(scene.sending).toEqual([]);
    expect(scene.dispatcher.inFlight).toBe(0);
    await scene.pass(1_000);
    expect(scene.sending).toHaveLength(1);
    for (const offset of [1, 0, 2]) {
      await scene.answer(offset, DELIVERED);
      await scene.pass(0);
    }
    expect(scene.sending).toEqual([]);
    expect(await scene.ledger()).toEqual({ read: 3, matched: 3, delivered: 3 });
    expect(scene.failures).toEqual([]);
  });

  test('has the turn to itself until its outcome is durable; small ones do not wait for it', async () => {
    const scene = await DispatcherScene.open();
    scene.offer('a', LARGE_EVENT_BYTES);
    scene.offer('b', LARGE_EVENT_BYTES);
    scene.offer('c');
    await scene.pass(0);
    expect(scene.sending).toEqual([2, 0]);
    scene.hold();
    await scene.answer(0, DELIVERED);
    expect(scene.sending).toEqual([2]);
    await scene.release();
    await scene.pass(0);
    expect(scene.sending).toEqual([2, 1]);
  });
});

describe('an event without a shape', () => {
  test('waits in its lane with its key, as what it is, and goes on once it has one', async () => {
    const scene = await DispatcherScene.open();
    for (const key of ['a', 'b', 'a']) scene.offer(key);
    await scene.answer(0, SHAPE_FAILED);
    await scene.answer(1, DELIVERED);
    expect(await scene.ledger()).toEqual({
      read: 3,
      matched: 3,
      delivered: 1,
      retrying: 1,
      pending: 1,
    });
    expect(await scene.lastErrors()).toEqual(['shape-failed: null']);
    expect([scene.counters.shapeFailedCount, scene.counters.failedCount]).toEqual([1, 0]);
    await scene.pass(1_000);
    await scene.answer(0, DELIVERED);
    await scene.answer(2, DELIVERED);
    expect(await scene.ledger()).toEqual({ read: 3, matched: 3, delivered: 3 });
  });

  test('says nothing of the endpoint, which stays paused', async () => {
    const scene = await DispatcherScene.open();
    for (const key of ['a', 'b']) scene.offer(key);
    await scene.answer(0, UNREACHABLE);
    await scene.answer(1, SHAPE_FAILED);
    expect(scene.dispatcher.gate.pause).not.toBeNull();
  });
});

describe('an event that is none of the callback after all', () => {
  test('is counted as filtered on the fast path, and its key goes on', async () => {
    const scene = await DispatcherScene.open();
    for (const key of ['a', 'a']) scene.offer(key);
    await scene.answer(0, FILTERED);
    await scene.answer(1, DELIVERED);
    expect(await scene.ledger()).toEqual({ read: 2, filtered: 1, matched: 1, delivered: 1 });
    expect(await scene.next()).toBe(2);
  });

  test('leaves its lane as filtered', async () => {
    const scene = await DispatcherScene.open();
    scene.offer('a');
    await scene.answer(0, SHAPE_FAILED);
    await scene.pass(1_000);
    await scene.answer(0, FILTERED);
    expect(await scene.ledger()).toEqual({ read: 1, filtered: 1 });
    expect(scene.lanes.lanes).toBe(0);
  });
});

describe('a failing key', () => {
  test('leaves the fast path with all behind it, and holds no other key', async () => {
    const scene = await DispatcherScene.open({ concurrency: 1 });
    for (const key of ['a', 'a', 'b']) scene.offer(key);
    await scene.answer(0, FAILED);
    scene.offer('a');
    await scene.pass(0);
    expect(scene.sending).toEqual([2]);
    await scene.answer(2, DELIVERED);
    const ledger = { read: 4, matched: 4, delivered: 1, retrying: 1, pending: 2 };
    expect(await scene.ledger()).toEqual(ledger);
    expect(await scene.next()).toBe(4);
    expect(scene.dispatcher.windowEvents).toBe(0);
  });

  test('is tried again when the policy says, with the next attempt number, and drains in order', async () => {
    const scene = await DispatcherScene.open();
    scene.offer('a');
    scene.offer('a');
    await scene.answer(0, FAILED);
    await scene.pass(999);
    expect(scene.sending).toEqual([]);
    await scene.pass(2);
    expect(scene.attempt(0).attempt).toBe(2);
    await scene.answer(0, FAILED);
    await scene.pass(1_990);
    expect(scene.sending).toEqual([]);
    await scene.pass(1_000);
    expect(scene.attempt(0).attempt).toBe(3);
    await scene.answer(0, DELIVERED);
    expect(scene.sending).toEqual([1]);
    expect(scene.attempt(1).attempt).toBe(1);
    await scene.answer(1, DELIVERED);
    expect(scene.lanes.lanes).toBe(0);
    expect(scene.lanes.bytes).toBe(0);
    scene.offer('a');
    expect(scene.sending).toEqual([2]);
    expect(await scene.ledger()).toEqual({ read: 2, matched: 2, delivered: 2 });
  });

  test('never has two attempts in flight, however often its lane is looked for', async () => {
    const scene = await DispatcherScene.open();
    scene.offer('a');
    await scene.answer(0, FAILED);
    await scene.pass(60_000);
    expect(scene.sending).toEqual([0]);
  });

  test('does not return to the fast path before its last lane event is durably done', async () => {
    const scene = await DispatcherScene.open();
    scene.offer('a');
    await scene.answer(0, FAILED);
    await scene.pass(1_001);
    scene.hold();
    await scene.answer(0, DELIVERED);
    scene.offer('a');
    await scene.pass(0);
    expect(scene.sending).toEqual([]);
    await scene.release();
    expect(scene.sending).toEqual([1]);
    expect(scene.attempt(1).attempt).toBe(1);
    await scene.answer(1, DELIVERED);
    expect(scene.lanes.lanes).toBe(0);
    expect(await scene.ledger()).toEqual({ read: 2, matched: 2, delivered: 2 });
  });

  test('leaves most of the concurrency to the fast path', async () => {
    const scene = await DispatcherScene.open({ concurrency: 8 });
    for (let n = 0; n < 6; n += 1) scene.offer(`poisoned ${n}`);
    for (let n = 0; n < 6; n += 1) await scene.answer(n, FAILED);
    for (let n = 0; n < 20; n += 1) scene.offer(`healthy ${n}`);
    await scene.pass(1_001);
    // As slots get free, at most a quarter of them goes to lanes.
    for (const offset of [6, 7, 8, 9, 10, 11]) await scene.answer(offset, DELIVERED);
    expect(scene.sending.filter((offset) => offset < 6)).toHaveLength(2);
    expect(scene.sending).toHaveLength(8);
  });
});

describe('keys whose attempts hang', () => {
  test('take a quarter of the concurrency at the most, so that the next event need not wait for them', async () => {
    const scene = await DispatcherScene.open({ concurrency: 8 });
    for (let n = 0; n < 8; n += 1) scene.offer(`hanging ${n}`);
    for (let n = 0; n < 8; n += 1) await scene.answer(n, FAILED);
    await scene.pass(60_000);
    expect(scene.sending).toHaveLength(2);
    for (let n = 0; n < 6; n += 1) scene.offer(`healthy ${n}`);
    expect(scene.sending.slice(2)).toEqual([8, 9, 10, 11, 12, 13]);
  });
});

describe('an endpoint that cannot be reached', () => {
  test('pauses the callback, fills no lane and uses up no attempt', async () => {
    const scene = await DispatcherScene.open({ concurrency: 2 });
    for (const key of ['a', 'b', 'c']) scene.offer(key);
    await scene.answer(0, UNREACHABLE);
    await scene.answer(1, UNREACHABLE);
    expect(scene.dispatcher.gate.pause).toMatchObject({ reason: 'refused' });
    expect(scene.sending).toEqual([]);
    expect(scene.lanes.lanes).toBe(0);
    await scene.pass(999);
    expect(scene.sending).toEqual([]);
    await scene.pass(2);
    expect(scene.sending).toHaveLength(1);
    expect(scene.attempt(scene.sending[0] ?? -1).attempt).toBe(1);
  });

  test('is probed with one event, ever more seldom, until any answer opens it', async () => {
    const scene = await DispatcherScene.open();
    for (const key of ['a', 'b', 'c']) scene.offer(key);
    for (const offset of [0, 1, 2]) await scene.answer(offset, UNREACHABLE);
    await scene.pass(1_001);
    const [probe = -1] = scene.sending;
    expect(scene.sending).toHaveLength(1);
    await scene.answer(probe, UNREACHABLE);
    await scene.pass(1_900);
    expect(scene.sending).toEqual([]);
    await scene.pass(200);
    const [second = -1] = scene.sending;
    await scene.answer(second, FAILED);
    expect(scene.dispatcher.gate.pause).toBeNull();
    expect(scene.sending).toHaveLength(2);
  });

  test('a pause that an answer ended does not shorten the next one', async () => {
    const scene = await DispatcherScene.open();
    for (const key of ['a', 'b', 'c']) scene.offer(key);
    await scene.answer(0, UNREACHABLE);
    await scene.answer(1, DELIVERED);
    expect(scene.sending).toEqual([2, 0]);
    await scene.pass(900);
    await scene.answer(0, UNREACHABLE);
    await scene.pass(200);
    expect(scene.dispatcher.gate.pause).not.toBeNull();
    expect(scene.sending).toEqual([2]);
    await scene.pass(900);
    expect(scene.sending).toEqual([2]);
    await scene.answer(2, DELIVERED);
    expect(scene.sending).toEqual([0]);
  });

  test('keeps its lanes, with their attempts, until it is back', async () => {
    const scene = await DispatcherScene.open();
    scene.offer('a');
    await scene.answer(0, FAILED);
    await scene.pass(1_001);
    await scene.answer(0, UNREACHABLE);
    expect(scene.sending).toEqual([]);
    await scene.pass(3_000);
    expect(scene.attempt(0).attempt).toBe(2);
    await scene.answer(0, DELIVERED);
    expect(scene.dispatcher.gate.pause).toBeNull();
    expect(scene.lanes.lanes).toBe(0);
  });
});

describe('lanes at their limit', () => {
  test('stop the intake until they have drained below it', async () => {
    const scene = await DispatcherScene.open({ lanes: { maxEvents: 2, maxBytes: 1_000_000 } });
    scene.offer('a');
    scene.offer('b');
    await scene.answer(0, FAILED);
    expect(scene.dispatcher.hasRoom).toBe(true);
    await scene.answer(1, FAILED);
    expect(scene.dispatcher.hasRoom).toBe(false);
    expect(scene.dispatcher.lanesFull).toBe(true);
    let room = false;
    const waiting = scene.dispatcher.room(new AbortController().signal).then(() => {
      room = true;
    });
    await scene.pass(1_001);
    expect(room).toBe(false);
    await scene.answer(0, DELIVERED);
    await waiting;
    expect(scene.dispatcher.lanesFull).toBe(false);
  });

  test('count bytes too', async () => {
    const scene = await DispatcherScene.open({ lanes: { maxEvents: 1_000, maxBytes: 50 } });
    scene.offer('a');
    await scene.answer(0, FAILED);
    expect(scene.dispatcher.lanesFull).toBe(true);
  });
});

describe('stopping', () => {
  test('begins nothing any more and ends when what was in flight is durable', async () => {
    const scene = await DispatcherScene.open({ concurrency: 2 });
    for (const key of ['a', 'b', 'c']) scene.offer(key);
    let stopped = false;
    const stopping = scene.dispatcher.stop().then(() => {
      stopped = true;
    });
    await scene.answer(0, DELIVERED);
    expect(scene.sending).toEqual([1]);
    expect(stopped).toBe(false);
    await scene.answer(1, DELIVERED);
    await stopping;
    expect(await scene.ledger()).toEqual({ read: 2, matched: 2, delivered: 2 });
    expect(await scene.next()).toBe(2);
  });

  test('a large event that waits for its turn is not sent any more', async () => {
    const scene = await DispatcherScene.open();
    for (const key of ['a', 'b']) scene.offer(key, LARGE_EVENT_BYTES);
    await scene.pass(0);
    expect(scene.sending).toEqual([0]);
    const stopping = scene.dispatcher.stop();
    await scene.answer(0, DELIVERED);
    await stopping;
    expect(scene.sending).toEqual([]);
    expect(await scene.ledger()).toEqual({ read: 1, matched: 1, delivered: 1 });
    expect(await scene.next()).toBe(1);
  });
});
