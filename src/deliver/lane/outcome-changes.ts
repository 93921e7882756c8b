/** What an outcome changes in the state store, for an event of the fast path and for the head of a lane. */

import type { Clock, Random } from '../../shared/clock.ts';
import { present } from '../../shared/assert.ts';
import type { Accepted } from '../../state/completion.ts';
import {
  type DueLane,
  type HandOver,
  type LaneEvent,
  type LaneKey,
  laneEventBytes,
} from '../../state/state-store.ts';
import type { CallbackOptions } from '../callback-options.ts';
import type { DueResend } from '../../state/resend-store.ts';
import { unreachable } from '../../shared/assert.ts';
import type {
  AcceptedOutcome,
  DeliveredOutcome,
  Failed,
  FilteredOutcome,
  Outcome,
  Throttled,
} from '../callback/sender.ts';
import { type AttemptsSoFar, judge, type Verdict } from '../retry/policy.ts';
import type { SettledEnd, Settlements } from '../settle/settlements.ts';
import type { Settler } from '../settle/settler.ts';
import type { CallbackCounters } from './callback-counters.ts';
import { coalesces } from './coalescing.ts';
import type { HandingOver } from './hand-overs.ts';
import type { LaneIndex } from './lane-index.ts';
import { laneKey } from './order-key.ts';
import { laneEvent, outgoing, outgoingFromLane, type PendingEvent } from './pending-event.ts';

type Before = AttemptsSoFar & Pick<DueLane, 'awaiting' | 'version'>;

const FIRST: AttemptsSoFar = { attempts: 0, usedAttempts: 0, firstAttemptAt: null };
const NONE: Before = { ...FIRST, awaiting: null, version: null };

const NOT_ASKED_FOR: Failed = {
  kind: 'failed',
  error: 'when does not hold for it any more',
  cause: 'system',
  final: true,
};

export interface OutcomeParts {
  readonly options: Pick<
    CallbackOptions,
    'retry' | 'onExhausted' | 'coalesceMs' | 'async' | 'version'
  >;
  readonly settler: Settler;
  readonly lanes: LaneIndex;
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: CallbackCounters;
  readonly handingOver: HandingOver;
  /** Null where nothing is written back of what is settled. */
  readonly settlements?: Settlements | null | undefined;
}

/**
 * Invariant: the lanes' index, the settled offset and the change of the store are made between two awaits, so that
 * none of them is ever seen without the others. When they are durable is the caller's to wait for.
 */
export class OutcomeChanges {
  readonly #parts: OutcomeParts;

  constructor(parts: OutcomeParts) {
    this.#parts = parts;
  }

  /** @param before the lane, where the attempt was its head's: an end that was awaited is of the version that was asked */
  judge(outcome: Failed | Throttled, before: Before = NONE): Verdict {
    const { options, clock, random, counters } = this.#parts;
    if (outcome.kind === 'failed' && outcome.shape === true) counters.shapeFailed();
    else counters.failed();
    const verdict = judge(options.retry, before, outcome, { nowMs: clock.now(), random });
    const version = before.awaiting === null ? options.version : (before.version ?? undefined);
    return { ...verdict, failure: { ...verdict.failure, version } };
  }

  /** Whether the event is to be set aside, so that its key goes on. */
  isDead({ exhausted }: Verdict): boolean {
    return exhausted && this.#parts.options.onExhausted === 'dead-letter';
  }

  /** An event of the fast path is done with. */
  settled(event: PendingEvent, { kind, ...outcome }: DeliveredOutcome | FilteredOutcome): void {
    event.progress[kind](event.record.offset);
    settleOthers(event);
    if (kind === 'delivered') this.#end(event, { status: kind, attempts: 1, ...outcome });
  }

  /** From now on the attempt's end is awaited. */
  accepted({ statusUrl = null }: AcceptedOutcome, attempt: number): Accepted {
    const { options, clock } = this.#parts;
    const { deadlineMs, heartbeatMs } = present(options.async, 'deliver.async');
    const { version } = options;
    return { attempt, atMs: clock.now(), deadlineMs, heartbeatMs, statusUrl, version };
  }

