import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SettlementWorker } from '../../../../src/deliver/settle/settlement-worker.ts';
import type { WriteOutcome } from '../../../../src/deliver/settle/settlement-writer.ts';
import { Settlements } from '../../../../src/deliver/settle/settlements.ts';
import { Settler } from '../../../../src/deliver/settle/settler.ts';
import type { OutgoingEvent } from '../../../../src/deliver/callback/sender.ts';
import { parameterName } from '../../../../src/on-settled/parameter-names.ts';
import type { ParameterValues } from '../../../../src/on-settled/parameters.ts';
import { type Clock, systemClock } from '../../../../src/shared/clock.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';
import { openSqliteState } from '../../../../src/state/sqlite/sqlite-state.ts';
import type { StateStore } from '../../../../src/state/state-store.ts';
import { eventually } from '../../../support/eventually.ts';

/** Hours pass in milliseconds. */
const FASTER = 10_000;
const clock: Clock = {
  ...systemClock,
  timer: (ms, fire) => systemClock.timer(ms / FASTER, fire),
  now: () => performance.now() * FASTER,
  monotonic: () => performance.now() * FASTER,
};

function event(id: number, n: number): OutgoingEvent {
  return {
    ...{ id: `e-${id}-${n}`, topic: 't', partition: 0, offset: n, table: 'shop.orders' },
    ...{ operation: 'u', key: `{"id":${id}}`, timestampMs: 0 },
    value: Buffer.from(`{"before":null,"after":{"id":${id},"n":${n}}}`),
  };
}

