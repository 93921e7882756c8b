import { describe, expect, test } from 'vitest';
import type { LaneIndex } from '../../../../src/deliver/lane/lane-index.ts';
import { Window } from '../../../../src/deliver/lane/window.ts';
import type { CallbackOptions } from '../../../../src/deliver/callback-options.ts';

const MIB = 1024 * 1024;

function setup() {
  const lanes = { events: 0, bytes: 0 };
  const options = { concurrency: 1, lanes: { maxEvents: 10, maxBytes: 1_000 } };
  const window = new Window(options as CallbackOptions, lanes as unknown as LaneIndex);
  const stop = new AbortController();
  const woken: string[] = [];
  const wait = (name: string): void => {
    window.room(stop.signal).then(
      () => woken.push(name),
      () => woken.push(`${name} stopped`),
    );
  };
  return { window, lanes, stop, woken, wait };
}

const settled = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

describe('the window', () => {
  test('is full at 1,024 events, and worth filling again at three quarters', async () => {
    const { window, woken, wait } = setup();
    for (let event = 0; event < 1024; event += 1) {
      expect(window.hasRoom).toBe(true);
      window.enter(100);
    }
    expect(window.hasRoom).toBe(false);
    wait('feed');
    for (let event = 0; event < 255; event += 1) window.leave(100);
    await settled();
    expect(window.hasRoom).toBe(true);
    expect(woken).toEqual([]);
    window.leave(100);
    await settled();
    expect(woken).toEqual(['feed']);
  });

  test('wakes one at a time, so that its bound in bytes is passed by one event alone', async () => {
    const { window, woken, wait } = setup();
    window.enter(30 * MIB);
    for (const name of ['first', 'second', 'third']) wait(name);
    window.leave(30 * MIB);
    await settled();
    expect(woken).toEqual(['first']);
    window.enter(30 * MIB);
    window.changed();
    await settled();
    expect(woken).toEqual(['first']);
    window.leave(30 * MIB);
    await settled();
    expect(woken).toEqual(['first', 'second']);
  });

  test('gives room that the woken one does not need to the next', async () => {
    const { window, woken, wait } = setup();
    window.enter(30 * MIB);
    wait('first');
    wait('second');
    window.leave(30 * MIB);
    await settled();
    window.changed();
    await settled();
    expect(woken).toEqual(['first', 'second']);
  });

  test('is full while the lanes are at a limit, whatever it holds itself', async () => {
    const { window, lanes, woken, wait } = setup();
    lanes.events = 10;
    expect(window.hasRoom).toBe(false);
    wait('feed');
    window.changed();
    await settled();
    expect(woken).toEqual([]);
    lanes.events = 9;
    window.changed();
    await settled();
    expect(woken).toEqual(['feed']);
  });

  test('forgets those that stopped waiting', async () => {
    const { window, stop, woken, wait } = setup();
    window.enter(30 * MIB);
    wait('gone');
    stop.abort(new Error('Stopping'));
    await settled();
    window.room(new AbortController().signal).then(
      () => woken.push('other'),
      () => undefined,
    );
    window.leave(30 * MIB);
    await settled();
    expect(woken).toEqual(['gone stopped', 'other']);
  });
});
