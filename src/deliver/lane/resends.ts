/** Dead letters that go again: whose turn it is among the events of their keys, and who fetches them. */

import type { Clock } from '../../shared/clock.ts';
import { Wakeup } from '../../shared/wakeup.ts';
import type { DueResend } from '../../state/resend-store.ts';
import { type DueLane, type LaneKey, type StateStore } from '../../state/state-store.ts';
import type { Outcome, OutgoingEvent } from '../callback/sender.ts';
import { laneKey } from './order-key.ts';
import type { Settler } from '../settle/settler.ts';
import type { Attempts } from './attempts.ts';
import type { LaneIndex } from './lane-index.ts';
import type { OutcomeChanges } from './outcome-changes.ts';
import { outgoingFromLane, type PendingEvent } from './pending-event.ts';
import type { Turn } from './work.ts';

const LOOK_AGAIN_MS = 1_000;
/** They come with their values: at most so many are in hand. */
const MAX_IN_HAND = 32;
const NO_VALUE = new Uint8Array();

function keyOf({ topic, key }: LaneKey): string {
  return laneKey(topic, key);
}

function outgoingResend(resend: DueResend): OutgoingEvent {
  const { event, data } = resend;
  const sent = { ...outgoingFromLane(resend, event, event.value ?? NO_VALUE), resend: true };
  // A person wrote what is sent: `when` is not asked about what it was made of.
  return data === null ? sent : { ...sent, data, undecided: false };
}

export interface ResendsParts {
  /** The keys with events in hand, or held by a resend. */
  readonly keys: Map<string, PendingEvent[]>;
  readonly lanes: Pick<LaneIndex, 'has'>;
  readonly attempts: Pick<Attempts, 'make'>;
  readonly changes: Pick<OutcomeChanges, 'resent'>;
  readonly settler: Pick<Settler, 'durable'>;
  /** A key that was held is free again. */
  readonly keyGoesOn: (key: string) => void;
  /** Slots or work are there. */
  readonly pump: () => void;
  readonly isShut: () => boolean;
  /** One that was in hand is not any more. */
  readonly onResends: () => void;
}

/**
 * Those in hand. Each is in one of three places: it waits for its key, holds its key and waits for a slot, or is in
 * flight. What is not in flight is given back where its resend is paused or cancelled. Invariant: of a key one at most holds it, and then no event of the key is in flight; so a
 * resend goes between two events of its key, never beside one. What another callback hands over comes by a lane alone, so
 * that its lane may begin while a resend holds its key: then the lane waits for that one.
 */
export class Resends {
  /** Dead letters fetched or in flight. */
  readonly busy = new Set<number>();
  readonly #parts: ResendsParts;
  readonly #holding: DueResend[] = [];
  readonly #waiting = new Map<string, DueResend[]>();
  /** Of keys that are held: their lane, which waits. */
  readonly #lanes = new Map<string, number>();
  #turn = false;

  constructor(parts: ResendsParts) {
    this.#parts = parts;
  }

  /** How many more are wanted now. */
  get room(): number {
    return this.#parts.isShut() ? 0 : MAX_IN_HAND - this.busy.size;
  }

  /** Whether one holds its key and waits for a slot. */
  get holding(): boolean {
    return this.#holding.length > 0;
  }

  /**
   * One that is in `busy`. It goes when no event of its key is in flight, and the next one waits for it. False where the
   * key has a lane: it is to come again when that is empty. And where nothing is to be sent since it was fetched: it may
   * be cancelled before it may go.
   */
  offer(resend: DueResend): boolean {
    const { keys, lanes, pump, isShut } = this.#parts;
    if (isShut()) return false;
    const key = keyOf(resend);
    if (keys.has(key)) this.#await(key, resend);
    else if (lanes.has(key)) return false;
    else {
      keys.set(key, []);
      this.#holding.push(resend);
      pump();
    }
    return true;
  }

  /** Makes the attempt of one that holds its key; the key goes on when its outcome is durable. */
  async send(resend: DueResend, turn: Turn): Promise<void> {
    const { attempts, changes, settler, keyGoesOn, onResends, pump } = this.#parts;
    const event = outgoingResend(resend);
    const attempt = resend.attempts + 1;
    const outcome = await attempts.make({ event, attempt, turn, from: resend });
    if (outcome === null) return;
    changes.resent(resend, outcome);
    pump();
    await settler.durable();
    this.busy.delete(resend.deadLetter);
    keyGoesOn(keyOf(resend));
    onResends();
    pump();
  }

  /** What its last attempt came to, of which nobody was told. */
  async cutOff(resend: DueResend, outcome: Outcome): Promise<void> {
    const { changes, settler, onResends } = this.#parts;
    this.busy.add(resend.deadLetter);
    changes.resent(resend, outcome);
    await settler.durable();
    this.busy.delete(resend.deadLetter);
    onResends();
  }