describe('the worker of on_settled', () => {
  let state: StateStore;
  let settler: Settler;
  let settlements: Settlements;
  let stop: AbortController;
  let ended: Promise<unknown>;
  const ran: string[] = [];
  let underWay = new Set<string>();
  let outcomeOf: (values: ParameterValues, attempt: number) => WriteOutcome;
  const attempts = new Map<unknown, number>();

  const write = async (values: ParameterValues): Promise<WriteOutcome> => {
    const id = JSON.stringify(values['event_id']).slice(1, -1);
    const key = id.split('-')[1] ?? '';
    expect(underWay.has(key), 'one of a key at a time').toBe(false);
    underWay.add(key);
    await new Promise((resolve) => setImmediate(resolve));
    underWay.delete(key);
    const attempt = (attempts.get(id) ?? 0) + 1;
    attempts.set(id, attempt);
    const outcome = outcomeOf(values, attempt);
    if (outcome.kind === 'written') ran.push(id);
    return outcome;
  };

  const open = async (names: readonly string[], maxPending = 100): Promise<void> => {
    const writer = { write, close: () => Promise.resolve() };
    const statuses = ['delivered', 'dead'] as const;
    const onSettled = { parameters: names.map(parameterName), statuses, maxPending, writer };
    const parts = { state, settler, clock, logger: silentLogger };
    const opened = await Settlements.open({ name: 'orders', onSettled }, parts);
    if (opened === null) throw new Error('There is something to write');
    settlements = opened;
  };

  const work = (): void => {
    const abandon = new AbortController().signal;
    const worker = new SettlementWorker({
      ...{ callback: 'orders', settlements, state, settler, clock, abandon },
      ...{ random: () => 0, logger: silentLogger },
    });
    settlements.onMade = () => {
      worker.wake();
    };
    ended = worker.run(stop.signal).catch((error: unknown) => error);
  };

  const settle = (id: number, n: number): void => {
    settlements.settled(event(id, n), `{"id":${id}}`, { status: 'delivered', attempts: 1 });
  };

  beforeEach(async () => {
    state = await openSqliteState({ path: ':memory:' });
    settler = new Settler(state, clock, () => undefined);
    stop = new AbortController();
    ended = Promise.resolve();
    ran.length = 0;
    attempts.clear();
    underWay = new Set();
    outcomeOf = () => ({ kind: 'written' });
  });
  afterEach(async () => {
    stop.abort();
    await ended;
    await state.close();
  });

  it('runs all, of a key in order and one at a time, whatever fails on the way', async () => {
    await open(['key.id', 'after.n']);
    outcomeOf = (_values, attempt) =>
      attempt === 1
        ? { kind: 'failed', error: 'deadlock', lasting: false }
        : attempt === 2
          ? { kind: 'unreachable', error: 'away' }
          : { kind: 'written' };
    work();
    for (let n = 0; n < 5; n += 1) for (const id of [1, 2, 3]) settle(id, n);
    await eventually(() => {
      expect(settlements.snapshot).toMatchObject({ pending: 0, written: 15, lastError: null });
    });
    for (const id of [1, 2, 3]) {
      const own = ran.filter((one) => one.startsWith(`e-${id}-`));
      expect(own).toEqual([0, 1, 2, 3, 4].map((n) => `e-${id}-${n}`));
    }
  });

  it('says of a server that is away why nothing runs, and holds no key for it longer', async () => {
    await open(['key.id']);
    let isAway = true;
    outcomeOf = () =>
      isAway ? { kind: 'unreachable', error: 'ECONNREFUSED' } : { kind: 'written' };
    settle(1, 0);
    await settler.durable();
    const [before] = await state.settlements({ limit: 1 });
    work();
    await eventually(async () => {
      const [one] = await state.settlements({ limit: 1 });
      expect(one).toMatchObject({ error: 'ECONNREFUSED', nextAt: before?.nextAt });
    });
    isAway = false;
    await eventually(() => {
      expect(ran).toEqual(['e-1-0']);
    });
  });

  it('holds the key alone of one that cannot run, until a person skips it', async () => {
    await open(['key.id']);
    outcomeOf = ({ event_id: id }) =>
      id === 'e-1-0'
        ? { kind: 'failed', error: 'no such column', lasting: true }
        : { kind: 'written' };
    work();
    settle(1, 0);
    settle(1, 1);
    settle(2, 0);
    await eventually(() => {
      expect(ran).toEqual(['e-2-0']);
      expect(settlements.snapshot).toMatchObject({ pending: 2, failing: 1 });
    });
    expect(await state.settlements({ limit: 9 })).toMatchObject([
      { eventId: 'e-1-0', error: 'no such column' },
      { eventId: 'e-1-1', error: null },
    ]);
    await state.actOnSettlement(1, 'skip', { actor: 'ann', reason: 'gone', atMs: 0 });
    await eventually(() => {
      expect(ran).toEqual(['e-2-0', 'e-1-1']);
      expect(settlements.snapshot).toMatchObject({ pending: 0, failing: 0 });
    });
  });

  it('tries what failed at once in a new life, since the configuration may have been mended', async () => {
    await open(['key.id']);
    settle(1, 0);
    await settler.durable();
    const nextAt = clock.now() + 1e12;
    const at = { callback: 'orders', id: 1 } as const;
    await state.commit([{ type: 'settlement-failed', ...at, error: 'no such column', nextAt }]);
    await open(['key.id']);
    work();
    await eventually(() => {
      expect(ran).toEqual(['e-1-0']);
    });
  });

  it('shows an event that has no value for a parameter, also one of a newer statement', async () => {
    await open(['after.nothing']);
    settle(1, 0);
    await open(['after.n']);
    await settler.durable();
    settle(2, 0);
    await settler.durable();
    await open(['after.n', 'before.n']);
    work();
    await eventually(async () => {
      expect(await state.settlements({ limit: 9 })).toMatchObject([
        { failures: expect.any(Number) as number, error: 'the event has no :after.nothing' },
        { error: 'the event was settled when the statement had no :before.n' },
      ]);
    });
    expect(ran).toEqual([]);
  });

  it('is of the statuses that are asked for, and has no room beyond its bound', async () => {
    await open(['key.id'], 2);
    settlements.settled(event(1, 0), 'k', { status: 'skipped', attempts: 0 });
    expect(settlements.snapshot.pending).toBe(0);
    settle(1, 0);
    expect(settlements.hasRoom).toBe(true);
    settle(2, 0);
    expect(settlements.hasRoom).toBe(false);
    const room = new Promise<void>((resolve) => {
      settlements.onRoom = resolve;
    });
    await settler.durable();
    work();
    await room;
    expect(settlements.hasRoom).toBe(true);
  });
});
