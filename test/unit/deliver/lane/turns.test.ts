import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type Member, type Priority, Turns } from '../../../../src/deliver/lane/turns.ts';
import type { Clock } from '../../../../src/shared/clock.ts';
import { systemClock } from '../../../../src/shared/clock.ts';

/** Callbacks that note what they begin; the test says when the event loop turns. */
class Loop {
  readonly begun: string[] = [];
  readonly #soon: (() => void)[] = [];
  readonly #turns: Turns;
  readonly #left = new Map<string, { attempts: number; slots: number }>();

  constructor() {
    const clock: Clock = { ...systemClock, soon: (fire) => this.#soon.push(fire) };
    this.#turns = new Turns(clock);
  }

  join(name: string, priority: Priority): Member {
    this.#left.set(name, { attempts: 0, slots: Infinity });
    return this.#turns.join(priority, () => {
      const left = this.#left.get(name);
      if (left === undefined || left.attempts === 0 || left.slots === 0) return false;
      left.attempts -= 1;
      left.slots -= 1;
      this.begun.push(name);
      return true;
    });
  }

  give(name: string, attempts: number, slots = Infinity): void {
    this.#left.set(name, { attempts, slots });
  }

  left(name: string): number {
    return this.#left.get(name)?.attempts ?? 0;
  }

  /** Whether anybody waits for the event loop. */
  get scheduled(): boolean {
    return this.#soon.length > 0;
  }

  turn(): void {
    for (const fire of this.#soon.splice(0)) fire();
  }

  count(name: string): number {
    return this.begun.filter((one) => one === name).length;
  }
}

describe('attempts begin', () => {
  it('at once and without bound where there is one callback, and the event loop is not asked', () => {
    const loop = new Loop();
    const only = loop.join('only', 'low');
    loop.give('only', 10_000);
    only.ready();
    expect(loop.count('only')).toBe(10_000);
    expect(loop.scheduled).toBe(false);
  });

  it('at once, whatever the priority, while there is time for all', () => {
    const loop = new Loop();
    const [low, high] = [loop.join('low', 'low'), loop.join('high', 'high')];
    for (let turn = 0; turn < 100; turn += 1) {
      loop.give('low', 5);
      low.ready();
      loop.give('high', 5);
      high.ready();
      expect([loop.left('low'), loop.left('high')]).toEqual([0, 0]);
      loop.turn();
    }
    expect(loop.scheduled).toBe(false);
  });

  it('four of high to two of normal to one of low where there is not, and one after another', () => {
    const loop = new Loop();
    const names: Priority[] = ['low', 'normal', 'high'];
    const members = names.map((name) => loop.join(name, name));
    for (const name of names) loop.give(name, 100_000);
    for (const member of members) member.ready();
    const before = loop.begun.length;
    while (loop.begun.length < before + 7_000) loop.turn();
    const shares = loop.begun.slice(before, before + 7_000);
    const count = (name: string): number => shares.filter((one) => one === name).length;
    expect(Math.abs(count('high') - 4_000)).toBeLessThan(5);
    expect(Math.abs(count('normal') - 2_000)).toBeLessThan(5);
    expect(Math.abs(count('low') - 1_000)).toBeLessThan(5);
    // Not in bursts: of any fourteen in a row two or so are low.
    for (let at = 0; at + 14 <= shares.length; at += 1) {
      expect(shares.slice(at, at + 14)).toContain('low');
    }
  });

  it('of equal callbacks as many of each, whatever their slots', () => {
    const loop = new Loop();
    const [few, many] = [loop.join('few', 'normal'), loop.join('many', 'normal')];
    loop.give('many', 100_000);
    many.ready();
    const before = loop.begun.length;
    for (let turn = 0; turn < 100; turn += 1) {
      // Slots are free again as its answers come.
      loop.give('few', 8, 8);
      few.ready();
      loop.turn();
    }
    expect(loop.count('few')).toBe(800);
    expect(loop.begun.length - before - 800).toBe(800);
  });

  it('of an important callback before those that keep the process busy, at the next look at the network', () => {
    const loop = new Loop();
    const [busy, important] = [loop.join('busy', 'low'), loop.join('important', 'high')];
    loop.give('busy', 100_000);
    busy.ready();
    for (let turn = 0; turn < 10; turn += 1) loop.turn();
    loop.give('important', 3);
    important.ready();
    expect(loop.count('important')).toBe(0);
    const before = loop.begun.length;
    loop.turn();
    expect(loop.begun.slice(before, before + 5).filter((one) => one === 'important')).toHaveLength(
      3,
    );
  });

  it('of a callback without slots not at all, and nobody waits for it', () => {
    const loop = new Loop();
    const [hangs, well] = [loop.join('hangs', 'high'), loop.join('well', 'low')];
    loop.give('hangs', 1_000, 32);
    loop.give('well', 1_000);
    hangs.ready();
    well.ready();
    while (loop.scheduled) loop.turn();
    expect([loop.count('hangs'), loop.count('well')]).toEqual([32, 1_000]);
  });

  it('without a credit for a time of rest', () => {
    const loop = new Loop();
    const [steady, rested] = [loop.join('steady', 'normal'), loop.join('rested', 'normal')];
    loop.give('steady', 100_000);
    steady.ready();
    for (let turn = 0; turn < 100; turn += 1) loop.turn();
    loop.give('rested', 100_000);
    rested.ready();
    const before = [loop.count('steady'), loop.count('rested')] as const;
    for (let turn = 0; turn < 10; turn += 1) loop.turn();
    expect(loop.count('rested') - before[1]).toBe(loop.count('steady') - before[0]);
  });

  it('no more of a callback that left, and without turns for the one that stays', () => {
    const loop = new Loop();
    const [goes, stays] = [loop.join('goes', 'high'), loop.join('stays', 'low')];
    loop.give('goes', 1_000);
    loop.give('stays', 1_000);
    goes.ready();
    stays.ready();
    goes.leave();
    goes.leave();
    const before = loop.count('goes');
    while (loop.scheduled) loop.turn();
    expect([loop.count('goes'), loop.count('stays')]).toEqual([before, 1_000]);
    loop.give('stays', 1_000);
    stays.ready();
    expect(loop.count('stays')).toBe(2_000);
  });

  it('all in the end, whoever comes when', () => {
    const priority = fc.constantFrom<Priority>('high', 'normal', 'low');
    const step = fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 60 }), fc.boolean());
    fc.assert(
      fc.property(
        fc.array(priority, { minLength: 5, maxLength: 5 }),
        fc.array(step),
        (of, steps) => {
          const loop = new Loop();
          const members = of.map((one, n) => loop.join(String(n), one));
          for (const [n, attempts, turns] of steps) {
            loop.give(String(n), loop.left(String(n)) + attempts);
            members[n]?.ready();
            if (turns) loop.turn();
          }
          const all = steps.reduce((sum, [, attempts]) => sum + attempts, 0);
          for (let turn = 0; loop.scheduled && turn < all + 2; turn += 1) loop.turn();
          expect(loop.begun).toHaveLength(all);
          expect(loop.scheduled).toBe(false);
        },
      ),
    );
  });
});