  #await(key: string, resend: DueResend): void {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) this.#waiting.set(key, [resend]);
    else waiting.push(resend);
  }

  /** The key is free: the first one that waits for it holds it now. False where none does. */
  holdNext(key: string): boolean {
    const waiting = this.#waiting.get(key);
    const next = waiting?.shift();
    if (waiting?.length === 0) this.#waiting.delete(key);
    if (next === undefined) return false;
    this.#holding.push(next);
    return true;
  }

  /** The resends of those in hand whose attempt has not begun. */
  get notBegun(): ReadonlySet<number> {
    return new Set(
      [...this.#holding, ...this.#waiting.values()].flat().map(({ resend }) => resend),
    );
  }

  /** Gives back those of these resends whose attempt has not begun: a person does not want them now. */
  giveBack(resends: ReadonlySet<number>): void {
    const isMeant = ({ resend }: DueResend): boolean => resends.has(resend);
    for (const [key, waiting] of [...this.#waiting]) {
      for (const { deadLetter } of waiting.filter(isMeant)) this.busy.delete(deadLetter);
      const left = waiting.filter((one) => !isMeant(one));
      if (left.length > 0) this.#waiting.set(key, left);
      else this.#waiting.delete(key);
    }
    const held = this.#holding.filter(isMeant);
    const left = this.#holding.filter((one) => !isMeant(one));
    this.#holding.splice(0, Infinity, ...left);
    for (const resend of held) this.#letGo(resend);
    this.#parts.pump();
  }

  #letGo(resend: DueResend): void {
    this.busy.delete(resend.deadLetter);
    this.#parts.keyGoesOn(keyOf(resend));
  }

  /** What goes next through the share of the lanes: the lane, or a resend in turn with lanes. */
  first(lane: DueLane | undefined): DueLane | DueResend | undefined {
    const resend = this.#holding[0];
    return resend === undefined || (lane !== undefined && !this.#turn) ? lane : resend;
  }

  /** What `first` gave begins: whether it is a resend. */
  begins(lane: DueLane | DueResend): lane is DueResend {
    const isResend = 'resend' in lane;
    if (isResend) this.#holding.shift();
    this.#turn = !isResend;
    return isResend;
  }

  /** Whether the lane has to wait for a resend that holds its key: until `laneOf` tells of it. */
  holdsBack(lane: DueLane): boolean {
    const key = keyOf(lane);
    // A key with a lane is in hand for a resend alone.
    if (!this.#parts.keys.has(key)) return false;
    this.#lanes.set(key, lane.id);
    return true;
  }

  /** The lane that waited for this key, which nobody holds any more. */
  laneOf(key: string): number | undefined {
    const lane = this.#lanes.get(key);
    this.#lanes.delete(key);
    return lane;
  }

  /** The key went to a lane: what waits for it comes again once that is empty. */
  keyLaned(key: string): void {
    for (const { deadLetter } of this.#waiting.get(key) ?? []) this.busy.delete(deadLetter);
    this.#waiting.delete(key);
  }

  /** Nothing is sent for a while: all come again, unless a person cancels them meanwhile. */
  dropAll(): void {
    for (const key of [...this.#waiting.keys()]) this.keyLaned(key);
    for (const resend of this.#holding.splice(0)) this.#letGo(resend);
  }
}

export interface ResendWorkerParts {
  readonly callback: string;
  readonly state: StateStore;
  readonly resends: Pick<Resends, 'room' | 'busy' | 'offer' | 'notBegun' | 'giveBack'>;
  readonly clock: Clock;
}

/**
 * Fetches what is due. As with lanes the truth is the store's, so that a restart goes on where it was. Without a resend
 * it asks nothing: whoever makes one wakes it.
 */
export class ResendWorker {
  readonly #parts: ResendWorkerParts;
  readonly #wakeup = new Wakeup();
  #fetching = Promise.resolve(0);

  constructor(parts: ResendWorkerParts) {
    this.#parts = parts;
  }

  /** A resend was asked for or acted on, or one in hand has ended. */
  wake(): void {
    this.#wakeup.wake();
  }

  /** Resolves when nothing begins any more of a resend that was paused or cancelled before. */
  async look(): Promise<void> {
    // What is being fetched was asked for before.
    await this.#fetching;
    await this.#giveBack();
    this.wake();
  }

  async #giveBack(): Promise<void> {
    const { state, resends } = this.#parts;
    const stopped = new Set<number>();
    for (const id of resends.notBegun) {
      const { resend } = await state.resend(id);
      if (resend.state !== 'running') stopped.add(id);
    }
    if (stopped.size > 0) resends.giveBack(stopped);
  }

  /** Rejects with the signal's reason. */
  async run(signal: AbortSignal): Promise<never> {
    for (;;) {
      this.#fetching = this.#handOver();
      const taken = await this.#fetching;
      signal.throwIfAborted();
      if (taken === 0) await this.#rest(signal);
    }
  }

  async #handOver(): Promise<number> {
    const { callback, state, resends, clock } = this.#parts;
    await this.#giveBack();
    if (resends.room <= 0) return 0;
    const due = await state.dueResends(callback, clock.now(), resends.room, resends.busy);
    let taken = 0;
    for (const resend of due) {
      // One that was cut off came into hand since it was asked.
      if (resends.busy.has(resend.deadLetter)) continue;
      resends.busy.add(resend.deadLetter);
      if (resends.offer(resend)) taken += 1;
      else resends.busy.delete(resend.deadLetter);
    }
    return taken;
  }

  async #rest(signal: AbortSignal): Promise<void> {
    const { callback, state, clock } = this.#parts;
    const next = await state.nextResendAt(callback);
    if (next === null) {
      await this.#wakeup.wait(signal);
      return;
    }
    const untilDue = next - clock.now();
    const ms = untilDue > 0 ? Math.min(untilDue, LOOK_AGAIN_MS) : LOOK_AGAIN_MS;
    await this.#wakeup.wait(signal, { clock, ms });
  }
}
