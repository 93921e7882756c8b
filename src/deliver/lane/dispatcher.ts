/** The order of one callback: keys side by side, the events of a key one after another. */

import { bytesToSend } from '../../claim-reference.ts';
import { abortable } from '../../shared/abort.ts';
import type { Clock, Random } from '../../shared/clock.ts';
import { present } from '../../shared/assert.ts';
import { failpoint } from '../../shared/failpoint.ts';
import { LARGE_EVENT_BYTES, type LargeWork } from '../../shared/large-work.ts';
import type { Logger } from '../../shared/logger.ts';
import { Reclaim } from '../../shared/reclaim.ts';
import { type DueLane, type Failure, laneEventBytes } from '../../state/state-store.ts';
import type { CallbackOptions } from '../callback-options.ts';
import type { Outcome, OutgoingEvent } from '../callback/sender.ts';
import { nextDelayMs } from '../retry/policy.ts';
import type { Settler } from '../settle/settler.ts';
import type { CallbackCounters } from './callback-counters.ts';
import type { LaneIndex } from './lane-index.ts';
import { LaneNews } from './lane-news.ts';
import { laneKey } from './order-key.ts';
import { Pause } from './pause.ts';
import { laneEvent, outgoing, outgoingFromLane, type PendingEvent } from './pending-event.ts';
import { Window } from './window.ts';

/** Lanes may use this share of the concurrency while the fast path has work. */
const LANE_SHARE = 0.25;

/** What ends the turn that a piece of work took for a large event; null while it has none. */
interface Turn {
  leave: (() => void) | null;
}

