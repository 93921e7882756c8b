/** The state store in one SQLite file: cursors, ledgers and lanes, changed in one durable transaction. */
import type { DatabaseSync } from 'node:sqlite';

import { unreachable } from '../../shared/assert.ts';
import type {
  Asked,
  AuditEntry,
  CallbackAction,
  Cursor,
  DeadLetter,
  DueLane,
  LaneAction,
  LaneSummary,
  LaneSuperseded,
  OwnChange,
  PageOf,
  StateChange,
  StateStore,
} from '../state-store.ts';
import type { KeptAnswer, NewVersion } from '../callback-store.ts';
import type {
  AttemptKey,
  Completion,
  CompletionAnswer,
  CompletionRecord,
  Ending,
} from '../completion.ts';
import { aboutCallback, AuditTable } from './audit-table.ts';
import {
  type DeadLetterScan,
  type DueResend,
  isResendChange,
  type Resend,
} from '../resend-store.ts';
import type { UnmirroredCount, UnmirroredLetter } from '../mirror-store.ts';
import { isSettlementChange } from '../settlement-store.ts';
import { CallbackHoldTable } from './callback-hold-table.ts';
import { CallbackTable } from './callback-table.ts';
import { CompletionTable } from './completion-table.ts';
import { CursorMoves, CursorTable } from './cursor-table.ts';
import { completionKey, MEMORY, openDatabase, STATE_FILE, storeId } from './database.ts';
import { HandlerTable } from './handler-table.ts';
import { DeadLetterTable } from './dead-letter-table.ts';
import { HandOverTable } from './hand-over-table.ts';
import { LaneEvents } from './lane-events.ts';
import { LaneTable } from './lane-table.ts';
import { MirrorTable } from './mirror-table.ts';
import { ReplayTable } from './replay-table.ts';
import { ResendTable } from './resend-table.ts';
import { SettlementTable } from './settlement-table.ts';
import { WhereaboutsTable } from './whereabouts-table.ts';
import type { EventAt, Whereabouts } from '../whereabouts.ts';
import { type HandlersLeft, isHandlerChange } from '../handler-store.ts';
import { type LockTaken, ProcessLock } from '../../shared/process-lock.ts';
import { readFailure } from './state-error.ts';
import { Transactions } from './transactions.ts';

export interface SqliteStateOptions {
  /** The file, or `:memory:` for a store that goes when it is closed. */
  readonly path: string;
  /** Whether to make the file where there is none; else that is an error. True unless said otherwise. */
  readonly create?: boolean;
  /** Whether this process dispatches: then no other may until the store is closed or the process ends. */
  readonly exclusive?: boolean;
  /** How long a call waits for another process's transaction, in ms; it blocks the event loop. 5,000 unless said otherwise. */
  readonly busyTimeoutMs?: number;
}

/** Two dispatchers on one store would each send a key's next event, and the books would count the other's. */
const TAKEN: LockTaken = {
  message: 'Another process delivers from this state store',
  cure: 'Stop the other rowcall run or rowcall deliver, or give this one a state.path and a log of its own.',
};

/** Transactions of ours take milliseconds, an operator's as well. */
const BUSY_TIMEOUT_MS = 5_000;

/**
 * Opens the store. Several processes may have it open; one of them dispatches, the one that opened it `exclusive`.
 *
 * @throws RowcallError STATE_UNUSABLE: cannot be opened, is not a state of ours, or a newer version wrote it;
 *   with `exclusive`, also when another process dispatches.
 */
export function openSqliteState(options: SqliteStateOptions): Promise<StateStore> {
  const { path, create = true, exclusive = false, busyTimeoutMs = BUSY_TIMEOUT_MS } = options;
  return new Promise((resolve) => {
    const lock = exclusive && path !== MEMORY ? ProcessLock.take(path, STATE_FILE, TAKEN) : null;
    let db: DatabaseSync | undefined;
    try {
      db = openDatabase(path, { create, busyTimeoutMs });
      resolve(new SqliteState(db, path, lock));
    } catch (error) {
      db?.close();
      lock?.release();
      throw readFailure(error, path);
    }
  });
}

