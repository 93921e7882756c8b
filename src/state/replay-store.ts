/**
 * Replays: events of the log that a callback has settled and gets once more. A part of the state store's port;
 * test/contract/state-store-replays.contract.ts is this text as a test suite.
 */

import type { Operation } from '../change-event.ts';
import type { Asked, Cursor, CursorKey, LedgerCounts } from './state-store.ts';

/** Which events of the callback's own; what is absent leaves all in. */
export interface ReplayFilter {
  /** Globs on schema.table; those behind `!` exclude. */
  readonly tables?: readonly string[];
  readonly operations?: readonly Operation[];
  /** The record's key as it stands in the log. */
  readonly key?: string;
  /** Of one transaction. */
  readonly gtid?: string;
  /** Committed then or later, wall time in ms. */
  readonly fromMs?: number;
  /** Committed before. */
  readonly toMs?: number;
}

/** Half-open: `from` is replayed, `to` is not. */
export interface ReplayRange {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

export interface ReplayOptions {
  /** Keys in flight at once. */
  readonly concurrency: number;
  /** Attempts per second; null: none but the callback's own. */
  readonly rate: number | null;
  /** Receivers see other ids than at first. */
  readonly newIds: boolean;
}

/** `cancelling`: it is to end, and the dispatcher has not ended it yet. */
export type ReplayState = 'running' | 'paused' | 'cancelling' | 'cancelled' | 'done';

/** The books of a range; of an ended replay as they were at the end. */
export interface ReplayBook extends Omit<ReplayRange, 'topicId'> {
  /** Every offset below is settled. */
  readonly next: number;
  readonly ledger: LedgerCounts;
}

export interface NewReplay {
  readonly callback: string;
  /** The callback's, when it was asked for. */
  readonly version: number;
  readonly filter: ReplayFilter;
  /** Of each partition one at the most, none empty. */
  readonly ranges: readonly ReplayRange[];
  readonly options: ReplayOptions;
  /** Matching events, as the plan counted them; null where it did not count all. */
  readonly total: number | null;
}

export interface Replay extends NewReplay {
  readonly id: number;
  readonly state: ReplayState;
  readonly asked: Asked;
  /** Why it was cancelled. */
  readonly why: string | null;
  readonly endedAtMs: number | null;
}

export type ReplayAction = 'pause' | 'resume' | 'cancel';

/** A replay has cursors, lanes and books under this name; no callback can have it, since it has a point. */
export function replayName({ callback, id }: Pick<Replay, 'callback' | 'id'>): string {
  return `${callback}.replay-${id}`;
}

/** Whether cursors, lanes or dead letters of this name are of a replay. */
export function isReplayName(name: string): boolean {
  return name.includes('.');
}

/** Cursors of callbacks proper. */
export function withoutReplays<T extends Pick<CursorKey, 'callback'>>(cursors: readonly T[]): T[] {
  return cursors.filter(({ callback }) => !isReplayName(callback));
}

export function rangeOf(
  { ranges }: Pick<Replay, 'ranges'>,
  { topic, partition }: Pick<Cursor, 'topic' | 'partition'>,
): ReplayRange | undefined {
  return ranges.find((one) => one.topic === topic && one.partition === partition);
}

export interface ReplayStore {
  /**
   * Begins a replay, with its cursors and a line in the audit log.
   *
   * @throws RowcallError REPLAY_RUNNING: the callback has one that has not ended
   */
  startReplay(replay: NewReplay, asked: Asked): Promise<Replay>;

  /** The newest first; `beforeId` exclusive. */
  replays(page: {
    readonly callback?: string;
    readonly beforeId?: number;
    readonly limit: number;
  }): Promise<readonly Replay[]>;

  /** Those that have not ended, the oldest first. */
  openReplays(): Promise<readonly Replay[]>;

  /** @throws RowcallError REPLAY_UNKNOWN */
  replay(id: number): Promise<{ readonly replay: Replay; readonly books: readonly ReplayBook[] }>;

  /**
   * With a line in the audit log; each may be asked again. `cancel` makes it `cancelling`, which cannot be taken back.
   *
   * @throws RowcallError REPLAY_UNKNOWN; REPLAY_ENDED where it is done, cancelled or about to be
   */
  actOnReplay(id: number, action: ReplayAction, asked: Asked): Promise<Replay>;

  /** It is done, where every cursor is at its end and no event of it stands in a lane. Returns whether it is. */
  finishReplay(id: number, nowMs: number): Promise<boolean>;

  /**
   * Ends one that is `cancelling`; nobody delivers for it any more. What stands in its lanes leaves them: skipped.
   * A no-op where it has ended.
   */
  endReplay(id: number, nowMs: number): Promise<void>;
}
