import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../../src/shared/clock.ts';
import { SteadyClock } from '../../../src/shared/steady-clock.ts';

const BEGIN = 1_700_000_000_000;

/** A machine whose wall time can be set. */
function machine() {
  let [passed, shift] = [0, 0];
  const clock: Clock = {
    ...systemClock,
    now: () => BEGIN + passed + shift,
    monotonic: () => passed,
  };
  return {
    clock,
    pass: (ms: number) => (passed += ms),
    set: (ms: number) => (shift += ms),
  };
}

describe('a steady clock', () => {
  it('is wall time where nobody sets that, and where it is set forward', () => {
    const { clock, pass, set } = machine();
    const steady = new SteadyClock(clock);
    for (const [passed, shift] of [
      [0, 0],
      [1_500, 0],
      [10, 3_600_000],
      [60_000, 0],
    ] as const) {
      pass(passed);
      set(shift);
      expect(steady.now()).toBe(clock.now());
    }
  });

  it('goes on where wall time is set back, until that has caught up', () => {
    const { clock, pass, set } = machine();
    const steady = new SteadyClock(clock);
    set(-86_400_000);
    pass(10_000);
    expect(steady.now()).toBe(BEGIN + 5_000);
    pass(2 * 86_400_000);
    expect(steady.now()).toBe(clock.now());
  });

  it('never goes back, is never behind wall time, and makes no wait shorter or more than twice as long', () => {
    const step = fc.tuple(fc.nat(100_000), fc.integer({ min: -1e9, max: 1e9 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const { clock, pass, set } = machine();
        const steady = new SteadyClock(clock);
        let before = steady.now();
        for (const [passed, shift] of steps) {
          pass(passed);
          set(shift);
          const now = steady.now();
          expect(now).toBeGreaterThanOrEqual(clock.now());
          expect(now - before).toBeGreaterThanOrEqual(Math.floor(passed / 2) - 1);
          // Faster than time itself only where wall time is.
          if (now !== clock.now()) expect(now - before).toBeLessThanOrEqual(passed + 1);
          before = now;
        }
      }),
    );
  });
});
