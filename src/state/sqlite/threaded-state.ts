/** The SQLite state store in a thread of its own, so that waiting for the disk never stops the sending. */

import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { fromWire } from '../../error-wire.ts';
import { RowcallError } from '../../errors.ts';
import { present } from '../../shared/assert.ts';
import type {
  AuditEntry,
  CallbackHold,
  Cursor,
  DeadLetter,
  DueLane,
  LaneSuperseded,
  LaneSummary,
  PageOf,
  StateChange,
  StateStore,
} from '../state-store.ts';
import type { DueResend, Resend } from '../resend-store.ts';
import type { HandlersLeft } from '../handler-store.ts';
import type { EventAt, Whereabouts } from '../whereabouts.ts';
import type { SqliteStateOptions } from './sqlite-state.ts';
import type { Answer, Call, Method, StateThreadData } from './state-calls.ts';

// The thread's file has this file's ending: .ts from the sources, .js from the build.
const THREAD = new URL(`./state-thread${extname(import.meta.url)}`, import.meta.url);

/** @throws RowcallError as `openSqliteState` */
export async function openThreadedState(options: SqliteStateOptions): Promise<StateStore> {
  const workerData: StateThreadData = options;
  const thread = new StateThread(new Worker(THREAD, { workerData }));
  const id = await thread.next();
  return new ThreadedState(thread, String(id));
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: RowcallError) => void;
}

/**
 * Invariant: one answer per call, in the order of calls, so the oldest waiter takes the next answer. When the
 * thread ends before it answered, what waits has an unknown outcome and fails.
 */
class StateThread {
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  #gone: RowcallError | null = null;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (answer: Answer) => {
      const waiting = present(this.#waiting.shift(), 'the caller of an answer');
      if (answer.ok) waiting.resolve(answer.value);
      else waiting.reject(fromWire(answer.error));
    });
    worker.on('error', (cause: unknown) => {
      this.#end(cause);
    });
    worker.on('exit', () => {
      this.#end(undefined);
    });
  }

  call(call: Call): Promise<unknown> {
    if (this.#gone !== null) return Promise.reject(this.#gone);
    this.#worker.postMessage(call);
    return this.next();
  }

  /** The next answer that nobody waits for yet. */
  next(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
  }

  #end(cause: unknown): void {
    this.#gone ??= new RowcallError('STATE_WRITE_FAILED', 'The thread of the state store ended', {
      cause,
    });
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#gone);
  }
}

class ThreadedState implements StateStore {
  readonly id: string;
  readonly #thread: StateThread;
  #closing: Promise<void> | null = null;

  constructor(thread: StateThread, id: string) {
    this.#thread = thread;
    this.id = id;
  }

  cursors(): Promise<readonly Cursor[]> {
    return this.#call('cursors', []);
  }

  handedOver(): Promise<readonly Cursor[]> {
    return this.#call('handedOver', []);
  }

  openCursors(...args: Parameters<StateStore['openCursors']>): Promise<void> {
    return this.#call('openCursors', args);
  }

  commit(changes: readonly StateChange[]): Promise<readonly LaneSuperseded[]> {
    return this.#call('commit', [changes.map(detached)]);
  }

  dueLanes(...args: Parameters<StateStore['dueLanes']>): Promise<readonly DueLane[]> {
    return this.#call('dueLanes', args);
  }

  lanesToSkip(...args: Parameters<StateStore['lanesToSkip']>): Promise<readonly DueLane[]> {
    return this.#call('lanesToSkip', args);
  }

  nextDueAt(callback: string): Promise<number | null> {
    return this.#call('nextDueAt', [callback]);
  }

  awaitedLanes(
    ...args: Parameters<StateStore['awaitedLanes']>
  ): ReturnType<StateStore['awaitedLanes']> {
    return this.#call('awaitedLanes', args);
  }

  complete(...args: Parameters<StateStore['complete']>): ReturnType<StateStore['complete']> {
    return this.#call('complete', args);
  }

