/** A dispatcher with its lanes over a real store in memory; the test gives each answer and lets time pass. */
import type { CallbackOptions } from '../../../../src/deliver/callback-options.ts';
import { AwaitedWorker } from '../../../../src/deliver/completion/awaited-worker.ts';
import type { Failed, Outcome, Sender } from '../../../../src/deliver/callback/sender.ts';
import { fresh } from '../../../../src/deliver/intake/open-cursors.ts';
import { CallbackCounters } from '../../../../src/deliver/lane/callback-counters.ts';
import { Dispatcher } from '../../../../src/deliver/lane/dispatcher.ts';
import { HANDING_OVER_NOTHING } from '../../../../src/deliver/lane/hand-overs.ts';
import { LaneIndex } from '../../../../src/deliver/lane/lane-index.ts';
import { LaneWorker } from '../../../../src/deliver/lane/lane-worker.ts';
import { ResendWorker } from '../../../../src/deliver/lane/resends.ts';
import { laneKey } from '../../../../src/deliver/lane/order-key.ts';
import { pendingEvent } from '../../../../src/deliver/lane/pending-event.ts';
import { Turns } from '../../../../src/deliver/lane/turns.ts';
import { Progress } from '../../../../src/deliver/settle/progress.ts';
import { Settler } from '../../../../src/deliver/settle/settler.ts';
import { LargeWork } from '../../../../src/shared/large-work.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';
import { openSqliteState } from '../../../../src/state/sqlite/sqlite-state.ts';
import {
  handOverTopic,
  type LaneEvent,
  laneEventBytes,
  type LedgerCounts,
  type StateStore,
} from '../../../../src/state/state-store.ts';
import { callbackCalls } from '../../../support/callback-calls.ts';
import { boundResends } from '../../../support/bound-resends.ts';
import { PERSISTENCE } from '../../../support/engine-options.ts';
import { type Owner, Scheduler } from '../../../support/simulation-scheduler.ts';

export const CALLBACK = 'billing';
export const TOPIC = 'shop.orders';
/** Who hands over to it. */
const SOURCE = 'shipping';

/** An attempt that waits for its answer. */
export interface Attempt {
  readonly offset: number;
  readonly attempt: number;
  readonly answer: (outcome: Outcome) => Promise<void>;
}

export const DELIVERED: Outcome = { kind: 'delivered' };
export const FAILED: Failed = { kind: 'failed', error: 'HTTP 500', status: 500 };
export const SHAPE_FAILED: Outcome = { kind: 'failed', shape: true, error: 'shape-failed: null' };
export const FILTERED: Outcome = { kind: 'filtered' };
export const UNREACHABLE: Outcome = { kind: 'unreachable', error: 'refused' };

export type SceneOptions = Partial<
  Pick<
    CallbackOptions,
    | 'concurrency'
    | 'lanes'
    | 'retry'
    | 'breaker'
    | 'rateLimit'
    | 'onExhausted'
    | 'coalesceMs'
    | 'async'
    | 'version'
  >
>;

export class DispatcherScene {
  readonly dispatcher: Dispatcher;
  readonly lanes: LaneIndex;
  readonly resends: ResendWorker;
  readonly counters = new CallbackCounters();
  readonly failures: unknown[] = [];
  readonly #scheduler = new Scheduler(() => 0);
  readonly #owner: Owner = { name: 'scene', alive: true };
  readonly #abandon = new AbortController();
  readonly #store: StateStore;
  readonly #progress: Progress;
  readonly #awaited: AwaitedWorker;
  readonly #handedOver: LaneIndex;
  readonly #wakeLanes: () => void;
  #given = 0;
  #open: Attempt[] = [];
  #held: (() => void)[] | null = null;
  #next = 0;

  static async open(options: SceneOptions = {}): Promise<DispatcherScene> {
    const store = await openSqliteState({ path: ':memory:' });
    const at = { callback: CALLBACK, topic: TOPIC, topicId: 'id', partition: 0 };
    const cursor = { ...at, startOffset: 0, next: 0 };
    await store.openCursors([cursor, { ...cursor, callback: SOURCE }]);
    const handedOver = await LaneIndex.loadHandedOver(store, CALLBACK);
    const lanes = await LaneIndex.load(store, CALLBACK, handedOver);
    return new DispatcherScene(store, { lanes, handedOver }, new Progress(fresh(cursor)), options);
  }

