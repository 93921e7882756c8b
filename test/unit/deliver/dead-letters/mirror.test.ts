import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogRecord } from '../../../../src/change-event.ts';
import {
  DeadLetterMirror,
  type LetterTopics,
  type MirrorSnapshot,
} from '../../../../src/deliver/dead-letters/mirror.ts';
import { type ErrorCode, RowcallError } from '../../../../src/errors.ts';
import { type Clock, systemClock } from '../../../../src/shared/clock.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';
import { openSqliteState } from '../../../../src/state/sqlite/sqlite-state.ts';
import type { StateChange, StateStore } from '../../../../src/state/state-store.ts';
import { eventually } from '../../../support/eventually.ts';

/** Minutes pass in milliseconds. */
const FASTER = 1_000;
const clock: Clock = {
  ...systemClock,
  timer: (ms, fire) => systemClock.timer(ms / FASTER, fire),
  sleep: (ms, signal) => systemClock.sleep(ms / FASTER, signal),
  monotonic: () => performance.now() * FASTER,
};

/** The commit that gives up the event at this offset. */
function death(callback: string, offset: number): StateChange[] {
  const at = { callback, topic: 't', partition: 0 };
  const failure = {
    ...{ attempts: 1, usedAttempts: 1, firstAttemptAt: 1, nextAttemptAt: 100 + offset },
    ...{ error: 'HTTP 500', cause: 'endpoint' as const },
  };
  const event = {
    ...{ partition: 0, offset, id: `e-${offset}`, table: 's.t', operation: 'c' as const },
    ...{ timestampMs: 0, value: Buffer.from(`${offset}`) },
  };
  const counts = { read: 1, matched: 1 };
  return [
    { type: 'dead', callback, topic: 't', key: `{"id":${offset}}`, event, failure },
    { type: 'progress', ...at, next: offset + 1, beyond: [], counts },
  ];
}

describe('the mirror of dead letters', () => {
  let state: StateStore;
  let stop: AbortController;
  let mirror: DeadLetterMirror;
  let ended: Promise<void>;
  let closed = 0;
  const written: string[] = [];
  let fault: (topic: string, records: readonly LogRecord[]) => ErrorCode | 'hang' | null;
  let cutOff: () => void;

  const topics: LetterTopics = {
    write: async (topic, records) => {
      const code = fault(topic, records);
      if (code === 'hang') {
        await new Promise<void>((_, reject) => {
          cutOff = () => {
            reject(new RowcallError('LOG_UNREACHABLE', 'The log was closed'));
          };
        });
      } else if (code !== null) {
        throw new RowcallError(code, 'It cannot be written');
      }
      written.push(...records.map(({ id }) => `${topic} ${id}`));
    },
    close: () => {
      closed += 1;
      cutOff();
      return Promise.resolve();
    },
  };
  const start = (): void => {
    stop = new AbortController();
    mirror = new DeadLetterMirror({
      ...{ name: 'shop', state, topics, callbacks: () => ['a', 'b', 'quiet'], clock },
      ...{ random: Math.random, logger: silentLogger },
    });
    ended = mirror.run(stop.signal);
  };
  const end = async (): Promise<void> => {
    stop.abort(new Error('Stopping'));
    await ended;
  };
  const waiting = async (): Promise<unknown> =>
    (await state.countUnmirrored()).map((one) => [one.callback, one.waiting]);
  const shown = (callback: string): MirrorSnapshot | undefined =>
    mirror.snapshot().find((one) => one.callback === callback);
  const none = async (): Promise<void> => {
    await eventually(async () => {
      expect(await waiting()).toEqual([]);
    });
  };

  beforeEach(async () => {
    state = await openSqliteState({ path: ':memory:' });
    const place = { topic: 't', partition: 0, topicId: 'x', startOffset: 0, next: 0 };
    await state.openCursors(['a', 'b'].map((callback) => ({ callback, ...place })));
    await state.setMirroring(true);
    written.length = 0;
    closed = 0;
    fault = () => null;
    cutOff = () => undefined;
  });
  afterEach(async () => {
    await end().catch(() => undefined);
    await state.close();
  });

  it('writes what waits, each callback to a topic of its own, in order, and forgets it', async () => {
    for (const offset of [0, 1, 2]) await state.commit(death('a', offset));
    await state.commit(death('b', 0));
    start();
    await none();
    await state.commit(death('a', 3));
    await eventually(() => {
      expect(written).toHaveLength(5);
    });
    const a = 'shop.a.dead-letters';
    expect(written.filter((one) => one.startsWith(a))).toEqual(
      [0, 1, 2, 3].map((offset) => `${a} e-${offset}`),
    );
    expect(written).toContain('shop.b.dead-letters e-0');
    await none();
    await eventually(() => {
      expect(shown('a')).toEqual({
        ...{ callback: 'a', waiting: 0, oldestAt: null, mirrored: 4, failures: 0, failure: null },
      });
    });
    expect(shown('quiet')).toMatchObject({ waiting: 0, mirrored: 0 });
    await end();
    expect(closed).toBeGreaterThan(0);
  });

  it('tries again what failed, tells why, and holds no other callback', async () => {
    fault = (topic) => (topic.includes('.a.') ? 'LOG_ACCESS_DENIED' : null);
    await state.commit(death('a', 0));
    await state.commit(death('b', 0));
    start();
    await eventually(async () => {
      expect(await waiting()).toEqual([['a', 1]]);
      expect(shown('a')?.failures).toBeGreaterThan(2);
    });
    expect(shown('a')).toMatchObject({ waiting: 1, oldestAt: 100 });
    expect(shown('a')?.failure).toBe('LOG_ACCESS_DENIED: It cannot be written');
    fault = () => null;
    await none();
    await eventually(() => {
      expect(shown('a')).toMatchObject({ waiting: 0, failure: null, mirrored: 1 });
    });
  });

  it('writes those before one that is too large, and none behind it until it has room', async () => {
    fault = (_, records) => (records.some(({ id }) => id === 'e-2') ? 'RECORD_TOO_LARGE' : null);
    for (const offset of [0, 1, 2, 3]) await state.commit(death('a', offset));
    start();
    await eventually(() => {
      expect(shown('a')?.failures).toBeGreaterThan(1);
    });
    const ids = (): string[] => written.map((one) => one.split(' ')[1] ?? '');
    expect(ids()).toEqual(['e-0', 'e-1']);
    expect(await waiting()).toEqual([['a', 2]]);
    fault = () => null;
    await none();
    expect(ids()).toEqual(['e-0', 'e-1', 'e-2', 'e-3']);
  });

  it('that was fenced lets the other one be for a minute', async () => {
    let tries = 0;
    fault = () => {
      tries += 1;
      return 'WRITER_FENCED';
    };
    await state.commit(death('a', 0));
    const began = performance.now();
    start();
    await eventually(() => {
      expect(tries).toBe(2);
    });
    expect(performance.now() - began).toBeGreaterThanOrEqual(60_000 / FASTER);
  });

  it('cuts off what does not end when it is to stop, and the letter is there for the next one', async () => {
    fault = () => 'hang';
    await state.commit(death('a', 0));
    start();
    await eventually(() => {
      expect(shown('a')?.waiting).toBe(1);
    });
    await end();
    expect(closed).toBe(2);
    expect(await waiting()).toEqual([['a', 1]]);
    fault = () => null;
    start();
    await none();
    expect(written).toEqual(['shop.a.dead-letters e-0']);
  });

  it('ends the process with a state store that cannot be used', async () => {
    start();
    await state.close();
    await expect(ended).rejects.toThrow();
    expect(closed).toBe(1);
  });
});
