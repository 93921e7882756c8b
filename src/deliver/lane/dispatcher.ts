/** The order of one callback: keys side by side, the events of a key one after another. */

import { present, unreachable } from '../../shared/assert.ts';
import { failpoint } from '../../shared/failpoint.ts';
import { Reclaim } from '../../shared/reclaim.ts';
import type { Accepted } from '../../state/completion.ts';
import type { DueResend } from '../../state/resend-store.ts';
import type { DueLane } from '../../state/state-store.ts';
import type { Failed, Throttled } from '../callback/sender.ts';
import type { Verdict } from '../retry/policy.ts';
import { Attempts } from './attempts.ts';
import { AwaitedEvents } from './awaited-events.ts';
import { type Coalescing, coalescingOf } from './coalescing.ts';
import type { DispatcherParts } from './dispatcher-parts.ts';
import { Gate, type GateSeen } from './gate.ts';
import { CUT_OFF } from './handler-care.ts';
import { LaneHeads } from './lane-heads.ts';
import { LaneNews } from './lane-news.ts';
import { laneKey } from './order-key.ts';
import { OutcomeChanges } from './outcome-changes.ts';
import { outgoing, type PendingEvent } from './pending-event.ts';
import { Resends } from './resends.ts';
import { type GateUsed, ReplayGate } from './shared-endpoint.ts';
import type { Member } from './turns.ts';
import { Window } from './window.ts';
import { type Turn, Work } from './work.ts';

type Undelivered = Failed | Throttled;
/** What an attempt for the head of a queue has come to. */
type Tried = Verdict | { readonly accepted: Accepted } | Waiting;
/** No attempt is made before: wall ms. */
interface Waiting {
  readonly notBefore: number;
}

/**
 * A key's modes. `idle`: not in `#keys`, not in the lanes' index; its next event makes it ready, or held where the
 * callback coalesces: until newer ones had time to come. `ready`: the head of its queue waits for a slot. `busy`: the head is in flight, or its outcome is being made durable.
 * `laned`: in the lanes' index; its events go to the lane as they come, until the lane is empty and that is durable.
 *
 * Invariant: of a key at most one event is between the beginning of its attempt and the durability of its
 * outcome. That alone makes the order at the receiver, and lets only the last event sent repeat after a crash.
 */