  private constructor(
    store: StateStore,
    { lanes, handedOver }: { readonly lanes: LaneIndex; readonly handedOver: LaneIndex },
    progress: Progress,
    options: SceneOptions,
  ) {
    this.#store = store;
    this.#progress = progress;
    this.lanes = lanes;
    this.#handedOver = handedOver;
    const clock = this.#scheduler.clockOf(this.#owner);
    const onFailure = (error: unknown): void => {
      this.failures.push(error);
    };
    const state: StateStore = { ...bound(store), commit: (changes) => this.#commit(changes) };
    this.dispatcher = new Dispatcher({
      options: {
        name: CALLBACK,
        tables: ['shop.*'],
        operations: ['insert'],
        changed: [],
        from: 'earliest',
        concurrency: 4,
        ...PERSISTENCE,
        lanes: { maxEvents: 1_000, maxBytes: 1_000_000 },
        sender: this.#sender(),
        ...options,
      },
      settler: new Settler(state, clock, onFailure),
      lanes,
      large: new LargeWork(clock),
      turns: new Turns(clock),
      clock,
      random: () => 0,
      logger: silentLogger,
      counters: this.counters,
      hold: null,
      handingOver: HANDING_OVER_NOTHING,
      abandon: this.#abandon.signal,
      onLanes: () => {
        worker.wake();
        this.#awaited.wake();
      },
      onResends: () => {
        resends.wake();
      },
      onLaneEmptied: () => {
        resends.wake();
      },
      onFailure,
    });
    const { dispatcher } = this;
    const worker = new LaneWorker({ callback: CALLBACK, state, dispatcher, lanes, clock });
    const resends = new ResendWorker({
      callback: CALLBACK,
      state,
      resends: dispatcher.resends,
      clock,
    });
    this.resends = resends;
    this.#wakeLanes = () => {
      worker.wake();
    };
    worker.run(this.#abandon.signal).catch(onFailure);
    this.#awaited = new AwaitedWorker({
      ...{ callback: CALLBACK, state, dispatcher, lanes, clock },
      poller: options.async?.poller ?? null,
    });
    this.#awaited.run(this.#abandon.signal).catch(onFailure);
    resends.run(this.#abandon.signal).catch(onFailure);
  }

  /** Offers the next event of the partition; its row has so many bytes. */
  offer(
    key: string,
    bytes = 0,
    over: { readonly key?: null; readonly undecided?: boolean } = {},
  ): void {
    const offset = this.#next;
    this.#next += 1;
    const value = Buffer.from(`{"before":null,"after":{"text":"${'x'.repeat(bytes)}"}}`);
    const timestampMs = 1_000;
    const record = { key: `{"id":"${key}"}`, value, timestampMs, offset };
    this.dispatcher.offer(
      pendingEvent(
        {
          ...{ ...record, id: `uuid:${offset}:shop/orders:1`, table: 'shop.orders' },
          operation: 'c',
          ...over,
        },
        value,
        this.#progress,
      ),
    );
  }

