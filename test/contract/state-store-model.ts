/** Random lives of a dispatcher against a naive model of the state store: arrays and plain arithmetic. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type {
  Cursor,
  Failure,
  OffsetRun,
  StateChange,
  StateStore,
} from '../../src/state/state-store.ts';
import type { LaneSummary } from '../../src/state/state-store.ts';
import { laneEventBytes } from '../../src/state/state-store.ts';
import type { StateTraits, StateUnderTest } from './state-store-samples.ts';
import {
  balanced,
  CALLBACK,
  counts,
  event,
  laneKey,
  newCursor,
  TOPIC,
} from './state-store-samples.ts';

const PARTITIONS = 2;

type Step =
  | {
      readonly do: 'read';
      readonly partition: number;
      readonly key: number;
      readonly match: boolean;
    }
  | { readonly do: 'settle'; readonly pick: number; readonly fails: boolean }
  | { readonly do: 'head'; readonly pick: number; readonly fails: boolean }
  | { readonly do: 'retry'; readonly pick: number }
  | { readonly do: 'commit' }
  | { readonly do: 'reopen' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      partition: fc.nat(PARTITIONS - 1),
      key: fc.nat(3),
      match: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      pick: fc.nat(),
      fails: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('head' as const), pick: fc.nat(), fails: fc.boolean() }),
  },
  { weight: 4, arbitrary: fc.constant({ do: 'commit' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('retry' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.constant({ do: 'reopen' as const }) },
);

interface ModelLane {
  readonly partition: number;
  offsets: number[];
  failure: Failure | null;
}

interface Flight {
  readonly offset: number;
  readonly key: string;
  readonly match: boolean;
}

/** One partition as a list of what became of every offset. */
interface ModelPartition {
  end: number;
  readonly flights: Flight[];
  readonly settled: Set<number>;
  readonly ledger: Cursor['ledger'];
}

class Model {
  readonly partitions: ModelPartition[] = Array.from({ length: PARTITIONS }, () => ({
    end: 0,
    flights: [],
    settled: new Set<number>(),
    ledger: counts({}),
  }));
  readonly lanes = new Map<string, ModelLane>();
  changes: StateChange[] = [];
  now = 1_000;

  read(partition: number, key: number, match: boolean): void {
    const at = this.#at(partition);
    at.flights.push({ offset: at.end, key: `p${partition}k${key}`, match });
    at.end += 1;
  }

  /** Settles the oldest event of some key: passed over, delivered, or into its lane. */
  settle(pick: number, fails: boolean): void {
    const partition = pick % PARTITIONS;
    const at = this.#at(partition);
    const chosen = at.flights[pick % Math.max(1, at.flights.length)];
    const index = at.flights.findIndex(({ key }) => key === chosen?.key);
    const [flight] = index < 0 ? [] : at.flights.splice(index, 1);
    if (flight === undefined) return;
    at.settled.add(flight.offset);
    const counted = this.#outcome(partition, flight, fails);
    at.ledger.read += 1;
    at.ledger[flight.match ? 'matched' : 'filtered'] += 1;
    if (counted) at.ledger.delivered += 1;
    this.changes.push({
      type: 'progress',
      callback: CALLBACK,
      topic: TOPIC,
      partition,
      ...this.place(partition),
      counts: {
        read: 1,
        ...(flight.match ? { matched: 1 } : { filtered: 1 }),
        ...(counted ? { delivered: 1 } : {}),
      },
    });
  }

  /** The head of some lane is tried once more. */
  head(pick: number, fails: boolean): void {
    const found = [...this.lanes][pick % Math.max(1, this.lanes.size)];
    if (found === undefined) return;
    const [key, lane] = found;
    const offset = lane.offsets[0] ?? -1;
    const { ledger } = this.#at(lane.partition);
    if (fails) {
      lane.failure = this.#failure((lane.failure?.attempts ?? 0) + 1);
      this.changes.push({ type: 'lane-failed', ...laneKey(key), offset, failure: lane.failure });
      return;
    }
    const filtered = pick % 5 === 0;
    const type = filtered ? 'lane-filtered' : 'lane-delivered';
    this.changes.push({ type, ...laneKey(key), offset });
    lane.offsets.shift();
    lane.failure = null;
    ledger[filtered ? 'filtered' : 'delivered'] += 1;
    if (filtered) ledger.matched -= 1;
    if (lane.offsets.length > 0) {
      ledger.pending -= 1;
      return;
    }
    ledger.retrying -= 1;
    this.lanes.delete(key);
  }

  place(partition: number): { next: number; beyond: readonly OffsetRun[] } {
    const { settled } = this.#at(partition);
    let next = 0;
    while (settled.has(next)) next += 1;
    const runs: [number, number][] = [];
    for (const offset of [...settled].filter((one) => one > next).toSorted((x, y) => x - y)) {
      const last = runs.at(-1);
      if (last?.[1] === offset) last[1] += 1;
      else runs.push([offset, offset + 1]);
    }
    return { next, beyond: runs };
  }

