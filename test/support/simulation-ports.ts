/** The ports as one simulated process has them: slow, failing, and watched at the moment of each effect. */
import { boundResends } from './bound-resends.ts';
import { RowcallError } from '../../src/errors.ts';
import type { ChangeLog, ChangeLogWriter } from '../../src/log/change-log.ts';
import type { StateChange, StateStore } from '../../src/state/state-store.ts';
import { callbackCalls } from './callback-calls.ts';
import type { Books } from './simulation-books.ts';
import type { Faults } from './simulation-faults.ts';
import type { LogCheck } from './simulation-log-check.ts';
import type { Owner, Scheduler } from './simulation-scheduler.ts';
import type { Dice } from './workload-random.ts';

/** A log that is full, per append. A log on other machines has no limit of its own. */
const FULL = 0.02;

export interface SimulatedProcess extends Owner {
  /** Requests on their way: at a crash each of them arrives at once or never. */
  readonly requests: Set<() => void>;
}

export interface PortParts {
  readonly owner: SimulatedProcess;
  readonly faults: Faults;
  readonly dice: Dice;
  readonly scheduler: Scheduler;
  readonly logCheck: LogCheck;
  readonly books: Books;
  /** The log is on other machines: it fails by itself too, and its brokers tell what became durable. */
  readonly remote: boolean;
}

export function faultyLog(inner: ChangeLog, parts: PortParts): ChangeLog {
  const { owner, faults, books } = parts;
  const unread = parts.remote ? 'LOG_UNREACHABLE' : 'LOG_UNUSABLE';
  const read = <T>(name: string, effect: () => Promise<T>): Promise<T> =>
    faults.call(owner, name, unread, effect);
  const write = <T>(name: string, effect: () => Promise<T>): Promise<T> =>
    faults.call(owner, name, 'LOG_WRITE_FAILED', effect);
  return {
    openWriter: (name) =>
      write('openWriter', async () => faultyWriter(await inner.openWriter(name), parts)),
    readCheckpoint: (name) => read('readCheckpoint', () => inner.readCheckpoint(name)),
    setCheckpoint: (name, text) => write('setCheckpoint', () => inner.setCheckpoint(name, text)),
    topics: () => read('topics', () => inner.topics()),
    read: (at, offset, maxBytes) =>
      // Small reads: what a process holds in memory ends at other places from run to run.
      read('read', () => inner.read(at, offset, Math.min(maxBytes, parts.dice.between(1, 4_000)))),
    bounds: (at) => read('bounds', () => inner.bounds(at)),
    writtenEnd: (at) => read('writtenEnd', () => inner.writtenEnd(at)),
    offsetForTimestamp: (at, time) =>
      read('offsetForTimestamp', () => inner.offsetForTimestamp(at, time)),
    onAppend: (listener) =>
      inner.onAppend(() => {
        if (owner.alive) listener();
      }),
    setLowWater: (consumer, stateId, marks) =>
      write('setLowWater', async () => {
        books.marked(consumer, marks);
        await inner.setLowWater(consumer, stateId, marks);
      }),
    lowWater: () => read('lowWater', () => inner.lowWater()),
    applyRetention: (now, consumers) => inner.applyRetention(now, consumers),
    usage: () => inner.usage(),
    close: () => inner.close(),
  };
}

/** After a failure of unknown outcome the writer is dead, as its port says. */
function faultyWriter(inner: ChangeLogWriter, parts: PortParts): ChangeLogWriter {
  const { owner, faults, logCheck, remote } = parts;
  const inFlight = new Set<Promise<unknown>>();
  let dead: RowcallError | null = null;
  const write = async <T>(name: string, effect: () => Promise<T>): Promise<T> => {
    if (dead !== null) throw dead;
    const working = faults.call(owner, name, 'LOG_WRITE_FAILED', effect);
    inFlight.add(working);
    try {
      return await working;
    } catch (error) {
      if (error instanceof RowcallError && error.code !== 'LOG_FULL') dead ??= error;
      throw error;
    } finally {
      inFlight.delete(working);
    }
  };
  return {
    checkpoint: inner.checkpoint,
    createTopics: (topics) => write('createTopics', () => inner.createTopics(topics)),
    append: (batches, checkpoint) =>
      write('append', async () => {
        if (batches.length > 0 && !remote && faults.strikes(FULL)) {
          throw new RowcallError('LOG_FULL', 'Injected into append');
        }
        await inner.append(batches, checkpoint);
        if (!remote) logCheck.appended(batches, checkpoint);
      }),
    close: async () => {
      await Promise.allSettled(inFlight);
      await inner.close();
    },
  };
}