export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #window: Window;
  readonly #gate: GateUsed;
  readonly #changes: OutcomeChanges;
  readonly #reclaim = new Reclaim();
  readonly #work: Work;
  readonly #news: LaneNews;
  readonly #attempts: Attempts;
  /** Dead letters that go again. */
  readonly resends: Resends;
  /** Null where every event is sent. */
  readonly #coalescing: Coalescing | null;
  readonly #keys = new Map<string, PendingEvent[]>();
  /** Keys whose head may be sent, in the order in which they became ready. */
  readonly #ready: string[] = [];
  /** Lanes whose head is due, fetched by the lane worker. */
  readonly #due: DueLane[] = [];
  readonly #heads: LaneHeads;
  #laneTurn = true;
  #stopping = false;
  readonly #awaited = new AwaitedEvents();
  readonly #turns: Member;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    const { options, lanes, clock } = parts;
    this.#news = new LaneNews(options.name, clock, parts.logger);
    this.#gate = this.#gateOf(parts);
    this.#window = new Window(options, lanes, () => this.#gate.takesIn);
    this.#changes = new OutcomeChanges(parts);
    this.#work = new Work({ ...parts, reclaim: this.#reclaim });
    this.#turns = parts.turns.join(options.priority ?? 'normal', () => this.#begin());
    const isStopping = (): boolean => this.#stopping;
    this.#attempts = new Attempts({ ...parts, gate: this.#gate, isStopping });
    this.resends = new Resends({
      ...parts,
      ...{ keys: this.#keys, changes: this.#changes, attempts: this.#attempts },
      keyGoesOn: this.#keyGoesOn,
      pump: this.#pump,
      isShut: () => this.#stopping || !this.#gate.takesIn,
    });
    this.#heads = new LaneHeads({
      ...parts,
      ...{ changes: this.#changes, attempts: this.#attempts, news: this.#news },
      window: this.#window,
      pump: this.#pump,
    });
    this.#coalescing = coalescingOf({
      ...parts,
      window: this.#window,
      onDue: (key) => {
        this.#ready.push(key);
        this.#pump();
      },
      onSuperseded: this.#leave,
      run: (work) => {
        this.#work.run(work);
      },
    });
  }

  /** Ids of lanes fetched or in flight. */
  get busyLanes(): Set<number> {
    return this.#heads.busy;
  }

  get inFlight(): number {
    return this.#attempts.inFlight;
  }

  get windowEvents(): number {
    return this.#window.events;
  }

  /** Whether the callback may be called: for those who watch it, and those who tell it. */
  get gate(): GateSeen {
    return this.#gate;
  }

  get lanesFull(): boolean {
    return this.#window.lanesFull;
  }

  /** Resolves when there is room again; whether it is still there the caller asks when it has an event. */
  room(signal: AbortSignal): Promise<void> {
    // What is held back would be waited for.
    this.#coalescing?.makeRoom();
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
    if (this.#stopping || !this.#gate.takesIn) return 0;
    return Math.max(0, this.#attempts.laneRoom - this.#due.length);
  }

  /** A matching event, the next one of its partition. */
  offer(event: PendingEvent): void {
    this.#window.enter(event.bytes);
    this.#parts.care?.offered(event);
    const key = laneKey(event.progress.key.topic, event.key);
    // First, as the index may take a key on its fast path for one in a lane.
    const queue = this.#keys.get(key);
    if (queue !== undefined) {
      this.#coalescing?.makeWay(key, queue, event);
      queue.push(event);
      return;
    }
    if (this.#parts.lanes.has(key)) {
      this.#changes.toLane(key, event);
      this.#settle([event]);
      return;
    }
    this.#keys.set(key, [event]);
    if (this.#coalescing?.first(key, event) === true) return;
    this.#ready.push(key);
    this.#pump();
  }

  /**
   * Resolves when every event of the topic offered so far is settled or in a lane, durably. Nobody offers one of it
   * meanwhile.
   */
  async quiet(topic: string, signal: AbortSignal): Promise<void> {
    const prefix = laneKey(topic, '');
    this.#coalescing?.endAll((key) => key.startsWith(prefix));
    const queues = [...this.#keys].filter(([key]) => key.startsWith(prefix));
    await this.#awaited.all(new Set(queues.flatMap(([, queue]) => queue)), signal);
    // What went to a lane left its queue before the commit that put it there.
    await this.#parts.settler.durable();
  }

  /** A lane whose head is due, or is to be skipped; its id is in `busyLanes`. */
  offerLane(lane: DueLane): void {
    if (lane.skipAsked) {
      if (!this.#stopping) this.#work.run(() => this.#heads.skip(lane));
    } else if (!this.#gate.takesIn) {
      // Looked for before the gate shut: what a person does with it meanwhile, the store tells when it is fetched again.
      this.busyLanes.delete(lane.id);
    } else if (!this.resends.holdsBack(lane)) {
      this.#due.push(lane);
      this.#pump();
    }
  }

  /** A lane whose awaited head has ended, or is to be skipped; its id is in `busyLanes`. Resolves when it is let go. */
  settleAwaited(lane: DueLane): Promise<void> {
    return new Promise((resolve) => {
      if (this.#stopping) resolve();
      else this.#work.run(() => this.#heads.settleAwaited(lane).finally(resolve));
    });
  }

  /** The process before this one ended during this attempt, beside which there was none. */
  cutOff(left: DueLane | DueResend): void {
    this.#news.crashed(left);
    if ('resend' in left) this.#work.run(() => this.resends.cutOff(left, CUT_OFF));
    else {
      this.busyLanes.add(left.id);
      this.#work.run(() => this.#heads.failed(left, CUT_OFF));
    }
  }

  /** No attempt begins any more. Resolves when all have ended and their outcomes are durable. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#gate.end();
    this.#parts.endpoint?.leave(this.#gate);
    this.#coalescing?.stop();
    this.#turns.leave();
    this.#due.length = 0;
    await this.#work.idle();
  }

  #gateOf({ endpoint, ...parts }: DispatcherParts): GateUsed {
    const onChange = this.#gateChanged;
    if (endpoint === undefined) return new Gate({ ...parts, onChange });
    if (parts.options.replay !== undefined) return new ReplayGate({ ...parts, endpoint, onChange });
    const gate = new Gate({ ...parts, onChange });
    endpoint.lead(gate);
    return gate;
  }

  /** Fills free slots, when it is this callback's turn. */
  readonly #pump = (): void => {
    const some = this.#ready.length > 0 || this.#due.length > 0 || this.resends.holding;
    if (!this.#stopping && some) this.#turns.ready();
  };

  /** Lanes and the fast path in turn, lanes within their share. False when nothing can begin. */
  #begin(): boolean {
    if (this.#stopping || this.#attempts.inFlight >= this.#gate.limit) return false;
    const key = this.#ready[0];
    const free = this.#attempts.laneRoom > 0;
    const lane = free ? this.resends.first(this.#due[0]) : undefined;
    if ((lane === undefined && key === undefined) || !this.#gate.mayBegin()) return false;
    if (lane !== undefined && (this.#laneTurn || key === undefined)) this.#beginLane(lane);
    else if (key !== undefined) this.#beginKey(key);
    return true;
  }

  #beginLane(lane: DueLane | DueResend): void {
    const isResend = this.resends.begins(lane);
    this.#laneTurn = false;
    if (!isResend) this.#due.shift();
    this.#work.run((turn) =>
      isResend ? this.resends.send(lane, turn) : this.#heads.attempt(lane, turn),
    );
  }

  #beginKey(key: string): void {
    this.#ready.shift();
    this.#laneTurn = true;
    if (this.#coalescing?.defers(key, this.#keys.get(key)?.length) === true) return;
    this.#work.run((turn) => this.#tryHead(key, turn));
  }

  readonly #gateChanged = (): void => {
    // What a person does with a lane meanwhile, the store tells when it is fetched again.
    if (!this.#gate.takesIn) {
      for (const { id } of this.#due.splice(0)) this.busyLanes.delete(id);
      this.resends.dropAll();
    }
    this.#pump();
    this.#window.changed();
    this.#parts.onLanes();
    this.#parts.onResends();
    this.#parts.endpoint?.changed(this.#gate);
  };

  /** Sent from its lane alone: one that may have ended the process, and what the endpoint asked to wait for, which was
   *  said of an event that was given up. */
  #waiting(key: string, event: PendingEvent): Waiting | null {
    const notBefore = this.#gate.notBefore(key);
    if (this.#parts.care?.isSuspect(event) !== true && notBefore === null) return null;
    return { notBefore: notBefore ?? 0 };
  }

  async #tryHead(key: string, turn: Turn): Promise<void> {
    const queue = present(this.#keys.get(key), `the queue of ${key}`);
    const event = present(queue[0], `the head of ${key}`);
    const waiting = this.#waiting(key, event);
    if (waiting !== null) return this.#leaveFastPath(key, queue, waiting);
    const first = { event: outgoing(event), attempt: 1, turn, from: null };
    const outcome = await this.#attempts.make(first);
    if (outcome === null) return;
    switch (outcome.kind) {
      case 'unreachable':
      case 'gone':
      case 'held':
        // The head stays the head: it is the first to go when the endpoint is back.
        this.#ready.unshift(key);
        this.#pump();
        return;
      case 'failed':
      case 'throttled':
        return this.#headFailed(key, queue, outcome);
      case 'accepted':
        return this.#headAccepted(key, queue, this.#changes.accepted(outcome, 1));
      case 'filtered':
        this.#changes.settled(event, outcome);
        return this.#headDone(key, queue, event);
      case 'delivered':
        this.#parts.counters.delivered(this.#parts.clock.now() - event.record.timestampMs);
        failpoint('after-callback-before-cursor');
        this.#changes.settled(event, outcome);
        return this.#headDone(key, queue, event);
      default:
        unreachable(outcome);
    }
  }

  /** The head's outcome is known, and its key goes on with the next event once that is durable. */
  async #headDone(key: string, queue: PendingEvent[], event: PendingEvent): Promise<void> {
    // The slot is free for other keys; this one waits.
    this.#pump();
    await this.#durable([event]);
    queue.shift();
    if (!this.resends.holdNext(key)) this.#keyGoesOn(key);
    this.#pump();
  }

  /** With its next event; or with a dead letter that waits for it, where there is none. */
  readonly #keyGoesOn = (key: string): void => {
    const queue = present(this.#keys.get(key), `the queue of ${key}`);
    if (queue.length === 0) {
      if (this.#parts.lanes.has(key)) this.#laneGoesOn(key);
      else if (!this.resends.holdNext(key)) this.#keys.delete(key);
    } else if (this.#coalescing?.holdsBack(key, queue) !== true) this.#ready.push(key);
  };

  /** A lane that came while a resend held its key: other resends of the key wait until it is empty. */
  #laneGoesOn(key: string): void {
    this.#keys.delete(key);
    this.resends.keyLaned(key);
    const lane = this.resends.laneOf(key);
    if (lane === undefined) return;
    this.busyLanes.delete(lane);
    this.#parts.onLanes();
  }

  async #headFailed(key: string, queue: PendingEvent[], outcome: Undelivered): Promise<void> {
    const head = present(queue[0], `the head of ${key}`);
    const verdict = this.#changes.judge(outcome);
    if (!this.#changes.isDead(verdict)) {
      return this.#leaveFastPath(key, queue, verdict);
    }
    this.#news.died(key, outcome.error);
    this.#changes.dead(head, verdict);
    await this.#headDone(key, queue, head);
  }

  async #leaveFastPath(key: string, queue: PendingEvent[], why?: Verdict | Waiting): Promise<void> {
    if (why !== undefined && 'failure' in why) {
      if (why.exhausted) this.#news.parked(key, why.failure.error);
      else this.#news.opened(key, why.failure.error);
    }
    this.#queueToLane(key, queue, why);
    this.#pump();
    await this.#durable(queue);
    this.#parts.onLanes();
  }

  /** The key waits in its lane until the end of its head is told. */
  async #headAccepted(key: string, queue: PendingEvent[], accepted: Accepted): Promise<void> {
    const { progress, record } = present(queue[0], `the head of ${key}`);
    this.#queueToLane(key, queue, { accepted });
    this.#pump();
    await this.#durable(queue);
    this.#parts.options.async?.attempts.over({ ...progress.key, offset: record.offset });
    this.#parts.onLanes();
  }

  /** The head and all behind it go to the key's lane, in the commit that settles their offsets. */
  #queueToLane(key: string, queue: PendingEvent[], head?: Tried): void {
    this.#keys.delete(key);
    this.resends.keyLaned(key);
    this.#coalescing?.left(key);
    queue.forEach((event, index) => {
      this.#changes.toLane(key, event, index === 0 ? head : undefined);
      this.#parts.care?.laned(event);
    });
  }

  #settle(events: readonly PendingEvent[]): void {
    this.#work.run(async () => {
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
      this.#leave(event);
      event.truncate?.onDurable();
    }
  }

  /** Nothing is to be done for the event any more. */
  readonly #leave = (event: PendingEvent): void => {
    this.#reclaim.released(event.bytes);
    this.#window.leave(event.bytes);
    this.#awaited.done(event);
    this.#parts.care?.left(event);
  };
}
