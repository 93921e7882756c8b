/** One callback at work: its feeds, its order, its lanes. */

import { RowcallError, toRowcallError } from '../errors.ts';
import type { ChangeLog, LowWaterMark } from '../log/change-log.ts';
import { present } from '../shared/assert.ts';
import type { Clock, Random } from '../shared/clock.ts';
import type { LargeWork } from '../shared/large-work.ts';
import type { Logger } from '../shared/logger.ts';
import { rangeOf } from '../state/replay-store.ts';
import type { Asked, CallbackHold, Cursor, StateStore } from '../state/state-store.ts';
import { isUnreadable } from '../unread-record.ts';
import type { CallbackOptions } from './callback-options.ts';
import type { Appended } from './intake/appended.ts';
import { Feed } from './intake/feed.ts';
import type { Fetcher } from './intake/fetcher.ts';
import { type EndOf, fetchUpTo, followUpTo } from './intake/replay-range.ts';
import type { Follower, Tail } from './intake/tail.ts';
import { AwaitedWorker } from './completion/awaited-worker.ts';
import type { CompletionDesk } from './completion/completion-desk.ts';
import { Barriers } from './lane/barriers.ts';
import { CallbackCounters } from './lane/callback-counters.ts';
import { Dispatcher } from './lane/dispatcher.ts';
import { HandlerCare, judged } from './lane/handler-care.ts';
import type { HandlerTurns } from './lane/handler-turns.ts';
import type { HandingOver, HandOvers } from './lane/hand-overs.ts';
import { LaneIndex } from './lane/lane-index.ts';
import { LaneWorker } from './lane/lane-worker.ts';
import type { SharedEndpoints } from './lane/shared-endpoint.ts';
import type { Turns } from './lane/turns.ts';
import { ResendWorker } from './lane/resends.ts';
import { Matcher } from './match/matcher.ts';
import { ReplayMatcher } from './match/replay-matcher.ts';
import { Progress } from './settle/progress.ts';
import { SettlementWorker } from './settle/settlement-worker.ts';
import { Settlements, type SettlementsSnapshot } from './settle/settlements.ts';
import type { Settler } from './settle/settler.ts';

export interface RunnerParts {
  readonly log: ChangeLog;
  readonly state: StateStore;
  readonly settler: Settler;
  readonly fetcher: Pick<Fetcher, 'read'>;
  readonly tail: Tail;
  readonly appended: Appended;
  readonly large: LargeWork;
  /** Where receivers tell the ends of events; absent where nothing can be told. */
  readonly desk?: CompletionDesk | undefined;
  readonly turns: Turns;
  readonly endpoints: SharedEndpoints;
  readonly handOvers: HandOvers;
  readonly handlers: HandlerTurns;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Ends intake. */
  readonly signal: AbortSignal;
  /** Ends attempts in flight. */
  readonly abandon: AbortSignal;
  /** The leg cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

export interface PartitionSnapshot {
  readonly topic: string;
  readonly partition: number;
  readonly next: number;
  /** Why this partition is not read any more; null while it is. */
  readonly stopped: string | null;
  /** Of a replay: where it ends. */
  readonly until?: number;
}

export interface CallbackSnapshot {
  readonly name: string;
  /** The endpoint as a whole is down or asked to wait: until when (wall ms) nothing is sent, and why. */
  readonly pause: { readonly until: number; readonly reason: string } | null;
  /** Of `pause`: the breaker is open or half-open. */
  readonly breakerOpen: boolean;
  /** A person or an answer 410 did that: its events are held until a person enables it. */
  readonly disabled: Asked | null;
  /** Intake waits because lanes are at their limit. */
  readonly lanesFull: boolean;
  /** For how long attempts waited for `rate_limit`, milliseconds. */
  readonly rateLimitedMs: number;
  readonly inFlight: number;
  readonly windowEvents: number;
  readonly lanes: number;
  readonly laneEvents: number;
  readonly laneBytes: number;
  readonly delivered: number;
  readonly failedAttempts: number;
  /** Attempts not made, since `when` or `payload` has no value for their event. */
  readonly shapeFailures: number;
  readonly deadLetters: number;
  /** Events that gave way to newer ones of their keys. */
  readonly superseded: number;
  /** Attempts answered with 202 of which nothing was heard in time. */
  readonly overdue: number;
  /** Statements of `on_settled`; null where there is none. */
  readonly settlements: SettlementsSnapshot | null;
  /** Commit to callback: counts per bucket of LATENCY_BOUNDS_MS, not cumulative, and their sum in ms. */
  readonly latencyBuckets: readonly number[];
  readonly latencySumMs: number;
  readonly partitions: readonly PartitionSnapshot[];
}

