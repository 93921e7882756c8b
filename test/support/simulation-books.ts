/** What delivery has made durable: followed change by change, and held against the store's own books. */
import { type HandlerChange, isHandlerChange } from '../../src/state/handler-store.ts';
import { isResendChange, type ResendChange } from '../../src/state/resend-store.ts';
import { isSettlementChange, type SettlementChange } from '../../src/state/settlement-store.ts';
import type {
  Cursor,
  HandOver,
  HoldChange,
  LaneAction,
  LaneKey,
  LedgerCounts,
  StateChange,
  StateStore,
} from '../../src/state/state-store.ts';
import { handOverOf } from '../../src/state/state-store.ts';
import type { AttemptKey, Completion } from '../../src/state/completion.ts';
import { ToldEnds, waitOf } from './simulation-completions.ts';
import { failedAgain, type Lane, laneOfFirst, newLane } from './simulation-lane.ts';
import type { LogCheck } from './simulation-log-check.ts';
import { HandedOver } from './simulation-hand-over.ts';
import { SimulatedHolds } from './simulation-holds.ts';
import { SentAgain } from './simulation-resends.ts';
import { require, Violation } from './simulation-log-check.ts';
import type { SampleRow } from './binlog-events.ts';
import type { OutgoingEvent } from '../../src/deliver/callback/sender.ts';
import type { LowWaterMark, StoredRecord } from '../../src/log/change-log.ts';

/** What a callback selects, as the model sees it. */
export interface CallbackSelection {
  readonly name: string;
  readonly tables: readonly string[];
  readonly operations: readonly string[];
  /** Updates only when the row's name changed. */
  readonly changedName: boolean;
  /** Of a key's events within so many ms only the newest; 0: each. */
  readonly coalesceMs: number;
  /** The callbacks that get what it gives up. */
  readonly fallback: string | undefined;
  readonly compensate: string | undefined;
}

/** How an event may end, but by its delivery. */
type Fate = 'dead' | 'skipped' | 'superseded';

interface Place {
  readonly partition: number;
  readonly offset: number;
}

interface Progress {
  readonly callback: string;
  readonly topic: string;
  readonly partition: number;
  readonly startOffset: number;
  next: number;
  beyond: readonly (readonly [number, number])[];
}

const OPERATIONS: Readonly<Record<string, string>> = {
  ...{ c: 'insert', u: 'update', d: 'delete', t: 'truncate' },
};

/**
 * G6, and the half of G3 that is about durability. The store's ledger is compared after every commit and
 * every crash with a recount over the records, made without the code under test.
 */
export class Books {
  readonly holds = new SimulatedHolds();
  readonly handedOver = new HandedOver();
  readonly ends = new ToldEnds();
  readonly resends = new SentAgain();
  readonly #log: LogCheck;
  readonly #selections: ReadonlyMap<string, CallbackSelection>;
  readonly #progress = new Map<string, Progress>();
  readonly #lanes = new Map<string, Lane>();
  readonly #fates = new Map<string, Fate>();
  /** Events that their receivers have done. */
  readonly #done = new Set<string>();
  /** Cursors as they stood when they were last recounted: what has not changed is not counted again. */
  readonly #verified = new Map<string, string>();

  constructor(log: LogCheck, selections: readonly CallbackSelection[]) {
    this.#log = log;
    this.#selections = new Map(selections.map((one) => [one.name, one]));
  }

  /** A truncate is in every partition, and is delivered for the first. */
  matches(callback: string, record: StoredRecord, partition: number): boolean {
    return this.selects(callback, record) && (record.operation !== 't' || partition === 0);
  }

  selects(callback: string, record: StoredRecord): boolean {
    const selection = this.#selections.get(callback);
    if (selection === undefined) throw new Violation(`Nobody asked for ${callback}`);
    if (!selection.tables.includes(record.table)) return false;
    if (!selection.operations.includes(OPERATIONS[record.operation] ?? '')) return false;
    if (record.operation !== 'u' || !selection.changedName) return true;
    const expected = this.#log.expected(record.id);
    return nameOf(expected?.before) !== nameOf(expected?.after);
  }

