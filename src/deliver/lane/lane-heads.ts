/** The heads of a callback's lanes: what an attempt, an end that was told, or a person makes of one. */

import { present, unreachable } from '../../shared/assert.ts';
import type { DueLane } from '../../state/state-store.ts';
import type { AcceptedOutcome, DeliveredOutcome, Failed, Throttled } from '../callback/sender.ts';
import { failureOf } from '../completion/ending-outcome.ts';
import type { Attempts } from './attempts.ts';
import type { DispatcherParts } from './dispatcher-parts.ts';
import type { LaneNews } from './lane-news.ts';
import { laneKey } from './order-key.ts';
import type { OutcomeChanges } from './outcome-changes.ts';
import { outgoingFromLane } from './pending-event.ts';
import type { Window } from './window.ts';
import type { Turn } from './work.ts';

export interface LaneHeadsParts extends Pick<
  DispatcherParts,
  'options' | 'settler' | 'lanes' | 'clock' | 'counters' | 'onLanes' | 'onLaneEmptied'
> {
  readonly changes: OutcomeChanges;
  readonly attempts: Pick<Attempts, 'make'>;
  readonly news: LaneNews;
  readonly window: Pick<Window, 'changed'>;
  /** Slots or work are there. */
  readonly pump: () => void;
}

/**
 * Invariant: a lane is let go only once what became of its head is durable: the store gives the next one then, and not
 * the same one again.
 */
export class LaneHeads {
  /** Ids of lanes fetched or in flight. */
  readonly busy = new Set<number>();
  readonly #parts: LaneHeadsParts;

  constructor(parts: LaneHeadsParts) {
    this.#parts = parts;
  }

  /** Makes the next attempt for its head. */
  async attempt(lane: DueLane, turn: Turn): Promise<void> {
    const value = present(lane.head.value, 'the envelope of a lane event');
    const event = outgoingFromLane(lane, lane.head, value);
    const attempt = lane.attempts + 1;
    const outcome = await this.#parts.attempts.make({ event, attempt, turn, from: lane });
    if (outcome === null) return;
    switch (outcome.kind) {
      case 'unreachable':
      case 'gone':
      case 'held':
        this.#letGo(lane);
        return;
      case 'failed':
      case 'throttled':
        return this.failed(lane, outcome);
      case 'accepted':
        return this.#laneAccepted(lane, outcome);
      case 'filtered':
        this.#parts.changes.headEnded(lane, outcome);
        return this.#headLeft(lane);
      case 'delivered':
        return this.#laneDelivered(lane, outcome);
      default:
        unreachable(outcome);
    }
  }

  #laneDelivered(lane: DueLane, outcome: DeliveredOutcome): Promise<void> {
    this.#parts.counters.delivered(this.#parts.clock.now() - lane.head.timestampMs);
    this.#parts.changes.headEnded(lane, outcome);
    return this.#headLeft(lane);
  }

  async #laneAccepted(lane: DueLane, outcome: AcceptedOutcome): Promise<void> {
    const { options, settler } = this.#parts;
    this.#parts.changes.headAwaiting(
      lane,
      this.#parts.changes.accepted(outcome, lane.attempts + 1),
    );
    this.#parts.pump();
    await settler.durable();
    options.async?.attempts.over({ topic: lane.topic, ...lane.head });
    this.#letGo(lane);
  }

  /** What was told of it, or that nothing was in time, settles its head. */
  settleAwaited(lane: DueLane): Promise<void> {
    const ending = lane.awaiting?.ending ?? null;
    if (ending === null) return this.skip(lane);
    if (ending.status === 'overdue') this.#parts.counters.wasOverdue();
    const failure = failureOf(ending);
    if (failure !== null) return this.failed(lane, failure);
    return this.#laneDelivered(lane, { kind: 'delivered', answer: ending.result });
  }

  /** An attempt for its head was not what was wanted. */
  async failed(lane: DueLane, outcome: Failed | Throttled): Promise<void> {
    const verdict = this.#parts.changes.judge(outcome, lane);
    if (this.#parts.changes.isDead(verdict)) {
      this.#parts.news.died(laneKey(lane.topic, lane.key), outcome.error);
      this.#parts.changes.headDead(lane, verdict);
      return this.#headLeft(lane);
    }
    if (verdict.exhausted) this.#parts.news.parked(laneKey(lane.topic, lane.key), outcome.error);
    this.#parts.changes.headFailed(lane, verdict);
    this.#parts.pump();
    await this.#parts.settler.durable();
    this.#letGo(lane);
  }

  /** A person asked for it; no attempt for the head is in flight, and none began since. */
  async skip(lane: DueLane): Promise<void> {
    this.#parts.changes.headSkipped(lane);
    await this.#headLeft(lane);
  }

  /** The head left its lane in a change that was made: once that is durable the lane goes on, or the key is back. */
  async #headLeft(lane: DueLane): Promise<void> {
    const { lanes, settler } = this.#parts;
    this.#parts.pump();
    await settler.durable();
    if (lanes.taken(laneKey(lane.topic, lane.key))) {
      this.#parts.window.changed();
      this.#parts.onLaneEmptied(lane.topic, lane.key);
      if (lanes.lanes === 0) this.#parts.news.drained();
    }
    this.#letGo(lane);
  }

  #letGo(lane: DueLane): void {
    this.busy.delete(lane.id);
    this.#parts.window.changed();
    this.#parts.onLanes();
    this.#parts.pump();
  }
}
