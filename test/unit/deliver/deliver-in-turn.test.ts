import { describe, expect, it } from 'vitest';
import type { CallbackOptions } from '../../../src/deliver/callback-options.ts';
import type { DeliverSnapshot } from '../../../src/deliver/deliver.ts';
import { DeliverInTurn } from '../../../src/deliver/deliver-in-turn.ts';
import type { ChangeLog } from '../../../src/log/change-log.ts';
import type { ActiveMember, Membership, Standing } from '../../../src/log/membership.ts';
import { aborted } from '../../../src/shared/abort.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import { silentLogger } from '../../../src/shared/logger.ts';
import { eventually } from '../../support/eventually.ts';

const STRANGER: ActiveMember = { client: 'rowcall@other:1', stateId: 'theirs', tookOver: false };

type Marks = Awaited<ReturnType<ChangeLog['lowWater']>>;

interface Scene {
  readonly service: DeliverInTurn;
  readonly events: string[];
  readonly stop: AbortController;
  readonly done: Promise<void>;
  tell(standing: Standing): void;
}

function begin(marks: Marks = [], opened: () => Promise<void> = () => Promise.resolve()): Scene {
  const events: string[] = [];
  const group: { tell: (standing: Standing) => void } = { tell: () => undefined };
  const membership: Membership = {
    run: async (signal, onStanding) => {
      group.tell = onStanding;
      await aborted(signal);
      events.push('left');
    },
  };
  let turns = 0;
  const service = new DeliverInTurn({
    membership,
    make: async () => {
      turns += 1;
      const turn = turns;
      await opened();
      return {
        run: async (signal: AbortSignal) => {
          events.push(`delivering ${turn}`);
          await aborted(signal);
          events.push(`drained ${turn}`);
        },
        discard: () => {
          events.push(`discarded ${turn}`);
          return Promise.resolve();
        },
        change: (callback) => {
          events.push(`changed ${typeof callback === 'string' ? callback : callback.name} ${turn}`);
          return Promise.resolve();
        },
        snapshot: (): DeliverSnapshot => ({ running: true, commits: turn, callbacks: [] }),
        lookAtHolds: () => Promise.resolve(),
      };
    },
    log: { lowWater: () => Promise.resolve(marks) },
    stateId: 'ours',
    callbacks: () => ['audit'],
    clock: systemClock,
    logger: silentLogger,
  });
  const stop = new AbortController();
  const done = service.run(stop.signal);
  done.catch(() => undefined);
  return {
    service,
    events,
    stop,
    done,
    tell: (standing) => {
      group.tell(standing);
    },
  };
}

describe('a dispatcher', () => {
  it('delivers in its turn, with a leg of its own for each, and drains before it leaves', async () => {
    const scene = begin();
    expect(scene.service.standby).toContain('standby');
    expect(scene.service.snapshot().running).toBe(false);
    scene.tell({ active: true });
    await eventually(() => {
      expect(scene.events).toEqual(['delivering 1']);
    });
    expect(scene.service.standby).toBeNull();
    expect(scene.service.snapshot()).toMatchObject({ running: true, commits: 1 });
    scene.tell({ active: false, by: null });
    await eventually(() => {
      expect(scene.service.standby).toContain('standby');
    });
    scene.tell({ active: true });
    await eventually(() => {
      expect(scene.events.at(-1)).toBe('delivering 2');
    });
    scene.stop.abort(new Error('stop'));
    await scene.done;
    expect(scene.events).toEqual([
      'delivering 1',
      'drained 1',
      'delivering 2',
      'drained 2',
      'left',
    ]);
  });

  it('waits behind another one of the same state', async () => {
    const scene = begin();
    scene.tell({ active: false, by: { ...STRANGER, stateId: 'ours' } });
    await eventually(() => {
      expect(scene.service.standby).toContain('rowcall@other:1 delivers');
    });
    scene.stop.abort(new Error('stop'));
    await scene.done;
    expect(scene.events).toEqual(['left']);
  });

  it.each<[string, Marks]>([
    ['the log knows nobody', []],
    ['the log knows the other', [{ consumer: 'audit', stateId: 'theirs', marks: [] }]],
    [
      'the log knows ours from a callback that is gone',
      [{ consumer: 'removed', stateId: 'ours', marks: [] }],
    ],
  ])('ends beside one of another state where %s', async (_, marks) => {
    const scene = begin(marks);
    scene.tell({ active: false, by: STRANGER });
    await expect(scene.done).rejects.toMatchObject({
      code: 'STATE_FOREIGN',
      exitCode: 3,
      place: 'rowcall@other:1',
    });
    expect(scene.events).toEqual(['left']);
  });

  it('waits for a stranger to end where the log knows its own state', async () => {
    const scene = begin([{ consumer: 'audit', stateId: 'ours', marks: [] }]);
    scene.tell({ active: false, by: STRANGER });
    await eventually(() => {
      expect(scene.service.standby).toContain('rowcall@other:1 delivers');
    });
    scene.tell({ active: true });
    await eventually(() => {
      expect(scene.events).toEqual(['delivering 1']);
    });
    scene.stop.abort(new Error('stop'));
    await scene.done;
  });

  it('is told of changes also while a turn is lost that was being made', async () => {
    const making = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    let next = 0;
    const scene = begin([], () => {
      next += 1;
      return making[next - 1]?.promise ?? Promise.resolve();
    });
    scene.tell({ active: true });
    await eventually(() => {
      expect(next).toBe(1);
    });
    const closed: string[] = [];
    const sender = {
      send: () => Promise.reject(new Error('nothing is sent')),
      close: () => {
        closed.push('audit');
        return Promise.resolve();
      },
    };
    const changed = scene.service.change({ name: 'audit', sender } as unknown as CallbackOptions);
    scene.tell({ active: false, by: null });
    await changed;
    expect(closed).toEqual(['audit']);
    scene.tell({ active: true });
    await eventually(() => {
      expect(next).toBe(2);
    });
    making[1]?.resolve(undefined);
    await scene.service.change('audit');
    making[0]?.resolve(undefined);
    await eventually(() => {
      expect(scene.events).toEqual(['delivering 2', 'changed audit 2', 'discarded 1']);
    });
    scene.stop.abort(new Error('stop'));
    await scene.done;
  });
});
