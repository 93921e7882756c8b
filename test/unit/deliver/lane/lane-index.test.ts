import { describe, expect, it } from 'vitest';
import { LaneIndex } from '../../../../src/deliver/lane/lane-index.ts';
import type { StateStore } from '../../../../src/state/state-store.ts';

const EMPTY = { lanes: () => Promise.resolve([]) } as unknown as StateStore;

describe('the index of lanes', () => {
  it('keeps a key until the commits of all its outcomes are durable, in whatever order they come to be known', async () => {
    const index = await LaneIndex.load(EMPTY, 'audit');
    index.joined('orders 7', 10);
    index.joined('orders 7', 10);
    // Both heads were delivered: the second in a lane that the commit of the first made anew.
    index.left('orders 7', 10);
    index.left('orders 7', 10);
    expect([index.events, index.bytes]).toEqual([0, 0]);
    expect(index.taken('orders 7')).toBe(false);
    expect(index.has('orders 7')).toBe(true);
    expect(index.taken('orders 7')).toBe(true);
    expect(index.has('orders 7')).toBe(false);
  });

  it('has the keys of what other callbacks handed over from the moment on that they join', async () => {
    const handedOver = await LaneIndex.loadHandedOver(EMPTY, 'audit');
    const index = await LaneIndex.load(EMPTY, 'audit', handedOver);
    const key = 'fallback:billing:orders {"id":7}';
    expect(index.has(key)).toBe(false);
    handedOver.joined(key, 10);
    expect([index.has(key), index.has('orders {"id":7}')]).toEqual([true, false]);
    index.left(key, 10);
    expect(index.has(key)).toBe(true);
    expect(index.taken(key)).toBe(true);
    expect(index.has(key)).toBe(false);
  });
});
