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
import type { LaneAction, LaneSummary } from '../../src/state/state-store.ts';
import { laneEventBytes } from '../../src/state/state-store.ts';
import type { StateTraits, StateUnderTest } from './state-store-samples.ts';
import {
  asked,
  balanced,
  CALLBACK,
  counts,
  event,
  laneKey,
  newCursor,
  TOPIC,
} from './state-store-samples.ts';
import { type End, PARTITIONS, type Step, step } from './state-store-steps.ts';

interface ModelLane {
  readonly partition: number;
  offsets: number[];
  failure: Failure | null;
  parked: boolean;
  /** Its budget is a new one. */
  renewed: boolean;
  /** The head that is to be skipped. */
  skip: number | null;
  lastCoalesces: boolean;
}

const dueOf = ({ failure }: ModelLane): number => failure?.nextAttemptAt ?? -1;

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
  /** Offsets of dead letters, in order. */
  readonly dead: number[] = [];
  acts = 0;
  changes: StateChange[] = [];
  /** Keys of lanes whose last event gave way since the last commit. */
  superseded: string[] = [];
  now = 1_000;

  read(partition: number, key: number, match: boolean): void {
    const at = this.#at(partition);
    at.flights.push({ offset: at.end, key: `p${partition}k${key}`, match });
    at.end += 1;
  }

  /** Settles the oldest event of some key: passed over, delivered, or into its lane. */
  settle(pick: number, end: End): void {
    const partition = pick % PARTITIONS;
    const at = this.#at(partition);
    const chosen = at.flights[pick % Math.max(1, at.flights.length)];
    const index = at.flights.findIndex(({ key }) => key === chosen?.key);
    const [flight] = index < 0 ? [] : at.flights.splice(index, 1);
    if (flight === undefined) return;
    at.settled.add(flight.offset);
    const counted = this.#outcome(partition, flight, end);
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

  /** The head of some lane is tried once more, also of one that was parked meanwhile. */
  head(pick: number, end: End): void {
    const found = [...this.lanes][pick % Math.max(1, this.lanes.size)];
    if (found === undefined) return;
    const [key, lane] = found;
    const offset = lane.offsets[0] ?? -1;
    const at = { ...laneKey(key), offset };
    if (end === 'delivered') {
      this.#headEnded(key, lane, pick % 5 === 0 ? 'filtered' : 'delivered');
      return;
    }
    const failure = this.#failure((lane.failure?.attempts ?? 0) + 1);
    if (end === 'dead') {
      this.changes.push({ type: 'lane-dead', ...at, failure });
      this.dead.push(offset);
      this.#leave(key, lane, 'dead');
      return;
    }
    const nextAttemptAt = lane.skip === null ? failure.nextAttemptAt : dueOf(lane);
    lane.failure = { ...failure, nextAttemptAt };
    lane.renewed = false;
    const exhausted = end === 'exhausted';
    this.changes.push({ type: 'lane-failed', ...at, failure, exhausted });
    if (exhausted && lane.skip === null) this.#park(lane);
  }

  #headEnded(key: string, lane: ModelLane, as: 'delivered' | 'filtered'): void {
    this.changes.push({ type: `lane-${as}`, ...laneKey(key), offset: lane.offsets[0] ?? -1 });
    if (as === 'filtered') this.#at(lane.partition).ledger.matched -= 1;
    this.#leave(key, lane, as);
  }

  /** The first lane of which it was asked goes on without its head. */
  skip(): void {
    const found = [...this.lanes].find(([, { skip }]) => skip !== null);
    if (found === undefined) return;
    const [key, lane] = found;
    this.changes.push({ type: 'lane-skipped', ...laneKey(key), offset: lane.offsets[0] ?? -1 });
    this.#leave(key, lane, 'skipped');
  }

  /** A person acts, between commits. */
  act(key: string, action: LaneAction): void {
    const lane = this.lanes.get(key);
    if (lane === undefined) return;
    this.acts += 1;
    if (action === 'park') {
      this.#park(lane);
      return;
    }
    this.#unpark(lane);
    const due = Math.min(dueOf(lane), this.now);
    if (lane.failure !== null) lane.failure = { ...lane.failure, nextAttemptAt: due };
    if (action === 'skip') lane.skip = lane.offsets[0] ?? -1;
  }

  #park(lane: ModelLane): void {
    if (lane.parked) return;
    const { ledger } = this.#at(lane.partition);
    lane.parked = true;
    ledger.retrying -= 1;
    ledger.pending -= lane.offsets.length - 1;
    ledger.parked += lane.offsets.length;
  }

  #unpark(lane: ModelLane): void {
    if (!lane.parked) return;
    const { ledger } = this.#at(lane.partition);
    lane.parked = false;
    lane.renewed = true;
    if (lane.failure !== null) lane.failure = { ...lane.failure, nextAttemptAt: 9e15 };
    ledger.retrying += 1;
    ledger.pending += lane.offsets.length - 1;
    ledger.parked -= lane.offsets.length;
  }

  #leave(key: string, lane: ModelLane, as: 'delivered' | 'filtered' | 'dead' | 'skipped'): void {
    const { ledger } = this.#at(lane.partition);
    ledger[as] += 1;
    ledger[lane.parked ? 'parked' : 'retrying'] -= 1;
    lane.offsets.shift();
    lane.failure = null;
    lane.renewed = false;
    lane.skip = null;
    if (lane.offsets.length === 0) this.lanes.delete(key);
    else if (!lane.parked) {
      ledger.pending -= 1;
      ledger.retrying += 1;
    }
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
  #outcome(partition: number, { offset, key, match }: Flight, end: End): boolean {
    if (!match) return false;
    const lane = this.lanes.get(key);
    if (lane === undefined && end === 'delivered') return true;
    const given = { ...laneKey(key), event: event(offset, { partition }) };
    const coalesces = offset % 3 !== 0;
    const { ledger } = this.#at(partition);
    if (lane !== undefined) {
      if (coalesces && lane.lastCoalesces && lane.offsets.length > 1) {
        lane.offsets.pop();
        ledger.superseded += 1;
        this.superseded.push(laneKey(key).key);
      } else ledger[lane.parked ? 'parked' : 'pending'] += 1;
      lane.offsets.push(offset);
      lane.lastCoalesces = coalesces;
      this.changes.push({ type: 'lane-append', ...given, coalesces });
      return false;
    }
    const failure = this.#failure(1);
    if (end === 'dead') {
      this.changes.push({ type: 'dead', ...given, failure });
      this.dead.push(offset);
      ledger.dead += 1;
      return false;
    }
    const parked = end === 'exhausted';
    const made = { partition, offsets: [offset], failure, parked, renewed: false, skip: null };
    this.lanes.set(key, { ...made, lastCoalesces: coalesces });
    this.changes.push({ type: 'lane-append', ...given, coalesces, failure, exhausted: parked });
    ledger[parked ? 'parked' : 'retrying'] += 1;
    return false;
  }

  #failure(attempts: number): Failure {
    this.now += 10;
    const nextAttemptAt = this.now + 40 * attempts + 0.5;
    return {
      attempts,
      usedAttempts: attempts - 1,
      firstAttemptAt: this.now,
      nextAttemptAt,
      error: `attempt ${attempts}`,
      cause: attempts % 2 === 0 ? 'system' : 'endpoint',
    };
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
  const times = due.map(({ nextAttemptAt }) => nextAttemptAt ?? NaN);
  expect(times).toEqual(times.toSorted((x, y) => x - y));
  const dueExpected = [...model.lanes]
    .filter(([, { parked }]) => !parked)
    .filter(([, { failure }]) => failure === null || failure.nextAttemptAt <= model.now)
    .map(([key, { offsets }]) => `${laneKey(key).key} ${offsets[0] ?? ''}`);
  expect(due.map(({ key, head }) => `${key} ${head.offset}`).toSorted()).toEqual(
    dueExpected.toSorted(),
  );
  const next = lanes.flatMap(({ nextAttemptAt }) => nextAttemptAt ?? []);
  expect(await state.nextDueAt(CALLBACK)).toBe(next.length === 0 ? null : Math.min(...next));
  const dead = await state.deadLetters({ limit: 1_000 });
  expect(dead.map((letter) => letter.event.offset)).toEqual(model.dead);
  expect(await state.audit({ limit: 1_000 })).toHaveLength(model.acts);
}

