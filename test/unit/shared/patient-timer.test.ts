import { beforeEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../../src/shared/clock.ts';
import { patientTimer } from '../../../src/shared/patient-timer.ts';

let now = 0;
let timers: { readonly ms: number; readonly fire: () => void; cancelled: boolean }[] = [];
let fired = 0;

const clock: Clock = {
  ...systemClock,
  monotonic: () => now,
  timer: (ms, fire) => {
    const timer = { ms, fire, cancelled: false };
    timers.push(timer);
    return () => {
      timer.cancelled = true;
    };
  },
};

beforeEach(() => {
  [now, fired, timers] = [1_000, 0, []];
});

function expire(atMs: number): void {
  now = atMs;
  const timer = timers.shift();
  if (timer?.cancelled === false) timer.fire();
}

describe('a time-out', () => {
  it('ends when it should where the process runs', () => {
    patientTimer(clock, 500, () => (fired += 1));
    expect(timers[0]?.ms).toBe(500);
    expire(1_510);
    expect(fired).toBe(1);
    expect(timers).toEqual([]);
  });

  it('lets what came while the process stood still be read first, and then ends', () => {
    patientTimer(clock, 500, () => (fired += 1));
    expire(61_500);
    expect(fired).toBe(0);
    expect(timers).toHaveLength(1);
    expire(61_750);
    expect(fired).toBe(1);
  });

  it.each([1_510, 61_500])('is over once it is called back, also at %i', (atMs) => {
    const cancel = patientTimer(clock, 500, () => (fired += 1));
    if (atMs > 2_000) expire(atMs);
    cancel();
    expire(atMs + 500);
    expect(fired).toBe(0);
  });
});