export interface DispatcherParts {
  readonly options: CallbackOptions;
  readonly settler: Settler;
  readonly lanes: LaneIndex;
  readonly large: LargeWork;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly counters: CallbackCounters;
  /** Aborts attempts in flight: the drain's deadline has passed. */
  readonly abandon: AbortSignal;
  /** Lanes may have become due or free: look again. */
  readonly onLanes: () => void;
  /** A lane has become empty, durably. */
  readonly onLaneEmptied: (topic: string, key: string) => void;
  /** Something that must not happen did: the leg ends. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * A key's modes. `idle`: not in `#keys`, not in the lanes' index; its next event makes it ready. `ready`: the
 * head of its queue waits for a slot. `busy`: the head is in flight, or its outcome is being made durable.
 * `laned`: in the lanes' index; its events go to the lane as they come, until the lane is empty and that is durable.
 *
 * Invariant: of a key at most one event is between the beginning of its attempt and the durability of its
 * outcome. That alone makes the order at the receiver, and lets only the last event sent repeat after a crash.
 */
export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #window: Window;
  readonly #pause: Pause;
  readonly #reclaim = new Reclaim();
  readonly #news: LaneNews;
  readonly #keys = new Map<string, PendingEvent[]>();
  /** Keys whose head may be sent, in the order in which they became ready. */
  readonly #ready: string[] = [];
  /** Lanes whose head is due, fetched by the lane worker. */
  readonly #due: DueLane[] = [];
  /** Ids of lanes fetched or in flight. */
  readonly busyLanes = new Set<number>();
  #inFlight = 0;
  /** Attempts, and outcomes that are not durable yet. */
  #working = 0;
  #lanesInFlight = 0;
  #laneTurn = true;
  #stopping = false;
  #idle: (() => void)[] = [];
  /** Those who wait for a topic's events, and for which. */
  readonly #awaited = new Set<{ readonly events: Set<PendingEvent>; readonly wake: () => void }>();

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    const { options, lanes, clock, random } = parts;
    this.#news = new LaneNews(options.name, clock, parts.logger);
    this.#window = new Window(options, lanes);
    this.#pause = new Pause(clock, random, () => {
      this.#pump();
      parts.onLanes();
    });
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get windowEvents(): number {
    return this.#window.events;
  }

  get pause(): { readonly until: number; readonly reason: string } | null {
    return this.#pause.state;
  }

  get lanesFull(): boolean {
    return this.#window.lanesFull;
  }

  /** Resolves when there is room again; whether it is still there the caller asks when it has an event. */
  room(signal: AbortSignal): Promise<void> {
    return this.#window.room(signal);
  }

  get hasRoom(): boolean {
    return this.#window.hasRoom;
  }

  /** A feed needs no more room: the next one that waits gets it. */
  passRoom(): void {
    this.#window.changed();
  }

  /** How many due lanes are wanted now. */
  get laneRoom(): number {
    if (this.#stopping || this.#pause.mode !== 'open') {
      return this.#pause.mode === 'probing' && this.#due.length === 0 ? 1 : 0;
    }
    return Math.max(0, this.#laneLimit() - this.#lanesInFlight - this.#due.length);
  }

  /** A matching event, the next one of its partition. */
  offer(event: PendingEvent): void {
    this.#window.enter(event.bytes);
    const key = laneKey(event.progress.key.topic, event.key);
    // First, as the index may take a key on its fast path for one in a lane.
    const queue = this.#keys.get(key);
    if (queue !== undefined) {
      queue.push(event);
      return;
    }
    if (this.#parts.lanes.has(key)) {
      this.#toLane(key, event);
      this.#settle([event]);
      return;
    }
    this.#keys.set(key, [event]);
    this.#ready.push(key);
    this.#pump();
  }

  /**
   * Resolves when every event of the topic offered so far is settled or in a lane, durably. Nobody offers one of it
   * meanwhile.
   */
  async quiet(topic: string, signal: AbortSignal): Promise<void> {
    const prefix = laneKey(topic, '');
    const queues = [...this.#keys].filter(([key]) => key.startsWith(prefix));
    const events = new Set(queues.flatMap(([, queue]) => queue));
    if (events.size > 0) {
      const done = new Promise<void>((resolve) => {
        this.#awaited.add({ events, wake: resolve });
      });
      await abortable(done, signal);
    }
    // What went to a lane left its queue before the commit that put it there.
    await this.#parts.settler.durable();
  }

  /** A lane whose head is due; its id is in `busyLanes`. */
  offerLane(lane: DueLane): void {
    this.#due.push(lane);
    this.#pump();
  }

  /** No attempt begins any more. Resolves when all have ended and their outcomes are durable. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#pause.end();
    this.#due.length = 0;
    while (this.#working > 0) {
      await new Promise<void>((resolve) => {
        this.#idle.push(resolve);
      });
    }
  }

  /** Fills free slots: lanes and the fast path in turn, lanes within their share. */
  #pump(): void {
    const limit = this.#pause.limit(this.#parts.options.concurrency);
    while (!this.#stopping && this.#inFlight < limit) {
      const key = this.#ready[0];
      const lane = this.#lanesInFlight < this.#laneLimit() ? this.#due[0] : undefined;
      if (lane !== undefined && (this.#laneTurn || key === undefined)) {
        this.#due.shift();
        this.#laneTurn = false;
        this.#run((turn) => this.#tryLane(lane, turn));
      } else if (key !== undefined) {
        this.#ready.shift();
        this.#laneTurn = true;
        this.#run((turn) => this.#tryHead(key, turn));
      } else {
        return;
      }
    }
  }

  #laneLimit(): number {
    const { concurrency } = this.#parts.options;
    return this.#ready.length > 0 ? Math.max(1, Math.floor(concurrency * LANE_SHARE)) : concurrency;
  }

  /** An attempt's own failure is an outcome; what rejects here is the drain's deadline, the store, or a defect. */
  #run(work: (turn: Turn) => Promise<void>): void {
    this.#working += 1;
    const turn: Turn = { leave: null };
    work(turn)
      .catch((error: unknown) => {
        if (!this.#parts.abandon.aborted) this.#parts.onFailure(error);
      })
      .finally(() => {
        if (turn.leave !== null) {
          // Nothing holds the event any more: it goes before the next one comes.
          this.#reclaim.released(LARGE_EVENT_BYTES);
          turn.leave();
        }
        this.#working -= 1;
        if (this.#working > 0) return;
        const waiting = this.#idle;
        this.#idle = [];
        for (const wake of waiting) wake();
      });
  }

  async #tryHead(key: string, turn: Turn): Promise<void> {
    const queue = present(this.#keys.get(key), `the queue of ${key}`);
    const event = present(queue[0], `the head of ${key}`);
    const outcome = await this.#attempt(outgoing(event), 1, turn);
    if (outcome === null) return;
    switch (outcome.kind) {
      case 'unreachable':
        // The head stays the head: it is the first to go when the endpoint is back.
        this.#ready.unshift(key);
        this.#pauseFor(outcome.error);
        return;
      case 'failed':
        if (isAnswer(outcome)) this.#answered();
        this.#leaveFastPath(key, queue, outcome);
        return;
      case 'filtered':
      case 'delivered':
        this.#settleHead(event, outcome.kind);
        // The slot is free for other keys; this one waits until its outcome is durable.
        this.#pump();
        await this.#durable([event]);
        queue.shift();
        if (queue.length === 0) this.#keys.delete(key);
        else this.#ready.push(key);
        this.#pump();
    }
  }

  #settleHead(event: PendingEvent, kind: 'delivered' | 'filtered'): void {
    const { progress, record } = event;
    if (kind === 'delivered') {
      this.#answered();
      this.#parts.counters.delivered(this.#parts.clock.now() - record.timestampMs);
      failpoint('after-callback-before-cursor');
    }
    progress[kind](record.offset);
    settleOthers(event);
  }

  /** The head and all behind it go to the key's lane, in the commit that settles their offsets. */
  #leaveFastPath(key: string, queue: PendingEvent[], outcome: Outcome & { kind: 'failed' }): void {
    const now = this.#parts.clock.now();
    this.#news.opened(key, outcome.error);
    this.#keys.delete(key);
    queue.forEach((event, index) => {
      this.#toLane(key, event, index === 0 ? this.#failure(1, now, outcome) : undefined);
    });
    this.#settle(queue);
    this.#pump();
  }

  #toLane(key: string, event: PendingEvent, failure?: Failure): void {
    const { callback, topic } = event.progress.key;
    this.#parts.lanes.joined(key, event.bytes);
    event.progress.laned(event.record.offset);
    settleOthers(event);
    event.truncate?.onLaned();
    this.#parts.settler.change({
      type: 'lane-append',
      callback,
      topic,
      key: event.key,
      event: laneEvent(event),
      ...(failure === undefined ? {} : { failure }),
    });
  }

  #settle(events: readonly PendingEvent[]): void {
    this.#run(async () => {
      await this.#durable(events);
      this.#parts.onLanes();
    });
  }

  /** The outcomes of the events are durable when it resolves; then they leave the window. */
  async #durable(events: readonly PendingEvent[]): Promise<void> {
    const { settler } = this.#parts;
    for (const { progress, truncate } of events) {
      settler.settled(progress);
      for (const other of truncate?.others ?? []) settler.settled(other.progress);
    }
    await settler.durable();
    for (const event of events) {
      this.#reclaim.released(event.bytes);
      this.#window.leave(event.bytes);
      if (this.#awaited.size > 0) this.#tell(event);
      event.truncate?.onDurable();
    }
  }

  #tell(event: PendingEvent): void {
    for (const awaited of this.#awaited) {
      if (!awaited.events.delete(event) || awaited.events.size > 0) continue;
      this.#awaited.delete(awaited);
      awaited.wake();
    }
  }

  async #tryLane(lane: DueLane, turn: Turn): Promise<void> {
    const { lanes, settler, clock, counters } = this.#parts;
    const key = laneKey(lane.topic, lane.key);
    const value = present(lane.head.value, 'the envelope of a lane event');
    const attempt = lane.attempts + 1;
    this.#lanesInFlight += 1;
    const event = outgoingFromLane(lane, lane.head, value);
    const outcome = await this.#attempt(event, attempt, turn, () => {
      this.#lanesInFlight -= 1;
    });
    if (outcome === null) return;
    const { callback, topic } = lane;
    const at = { callback, topic, key: lane.key, offset: lane.head.offset };
    if (outcome.kind === 'unreachable') {
      this.#pauseFor(outcome.error);
    } else {
      if (isAnswer(outcome)) this.#answered();
      if (outcome.kind !== 'failed') {
        if (outcome.kind === 'delivered') counters.delivered(clock.now() - lane.head.timestampMs);
        lanes.left(key, laneEventBytes(lane.head));
        settler.change({ type: `lane-${outcome.kind}`, ...at });
      } else {
        const first = lane.firstAttemptAt ?? clock.now();
        const failure = this.#failure(attempt, first, outcome);
        settler.change({ type: 'lane-failed', ...at, failure });
      }
      this.#pump();
      await settler.durable();
      if (outcome.kind !== 'failed' && lanes.taken(key)) {
        this.#window.changed();
        this.#parts.onLaneEmptied(topic, lane.key);
        if (lanes.lanes === 0) this.#news.drained();
      }
    }
    this.busyLanes.delete(lane.id);
    this.#window.changed();
    this.#parts.onLanes();
    this.#pump();
  }

  #failure(
    attempts: number,
    firstAttemptAt: number,
    outcome: Outcome & { kind: 'failed' },
  ): Failure {
    const { options, clock, random, counters } = this.#parts;
    if (outcome.shape === true) counters.shapeFailed();
    else counters.failed();
    const delay = nextDelayMs(options.retry, attempts, random, outcome.retryAfterMs);
    return {
      attempts,
      firstAttemptAt,
      nextAttemptAt: Math.ceil(clock.now() + delay),
      error: outcome.error,
    };
  }

  /**
   * A large event waits for its turn in its slot, before its request is made; whoever asked ends the turn. Null when
   * we are to stop by then: no attempt was made, and the event comes again as if it had not been read.
   */
  async #attempt(
    event: OutgoingEvent,
    attempt: number,
    turn: Turn,
    onEnd?: () => void,
  ): Promise<Outcome | null> {
    const { options, abandon, large } = this.#parts;
    return this.#send(async () => {
      const bytes = bytesToSend(event.value);
      if (bytes >= LARGE_EVENT_BYTES) turn.leave = await large.enter(bytes);
      if (this.#stopping) return null;
      return options.sender.send(event, attempt, abandon);
    }, onEnd);
  }

  /** One attempt in a slot; the slot is free as soon as the outcome is known, the key is not. */
  async #send<T>(send: () => Promise<T>, onEnd?: () => void): Promise<T> {
    this.#inFlight += 1;
    try {
      return await send();
    } finally {
      this.#inFlight -= 1;
      onEnd?.();
    }
  }

  #answered(): void {
    if (!this.#pause.answered()) return;
    this.#parts.logger.info({ callback: this.#parts.options.name }, 'The endpoint answers again');
    this.#pump();
    this.#parts.onLanes();
  }

  #pauseFor(reason: string): void {
    const began = this.#pause.unreachable(reason);
    if (began) {
      const until = new Date(this.#pause.state?.until ?? 0).toISOString();
      this.#parts.logger.warn(
        { callback: this.#parts.options.name, reason, until },
        'The endpoint cannot be reached: the callback pauses, nothing is lost',
      );
    }
  }
}

/** In the same commit: a truncate is settled in every partition that came to it, or in none. */
function settleOthers({ truncate }: PendingEvent): void {
  for (const { progress, offset } of truncate?.others ?? []) progress.filtered(offset);
}

/** Whether the endpoint said anything: nothing is sent where an expression has no value, or does not hold. */
function isAnswer(outcome: Outcome): boolean {
  return outcome.kind === 'delivered' || (outcome.kind === 'failed' && outcome.shape !== true);
}