  /** Whether a newer event of the key may take the record's place. */
  coalesces(callback: string, { key }: Pick<StoredRecord, 'key'>): boolean {
    return (this.#selections.get(callback)?.coalesceMs ?? 0) > 0 && key !== null;
  }

  /** The callback gets a newer event of the record's key. */
  hasNewer(callback: string, at: { topic: string; partition: number }, old: StoredRecord): boolean {
    return this.#log
      .records(at.topic, at.partition)
      .some(
        (record) =>
          record.offset > old.offset &&
          record.key === old.key &&
          this.matches(callback, record, at.partition),
      );
  }

  /** The receiver did its work for the event. */
  done(callback: string, id: string): void {
    this.#done.add(`${callback} ${id}`);
  }

  isDone(callback: string, id: string): boolean {
    return this.#done.has(`${callback} ${id}`);
  }

  /** Where the callback began to read, and its durable place; undefined before it has a cursor there. */
  progress(callback: string, topic: string, partition: number): Progress | undefined {
    return this.#progress.get(`${callback} ${topic}/${partition}`);
  }

  /** Its outcome is durable: settled, and not waiting in a lane. */
  isDelivered(
    callback: string,
    topic: string,
    event: { partition: number; offset: number },
  ): boolean {
    const progress = this.progress(callback, topic, event.partition);
    if (progress === undefined) return false;
    const record = this.#log.record(topic, event);
    const laned = record !== undefined && this.laneOf(callback, topic, record) !== undefined;
    return isSettled(progress, event.offset) && !laned;
  }

  /** It was delivered or filtered, or waits in a lane, durably. */
  isSettled(callback: string, topic: string, at: { partition: number; offset: number }): boolean {
    const progress = this.progress(callback, topic, at.partition);
    return progress !== undefined && isSettled(progress, at.offset);
  }

  /** The lane that the event waits in. That of a truncate is its own, or the one of its table without a key. */
  laneOf(
    callback: string,
    topic: string,
    record: Pick<StoredRecord, 'key' | 'table' | 'operation' | 'offset'>,
  ): Lane | undefined {
    const keyless = `~${record.table}`;
    const keys = record.operation === 't' ? [`!${record.table}`, keyless] : [record.key ?? keyless];
    return keys
      .map((key) => this.#lanes.get(`${callback} ${topic} ${key}`))
      .find((lane) => lane?.offsets.includes(record.offset) === true);
  }

  /** Of its own events: what is handed over comes by a lane, which may begin while a resend holds its key. */
  requireNoLane(callback: string, { topic, key, table, id, operation }: OutgoingEvent): void {
    const keyless = `${operation === 't' ? '!' : '~'}${table}`;
    const lane = this.#lanes.get(`${callback} ${topic} ${key ?? keyless}`);
    require(lane === undefined || handOverOf(topic) !== null, 'G3', () =>
      `${id} is sent again although its key has a lane`);
  }

  /** What became of an event that was not delivered, and that is durable. */
  fate(callback: string, topic: string, { partition, offset }: Place): Fate | undefined {
    return this.#fates.get(`${callback} ${topic}/${partition}@${offset}`);
  }

  /** The store took the end of an attempt. */
  ended(at: AttemptKey, completion: Completion, nowMs: number): void {
    this.ends.taken(at, completion);
    if (completion.status !== 'overdue') return;
    const lane = [...this.#lanes].find(
      ([name, { offsets, partition }]) =>
        name.startsWith(`${at.callback} ${at.topic} `) &&
        partition === at.partition &&
        offsets[0] === at.offset,
    )?.[1];
    const from = lane?.awaiting?.earliestOverdue ?? Infinity;
    require(from <= nowMs, 'deadline', () => `${at.eventId} is overdue ${from - nowMs} ms early`);
  }

  /** A person acted on a lane. */
  acted({ callback, topic, key }: LaneKey, action: LaneAction, atMs: number): void {
    const lane = this.#lanes.get(`${callback} ${topic} ${key}`);
    if (lane === undefined) throw new Violation(`G6: nobody can ${action} ${key}`);
    lane.parked = action === 'park';
    lane.exhausted &&= lane.parked;
    lane.skip ||= action === 'skip';
    if (action === 'retry') this.#giveUp({ callback, topic }, lane);
    if (action !== 'park') lane.nextAttemptAt = Math.min(lane.nextAttemptAt, atMs);
  }

  /** Nothing waits in a lane, and everything in the log is settled for every callback, also one that has yet to begin. */
  get complete(): boolean {
    if (this.#lanes.size > 0) return false;
    for (const callback of this.#selections.keys()) {
      const begun = this.#log.partitions.every((at) => this.#progress.has(`${callback} ${at}`));
      if (!begun) return false;
    }
    return this.unfinished.length === 0;
  }

  /** Where something is still to be settled. */
  get unfinished(): readonly Progress[] {
    return [...this.#progress.values()].filter(
      (at) => !this.isStopped(at) && (at.beyond.length > 0 || !this.#isAtEnd(at)),
    );
  }

  /** Retention took its next records, or those of another partition, which a truncate therefore waits for. */
  isStopped({
    callback,
    topic,
    partition,
    next,
  }: Omit<Progress, 'beyond' | 'startOffset'>): boolean {
    if (this.#log.isLost(topic, partition, next)) return true;
    const head = this.#log.records(topic, partition).find(({ offset }) => offset >= next);
    if (head?.operation !== 't' || !this.selects(callback, head)) return false;
    return [...this.#progress.values()].some(
      (one) =>
        one.callback === callback &&
        one.topic === topic &&
        this.#log.isLost(topic, one.partition, one.next),
    );
  }

  #isAtEnd({ topic, partition, next }: Progress): boolean {
    return next >= this.#log.end(topic, partition);
  }

  /** Number of cursors. */
  get cursors(): number {
    return this.#progress.size;
  }

  opened(cursors: readonly Omit<Cursor, 'ledger' | 'beyond'>[]): void {
    for (const { callback, topic, partition, startOffset, next } of cursors) {
      const at = { callback, topic, partition, startOffset, next, beyond: [] };
      this.#progress.set(`${callback} ${topic}/${partition}`, at);
    }
  }

  /** A commit had its effect. */
  committed(changes: readonly StateChange[]): void {
    for (const change of changes) {
      if (change.type === 'progress') {
        const progress = this.progress(change.callback, change.topic, change.partition);
        if (progress === undefined) throw new Violation('G6: progress without a cursor');
        require(change.next >= progress.next, 'G6', () => `a cursor went back to ${change.next}`);
        progress.next = change.next;
        progress.beyond = change.beyond;
      } else if (change.type === 'callback-gone' || change.type === 'callback-waits') {
        this.holds.committed(change);
      } else if (isResendChange(change)) {
        this.resends.committed(change);
      } else if (isHandlerChange(change)) {
        throw new Violation('G6: no handler runs in the process');
      } else if (isSettlementChange(change)) {
        throw new Violation('G6: nothing is to be written back');
      } else {
        this.#laneChanged(`${change.callback} ${change.topic} ${change.key}`, change);
      }
    }
  }

  /** Marks tell the log what it may forget. */
  marked(callback: string, marks: readonly LowWaterMark[]): void {
    for (const { topic, partition, offset } of marks) {
      const next = this.progress(callback, topic, partition)?.next ?? 0;
      require(offset <= next, 'G1', () => `a mark at ${offset}, but ${next} is durable`);
    }
  }

  async verify(state: StateStore): Promise<void> {
    for (const cursor of await state.cursors()) this.#verifyCursor(cursor);
    for (const cursor of await state.handedOver()) this.handedOver.verify(cursor);
  }

  #laneChanged(
    key: string,
    change: Exclude<
      StateChange,
      HandlerChange | HoldChange | ResendChange | SettlementChange | { type: 'progress' }
    >,
  ): void {
    const lane = this.#lanes.get(key);
    if (change.type === 'lane-append') {
      if (lane === undefined) this.#lanes.set(key, laneOfFirst(change));
      else this.#joined(lane, change);
      return;
    }
    if (change.type === 'dead') {
      require(lane === undefined, 'G3', () => `${change.event.id} dies beside its lane`);
      this.#end(change, change.event, 'dead');
      this.#handOver(change, change.event);
      return;
    }
    if (lane === undefined) throw new Violation(`G6: ${change.type} without the lane ${key}`);
    require(lane.offsets[0] === change.offset, 'G3', () =>
      `${change.offset} is not the head of ${key}`);
    if (change.type === 'lane-awaiting') {
      lane.awaiting = waitOf(change.accepted);
      return;
    }
    this.#ended(lane, change);
    if (change.type === 'lane-failed') failedAgain(lane, change);
    else this.#headLeft(key, lane, change);
  }

  /** An end that was taken already stands. */
  #giveUp({ callback, topic }: { callback: string; topic: string }, lane: Lane): void {
    const { awaiting, partition } = lane;
    const offset = lane.offsets[0] ?? -1;
    if (awaiting === null) return;
    const { attempt } = awaiting;
    if (this.ends.has({ callback, topic, partition, offset, attempt })) return;
    lane.attempts = attempt;
    lane.awaiting = null;
  }

  /** The head is settled, or tried again: by the end of its attempt, where that was awaited. */
  #ended(lane: Lane, change: LaneKey & { type: string; offset: number }): void {
    const { awaiting, partition } = lane;
    lane.awaiting = null;
    if (awaiting === null || change.type === 'lane-skipped') return;
    const { callback, topic, offset } = change;
    const how = change.type === 'lane-delivered' ? 'delivered' : 'failed';
    const { attempt } = awaiting;
    this.ends.requireEnd({ callback, topic, partition, offset, attempt }, how);
  }

  #joined(lane: Lane, change: Extract<StateChange, { type: 'lane-append' }>): void {
    const { event, key, coalesces = false } = change;
    const last = lane.offsets.at(-1) ?? 0;
    require(event.offset > last, 'G3', () => `lane ${key} takes ${event.offset} late`);
    if (coalesces && lane.lastCoalesces && lane.offsets.length > 1) {
      lane.offsets.pop();
      this.#end(change, { ...event, offset: last }, 'superseded');
    }
    lane.offsets.push(event.offset);
    lane.lastCoalesces = coalesces;
  }