/** What is opened for one runner. */
interface RunnerOwn {
  readonly hold: CallbackHold | null;
  readonly handingOver: HandingOver;
  readonly settlements: Settlements | null;
  readonly care: HandlerCare | null;
}

/** Where what is to be written back has no room either, nothing is taken in. */
function whereRoom(handingOver: HandingOver, settlements: Settlements | null): HandingOver {
  if (settlements === null) return handingOver;
  return { ...handingOver, hasRoom: () => settlements.hasRoom && handingOver.hasRoom() };
}

function matcherOf(options: CallbackOptions): Pick<Matcher, 'take'> {
  const { replay } = options;
  return replay === undefined ? new Matcher(options) : new ReplayMatcher(options, replay.filter);
}

/** Of a replay: its part of the log, as if there were no more. */
function readsOf(
  { replay }: CallbackOptions,
  { fetcher, tail }: Pick<RunnerParts, 'fetcher' | 'tail'>,
  signal: AbortSignal,
): { readonly fetcher: Pick<Fetcher, 'read'>; readonly tail: Follower } {
  const follower = tail.within(signal);
  if (replay === undefined) return { fetcher, tail: follower };
  const endOf: EndOf = (at) => rangeOf(replay, at)?.to ?? 0;
  return { fetcher: fetchUpTo(fetcher, endOf), tail: followUpTo(follower, endOf, signal) };
}

/**
 * Invariant: a partition's feed is made from a saved cursor, and once per runner; a callback has one runner at a time, and
 * the next one begins when the one before has retired. A partition that cannot be
 * read (the log's retention was there first, or not even the key of a record is known) stops alone and is shown; nothing
 * skips it.
 */