  /** Whether the fast path delivered it. */
  #outcome(partition: number, { offset, key, match }: Flight, fails: boolean): boolean {
    if (!match) return false;
    const lane = this.lanes.get(key);
    if (lane === undefined && !fails) return true;
    const put = {
      type: 'lane-append',
      ...laneKey(key),
      event: event(offset, { partition }),
    } as const;
    const { ledger } = this.#at(partition);
    if (lane === undefined) {
      const failure = this.#failure(1);
      this.lanes.set(key, { partition, offsets: [offset], failure });
      this.changes.push({ ...put, failure });
      ledger.retrying += 1;
    } else {
      lane.offsets.push(offset);
      this.changes.push(put);
      ledger.pending += 1;
    }
    return false;
  }

  #failure(attempts: number): Failure {
    this.now += 10;
    const nextAttemptAt = this.now + 40 * attempts + 0.5;
    return { attempts, firstAttemptAt: this.now, nextAttemptAt, error: `attempt ${attempts}` };
  }

  #at(partition: number): ModelPartition {
    const at = this.partitions[partition];
    if (at === undefined) throw new Error(`no partition ${partition}`);
    return at;
  }
}

/** What the store says equals what the model says, in every question that the port answers. */
async function agree(state: StateStore, model: Model): Promise<void> {
  const cursors = await state.cursors();
  expect(cursors.every(({ ledger }) => balanced(ledger))).toBe(true);
  expect(cursors).toEqual(
    model.partitions.map(({ ledger }, partition) => ({
      ...newCursor(partition),
      ...model.place(partition),
      ledger,
    })),
  );
  const lanes = await state.lanes({ limit: 1_000 });
  const seen = await Promise.all(lanes.map(async (lane) => laneSeen(state, lane, model.now)));
  const expected = [...model.lanes].map(([key, lane]) => laneExpected(key, lane));
  const byKey = (x: { key: string }, y: { key: string }): number => (x.key < y.key ? -1 : 1);
  expect(seen.toSorted(byKey)).toEqual(expected.toSorted(byKey));

  const due = await state.dueLanes(CALLBACK, model.now, 1_000, new Set());
  const times = due.map(({ nextAttemptAt }) => nextAttemptAt);
  expect(times).toEqual(times.toSorted((x, y) => x - y));
  const dueExpected = [...model.lanes]
    .filter(([, { failure }]) => failure === null || failure.nextAttemptAt <= model.now)
    .map(([key, { offsets }]) => `${laneKey(key).key} ${offsets[0] ?? ''}`);
  expect(due.map(({ key, head }) => `${key} ${head.offset}`).toSorted()).toEqual(
    dueExpected.toSorted(),
  );
  expect(await state.nextDueAt(CALLBACK)).toBe(
    lanes.length === 0 ? null : Math.min(...lanes.map(({ nextAttemptAt }) => nextAttemptAt)),
  );
}

async function laneSeen(state: StateStore, lane: LaneSummary, now: number) {
  const { events } = await state.lane(lane.id);
  return {
    key: lane.key,
    depth: lane.depth,
    bytes: lane.bytes,
    attempts: lane.attempts,
    nextAttemptAt: lane.attempts === 0 && lane.nextAttemptAt <= now ? 'due' : lane.nextAttemptAt,
    error: lane.lastError,
    offsets: events.map(({ offset }) => offset),
  };
}

function laneExpected(key: string, { offsets, failure, partition }: ModelLane) {
  return {
    key: laneKey(key).key,
    depth: offsets.length,
    bytes: offsets.reduce((sum, offset) => sum + laneEventBytes(event(offset, { partition })), 0),
    attempts: failure?.attempts ?? 0,
    nextAttemptAt: failure?.nextAttemptAt ?? 'due',
    error: failure?.error ?? null,
    offsets,
  };
}

export function describeStateModel(
  name: string,
  make: () => Promise<StateUnderTest>,
  traits: StateTraits,
): void {
  const live = async (under: StateUnderTest, steps: readonly Step[]): Promise<void> => {
    const model = new Model();
    let state = await under.open();
    await state.openCursors(model.partitions.map((_, partition) => newCursor(partition)));
    const commit = async (): Promise<void> => {
      await state.commit(model.changes);
      model.changes = [];
      await agree(state, model);
    };
    for (const one of steps) {
      if (one.do === 'read') model.read(one.partition, one.key, one.match);
      else if (one.do === 'settle') model.settle(one.pick, one.fails);
      else if (one.do === 'head') model.head(one.pick, one.fails);
      else {
        await commit();
        if (one.do === 'retry') await retrySome(state, model, one.pick);
        else if (one.do === 'reopen' && traits.shared) {
          await state.close();
          state = await under.open();
        }
      }
    }
    await commit();
    await state.close();
  };

  describe(`${name}: against a model`, () => {
    test('any valid life agrees with it after each commit, and the books balance', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
          const under = await make();
          try {
            await live(under, steps);
          } finally {
            await under.destroy();
          }
        }),
        { numRuns: 100 },
      );
    });
  });
}

async function retrySome(state: StateStore, model: Model, pick: number): Promise<void> {
  const lanes = await state.lanes({ limit: 1_000 });
  const lane = lanes[pick % Math.max(1, lanes.length)];
  if (lane === undefined) return;
  await state.retryLane(lane.id, model.now);
  const found = [...model.lanes].find(([key]) => laneKey(key).key === lane.key)?.[1];
  if (found === undefined || found.failure === null) return;
  const nextAttemptAt = Math.min(found.failure.nextAttemptAt, model.now);
  found.failure = { ...found.failure, nextAttemptAt };
}