async function laneSeen(state: StateStore, lane: LaneSummary, now: number) {
  const { events } = await state.lane(lane.id);
  return {
    key: lane.key,
    state: lane.state,
    depth: lane.depth,
    bytes: lane.bytes,
    attempts: lane.attempts,
    usedAttempts: lane.usedAttempts,
    renewed: lane.attempts > 0 && lane.firstAttemptAt === null,
    nextAttemptAt:
      lane.attempts === 0 && lane.nextAttemptAt !== null && lane.nextAttemptAt <= now
        ? 'due'
        : lane.nextAttemptAt,
    error: lane.lastError,
    cause: lane.cause,
    skipAsked: lane.skipAsked,
    offsets: events.map(({ offset }) => offset),
  };
}

function laneExpected(key: string, lane: ModelLane) {
  const { offsets, failure, partition, parked, renewed, skip } = lane;
  return {
    key: laneKey(key).key,
    state: parked ? 'parked' : 'retrying',
    depth: offsets.length,
    bytes: offsets.reduce((sum, offset) => sum + laneEventBytes(event(offset, { partition })), 0),
    ...attemptsExpected(failure, renewed),
    ...(parked ? { nextAttemptAt: null } : {}),
    skipAsked: skip !== null,
    offsets,
  };
}

function attemptsExpected(failure: Failure | null, renewed: boolean) {
  const none = { attempts: 0, usedAttempts: 0, nextAttemptAt: 'due', error: null, cause: null };
  if (failure === null) return { ...none, renewed: false };
  const { attempts, usedAttempts, nextAttemptAt, error, cause } = failure;
  const used = renewed ? 0 : usedAttempts;
  return { attempts, usedAttempts: used, nextAttemptAt, error, cause, renewed };
}