  /** Another callback gives an event up, and this one gets it: the first one as offset 0 of what was handed over. */
  async handOver(key: string): Promise<void> {
    const offset = this.#given;
    this.#given += 1;
    const event: LaneEvent = {
      ...{ partition: 0, offset, id: `uuid:${offset}:shop/orders:1`, table: 'shop.orders' },
      ...{ operation: 'c', timestampMs: 1_000, value: Buffer.from('{"before":null,"after":{}}') },
    };
    const at = { callback: SOURCE, topic: TOPIC, key: `{"id":"${key}"}` };
    this.#handedOver.joined(
      laneKey(handOverTopic('fallback', SOURCE, TOPIC), at.key),
      laneEventBytes(event),
    );
    const failure = {
      ...{ attempts: 1, usedAttempts: 1, firstAttemptAt: 1, nextAttemptAt: 1, error: 'HTTP 500' },
      cause: 'endpoint' as const,
    };
    const handOvers = [{ origin: 'fallback', to: CALLBACK } as const];
    await this.#store.commit([
      { type: 'dead', ...at, event, failure, handOvers },
      {
        ...{ type: 'progress', callback: SOURCE, topic: TOPIC, partition: 0, next: this.#given },
        ...{ beyond: [], counts: { read: 1, matched: 1 } },
      },
    ]);
    this.#wakeLanes();
    await turn();
    await this.pass(0);
  }

  /** Offsets being sent now, in the order in which they were begun. */
  get sending(): number[] {
    return this.#open.map(({ offset }) => offset);
  }

  attempt(offset: number): Attempt {
    const found = this.#open.find((one) => one.offset === offset);
    if (found === undefined) throw new Error(`Offset ${offset} is not being sent`);
    return found;
  }

  /** What the lanes say of their heads. */
  async lastErrors(): Promise<(string | null)[]> {
    const lanes = await this.#store.lanes({ limit: 100 });
    return lanes.map(({ lastError }) => lastError);
  }

  /** Gives an answer and lets what follows from it at once happen. */
  async answer(offset: number, outcome: Outcome): Promise<void> {
    await this.attempt(offset).answer(outcome);
  }

  /** Wall time, as the dispatcher has it. */
  now(): number {
    return this.#scheduler.clockOf(this.#owner).now();
  }

  async pass(ms: number): Promise<void> {
    await this.#scheduler.advance(ms);
  }

  /** What was asked for at the store is seen. */
  async lookAtResends(): Promise<void> {
    this.resends.wake();
    await turn();
    await this.pass(0);
  }

  /** Commits begun from here on wait for `release`. */
  hold(): void {
    this.#held ??= [];
  }

  async release(): Promise<void> {
    const held = this.#held ?? [];
    this.#held = null;
    for (const go of held) go();
    await turn();
    await this.pass(0);
  }

  async ledger(): Promise<Partial<LedgerCounts>> {
    const [cursor] = await this.#store.cursors();
    return Object.fromEntries(
      Object.entries(cursor?.ledger ?? {}).filter(([, count]) => count !== 0),
    );
  }

  /** Something was told of an awaited event: what the desk does. */
  async told(): Promise<void> {
    this.#awaited.wake();
    await turn();
    await this.pass(0);
  }

  /** The store, as an operator has it. */
  get state(): StateStore {
    return this.#store;
  }

  async next(): Promise<number | undefined> {
    return (await this.#store.cursors())[0]?.next;
  }

  async #commit(...args: Parameters<StateStore['commit']>): ReturnType<StateStore['commit']> {
    const held = this.#held;
    if (held !== null) {
      await new Promise<void>((resolve) => {
        held.push(resolve);
      });
    }
    return this.#store.commit(...args);
  }

  #sender(): Sender {
    return {
      send: ({ offset }, attempt) =>
        new Promise((resolve) => {
          const open: Attempt = {
            offset,
            attempt,
            answer: async (outcome) => {
              this.#open = this.#open.filter((one) => one !== open);
              resolve(outcome);
              await turn();
              await this.pass(0);
            },
          };
          this.#open.push(open);
        }),
      close: () => Promise.resolve(),
    };
  }
}

/** Every promise that is settled has told its waiters. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** The store's methods as a plain object, to replace one of them. */
function bound(store: StateStore): StateStore {
  return {
    id: store.id,
    cursors: () => store.cursors(),
    handedOver: () => store.handedOver(),
    openCursors: (cursors) => store.openCursors(cursors),
    commit: (changes) => store.commit(changes),
    dueLanes: (callback, now, limit, busy) => store.dueLanes(callback, now, limit, busy),
    lanesToSkip: (callback, limit, busy) => store.lanesToSkip(callback, limit, busy),
    nextDueAt: (callback) => store.nextDueAt(callback),
    awaitedLanes: (callback, now, limit, busy) => store.awaitedLanes(callback, now, limit, busy),
    complete: (attempt, completion, at) => store.complete(attempt, completion, at),
    endingOf: (attempt) => store.endingOf(attempt),
    completions: (filter) => store.completions(filter),
    completionKey: () => store.completionKey(),
    lanes: (filter) => store.lanes(filter),
    lane: (id) => store.lane(id),
    actOnLane: (...args) => store.actOnLane(...args),
    callbackHolds: () => store.callbackHolds(),
    actOnCallback: (name, action, asked) => store.actOnCallback(name, action, asked),
    deadLetters: (filter) => store.deadLetters(filter),
    deadLetter: (id) => store.deadLetter(id),
    audit: (filter) => store.audit(filter),
    ...callbackCalls(store),
    ...boundResends(store),
    close: () => store.close(),
  };
}
