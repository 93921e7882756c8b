import { describe, expect, it } from 'vitest';
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

function begin(marks: Marks = []): Scene {
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
    make: () => {
      turns += 1;
      const turn = turns;
      return Promise.resolve({
        run: async (signal: AbortSignal) => {
          events.push(`delivering ${turn}`);
          await aborted(signal);
          events.push(`drained ${turn}`);
        },
        change: () => Promise.resolve(),
        snapshot: (): DeliverSnapshot => ({ running: true, commits: turn, callbacks: [] }),
        lookAtHolds: () => Promise.resolve(),
      });
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
});
