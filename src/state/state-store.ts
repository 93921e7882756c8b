/**
 * The state store: what delivery has done. Cursors, ledger and lanes change in one transaction, so
 * that the books balance at any moment, also after kill -9. Progress here is the truth.
 * test/contract/state-store.contract.ts is this text as a test suite.
 */

import type { OperationCode } from '../change-event.ts';
import type { CallbackStore } from './callback-store.ts';
import type {
  Accepted,
  AttemptKey,
  Awaited,
  Completion,
  CompletionAnswer,
  CompletionRecord,
  Ending,
} from './completion.ts';
import type { HandlerChange, HandlerStore } from './handler-store.ts';
import type { MirrorStore } from './mirror-store.ts';
import type { ReplayAction, ReplayStore } from './replay-store.ts';
import type { ResendAction, ResendChange, ResendStore } from './resend-store.ts';
import type { SettlementAction, SettlementChange, SettlementStore } from './settlement-store.ts';
import type { WhereaboutsStore } from './whereabouts.ts';

/** Half-open run of offsets [from, to). */
export type OffsetRun = readonly [from: number, to: number];

/**
 * Counts of one callback and partition (G6): read = matched + filtered, and
 * matched = delivered + superseded + skipped + dead + parked + awaiting + retrying + pending.
 * Each is kept for itself as events settle; none is derived from the others. `pending` are the events
 * that wait in a lane behind its head; `retrying` the heads; `awaiting` those of them whose endpoint answered 202 and has
 * yet to tell the end; `parked` all events of parked lanes.
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

/** Why an event that one callback gave up goes to another: in its stead, or to make good what it leaves undone. */
export type HandOverOrigin = 'fallback' | 'compensation';

/** Where an event goes that becomes a dead letter. */
export interface HandOver {
  readonly origin: HandOverOrigin;
  /** The callback that gets it. */
  readonly to: string;
}

/** What an event came to at the callback that gave it up. */
export interface FailedElsewhere {
  readonly callback: string;
  readonly attempts: number;
  readonly error: string;
  readonly cause: FailureCause;
}

/**
 * What is handed over has lanes and books of its own at the callback that gets it, under this name in the place of the
 * log's topic; no topic has a colon. Its offsets number what was handed over, from 0.
 */
export function handOverTopic(origin: HandOverOrigin, from: string, topic: string): string {
  return `${origin}:${from}:${topic}`;
}

/** Null for a topic of the log. */
export function handOverOf(topic: string): { origin: HandOverOrigin; from: string } | null {
  const [origin, from = ''] = topic.split(':', 2);
  return origin === 'fallback' || origin === 'compensation' ? { origin, from } : null;
}

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
  /** Of an event that was handed over. */
  readonly failed?: FailedElsewhere;
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

/** Whose fault a failure is: the endpoint's, which answered or did not, or ours, so that no request could be made. */
export type FailureCause = 'endpoint' | 'system';