export class CallbackRunner {
  readonly #options: CallbackOptions;
  readonly #parts: Omit<RunnerParts, 'tail'> & {
    readonly tail: Follower;
    readonly care: HandlerCare | null;
  };
  readonly #matcher: Pick<Matcher, 'take'>;
  readonly #lanes: LaneIndex;
  readonly #dispatcher: Dispatcher;
  readonly #laneWorker: LaneWorker;
  readonly #awaitedWorker: AwaitedWorker;
  readonly #leaveDesk: () => void;
  readonly #resendWorker: ResendWorker;
  readonly #settlements: Settlements | null;
  /** Ends when no statement of `on_settled` is under way any more. */
  readonly #writing: Promise<void> | null;
  readonly #barriers: Barriers;
  readonly #counters: CallbackCounters;
  readonly #retiring = new AbortController();
  /** The lane worker and the feeds; each settles when it does nothing any more, and never rejects. */
  readonly #running: Promise<void>[] = [];
  #closing: Promise<void> | null = null;
  readonly #partitions: { readonly progress: Progress; stopped: RowcallError | null }[] = [];

  /** @param before the runner of the callback's earlier version, which has retired: its counters go on */
  static async open(
    options: CallbackOptions,
    parts: RunnerParts,
    { cursors, before }: { cursors: readonly Cursor[]; before?: CallbackRunner | undefined },
  ): Promise<CallbackRunner> {
    const handedOver = await parts.handOvers.of(options.name);
    const lanes = await LaneIndex.load(parts.state, options.name, handedOver);
    let onRoom = (): void => undefined;
    const handingOver = await parts.handOvers.from(options, () => {
      onRoom();
    });
    const settlements = await Settlements.open(options, parts);
    const holds = await parts.state.callbackHolds();
    const hold = holds.find(({ callback }) => callback === options.name) ?? null;
    const counters = before === undefined ? new CallbackCounters() : before.#counters;
    const care = await HandlerCare.open({ ...parts, options }, cursors);
    const own = { hold, settlements, care, handingOver: whereRoom(handingOver, settlements) };
    const runner = new CallbackRunner(options, { ...parts, ...own }, lanes, counters);
    onRoom = () => {
      runner.#dispatcher.passRoom();
      runner.#laneWorker.wake();
    };
    const cutOff = parts.handlers.takeCutOff(options.name);
    if (cutOff !== null) {
      runner.#dispatcher.cutOff(cutOff);
      for (const change of judged(cutOff)) parts.settler.change(change);
    }
    if (settlements !== null) settlements.onRoom = onRoom;
    return runner;
  }

  private constructor(
    options: CallbackOptions,
    shared: RunnerParts & RunnerOwn,
    lanes: LaneIndex,
    counters: CallbackCounters,
  ) {
    const signal = AbortSignal.any([shared.signal, this.#retiring.signal]);
    const parts = { ...shared, signal, ...readsOf(options, shared, signal) };
    this.#options = options;
    this.#parts = parts;
    this.#counters = counters;
    this.#matcher = matcherOf(options);
    this.#lanes = lanes;
    this.#dispatcher = new Dispatcher({
      ...parts,
      options,
      endpoint: shared.endpoints.of(options.replay?.callback ?? options.name),
      lanes,
      counters: this.#counters,
      onLanes: () => {
        this.#laneWorker.wake();
        this.#awaitedWorker.wake();
        parts.handOvers.freed(options.name);
      },
      onResends: () => {
        this.#resendWorker.wake();
      },
      onLaneEmptied: (topic, key) => {
        this.#resendWorker.wake();
        this.#barriers.laneEmptied(topic, key);
      },
    });
    this.#barriers = new Barriers({ ...parts, lanes, dispatcher: this.#dispatcher });
    this.#laneWorker = new LaneWorker({
      ...parts,
      callback: options.name,
      dispatcher: this.#dispatcher,
      lanes,
    });
    const { attempts = null, poller = null } = options.async ?? {};
    this.#awaitedWorker = new AwaitedWorker({
      ...parts,
      callback: options.name,
      dispatcher: this.#dispatcher,
      lanes,
      poller,
    });
    const wake = (): void => {
      this.#awaitedWorker.wake();
    };
    const { name, metadata = {} } = options;
    this.#leaveDesk = parts.desk?.join(name, { attempts, metadata, wake }) ?? (() => undefined);
    this.#watch(this.#laneWorker.run(parts.signal));
    this.#watch(this.#awaitedWorker.run(parts.signal));
    parts.handOvers.receives(options.name, {
      wake: () => {
        this.#laneWorker.wake();
      },
      isFull: () => this.#dispatcher.lanesFull,
    });
    this.#resendWorker = new ResendWorker({
      ...parts,
      callback: options.name,
      resends: this.#dispatcher.resends,
    });
    this.#watch(this.#resendWorker.run(parts.signal));
    this.#settlements = parts.settlements;
    this.#writing = parts.settlements === null ? null : this.#writeBack(parts.settlements);
  }

  #writeBack(settlements: Settlements): Promise<void> {
    const worker = new SettlementWorker({
      ...{ ...this.#parts, callback: this.#options.name, settlements },
    });
    settlements.onMade = () => {
      worker.wake();
    };
    this.#watch(worker.run(this.#parts.signal));
    return present(this.#running.at(-1), 'the work that is watched');
  }

  get name(): string {
    return this.#options.name;
  }

  /** Of a callback that gets part of the log once more; its cursors and what the log keeps for it are made elsewhere. */
  get isReplay(): boolean {
    return this.#options.replay !== undefined;
  }

  /** For whoever looks at what is stored of the callback as a whole. */
  get gate(): Pick<Dispatcher['gate'], 'holdVersion' | 'look'> {
    return this.#dispatcher.gate;
  }

  /** Somebody asked that dead letters go again, or that they do not: resolves when that holds here. */
  lookAtResends(): Promise<void> {
    return this.#resendWorker.look();
  }

  /** Begins to read the partitions of these cursors. */
  feed(cursors: readonly Cursor[]): void {
    const feeds = cursors.map((cursor) => {
      const partition = { progress: new Progress(cursor), stopped: null };
      this.#partitions.push(partition);
      const feed = this.#makeFeed(partition.progress);
      this.#barriers.join(feed);
      return { feed, partition };
    });
    for (const { feed, partition } of feeds) this.#start(feed, partition);
  }

  /** Ends the callback: no attempt begins any more, those in flight end. */
  async stop(): Promise<void> {
    await this.#dispatcher.stop();
    this.#endCare();
    await this.#writing;
    await this.#close();
  }

  /** Ends one that reads nothing yet; its sender stays the caller's to close. */
  async leave(): Promise<void> {
    this.#leaveDesk();
    await this.#dispatcher.stop();
  }

  /**
   * Ends the callback while the others go on. Intake ends, attempts in flight end by themselves, and what they did is
   * durable when it resolves: nothing of this runner touches the state store any more, so that another one can go on
   * from what is saved, with the next event of each key.
   */
  async retire(): Promise<void> {
    this.#retiring.abort(new Error(`${this.name} is changed or removed`));
    await Promise.all([this.#dispatcher.stop(), ...this.#running]);
    // A feed that was reading may have put one more event into its key's lane.
    await this.#dispatcher.stop();
    this.#endCare();
    await this.#parts.settler.durable();
    await this.#close();
  }

  /** It has retired, or is about to. */
  get retiring(): boolean {
    return this.#retiring.signal.aborted;
  }

  #endCare(): void {
    this.#parts.care?.end(this.#partitions.map(({ progress }) => progress));
  }

  #close(): Promise<void> {
    this.#leaveDesk();
    const { sender, onSettled } = this.#options;
    this.#closing ??= Promise.all([sender.close(), onSettled?.writer.close()]).then(
      () => undefined,
    );
    return this.#closing;
  }

  /** Whether it has the cursors of a topic. */
  reads(topic: string): boolean {
    return this.#partitions.some(({ progress }) => progress.key.topic === topic);
  }

  /** How far everything is settled and durable. */
  marks(): LowWaterMark[] {
    return this.#partitions.map(({ progress }) => ({
      topic: progress.key.topic,
      partition: progress.key.partition,
      topicId: progress.topicId,
      offset: progress.committedNext,
    }));
  }

  snapshot(): CallbackSnapshot {
    return {
      name: this.#options.name,
      pause: this.#dispatcher.gate.pause,
      breakerOpen: this.#dispatcher.gate.breakerOpen,
      disabled: this.#dispatcher.gate.disabled,
      rateLimitedMs: this.#dispatcher.gate.rateLimitedMs,
      lanesFull: this.#dispatcher.lanesFull,
      inFlight: this.#dispatcher.inFlight,
      windowEvents: this.#dispatcher.windowEvents,
      lanes: this.#lanes.lanes,
      laneEvents: this.#lanes.events,
      laneBytes: this.#lanes.bytes,
      delivered: this.#counters.deliveredCount,
      failedAttempts: this.#counters.failedCount,
      shapeFailures: this.#counters.shapeFailedCount,
      deadLetters: this.#counters.deadCount,
      superseded: this.#counters.supersededCount,
      overdue: this.#counters.overdueCount,
      settlements: this.#settlements?.snapshot ?? null,
      latencyBuckets: this.#counters.latencyBuckets,
      latencySumMs: this.#counters.latencySumMs,
      partitions: this.#partitions.map(({ progress, stopped }) => ({
        topic: progress.key.topic,
        partition: progress.key.partition,
        next: progress.next,
        stopped: stopped?.message ?? null,
        ...this.#untilOf(progress.key),
      })),
    };
  }

  #untilOf(at: Progress['key']): Pick<PartitionSnapshot, 'until'> {
    const { replay } = this.#options;
    const to = replay === undefined ? undefined : rangeOf(replay, at)?.to;
    return to === undefined ? {} : { until: to };
  }

  #makeFeed(progress: Progress): Feed {
    return new Feed({
      ...this.#parts,
      progress,
      matcher: this.#matcher,
      dispatcher: this.#dispatcher,
      barriers: this.#barriers,
    });
  }

  #start(
    feed: Feed,
    partition: { readonly progress: Progress; stopped: RowcallError | null },
  ): void {
    const { progress } = partition;
    this.#watch(
      feed.run(this.#parts.signal).catch(async (error: unknown) => {
        if (!(error instanceof RowcallError)) throw error;
        if (error.code === 'OFFSET_OUT_OF_RANGE') {
          partition.stopped = await this.#lost(progress, error);
        } else if (isUnreadable(error)) {
          partition.stopped = this.#unreadable(feed, error);
        } else throw error;
      }),
    );
  }

  /** Its key is not known, so that it can stand in no lane: nothing behind it is sent before it. */
  #unreadable({ progress, offset }: Feed, cause: RowcallError): RowcallError {
    const { callback, topic, partition } = progress.key;
    const { code, cure, place = `offset ${offset}` } = cause;
    const text = `${callback} has stopped at ${topic}/${partition}, offset ${offset}: ${cause.message}`;
    const error = new RowcallError(code, text, { cause, cure, place });
    const fields = { code, callback, topic, partition, offset, place, cure };
    this.#parts.logger.error(fields, error.message);
    return error;
  }

  /** Says how many records the log's retention took before they were read. */
  async #lost(progress: Progress, cause: RowcallError): Promise<RowcallError> {
    const { start } = await this.#parts.log.bounds(progress.key);
    const lost = start - progress.next;
    const { callback, topic, partition } = progress.key;
    const error = new RowcallError(
      'OFFSET_OUT_OF_RANGE',
      `${callback} has stopped at ${topic}/${partition}: ${lost} records were deleted before it read them`,
      { cause },
    );
    this.#parts.logger.error(
      { code: error.code, callback, topic, partition, lost, cure: error.cure },
      error.message,
    );
    return error;
  }

  #watch(work: Promise<unknown>): void {
    const ended = work.then(
      () => undefined,
      (error: unknown) => {
        if (!this.#parts.signal.aborted) this.#parts.onFailure(toRowcallError(error));
      },
    );
    this.#running.push(ended);
  }
}