  endingOf(...args: Parameters<StateStore['endingOf']>): ReturnType<StateStore['endingOf']> {
    return this.#call('endingOf', args);
  }

  completions(filter: PageOf): ReturnType<StateStore['completions']> {
    return this.#call('completions', [filter]);
  }

  completionKey(): Promise<Uint8Array> {
    return this.#call('completionKey', []);
  }

  lanes(...args: Parameters<StateStore['lanes']>): Promise<readonly LaneSummary[]> {
    return this.#call('lanes', args);
  }

  lane(id: number): ReturnType<StateStore['lane']> {
    return this.#call('lane', [id]);
  }

  actOnLane(...args: Parameters<StateStore['actOnLane']>): Promise<void> {
    return this.#call('actOnLane', args);
  }

  callbackHolds(): Promise<readonly CallbackHold[]> {
    return this.#call('callbackHolds', []);
  }

  actOnCallback(...args: Parameters<StateStore['actOnCallback']>): Promise<void> {
    return this.#call('actOnCallback', args);
  }

  deadLetters(filter: PageOf): Promise<readonly DeadLetter[]> {
    return this.#call('deadLetters', [filter]);
  }

  deadLetter(id: number): ReturnType<StateStore['deadLetter']> {
    return this.#call('deadLetter', [id]);
  }

  audit(filter: PageOf): Promise<readonly AuditEntry[]> {
    return this.#call('audit', [filter]);
  }

  registered(): ReturnType<StateStore['registered']> {
    return this.#call('registered', []);
  }

  registerCallback(
    ...args: Parameters<StateStore['registerCallback']>
  ): ReturnType<StateStore['registerCallback']> {
    return this.#call('registerCallback', args);
  }

  noteVersion(
    ...args: Parameters<StateStore['noteVersion']>
  ): ReturnType<StateStore['noteVersion']> {
    return this.#call('noteVersion', args);
  }

  noteTest(...args: Parameters<StateStore['noteTest']>): Promise<void> {
    return this.#call('noteTest', args);
  }

  callbackVersions(
    ...args: Parameters<StateStore['callbackVersions']>
  ): ReturnType<StateStore['callbackVersions']> {
    return this.#call('callbackVersions', args);
  }

  removeCallback(
    ...args: Parameters<StateStore['removeCallback']>
  ): ReturnType<StateStore['removeCallback']> {
    return this.#call('removeCallback', args);
  }

  removedCallbacks(): ReturnType<StateStore['removedCallbacks']> {
    return this.#call('removedCallbacks', []);
  }

  purgeCallback(
    ...args: Parameters<StateStore['purgeCallback']>
  ): ReturnType<StateStore['purgeCallback']> {
    return this.#call('purgeCallback', args);
  }

  forgetRemoved(
    ...args: Parameters<StateStore['forgetRemoved']>
  ): ReturnType<StateStore['forgetRemoved']> {
    return this.#call('forgetRemoved', args);
  }

  keptAnswer(...args: Parameters<StateStore['keptAnswer']>): ReturnType<StateStore['keptAnswer']> {
    return this.#call('keptAnswer', args);
  }

  keepAnswer(...args: Parameters<StateStore['keepAnswer']>): ReturnType<StateStore['keepAnswer']> {
    return this.#call('keepAnswer', args);
  }

  scanDeadLetters(
    ...args: Parameters<StateStore['scanDeadLetters']>
  ): ReturnType<StateStore['scanDeadLetters']> {
    return this.#call('scanDeadLetters', args);
  }

  countDeadLetters(
    ...args: Parameters<StateStore['countDeadLetters']>
  ): ReturnType<StateStore['countDeadLetters']> {
    return this.#call('countDeadLetters', args);
  }

  resendOne(...args: Parameters<StateStore['resendOne']>): Promise<Resend> {
    return this.#call('resendOne', args);
  }

  resendMany(...args: Parameters<StateStore['resendMany']>): Promise<Resend> {
    return this.#call('resendMany', args);
  }