export function describeStateModel(make: () => Promise<StateUnderTest>, traits: StateTraits): void {
  const live = async (under: StateUnderTest, steps: readonly Step[]): Promise<void> => {
    const model = new Model();
    let state = await under.open();
    await state.openCursors(model.partitions.map((_, partition) => newCursor(partition)));
    const commit = async (): Promise<void> => {
      const superseded = await state.commit(model.changes);
      expect(superseded.map(({ key }) => key)).toEqual(model.superseded);
      model.changes = [];
      model.superseded = [];
      await agree(state, model);
    };
    for (const one of steps) {
      if (one.do === 'read') model.read(one.partition, one.key, one.match);
      else if (one.do === 'settle') model.settle(one.pick, one.end);
      else if (one.do === 'head') model.head(one.pick, one.end);
      else if (one.do === 'skip') model.skip();
      else {
        await commit();
        if (one.do === 'act') await actOnSome(state, model, one);
        else if (one.do === 'reopen' && traits.shared) {
          await state.close();
          state = await under.open();
        }
      }
    }
    await commit();
    await state.close();
  };

  describe('against a model', () => {
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

async function actOnSome(
  state: StateStore,
  model: Model,
  { pick, action }: Extract<Step, { do: 'act' }>,
): Promise<void> {
  const lanes = await state.lanes({ limit: 1_000 });
  const lane = lanes[pick % Math.max(1, lanes.length)];
  if (lane === undefined) return;
  await state.actOnLane(lane.id, action, asked(model.now), lane.headId);
  const key = [...model.lanes.keys()].find((one) => laneKey(one).key === lane.key);
  model.act(key ?? 'nowhere', action);
}
