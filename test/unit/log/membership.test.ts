import { describe, expect, it } from 'vitest';
import { RowcallError } from '../../../src/errors.ts';
import {
  type ActiveMember,
  type Membership,
  type Standing,
  runInTurn,
} from '../../../src/log/membership.ts';
import { aborted } from '../../../src/shared/abort.ts';
import { eventually } from '../../support/eventually.ts';

const OTHER: ActiveMember = { client: 'other', stateId: null, tookOver: false };

/** A group whose word is the test's. */
class FakeGroup implements Membership {
  readonly events: string[] = [];
  tell: (standing: Standing) => void = () => undefined;
  fail: (error: Error) => void = () => undefined;

  async run(signal: AbortSignal, onStanding: (standing: Standing) => void): Promise<void> {
    this.tell = onStanding;
    this.events.push('join');
    await new Promise<void>((resolve, reject) => {
      this.fail = reject;
      aborted(signal).then(resolve, reject);
    });
    this.events.push('leave');
  }
}

interface Scene {
  readonly group: FakeGroup;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

function begin(
  more: Partial<Parameters<typeof runInTurn>[0]> = {},
  group: FakeGroup = new FakeGroup(),
): Scene {
  const stop = new AbortController();
  const during = (name: string) => async (signal: AbortSignal) => {
    group.events.push(`${name} begins`);
    await aborted(signal);
    group.events.push(`${name} ends`);
  };
  const done = runInTurn(
    {
      membership: group,
      startAtOnce: false,
      active: during('work'),
      standby: (signal, by) => during(`waiting for ${by?.client ?? 'nobody'}`)(signal),
      judge: () => Promise.resolve(),
      ...more,
    },
    stop.signal,
  );
  done.catch(() => undefined);
  return { group, stop, done };
}

const happened = ({ group }: Scene, last: string): Promise<void> =>
  eventually(() => {
    expect(group.events.at(-1)).toBe(last);
  });

describe('a turn', () => {
  it('is waited for, taken, and given back after the work has ended', async () => {
    const scene = begin();
    await happened(scene, 'waiting for nobody begins');
    scene.group.tell({ active: false, by: OTHER });
    await happened(scene, 'waiting for other begins');
    scene.group.tell({ active: true });
    await happened(scene, 'work begins');
    scene.stop.abort(new Error('stop'));
    await scene.done;
    expect(scene.group.events).toEqual([
      'join',
      'waiting for nobody begins',
      'waiting for nobody ends',
      'waiting for other begins',
      'waiting for other ends',
      'work begins',
      'work ends',
      'leave',
    ]);
  });

  it('that is lost ends the work before anything else begins, and may come again', async () => {
    const scene = begin();
    await happened(scene, 'waiting for nobody begins');
    scene.group.tell({ active: true });
    await happened(scene, 'work begins');
    scene.group.tell({ active: false, by: null });
    await happened(scene, 'waiting for nobody begins');
    scene.group.tell({ active: true });
    await happened(scene, 'work begins');
    expect(scene.group.events.filter((event) => event.startsWith('work'))).toEqual([
      'work begins',
      'work ends',
      'work begins',
    ]);
    scene.stop.abort(new Error('stop'));
    await scene.done;
  });

  it('is not waited for by who takes over', async () => {
    const scene = begin({ startAtOnce: true });
    await happened(scene, 'work begins');
    expect(scene.group.events).toEqual(['join', 'work begins']);
    scene.stop.abort(new Error('stop'));
    await scene.done;
  });

  it('said twice is one', async () => {
    const scene = begin();
    await happened(scene, 'waiting for nobody begins');
    scene.group.tell({ active: true });
    await happened(scene, 'work begins');
    scene.group.tell({ active: true });
    scene.stop.abort(new Error('stop'));
    await scene.done;
    expect(scene.group.events.filter((event) => event === 'work begins')).toHaveLength(1);
  });
});

describe('waiting behind another', () => {
  it('is refused by the judge, who knows whether the turn was lost to that member', async () => {
    const asked: boolean[] = [];
    const scene = begin({
      judge: (by, lost) => {
        asked.push(lost);
        return lost && by.tookOver
          ? Promise.reject(new RowcallError('WRITER_FENCED', 'taken over'))
          : Promise.resolve();
      },
    });
    await happened(scene, 'waiting for nobody begins');
    scene.group.tell({ active: false, by: OTHER });
    await happened(scene, 'waiting for other begins');
    scene.group.tell({ active: true });
    await happened(scene, 'work begins');
    scene.group.tell({ active: false, by: null });
    await happened(scene, 'waiting for nobody begins');
    scene.group.tell({ active: false, by: { ...OTHER, tookOver: true } });
    await expect(scene.done).rejects.toMatchObject({ code: 'WRITER_FENCED' });
    expect(asked).toEqual([false, true]);
    expect(scene.group.events.at(-1)).toBe('leave');
  });
});

describe('the end', () => {
  it('of the work by itself is the end of the whole, and the group is left', async () => {
    const group = new FakeGroup();
    const scene = begin({ startAtOnce: true, active: () => Promise.resolve() }, group);
    await scene.done;
    expect(group.events).toEqual(['join', 'leave']);
  });

  it('comes with the failure of the work', async () => {
    const group = new FakeGroup();
    const failure = new Error('work failed');
    const scene = begin({ startAtOnce: true, active: () => Promise.reject(failure) }, group);
    await expect(scene.done).rejects.toBe(failure);
    expect(group.events).toEqual(['join', 'leave']);
  });

  it('comes with the failure of the group, after the work has ended', async () => {
    const scene = begin({ startAtOnce: true });
    await happened(scene, 'work begins');
    const failure = new RowcallError('LOG_ACCESS_DENIED', 'no right to the group');
    scene.group.fail(failure);
    await expect(scene.done).rejects.toBe(failure);
    expect(scene.group.events).toEqual(['join', 'work begins', 'work ends']);
  });

  it('is normal for work that rejects with the reason for which it was stopped', async () => {
    const scene = begin({
      startAtOnce: true,
      active: async (signal) => {
        await aborted(signal);
        throw signal.reason as Error;
      },
    });
    await eventually(() => {
      expect(scene.group.events).toEqual(['join']);
    });
    scene.stop.abort(new Error('stop'));
    await expect(scene.done).resolves.toBeUndefined();
  });
});