export interface Failure {
  /** Attempts made so far for the head, this one included: the receiver is told, and it never falls. */
  readonly attempts: number;
  /** Those of them that count toward `retry.maximum_attempts`: throttled ones do not, a retry by a person begins anew. */
  readonly usedAttempts: number;
  /** Wall time in ms of the first attempt (of this budget) and of the next. */
  readonly firstAttemptAt: number;
  readonly nextAttemptAt: number;
  /** Wall time in ms before which the endpoint wants nothing of the key (Retry-After), this event or another; absent where
   *  it asked for no time. The key's lane keeps the latest, also when this event leaves it; a `retry` by a person ends it. */
  readonly notBefore?: number;
  /** For a person: what the endpoint answered. Bounded, no secrets. */
  readonly error: string;
  readonly cause: FailureCause;
  /** Of the callback, that made the last attempt; absent where no versions are kept. */
  readonly version?: number | undefined;
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
  /** An event joins its lane, at the end; makes the lane when it is not there. With `failure` or `accepted` it must
   *  become the head, of a parked lane where it is `exhausted`. All events of a lane are of one partition, so that their
   *  offsets are their order. One that `coalesces` takes the place of the lane's last event where that one coalesces as
   *  well and is not the head: superseded +1 for that one. A lane that it makes without an attempt is due at `notBefore`,
   *  wall time in ms, or at once. */
  | ({
      readonly type: 'lane-append';
      readonly event: LaneEvent;
      readonly coalesces?: boolean;
      readonly failure?: Failure;
      readonly exhausted?: boolean;
      readonly accepted?: Accepted;
      readonly notBefore?: number;
    } & LaneKey)
  /** An attempt for the head was answered with 202. What ended it before counts at once (`complete` with `early`). */
  | ({
      readonly type: 'lane-awaiting';
      readonly offset: number;
      readonly accepted: Accepted;
    } & LaneKey)
  /** The head failed once more. `exhausted` parks the lane, unless a person has asked meanwhile that the head be
   *  skipped; a lane that a person parked meanwhile stays parked. */
  | ({
      readonly type: 'lane-failed';
      readonly offset: number;
      readonly failure: Failure;
      readonly exhausted?: boolean;
    } & LaneKey)
  /** The head was given up and becomes a dead letter; the next event becomes the head, due at once, or when the endpoint
   *  said (`notBefore` of this failure or an earlier one). With `handOvers` a
   *  copy joins the lane of its key at each of those callbacks, under `handOverTopic`: read, matched and retrying or
   *  pending +1 there. */
  | ({
      readonly type: 'lane-dead';
      readonly offset: number;
      readonly failure: Failure;
      readonly handOvers?: readonly HandOver[];
    } & LaneKey)
  /** An event of the fast path was given up at its first attempt: it becomes a dead letter, dead +1, and is handed over
   *  as that of a lane. */
  | ({
      readonly type: 'dead';
      readonly event: LaneEvent;
      readonly failure: Failure;
      readonly handOvers?: readonly HandOver[];
    } & LaneKey)
  /** The head that a person asked to skip leaves, skipped +1; the next event becomes the head, due at once, or when the
   *  endpoint said (`notBefore`). */
  | ({ readonly type: 'lane-skipped'; readonly offset: number } & LaneKey)
  /** The head was delivered and leaves; the next event becomes the head, due at once; the last one takes the
   *  lane with it. The store moves the ledger: retrying -1, delivered +1, and pending -1, retrying +1 for a new head. */
  | ({ readonly type: 'lane-delivered'; readonly offset: number } & LaneKey)
  /** The head is none of the callback's after all, and leaves as a delivered one does: matched -1, filtered +1. */
  | ({ readonly type: 'lane-filtered'; readonly offset: number } & LaneKey)
  | HoldChange
  | HandlerChange
  | ResendChange
  | SettlementChange;

/** A change of cursors, lanes and holds: the others have tables of their own. */
export type OwnChange = Exclude<StateChange, HandlerChange | ResendChange | SettlementChange>;

/** The endpoint's own word on the callback as a whole. It touches no books. */
export type HoldChange =
  /** The endpoint wants nothing any more: disabled until a person enables it, with a line in the audit log. */
  | {
      readonly type: 'callback-gone';
      readonly callback: string;
      readonly atMs: number;
      readonly reason: string;
    }
  /** Nothing is sent before this wall time; an earlier one that is stored does not count. */
  | {
      readonly type: 'callback-waits';
      readonly callback: string;
      readonly untilMs: number;
      readonly reason: string;
    };

/** What keeps a callback as a whole from being called, over restarts. */
export interface CallbackHold {
  readonly callback: string;
  /** Who disabled it, when and why. */
  readonly disabled: Asked | null;
  /** The endpoint asked to wait: until which wall time in ms, and with which answer. */
  readonly wait: { readonly untilMs: number; readonly reason: string } | null;
  /** Counts what persons asked to go on with; a new number drops every wait. */
  readonly resumed: number;
}

/** What a person may do with a callback. `resume`: neither a breaker nor the endpoint's Retry-After is waited for. */
export type CallbackAction = 'enable' | 'disable' | 'resume';

/** An event that left its lane since a newer one of its key took its place. */
export interface LaneSuperseded extends LaneKey {
  /** `laneEventBytes`. */
  readonly bytes: number;
}

/** `awaiting`: the head's endpoint answered 202; nothing of the key is sent until it tells the end, or is overdue.
 *  `parked`: nothing of the key is sent until a person retries or skips the head. */
export type LaneState = 'retrying' | 'awaiting' | 'parked';

export interface LaneSummary extends LaneKey {
  readonly id: number;
  readonly state: LaneState;
  /** Of the event that all others of the lane wait for. */
  readonly headId: string;
  readonly depth: number;
  readonly bytes: number;
  readonly attempts: number;
  readonly usedAttempts: number;
  readonly firstAttemptAt: number | null;
  /** Null while parked or awaiting. */
  readonly nextAttemptAt: number | null;
  /** What is awaited of the head; also of a parked one, which may still end. */
  readonly awaiting: Awaited | null;
  readonly lastError: string | null;
  readonly cause: FailureCause | null;
  /** Of the callback, that made the head's last attempt; null before it, and where none is known. */
  readonly version: number | null;
  /** A person asked that the head be skipped; the dispatcher does it when no attempt for it is in flight. */
  readonly skipAsked: boolean;
}

/** A lane with its head, ready to be tried. */
export interface DueLane extends LaneSummary {
  readonly head: LaneEvent;
  /** It may have ended the process: it is tried while no other handler runs. */
  readonly suspect?: boolean;
}

/** What a person may do with a lane. `retry`: the head is due now, of a parked lane with a new budget. */
export type LaneAction = 'retry' | 'skip' | 'park';

/** Who asked for something, when (wall time in ms), and why. */
export interface Asked {
  readonly actor: string;
  readonly reason: string;
  readonly atMs: number;
}

/** One line of what persons did, the oldest first; never changed. */
export interface AuditEntry extends Asked {
  readonly id: number;
  readonly action:
    | `lane-${LaneAction}`
    | `callback-${CallbackAction}`
    | 'callback-register'
    | 'callback-remove'
    | 'callback-test'
    | 'dead-letter-resend'
    | `resend-${ResendAction}`
    | `settlement-${SettlementAction}`
    | 'callback-replay'
    | `replay-${ReplayAction}`;
  readonly callback: string;
  readonly topic: string | null;
  readonly key: string | null;
  /** The event that it was about, where it was about one. */
  readonly eventId: string | null;
}

/** An event set aside: its key went on without it. */
export interface DeadLetter extends LaneKey {
  readonly id: number;
  readonly event: Omit<LaneEvent, 'value'>;
  readonly attempts: number;
  readonly firstAttemptAt: number;
  /** Wall time in ms at which it was given up. */
  readonly diedAt: number;
  readonly error: string;
  readonly cause: FailureCause;
  /** Of the callback, that made the last attempt; null where none is known. */
  readonly version: number | null;
}

/** A page of a list ordered by id, `afterId` exclusive. */
export interface PageOf {
  readonly callback?: string;
  readonly afterId?: number;
  readonly limit: number;
}

export interface StateStore
  extends
    CallbackStore,
    HandlerStore,
    MirrorStore,
    ReplayStore,
    ResendStore,
    SettlementStore,
    WhereaboutsStore {
  /** Made with the store: tells a log whether its reader's state is still the same one. */
  readonly id: string;

  /** Callbacks ever opened here, with all their cursors in the log. */
  cursors(): Promise<readonly Cursor[]>;

  /** The books of what was handed over, as cursors in what `handOverTopic` names; `next` counts what was handed over. */
  handedOver(): Promise<readonly Cursor[]>;

  /**
   * Saves cursors of callbacks or topics seen for the first time, all or none.
   *
   * @throws RowcallError STATE_UNUSABLE for one that exists: another dispatcher made it.
   */
  openCursors(cursors: readonly Omit<Cursor, 'ledger' | 'beyond'>[]): Promise<void>;

  /**
   * One durable transaction. Changes of lanes move the ledger by themselves (an event that joins a lane counts as
   * pending, as retrying where it is the head, as parked in a parked lane);
   * `progress.counts` carry read, matched, filtered, delivered and superseded of the fast path. After each commit the
   * books of every cursor balance: an event's `matched` is counted in the commit that puts it into a lane. Resolves to
   * the events of lanes that were superseded: only the store knows which is the head.
   *
   * @throws RowcallError STATE_WRITE_FAILED: nothing of it is there, or the process must end: then every
   *   later call on this store fails alike. INTERNAL: the changes contradict what is stored (no such cursor
   *   or lane, another head, a cursor going back, books that would not balance); nothing of it is there.
   */
  commit(changes: readonly StateChange[]): Promise<readonly LaneSuperseded[]>;

  /**
   * Lanes of a callback whose head is due at `nowMs` (to be tried, or to be skipped), none of them parked, oldest due first, without those in `busy`: at least one
   * when there is one, then up to `limit` and to about 16 MiB of events. A lane whose head was delivered
   * stands behind those that were due before it, so that a deep one does not hold the others.
   */
  dueLanes(
    callback: string,
    nowMs: number,
    limit: number,
    busy: ReadonlySet<number>,
  ): Promise<readonly DueLane[]>;

  /** Of those the lanes whose head is to be skipped, whenever it is due: what is done also while nothing may be sent. */
  lanesToSkip(
    callback: string,
    limit: number,
    busy: ReadonlySet<number>,
  ): Promise<readonly DueLane[]>;

  /** When the next head of a callback comes due, in ms; null without lanes, or where all are parked or awaiting. */
  nextDueAt(callback: string): Promise<number | null>;

  /**
   * Lanes of a callback whose awaited head has ended, is to be skipped, or had its `wakeAt` come, the oldest first, none
   * in `busy`, up to `limit` and to about 16 MiB of events; and when the next one's time comes where there are none now.
   */
  awaitedLanes(
    callback: string,
    nowMs: number,
    limit: number,
    busy: ReadonlySet<number>,
  ): Promise<{ readonly lanes: readonly DueLane[]; readonly nextAt: number | null }>;

  /**
   * What is told of an attempt that was answered with 202; durable when it resolves. `early`: the attempt is in flight,
   * so that the answer has yet to be stored. `overdue` is taken only where `wakeAt` has come, so that whatever the
   * receiver told before counts. Endings are remembered for 7 days, the last 100,000 of them.
   *
   * @throws RowcallError STATE_WRITE_FAILED
   */
  complete(
    attempt: AttemptKey,
    completion: Completion,
    at: { readonly nowMs: number; readonly early: boolean },
  ): Promise<CompletionAnswer>;

  /** What ended an attempt, where anything did: also before its answer came, and in a process that has died since. */
  endingOf(attempt: AttemptKey): Promise<Ending | null>;

  /** Completions that came, the oldest first. */
  completions(filter: PageOf): Promise<readonly CompletionRecord[]>;

  /** 32 random bytes, made with the store: what completion URLs are signed with. Secret. */
  completionKey(): Promise<Uint8Array>;

  /** For the CLI and for the lanes' index at start. */
  lanes(filter: PageOf): Promise<readonly LaneSummary[]>;

  /** A lane with its first 1,000 events, head first. @throws RowcallError LANE_UNKNOWN */
  lane(
    id: number,
  ): Promise<{ readonly lane: LaneSummary; readonly events: readonly Omit<LaneEvent, 'value'>[] }>;

  /**
   * What a person asks of a lane, with its line in the audit log. Works beside a running dispatcher, also while
   * an attempt for the head is in flight. `retry`: the head is due now; one that is due already keeps its place;
   * that of a parked lane has its budget anew; an awaited attempt is given up, unless it has ended. `skip`: the lane is due, and the dispatcher commits `lane-skipped`;
   * it cannot be taken back, and may be asked again.
   * `park`: nothing of the key is sent any more; an attempt in flight or awaited, or due and about to begin, may still
   * deliver the head.
   *
   * @param headId the event that the person has seen at the head, compared in the same transaction; `skip` needs it, or it
   *   would pass over whatever came to the head meanwhile
   * @throws RowcallError LANE_UNKNOWN; LANE_HEAD_CHANGED: another event is the head, and nothing is changed; INTERNAL for
   *   a `skip` without `headId`
   */
  actOnLane(id: number, action: LaneAction, asked: Asked, headId?: string): Promise<void>;

  /** Callbacks that somebody or their endpoint ever kept from being called. */
  callbackHolds(): Promise<readonly CallbackHold[]>;

  /**
   * What a person asks of a callback, with its line in the audit log; it need not be known here. Works beside a running
   * dispatcher. Each may be asked again: a callback that is disabled already has the newer reason.
   */
  actOnCallback(callback: string, action: CallbackAction, asked: Asked): Promise<void>;

  /** Dead letters, the oldest first. */
  deadLetters(filter: PageOf): Promise<readonly DeadLetter[]>;

  /** @throws RowcallError DEAD_LETTER_UNKNOWN */
  deadLetter(
    id: number,
  ): Promise<{ readonly deadLetter: DeadLetter; readonly value: Uint8Array | null }>;

  /** What persons did. */
  audit(filter: PageOf): Promise<readonly AuditEntry[]>;

  close(): Promise<void>;
}
