import { describe, expect, test } from 'vitest';
import { fresh } from '../../../../src/deliver/intake/open-cursors.ts';
import { Progress } from '../../../../src/deliver/settle/progress.ts';
import { Settler } from '../../../../src/deliver/settle/settler.ts';
import { RowcallError } from '../../../../src/errors.ts';
import type { StateChange, StateStore } from '../../../../src/state/state-store.ts';
import { Scheduler } from '../../../support/simulation-scheduler.ts';

/** A commit that ends when the test says so. */
interface HeldCommit {
  readonly changes: readonly StateChange[];
  readonly end: (error?: Error) => Promise<void>;
}

interface Scene {
  readonly settler: Settler;
  readonly commits: HeldCommit[];
  readonly failures: RowcallError[];
  readonly pass: (ms: number) => Promise<void>;
}

function setup(): Scene {
  const scheduler = new Scheduler(() => 0);
  const commits: HeldCommit[] = [];
  const failures: RowcallError[] = [];
  const commit: StateStore['commit'] = (changes) =>
    new Promise((resolve, reject) => {
      const end = async (error?: Error): Promise<void> => {
        if (error === undefined) resolve([]);
        else reject(error);
        await new Promise<void>((turned) => {
          setImmediate(turned);
        });
        await scheduler.advance(0);
      };
      commits.push({ changes, end });
    });
  const clock = scheduler.clockOf({ name: 'settler', alive: true });
  const settler = new Settler({ commit } as StateStore, clock, (error) => failures.push(error));
  return { settler, commits, failures, pass: (ms) => scheduler.advance(ms) };
}

function progressOf(partition: number): Progress {
  const at = { callback: 'billing', topic: 'shop.orders', topicId: 'id', partition };
  return new Progress(fresh({ ...at, startOffset: 0, next: 0 }));
}

function laneDelivered(offset: number): StateChange {
  const key = { callback: 'billing', topic: 'shop.orders', key: '{"id":1}' };
  return { type: 'lane-delivered', ...key, offset };
}

function deliver(settler: Settler, progress: Progress, offset: number): void {
  progress.delivered(offset);
  settler.settled(progress);
}

const DISK = new RowcallError('STATE_WRITE_FAILED', 'disk');

describe('the settler', () => {
  test('commits what settled in one turn as one transaction, progress before lanes', async () => {
    const { settler, commits, pass } = setup();
    const progress = progressOf(0);
    settler.change(laneDelivered(7));
    deliver(settler, progress, 0);
    deliver(settler, progress, 1);
    settler.change(laneDelivered(8));
    await pass(0);
    expect(commits.map(({ changes }) => changes)).toEqual([
      [
        expect.objectContaining({
          type: 'progress',
          next: 2,
          counts: { read: 2, matched: 2, delivered: 2 },
        }),
        laneDelivered(7),
        laneDelivered(8),
      ],
    ]);
  });

  test('makes one commit at a time; what settles meanwhile goes with the next', async () => {
    const { settler, commits, pass } = setup();
    const [one, two] = [progressOf(0), progressOf(1)];
    deliver(settler, one, 0);
    await pass(0);
    deliver(settler, two, 0);
    deliver(settler, one, 1);
    await pass(1_000);
    expect(commits).toHaveLength(1);
    await commits[0]?.end();
    expect(commits).toHaveLength(2);
    const nexts = commits.map(({ changes }) =>
      changes.map((change) => (change.type === 'progress' ? [change.partition, change.next] : [])),
    );
    expect(nexts).toEqual([
      [[0, 1]],
      [
        [1, 1],
        [0, 2],
      ],
    ]);
  });

  test('tells that something is durable only after the commit that holds it', async () => {
    const { settler, commits, pass } = setup();
    const progress = progressOf(0);
    const durable: string[] = [];
    const wait = (name: string): void => {
      settler.durable().then(
        () => durable.push(name),
        () => durable.push(`${name} failed`),
      );
    };
    deliver(settler, progress, 0);
    wait('first');
    await pass(0);
    deliver(settler, progress, 1);
    wait('second');
    await pass(100);
    expect(durable).toEqual([]);
    expect(progress.committedNext).toBe(0);
    await commits[0]?.end();
    expect(durable).toEqual(['first']);
    expect(progress.committedNext).toBe(1);
    await commits[1]?.end();
    expect(durable).toEqual(['first', 'second']);
    expect(progress.committedNext).toBe(2);
    expect(settler.commits).toBe(2);
  });

  test('is durable at once, without a commit, when there is nothing to save', async () => {
    const { settler, commits, pass } = setup();
    const durable = settler.durable();
    await pass(0);
    await durable;
    expect(commits).toEqual([]);
  });

  test('lets what was only passed over wait, but not for ever, nor behind other commits', async () => {
    const { settler, commits, pass } = setup();
    const [passed, other] = [progressOf(0), progressOf(1)];
    passed.filtered(0);
    settler.passed(passed);
    await pass(100);
    expect(commits).toEqual([]);
    await pass(200);
    expect(commits).toHaveLength(1);
    await commits[0]?.end();
    passed.filtered(1);
    settler.passed(passed);
    deliver(settler, other, 0);
    await pass(0);
    expect(commits[1]?.changes).toHaveLength(2);
    await commits[1]?.end();
    await pass(1_000);
    expect(commits).toHaveLength(2);
  });

  test('fails everyone who waits once a commit failed, says so once more, and commits nothing any more', async () => {
    const { settler, commits, failures, pass } = setup();
    const progress = progressOf(0);
    deliver(settler, progress, 0);
    const first = settler.durable();
    await pass(0);
    deliver(settler, progress, 1);
    const second = settler.durable();
    const outcomes = Promise.allSettled([first, second]);
    await commits[0]?.end(DISK);
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(settler.durable()).rejects.toBe(DISK);
    expect(failures).toEqual([DISK]);
    deliver(settler, progress, 2);
    settler.passed(progress);
    await pass(1_000);
    expect(commits).toHaveLength(1);
    expect(progress.committedNext).toBe(0);
  });

  test('gives a failure that has no code one of its own', async () => {
    const { settler, commits, failures, pass } = setup();
    deliver(settler, progressOf(0), 0);
    await pass(0);
    await commits[0]?.end(new Error('unexpected'));
    expect(failures).toMatchObject([{ code: 'STATE_WRITE_FAILED' }]);
  });
});