  /** In the same commit the event is in lanes of other callbacks. */
  #handOver(
    change: LaneKey & { readonly handOvers?: readonly HandOver[] },
    event: { readonly id: string; readonly partition: number },
  ): void {
    const { fallback, compensate } = this.#selections.get(change.callback) ?? {};
    const wanted = [fallback, compensate].filter((to) => to !== undefined);
    const given = change.handOvers ?? [];
    require(given.map(({ to }) => to).join() === wanted.join(), 'G1', () =>
      `${event.id} is not handed over to ${wanted.join()}`);
    for (const handOver of given) {
      const { lane: key, offset } = this.handedOver.add(change, handOver, event);
      const lane = this.#lanes.get(key);
      if (lane !== undefined) lane.offsets.push(offset);
      else this.#lanes.set(key, newLane({ partition: event.partition, offset }));
    }
  }

  #headLeft(
    key: string,
    lane: Lane,
    change: LaneKey & { type: string; offset: number; handOvers?: readonly HandOver[] },
  ): void {
    const { type, offset } = change;
    if (type === 'lane-dead') this.#end(change, { ...lane, offset }, 'dead');
    this.handedOver.left(change, lane.partition, offset, type);
    const { partition } = lane;
    const at = { topic: change.topic, partition, offset };
    const isHandedOver = handOverOf(change.topic) !== null;
    const id = isHandedOver
      ? this.handedOver.entry(change.callback, at).id
      : this.#log.record(change.topic, at)?.id;
    if (type === 'lane-dead') this.#handOver(change, { id: id ?? 'unknown', partition });
    if (type === 'lane-skipped') this.#end(change, { ...lane, offset }, 'skipped');
    lane.offsets.shift();
    lane.attempts = 0;
    lane.skip = false;
    lane.exhausted = false;
    lane.nextAttemptAt = 0;
    if (lane.offsets.length === 0) this.#lanes.delete(key);
  }

  #end({ callback, topic }: LaneKey, { partition, offset }: Place, fate: Fate): void {
    this.#fates.set(`${callback} ${topic}/${partition}@${offset}`, fate);
    if (fate === 'dead') this.resends.died();
  }

  #verifyCursor(cursor: Cursor): void {
    const { callback, topic, partition, ledger } = cursor;
    const place = `${callback} ${topic}/${partition}`;
    const text = JSON.stringify(cursor);
    if (this.#verified.get(place) === text) return;
    this.#verified.set(place, text);
    const mine = this.progress(callback, topic, partition);
    require(mine?.next === cursor.next &&
      JSON.stringify(mine.beyond) === JSON.stringify(cursor.beyond), 'G6', () =>
      `${place} stands at ${cursor.next}, its commits say ${mine?.next}`);
    const counted = this.#recount(cursor);
    this.#requireSuperseded(cursor, counted);
    for (const [field, count] of Object.entries(counted)) {
      const saved = ledger[field as keyof LedgerCounts];
      require(saved === count, 'G6', () => `${place}: ${field} is ${saved}, counted ${count}`);
    }
  }

  /**
   * What was superseded on the fast path is known by its count alone, and one that was sent before a crash may be
   * superseded after it. So much is sure: what no receiver has done was superseded, and a newer one is there; what has no
   * newer one was delivered.
   */
  #requireSuperseded(cursor: Cursor, counted: LedgerCounts): void {
    const { callback, topic, partition, ledger } = cursor;
    const place = `${callback} ${topic}/${partition}`;
    let least = counted.superseded;
    let most = least;
    for (const record of this.#log.records(topic, partition)) {
      if (record.offset < cursor.startOffset || !isSettled(cursor, record.offset)) continue;
      if (!this.coalesces(callback, record) || !this.matches(callback, record, partition)) continue;
      if (this.laneOf(callback, topic, record) !== undefined) continue;
      if (this.fate(callback, topic, { partition, ...record }) !== undefined) continue;
      const isDone = this.isDone(callback, record.id);
      const hasNewer = this.hasNewer(callback, cursor, record);
      require(isDone || hasNewer, 'G1', () => `${place}: nobody got ${record.id}`);
      if (!isDone) least += 1;
      if (hasNewer) most += 1;
    }
    const { superseded } = ledger;
    require(least <= superseded && superseded <= most, 'G6', () =>
      `${place}: superseded is ${superseded}, not from ${least} to ${most}`);
    counted.delivered -= superseded - counted.superseded;
    counted.superseded = superseded;
  }

  #recount(cursor: Cursor): LedgerCounts {
    const { callback, topic, partition } = cursor;
    const counts = {
      ...{ read: 0, filtered: 0, matched: 0, delivered: 0, superseded: 0, skipped: 0 },
      ...{ dead: 0, parked: 0, awaiting: 0, retrying: 0, pending: 0 },
    };
    for (const record of this.#log.records(topic, partition)) {
      const { offset } = record;
      if (offset < cursor.startOffset || !isSettled(cursor, offset)) continue;
      counts.read += 1;
      if (!this.matches(callback, record, partition)) counts.filtered += 1;
      else {
        counts.matched += 1;
        const lane = this.laneOf(callback, topic, record);
        const fate = this.fate(callback, topic, { partition, offset });
        if (fate !== undefined) counts[fate] += 1;
        else if (lane === undefined) counts.delivered += 1;
        else if (lane.parked) counts.parked += 1;
        else if (lane.offsets[0] === offset) counts[lane.awaiting ? 'awaiting' : 'retrying'] += 1;
        else counts.pending += 1;
      }
    }
    return counts;
  }
}

function isSettled(at: Pick<Cursor, 'next' | 'beyond'>, offset: number): boolean {
  return offset < at.next || at.beyond.some(([from, to]) => from <= offset && offset < to);
}

function nameOf(row: SampleRow | null | undefined): string | undefined {
  return row?.name;
}
