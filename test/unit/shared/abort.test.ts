import { describe, expect, it } from 'vitest';
import { pause } from '../../../src/shared/abort.ts';
import { systemClock } from '../../../src/shared/clock.ts';

describe('a pause', () => {
  it('ends without a word when it is over, and when the signal aborts', async () => {
    await pause(systemClock, 1, new AbortController().signal);
    const stopping = new AbortController();
    const waiting = pause(systemClock, 3_600_000, stopping.signal);
    stopping.abort(new Error('The test stops it'));
    await waiting;
    await pause(systemClock, 3_600_000, stopping.signal);
  });

  it('tells what is no abort', async () => {
    const broken = { sleep: () => Promise.reject(new Error('No clock')) };
    await expect(pause(broken, 1, new AbortController().signal)).rejects.toThrow('No clock');
  });
});
