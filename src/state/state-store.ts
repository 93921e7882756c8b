/**
 * The state store: what delivery has done. Cursors, ledger and lanes change in one transaction, so
 * that the books balance at any moment, also after kill -9. Progress here is the truth.
 * test/contract/state-store.contract.ts is this text as a test suite.
 */

import type { OperationCode } from '../change-event.ts';

/** Half-open run of offsets [from, to). */
export type OffsetRun = readonly [from: number, to: number];

/**
 * Counts of one callback and partition (G6): read = matched + filtered, and
 * matched = delivered + superseded + skipped + dead + parked + awaiting + retrying + pending.
 * Each is kept for itself as events settle; none is derived from the others. `pending` are the events
 * that wait in a lane behind its head; `retrying` the heads.
 */
export interface LedgerCounts {
  read: number;
  filtered: number;
  matched: number;
  delivered: number;
  superseded: number;
  skipped: number;
  dead: number;
  parked: number;
  awaiting: number;
  retrying: number;
  pending: number;
}

export const LEDGER_FIELDS = [
  'read',
  'filtered',
  'matched',
  'delivered',
  'superseded',
  'skipped',
  'dead',
  'parked',
  'awaiting',
  'retrying',
  'pending',
] as const satisfies readonly (keyof LedgerCounts)[];

export interface CursorKey {
  readonly callback: string;
  readonly topic: string;
  readonly partition: number;
}

export interface Cursor extends CursorKey {
  readonly topicId: string;
  /** Where this callback began: the books count from here. */
  readonly startOffset: number;
  /** Every offset below is settled. */
  readonly next: number;
  /** Settled beyond `next`, sorted, disjoint, none touching another. */
  readonly beyond: readonly OffsetRun[];
  readonly ledger: LedgerCounts;
}

/** An event in a lane, whole: the log may drop its record while the lane keeps trying. */
export interface LaneEvent {
  readonly partition: number;
  /** Log offset: the order within the lane. */
  readonly offset: number;
  readonly id: string;
  readonly table: string;
  readonly operation: OperationCode;
  readonly timestampMs: number;
  readonly value: Uint8Array | null;
}

/** What an event counts for in a lane's `bytes` and toward every limit of lanes: about what it takes in the
 *  store and in memory. One measure for all, or the totals kept in memory would drift from the store's. */
export function laneEventBytes(event: Pick<LaneEvent, 'id' | 'table' | 'value'>): number {
  return 64 + event.id.length + event.table.length + (event.value?.byteLength ?? 0);
}

export interface LaneKey {
  readonly callback: string;
  readonly topic: string;
  /** The order key: the record's key, or the table's own for keyless tables (deliver/lane/order-key.ts). */
  readonly key: string;
}

export interface Failure {
  /** Attempts made so far for the head, this one included. */
  readonly attempts: number;
  /** Wall time in ms of the first attempt and of the next. */
  readonly firstAttemptAt: number;
  readonly nextAttemptAt: number;
  /** For a person: what the endpoint answered. Bounded, no secrets. */
  readonly error: string;
}

/** One change. A commit applies its changes in order, all or none. */
export type StateChange =
  /** The fast path moved: new cursor, and what was counted since the last such change. */
  | ({
      readonly type: 'progress';
      readonly next: number;
      readonly beyond: readonly OffsetRun[];
      readonly counts: Partial<LedgerCounts>;
    } & CursorKey)
  /** An event joins its lane, at the end; makes the lane when it is not there. With `failure` it must become the
   *  head. All events of a lane are of one partition, so that their offsets are their order. */
  | ({
      readonly type: 'lane-append';
      readonly event: LaneEvent;
      readonly failure?: Failure;
    } & LaneKey)
  /** The head failed once more. */
  | ({ readonly type: 'lane-failed'; readonly offset: number; readonly failure: Failure } & LaneKey)
  /** The head was delivered and leaves; the next event becomes the head, due at once; the last one takes the
   *  lane with it. The store moves the ledger: retrying -1, delivered +1, and pending -1, retrying +1 for a new head. */
  | ({ readonly type: 'lane-delivered'; readonly offset: number } & LaneKey)
  /** The head is none of the callback's after all, and leaves as a delivered one does: matched -1, filtered +1. */
  | ({ readonly type: 'lane-filtered'; readonly offset: number } & LaneKey);

export interface LaneSummary extends LaneKey {
  readonly id: number;
  readonly state: 'retrying';
  readonly depth: number;
  readonly bytes: number;
  readonly attempts: number;
  readonly firstAttemptAt: number | null;
  readonly nextAttemptAt: number;
  readonly lastError: string | null;
}

/** A lane with its head, ready to be tried. */
export interface DueLane extends LaneSummary {
  readonly head: LaneEvent;
}

export interface StateStore {
  /** Made with the store: tells a log whether its reader's state is still the same one. */
  readonly id: string;

  /** Callbacks ever opened here, with all their cursors. */
  cursors(): Promise<readonly Cursor[]>;

  /**
   * Saves cursors of callbacks or topics seen for the first time, all or none.
   *
   * @throws RowcallError STATE_UNUSABLE for one that exists: another dispatcher made it.
   */
  openCursors(cursors: readonly Omit<Cursor, 'ledger' | 'beyond'>[]): Promise<void>;

  /**
   * One durable transaction. `lane-append` counts pending +1, or retrying +1 for a new head, by itself;
   * `progress.counts` carry read, matched, filtered and delivered of the fast path. After each commit the
   * books of every cursor balance: an event's `matched` is counted in the commit that puts it into a lane.
   *
   * @throws RowcallError STATE_WRITE_FAILED: nothing of it is there, or the process must end: then every
   *   later call on this store fails alike. INTERNAL: the changes contradict what is stored (no such cursor
   *   or lane, another head, a cursor going back, books that would not balance); nothing of it is there.
   */
  commit(changes: readonly StateChange[]): Promise<void>;

  /**
   * Lanes of a callback whose head is due at `nowMs`, oldest due first, without those in `busy`: at least one
   * when there is one, then up to `limit` and to about 16 MiB of events. A lane whose head was delivered
   * stands behind those that were due before it, so that a deep one does not hold the others.
   */
  dueLanes(
    callback: string,
    nowMs: number,
    limit: number,
    busy: ReadonlySet<number>,
  ): Promise<readonly DueLane[]>;

  /** When the next head of a callback comes due, in ms; null without lanes. */
  nextDueAt(callback: string): Promise<number | null>;

  /** For the CLI and for the lanes' index at start: ordered by id, `afterId` exclusive. */
  lanes(filter: {
    readonly callback?: string;
    readonly afterId?: number;
    readonly limit: number;
  }): Promise<readonly LaneSummary[]>;

  /** A lane with its first 1,000 events, head first. @throws RowcallError LANE_UNKNOWN */
  lane(
    id: number,
  ): Promise<{ readonly lane: LaneSummary; readonly events: readonly Omit<LaneEvent, 'value'>[] }>;

  /**
   * Makes the head due now; one that is due already keeps its place. For an operator; works beside a running
   * daemon.
   *
   * @throws RowcallError LANE_UNKNOWN
   */
  retryLane(id: number, nowMs: number): Promise<void>;

  close(): Promise<void>;
}