  /** The event joins its lane; with a verdict it is the one that failed, else the one that is awaited. */
  toLane(
    key: string,
    event: PendingEvent,
    verdict?: Verdict | { readonly accepted: Accepted } | { readonly notBefore: number },
  ): void {
    this.#parts.lanes.joined(key, event.bytes);
    event.progress.laned(event.record.offset);
    settleOthers(event);
    event.truncate?.onLaned();
    this.#parts.settler.change({
      type: 'lane-append',
      ...keyOf(event),
      event: laneEvent(event),
      ...(this.#parts.options.coalesceMs !== undefined && coalesces(event)
        ? { coalesces: true }
        : {}),
      ...verdict,
    });
  }

  /** An event of the fast path becomes a dead letter. */
  dead(event: PendingEvent, { failure }: Verdict): void {
    this.#parts.counters.died();
    event.progress.laned(event.record.offset);
    settleOthers(event);
    const handOvers = this.#handOver(keyOf(event), event.bytes);
    const dead = { type: 'dead', ...keyOf(event), event: laneEvent(event), failure } as const;
    this.#parts.settler.change({ ...dead, ...handOvers });
    this.#end(event, { status: 'dead', ...failure });
  }

  headFailed(lane: DueLane, verdict: Verdict): void {
    this.#parts.settler.change({ type: 'lane-failed', ...headOf(lane), ...verdict });
  }

  headAwaiting(lane: DueLane, accepted: Accepted): void {
    this.#parts.settler.change({ type: 'lane-awaiting', ...headOf(lane), accepted });
  }

  headDead(lane: DueLane, { failure }: Verdict): void {
    this.#parts.counters.died();
    this.#left(lane);
    const handOvers = this.#handOver(lane, laneEventBytes(lane.head));
    this.#parts.settler.change({ type: 'lane-dead', ...headOf(lane), failure, ...handOvers });
    this.#endLane(lane, lane.head, { status: 'dead', ...failure });
  }

  headEnded(lane: DueLane, { kind, ...outcome }: DeliveredOutcome | FilteredOutcome): void {
    this.#left(lane);
    this.#parts.settler.change({ type: `lane-${kind}`, ...headOf(lane) });
    if (kind === 'filtered') return;
    const attempts = lane.awaiting?.attempt ?? lane.attempts + 1;
    this.#endLane(lane, lane.head, { status: kind, attempts, ...outcome });
  }

  headSkipped(lane: DueLane): void {
    this.#left(lane);
    this.#parts.settler.change({ type: 'lane-skipped', ...headOf(lane) });
    const { attempts, lastError } = lane;
    const error = lastError === null ? {} : { error: lastError };
    this.#endLane(lane, lane.head, { status: 'skipped', attempts, ...error });
  }

  #end(event: PendingEvent, end: SettledEnd): void {
    this.#parts.settlements?.settled(outgoing(event), event.key, end);
  }

  #endLane(lane: LaneKey, event: LaneEvent, end: SettledEnd): void {
    const { settlements } = this.#parts;
    if (settlements === null || settlements === undefined) return;
    const value = present(event.value, 'the envelope of a lane event');
    settlements.settled(outgoingFromLane(lane, event, value), lane.key, end);
  }

  /** It goes on to other callbacks in the commit that sets it aside. */
  #handOver({ topic, key }: LaneKey, bytes: number): { handOvers?: readonly HandOver[] } {
    const { handOvers, joined } = this.#parts.handingOver;
    if (handOvers.length === 0) return {};
    joined(topic, key, bytes);
    return { handOvers };
  }

  /** What came of a dead letter that went again. It moves none of the callback's books. */
  resent(resend: DueResend, outcome: Outcome): void {
    const { settler, clock, counters } = this.#parts;
    const { callback, deadLetter } = resend;
    const before = { ...NONE, ...resend };
    const at = { callback, resend: resend.resend, deadLetter, atMs: clock.now() };
    switch (outcome.kind) {
      case 'unreachable':
      case 'gone':
      case 'held':
        return;
      // It stands in no lane, where an end could be told of: it was sent as to a callback that awaits none.
      case 'accepted':
      case 'delivered':
        counters.delivered(clock.now() - resend.event.timestampMs);
        settler.change({ type: 'resend-delivered', ...at });
        this.#endLane(resend, resend.event, {
          ...{ status: 'delivered', attempts: resend.attempts + 1 },
          // What a 202 says is of work that goes on.
          answer: outcome.kind === 'delivered' ? outcome.answer : null,
        });
        return;
      case 'filtered':
        // It was matched once and is a dead letter: it stays one rather than be called delivered.
        settler.change({ type: 'resend-failed', ...at, ...this.judge(NOT_ASKED_FOR, before) });
        return;
      case 'failed':
      case 'throttled':
        settler.change({ type: 'resend-failed', ...at, ...this.judge(outcome, before) });
        return;
      default:
        unreachable(outcome);
    }
  }

  #left(lane: DueLane): void {
    this.#parts.lanes.left(laneKey(lane.topic, lane.key), laneEventBytes(lane.head));
  }
}

/** In the same commit: a truncate is settled in every partition that came to it, or in none. */
function settleOthers({ truncate }: PendingEvent): void {
  for (const { progress, offset } of truncate?.others ?? []) progress.filtered(offset);
}

function keyOf({ progress, key }: PendingEvent): LaneKey {
  const { callback, topic } = progress.key;
  return { callback, topic, key };
}

function headOf({ callback, topic, key, head }: DueLane): LaneKey & { readonly offset: number } {
  return { callback, topic, key, offset: head.offset };
}
