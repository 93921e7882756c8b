import { describe, expect, it } from 'vitest';
import { Slots } from '../../../../src/deliver/callback/slots.ts';

const never = new AbortController().signal;

describe('slots', () => {
  it('are given to those who wait in the order in which they came', async () => {
    const slots = new Slots(1);
    expect(slots.tryTake()).toBe(true);
    const order: number[] = [];
    const waiting = [1, 2, 3].map(async (n) => {
      await slots.take(never);
      order.push(n);
      slots.release();
    });
    expect(slots.tryTake()).toBe(false);
    slots.release();
    await Promise.all(waiting);
    expect(order).toEqual([1, 2, 3]);
    expect(slots.tryTake()).toBe(true);
  });

  it('are not lost to one who gave up waiting', async () => {
    const slots = new Slots(1);
    await slots.take(never);
    const stop = new AbortController();
    const given = slots.take(stop.signal);
    const reason = new Error('stopping');
    stop.abort(reason);
    await expect(given).rejects.toBe(reason);
    slots.release();
    expect(slots.tryTake()).toBe(true);
    await expect(slots.take(stop.signal)).rejects.toBe(reason);
  });

  it('cannot be given back twice', () => {
    const slots = new Slots(1);
    expect(() => {
      slots.release();
    }).toThrow('given back once');
  });
});
