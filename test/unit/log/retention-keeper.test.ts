import { describe, expect, it } from 'vitest';
import { RowcallError } from '../../../src/errors.ts';
import type { ChangeLog } from '../../../src/log/change-log.ts';
import { RetentionKeeper } from '../../../src/log/retention-keeper.ts';
import { type Clock, systemClock } from '../../../src/shared/clock.ts';
import { silentLogger } from '../../../src/shared/logger.ts';

/** Runs the keeper on a log whose retention does, turn by turn, what is listed; stops when the list is done. */
async function keep(turns: (() => number)[]): Promise<string[]> {
  const told: string[] = [];
  const stop = new AbortController();
  const clock: Clock = {
    ...systemClock,
    sleep: (_, signal) => {
      if (turns.length === 0) stop.abort(new Error('done'));
      return stop.signal.aborted ? Promise.reject(signal?.reason as Error) : Promise.resolve();
    },
  };
  const log: Pick<ChangeLog, 'applyRetention' | 'usage'> = {
    applyRetention: () => Promise.resolve().then(() => turns.shift()?.() ?? 0),
    usage: () => Promise.resolve({ bytes: 0, maxBytes: 100 }),
  };
  const logger = {
    ...silentLogger,
    info: (_: object, text: string) => told.push(text),
    warn: (fields: object) => told.push(JSON.stringify(fields)),
  };
  const consumers = (): Promise<readonly string[]> => Promise.resolve([]);
  const keeper = new RetentionKeeper({ log: log as ChangeLog, consumers, clock, logger });
  await keeper.run(stop.signal);
  return told;
}

const failWith = (code: 'LOG_WRITE_FAILED' | 'LOG_CORRUPT') => () => {
  throw new RowcallError(code, 'Injected');
};

describe('the retention keeper', () => {
  it('warns of a failure that may pass, and deletes at its next turn', async () => {
    expect(await keep([failWith('LOG_WRITE_FAILED'), () => 10])).toEqual([
      expect.stringContaining('LOG_WRITE_FAILED'),
      'Old events were deleted from the log',
    ]);
  });

  it('ends with one that stays', async () => {
    await expect(keep([failWith('LOG_CORRUPT')])).rejects.toMatchObject({ code: 'LOG_CORRUPT' });
  });
});