/** Invariant: a call is one transaction, or only reads; what it changes lies in the tables, each of which keeps its own. */
class SqliteState implements StateStore {
  readonly id: string;
  readonly #db: DatabaseSync;
  readonly #lock: ProcessLock | null;
  readonly #cursors: CursorTable;
  readonly #lanes: LaneTable;
  readonly #deadLetters: DeadLetterTable;
  readonly #mirror: MirrorTable;
  readonly #handOvers: HandOverTable;
  readonly #audit: AuditTable;
  readonly #holds: CallbackHoldTable;
  readonly #completions: CompletionTable;
  readonly #callbacks: CallbackTable;
  readonly #resends: ResendTable;
  readonly #replays: ReplayTable;
  readonly #settlements: SettlementTable;
  readonly #whereabouts: WhereaboutsTable;
  readonly #handlers: HandlerTable;
  readonly #transactions: Transactions;

  constructor(db: DatabaseSync, path: string, lock: ProcessLock | null) {
    this.#lock = lock;
    this.#db = db;
    this.id = storeId(db);
    this.#cursors = new CursorTable(db);
    const events = new LaneEvents(db);
    this.#mirror = new MirrorTable(db, events);
    this.#deadLetters = new DeadLetterTable(db, events, this.#mirror);
    this.#completions = new CompletionTable(db, this.#cursors);
    this.#lanes = new LaneTable(db, {
      cursors: this.#cursors,
      events,
      deadLetters: this.#deadLetters,
      completions: this.#completions,
    });
    this.#handOvers = new HandOverTable({ cursors: this.#cursors, events, lanes: this.#lanes });
    this.#audit = new AuditTable(db);
    this.#holds = new CallbackHoldTable(db, this.#audit);
    this.#callbacks = new CallbackTable(db);
    this.#resends = new ResendTable(db, this.#deadLetters, this.#audit);
    this.#replays = new ReplayTable(db, {
      ...{ cursors: this.#cursors, callbacks: this.#callbacks, audit: this.#audit },
    });
    this.#settlements = new SettlementTable(db, this.#audit);
    this.#whereabouts = new WhereaboutsTable(db, this.#deadLetters, this.#audit);
    this.#handlers = new HandlerTable(db, this.#lanes, this.#resends);
    this.#transactions = new Transactions(db, path);
  }

  cursors(): Promise<readonly Cursor[]> {
    return this.#read(() => this.#cursors.all());
  }

  handedOver(): Promise<readonly Cursor[]> {
    return this.#read(() => this.#cursors.handedOver());
  }

  openCursors(cursors: readonly Omit<Cursor, 'ledger' | 'beyond'>[]): Promise<void> {
    return this.#write(() => {
      for (const cursor of cursors) this.#cursors.open(cursor);
    });
  }

  commit(changes: readonly StateChange[]): Promise<readonly LaneSuperseded[]> {
    if (changes.length === 0) return Promise.resolve([]);
    return this.#write(() => {
      const moves = new CursorMoves();
      for (const change of changes) {
        if (isSettlementChange(change)) this.#settlements.change(change);
        else if (isResendChange(change)) this.#resends.ended(change);
        else if (isHandlerChange(change)) this.#handlers.apply(change);
        else this.#apply(change, moves);
      }
      this.#cursors.write(moves);
      return moves.superseded;
    });
  }

  dueLanes(...args: Parameters<StateStore['dueLanes']>): Promise<readonly DueLane[]> {
    return this.#read(() => this.#lanes.due(...args));
  }

  lanesToSkip(...args: Parameters<StateStore['lanesToSkip']>): Promise<readonly DueLane[]> {
    return this.#read(() => this.#lanes.toSkip(...args));
  }

  nextDueAt(callback: string): Promise<number | null> {
    return this.#read(() => this.#lanes.nextDueAt(callback));
  }

  awaitedLanes(
    callback: string,
    nowMs: number,
    limit: number,
    busy: ReadonlySet<number>,
  ): ReturnType<StateStore['awaitedLanes']> {
    return this.#read(() => this.#lanes.awaited(callback, nowMs, limit, busy));
  }

  complete(
    attempt: AttemptKey,
    completion: Completion,
    at: { readonly nowMs: number; readonly early: boolean },
  ): Promise<CompletionAnswer> {
    return this.#write(() => this.#completions.complete(attempt, completion, at));
  }

  endingOf(attempt: AttemptKey): Promise<Ending | null> {
    return this.#read(() => this.#completions.endingOf(this.#cursors.find(attempt), attempt));
  }

  completions(filter: PageOf): Promise<readonly CompletionRecord[]> {
    return this.#read(() => this.#completions.list(filter));
  }

  completionKey(): Promise<Uint8Array> {
    return this.#write(() => completionKey(this.#db));
  }

  lanes(filter: PageOf): Promise<readonly LaneSummary[]> {
    return this.#read(() => this.#lanes.list(filter.callback, filter.afterId ?? 0, filter.limit));
  }

  lane(id: number): ReturnType<StateStore['lane']> {
    return this.#read(() => this.#lanes.show(id));
  }

  actOnLane(id: number, action: LaneAction, asked: Asked, headId?: string): Promise<void> {
    return this.#write(() => {
      const moves = new CursorMoves();
      const head = this.#lanes.act(id, action, { atMs: asked.atMs, headId }, moves);
      this.#cursors.write(moves);
      this.#audit.add({ ...asked, action: `lane-${action}`, ...head });
    });
  }

  readonly callbackHolds: StateStore['callbackHolds'] = () => this.#read(() => this.#holds.all());

  actOnCallback(...args: [callback: string, CallbackAction, Asked]): Promise<void> {
    return this.#write(this.#holds.act.bind(this.#holds, ...args));
  }

  deadLetters(filter: PageOf): Promise<readonly DeadLetter[]> {
    return this.#read(() => this.#deadLetters.list(filter));
  }

  deadLetter(id: number): ReturnType<StateStore['deadLetter']> {
    return this.#read(() => this.#deadLetters.show(id));
  }

  audit(filter: PageOf): Promise<readonly AuditEntry[]> {
    return this.#read(() => this.#audit.list(filter));
  }

  registered(): ReturnType<StateStore['registered']> {
    return this.#read(() => this.#callbacks.registered());
  }

  registerCallback(
    ...[next, expected]: Parameters<StateStore['registerCallback']>
  ): Promise<number> {
    return this.#write(() => {
      this.#audit.add(aboutCallback('callback-register', next.name, next));
      return this.#callbacks.register(next, expected);
    });
  }

  noteVersion(next: NewVersion): Promise<number> {
    return this.#write(() => this.#callbacks.note(next));
  }

  readonly noteTest: StateStore['noteTest'] = (callback, eventId, asked) =>
    this.#write(() => {
      this.#audit.add({ ...aboutCallback('callback-test', callback, asked), eventId });
    });

  callbackVersions(name: string): ReturnType<StateStore['callbackVersions']> {
    return this.#read(() => this.#callbacks.versions(name));
  }

  removeCallback(name: string, asked: Asked, expected?: number): Promise<void> {
    return this.#write(() => {
      this.#audit.add(aboutCallback('callback-remove', name, asked));
      this.#callbacks.remove(name, asked.atMs, expected);
    });
  }

  removedCallbacks(): Promise<readonly string[]> {
    return this.#read(() => this.#callbacks.removed());
  }

  purgeCallback(name: string, limit: number): Promise<boolean> {
    return this.#write(() => {
      this.#cursors.forget(name);
      return this.#callbacks.purge(name, limit);
    });
  }

  forgetRemoved(name: string): Promise<void> {
    return this.#write(() => {
      this.#callbacks.forget(name);
    });
  }

  keptAnswer(...[key, sinceMs]: Parameters<StateStore['keptAnswer']>): Promise<KeptAnswer | null> {
    return this.#read(() => this.#callbacks.keptAnswer(key, sinceMs));
  }

  keepAnswer(...args: Parameters<StateStore['keepAnswer']>): Promise<void> {
    return this.#write(() => {
      this.#callbacks.keepAnswer(...args);
    });
  }

  scanDeadLetters({
    limit,
    ...scan
  }: Parameters<StateStore['scanDeadLetters']>[0]): ReturnType<StateStore['scanDeadLetters']> {
    return this.#read(() => this.#deadLetters.scan(scan, limit));
  }

  countDeadLetters(scan: DeadLetterScan): ReturnType<StateStore['countDeadLetters']> {
    return this.#read(() => this.#deadLetters.count(scan));
  }

  setMirroring(on: boolean): Promise<void> {
    return this.#write(() => {
      this.#mirror.set(on);
    });
  }

  unmirroredLetters(callback: string, limit: number): Promise<readonly UnmirroredLetter[]> {
    return this.#read(() => this.#mirror.list(callback, limit));
  }

  countUnmirrored(): Promise<readonly UnmirroredCount[]> {
    return this.#read(() => this.#mirror.count());
  }

  lettersMirrored(ids: readonly number[]): Promise<void> {
    return this.#write(() => {
      this.#mirror.done(ids);
    });
  }

  resendOne(...args: Parameters<StateStore['resendOne']>): Promise<Resend> {
    return this.#write(() => this.#resends.one(...args));
  }

  resendMany(...args: Parameters<StateStore['resendMany']>): Promise<Resend> {
    return this.#write(() => this.#resends.many(...args));
  }

  resends({ callback, beforeId, limit }: Parameters<StateStore['resends']>[0]): Promise<Resend[]> {
    const before = beforeId ?? Number.MAX_SAFE_INTEGER;
    return this.#read(() => this.#resends.list(callback, before, limit));
  }

  resend(id: number): ReturnType<StateStore['resend']> {
    return this.#read(() => this.#resends.show(id));
  }

  actOnResend(...args: Parameters<StateStore['actOnResend']>): Promise<Resend> {
    return this.#write(() => this.#resends.act(...args));
  }

  dueResends(...args: Parameters<StateStore['dueResends']>): Promise<readonly DueResend[]> {
    return this.#write(() => this.#resends.due(...args));
  }

  nextResendAt(callback: string): Promise<number | null> {
    return this.#read(() => this.#resends.nextAt(callback));
  }

  whereabouts(at: EventAt): Promise<Whereabouts> {
    return this.#read(() => this.#whereabouts.find(at));
  }

  handlers(): Promise<HandlersLeft> {
    return this.#read(() => this.#handlers.left());
  }

  readonly countSettlements: StateStore['countSettlements'] = (callback) =>
    this.#read(() => this.#settlements.count(callback));
  readonly settlementSummaries: StateStore['settlementSummaries'] = () =>
    this.#read(() => this.#settlements.summaries());
  readonly settlements: StateStore['settlements'] = (filter) =>
    this.#read(() => this.#settlements.list(filter));
  readonly actOnSettlement: StateStore['actOnSettlement'] = (...args) =>
    this.#write(this.#settlements.act.bind(this.#settlements, ...args));

  readonly startReplay: StateStore['startReplay'] = (...args) =>
    this.#write(() => this.#replays.start(...args));
  readonly replays: StateStore['replays'] = ({ callback, beforeId, limit }) =>
    this.#read(() => this.#replays.list(callback, beforeId ?? Number.MAX_SAFE_INTEGER, limit));
  readonly openReplays: StateStore['openReplays'] = () => this.#read(() => this.#replays.open());
  readonly replay: StateStore['replay'] = (id) => this.#read(() => this.#replays.show(id));
  readonly actOnReplay: StateStore['actOnReplay'] = (...args) =>
    this.#write(() => this.#replays.act(...args));
  readonly finishReplay: StateStore['finishReplay'] = (...args) =>
    this.#write(() => this.#replays.finish(...args));
  readonly endReplay: StateStore['endReplay'] = (...args) =>
    this.#write(() => {
      this.#replays.cancelled(...args);
    });

  close(): Promise<void> {
    if (this.#db.isOpen) this.#db.close();
    this.#lock?.release();
    return Promise.resolve();
  }

  #apply(change: OwnChange, moves: CursorMoves): void {
    switch (change.type) {
      case 'progress':
        moves.progress(this.#cursors.idOf(change), change);
        return;
      case 'lane-append':
        this.#lanes.append(change, moves);
        return;
      case 'lane-awaiting':
        this.#lanes.awaiting(change, moves);
        return;
      case 'lane-failed':
        this.#lanes.failed(change, moves);
        return;
      case 'lane-delivered':
        this.#lanes.delivered(change, moves);
        return;
      case 'lane-filtered':
        this.#lanes.filtered(change, moves);
        return;
      case 'lane-skipped':
        this.#lanes.skipped(change, moves);
        return;
      case 'lane-dead':
        this.#handOvers.make(change, { ...change, ...this.#lanes.dead(change, moves) }, moves);
        return;
      case 'dead':
        this.#dead(change, moves);
        return;
      case 'callback-gone':
        this.#holds.gone(change);
        return;
      case 'callback-waits':
        this.#holds.waits(change);
        return;
      default:
        unreachable(change);
    }
  }

  /** At its first attempt, so that its key is in no lane. */
  #dead(change: Extract<StateChange, { type: 'dead' }>, moves: CursorMoves): void {
    const { callback, topic, event } = change;
    const cursor = this.#cursors.idOf({ callback, topic, partition: event.partition });
    const { offset, partition } = event;
    const id = this.#deadLetters.add({ ...change, cursor, offset }, event);
    moves.count(cursor, 'dead', 1);
    this.#handOvers.make(change, { id, partition, offset }, moves);
  }

  #read<T>(query: () => T): Promise<T> {
    return this.#transactions.read(query);
  }

  #write<T>(work: () => T): Promise<T> {
    return this.#transactions.write(work);
  }
}