/** After a commit of unknown outcome the store answers this process nothing more. */
export function faultyState(inner: StateStore, parts: PortParts): StateStore {
  const { owner, faults, books } = parts;
  let broken: RowcallError | null = null;
  const call = async <T>(
    name: string,
    failure: 'STATE_WRITE_FAILED' | 'STATE_UNUSABLE',
    effect: () => Promise<T>,
  ): Promise<T> => {
    if (broken !== null) throw broken;
    try {
      return await faults.call(owner, name, failure, effect);
    } catch (error) {
      if (failure === 'STATE_WRITE_FAILED' && error instanceof RowcallError) broken ??= error;
      throw error;
    }
  };
  const read = <T>(name: string, effect: () => Promise<T>): Promise<T> =>
    call(name, 'STATE_UNUSABLE', effect);
  return {
    id: inner.id,
    ...boundResends(inner),
    dueResends: (callback, now, limit, busy) =>
      call('dueResends', 'STATE_WRITE_FAILED', async () => {
        const due = await inner.dueResends(callback, now, limit, busy);
        await books.resends.verify(inner);
        return due;
      }),
    nextResendAt: (callback) => read('nextResendAt', () => inner.nextResendAt(callback)),
    cursors: () => read('cursors', () => inner.cursors()),
    handedOver: () => read('handedOver', () => inner.handedOver()),
    openCursors: (cursors) =>
      call('openCursors', 'STATE_WRITE_FAILED', async () => {
        await inner.openCursors(cursors);
        books.opened(cursors);
        await books.verify(inner);
      }),
    commit: (changes: readonly StateChange[]) =>
      call('commit', 'STATE_WRITE_FAILED', async () => {
        const superseded = await inner.commit(changes);
        books.committed(changes);
        await books.verify(inner);
        return superseded;
      }),
    dueLanes: (callback, now, limit, busy) =>
      read('dueLanes', () => inner.dueLanes(callback, now, limit, busy)),
    lanesToSkip: (callback, limit, busy) =>
      read('lanesToSkip', () => inner.lanesToSkip(callback, limit, busy)),
    nextDueAt: (callback) => read('nextDueAt', () => inner.nextDueAt(callback)),
    awaitedLanes: (callback, now, limit, busy) =>
      read('awaitedLanes', () => inner.awaitedLanes(callback, now, limit, busy)),
    complete: (attempt, completion, at) =>
      call('complete', 'STATE_WRITE_FAILED', async () => {
        const answer = await inner.complete(attempt, completion, at);
        if (answer === 'taken') books.ended(attempt, completion, at.nowMs);
        return answer;
      }),
    endingOf: (attempt) => read('endingOf', () => inner.endingOf(attempt)),
    completions: (filter) => read('completions', () => inner.completions(filter)),
    completionKey: () => call('completionKey', 'STATE_WRITE_FAILED', () => inner.completionKey()),
    lanes: (filter) => read('lanes', () => inner.lanes(filter)),
    lane: (id) => read('lane', () => inner.lane(id)),
    actOnLane: (...args) => call('actOnLane', 'STATE_WRITE_FAILED', () => inner.actOnLane(...args)),
    callbackHolds: () => read('callbackHolds', () => inner.callbackHolds()),
    actOnCallback: (name, action, asked) =>
      call('actOnCallback', 'STATE_WRITE_FAILED', () => inner.actOnCallback(name, action, asked)),
    deadLetters: (filter) => read('deadLetters', () => inner.deadLetters(filter)),
    deadLetter: (id) => read('deadLetter', () => inner.deadLetter(id)),
    audit: (filter) => read('audit', () => inner.audit(filter)),
    ...callbackCalls(inner),
    close: () => Promise.resolve(),
  };
}
