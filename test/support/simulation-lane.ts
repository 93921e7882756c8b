/** A lane as the simulation's model has it. */
import type { StateChange } from '../../src/state/state-store.ts';
import { type SimulatedWait, waitOf } from './simulation-completions.ts';
import { require } from './simulation-log-check.ts';

export interface Lane {
  /** Offsets, head first. */
  readonly offsets: number[];
  partition: number;
  attempts: number;
  nextAttemptAt: number;
  parked: boolean;
  lastCoalesces: boolean;
  /** By its budget, not by a person: those have a second or two in which an attempt may begin. */
  exhausted: boolean;
  /** A person asked that the head be skipped. */
  skip: boolean;
  /** The head was answered with 202. */
  awaiting: SimulatedWait | null;
}

/** Of an event that joins a lane which is not there, with what came of its first attempt. */
export function laneOfFirst(change: Extract<StateChange, { type: 'lane-append' }>): Lane {
  const { attempts = 0, nextAttemptAt = 0 } = change.failure ?? {};
  const parked = change.exhausted === true;
  return {
    ...newLane(change.event),
    ...{ attempts, nextAttemptAt, parked, exhausted: parked },
    lastCoalesces: change.coalesces === true,
    awaiting: change.accepted === undefined ? null : waitOf(change.accepted),
  };
}

/** Of an event that is due at once. */
export function newLane({
  partition,
  offset,
}: {
  readonly partition: number;
  readonly offset: number;
}): Lane {
  return {
    ...{ offsets: [offset], partition, attempts: 0, nextAttemptAt: 0, parked: false },
    ...{ skip: false, lastCoalesces: false, exhausted: false, awaiting: null },
  };
}

export function failedAgain(
  lane: Lane,
  change: Extract<StateChange, { type: 'lane-failed' }>,
): void {
  const { attempts, nextAttemptAt } = change.failure;
  require(attempts > lane.attempts, 'attempts', () => `fell to ${attempts} of ${change.key}`);
  lane.attempts = attempts;
  lane.nextAttemptAt = nextAttemptAt;
  if (change.exhausted !== true || lane.skip) return;
  lane.exhausted ||= !lane.parked;
  lane.parked = true;
}
