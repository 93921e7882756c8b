import { describe, expect, it } from 'vitest';
import { aborted } from '../../../src/shared/abort.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import type { Service } from '../../../src/shared/service.ts';
import { supervise } from '../../../src/shared/supervise.ts';

const options = {
  clock: systemClock,
  deadlineMs: 10_000,
  onDeadline: (names: readonly string[]) => new Error(`still running: ${names.join()}`),
};

function service(
  name: string,
  events: string[],
  run: (signal: AbortSignal) => Promise<void>,
): Service {
  return {
    name,
    run: async (signal) => {
      events.push(`start ${name}`);
      await run(signal);
      events.push(`end ${name}`);
    },
  };
}

describe('services run together', () => {
  it('start in order and stop in reverse order, one after the other', async () => {
    const events: string[] = [];
    const stop = new AbortController();
    const running = supervise(
      [service('a', events, aborted), service('b', events, aborted)],
      stop.signal,
      options,
    );
    stop.abort();
    await running;
    expect(events).toEqual(['start a', 'start b', 'end b', 'end a']);
  });

  it('end together with the first one that fails, and with its error', async () => {
    const events: string[] = [];
    const running = supervise(
      [
        service('a', events, aborted),
        service('b', events, () => Promise.reject(new Error('broken'))),
      ],
      new AbortController().signal,
      options,
    );
    await expect(running).rejects.toThrow('broken');
    expect(events).toEqual(['start a', 'start b', 'end a']);
  });

  it('do not wait for ever: the deadline names who still runs', async () => {
    const stop = new AbortController();
    const running = supervise(
      [service('stuck', [], () => new Promise(() => undefined))],
      stop.signal,
      {
        ...options,
        clock: {
          ...systemClock,
          timer: (_ms, fire) => {
            queueMicrotask(fire);
            return () => undefined;
          },
        },
      },
    );
    stop.abort();
    await expect(running).rejects.toThrow('still running: stuck');
  });
});