  resends(...args: Parameters<StateStore['resends']>): Promise<readonly Resend[]> {
    return this.#call('resends', args);
  }

  resend(id: number): ReturnType<StateStore['resend']> {
    return this.#call('resend', [id]);
  }

  actOnResend(...args: Parameters<StateStore['actOnResend']>): Promise<Resend> {
    return this.#call('actOnResend', args);
  }

  dueResends(...args: Parameters<StateStore['dueResends']>): Promise<readonly DueResend[]> {
    return this.#call('dueResends', args);
  }

  nextResendAt(callback: string): Promise<number | null> {
    return this.#call('nextResendAt', [callback]);
  }

  whereabouts(at: EventAt): Promise<Whereabouts> {
    return this.#call('whereabouts', [at]);
  }

  handlers(): Promise<HandlersLeft> {
    return this.#call('handlers', []);
  }

  countSettlements(
    ...args: Parameters<StateStore['countSettlements']>
  ): ReturnType<StateStore['countSettlements']> {
    return this.#call('countSettlements', args);
  }

  settlementSummaries(): ReturnType<StateStore['settlementSummaries']> {
    return this.#call('settlementSummaries', []);
  }

  settlements(
    ...args: Parameters<StateStore['settlements']>
  ): ReturnType<StateStore['settlements']> {
    return this.#call('settlements', args);
  }

  actOnSettlement(
    ...args: Parameters<StateStore['actOnSettlement']>
  ): ReturnType<StateStore['actOnSettlement']> {
    return this.#call('actOnSettlement', args);
  }

  setMirroring(on: boolean): Promise<void> {
    return this.#call('setMirroring', [on]);
  }

  unmirroredLetters(
    ...args: Parameters<StateStore['unmirroredLetters']>
  ): ReturnType<StateStore['unmirroredLetters']> {
    return this.#call('unmirroredLetters', args);
  }

  countUnmirrored(): ReturnType<StateStore['countUnmirrored']> {
    return this.#call('countUnmirrored', []);
  }

  lettersMirrored(ids: readonly number[]): Promise<void> {
    return this.#call('lettersMirrored', [ids]);
  }

  startReplay(
    ...args: Parameters<StateStore['startReplay']>
  ): ReturnType<StateStore['startReplay']> {
    return this.#call('startReplay', args);
  }

  replays(...args: Parameters<StateStore['replays']>): ReturnType<StateStore['replays']> {
    return this.#call('replays', args);
  }

  openReplays(
    ...args: Parameters<StateStore['openReplays']>
  ): ReturnType<StateStore['openReplays']> {
    return this.#call('openReplays', args);
  }

  replay(...args: Parameters<StateStore['replay']>): ReturnType<StateStore['replay']> {
    return this.#call('replay', args);
  }

  actOnReplay(
    ...args: Parameters<StateStore['actOnReplay']>
  ): ReturnType<StateStore['actOnReplay']> {
    return this.#call('actOnReplay', args);
  }

  finishReplay(
    ...args: Parameters<StateStore['finishReplay']>
  ): ReturnType<StateStore['finishReplay']> {
    return this.#call('finishReplay', args);
  }

  endReplay(...args: Parameters<StateStore['endReplay']>): ReturnType<StateStore['endReplay']> {
    return this.#call('endReplay', args);
  }

  close(): Promise<void> {
    this.#closing ??= this.#call('close', []);
    return this.#closing;
  }

  async #call<M extends Method>(
    method: M,
    args: Parameters<StateStore[M]>,
  ): Promise<Awaited<ReturnType<StateStore[M]>>> {
    return (await this.#thread.call({ method, args })) as Awaited<ReturnType<StateStore[M]>>;
  }
}

/** A value is a view of what was fetched from the log; posting the view would copy all that was fetched. */
function detached(change: StateChange): StateChange {
  if (change.type !== 'lane-append' && change.type !== 'dead') return change;
  if (change.event.value === null) return change;
  return { ...change, event: { ...change.event, value: Uint8Array.from(change.event.value) } };
}
