/** The ports as one simulated process has them: slow, failing, and watched at the moment of each effect. */
import { boundResends } from './bound-resends.ts';
import { RowcallError } from '../../src/errors.ts';
import type { ChangeLog, ChangeLogWriter } from '../../src/log/change-log.ts';
import type { OutgoingEvent, Outcome, Sender } from '../../src/deliver/callback/sender.ts';
import type { StateChange, StateStore } from '../../src/state/state-store.ts';
import { callbackCalls } from './callback-calls.ts';
import type { Books } from './simulation-books.ts';
import type { Faults } from './simulation-faults.ts';
import type { LogCheck } from './simulation-log-check.ts';
import { require } from './simulation-log-check.ts';
import { type BeforeAttempt, keyAtReceiver, type Receiver } from './simulation-receiver.ts';
import type { Owner, Scheduler } from './simulation-scheduler.ts';
import type { Dice } from './workload-random.ts';

/** How long a request that hangs is waited for. */
const TIMEOUT_MS = 2_000;
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
    actOnLane: (id, action, asked) =>
      call('actOnLane', 'STATE_WRITE_FAILED', () => inner.actOnLane(id, action, asked)),
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

/** One process's way to one endpoint. */
export class SimulatedSender implements Sender {
  readonly #receiver: Receiver;
  readonly #concurrency: number;
  readonly #parts: PortParts;
  readonly #keys = new Set<string>();
  /** Virtual ms at which the newest attempt began. */
  #began = -Infinity;

  constructor(receiver: Receiver, concurrency: number, parts: PortParts) {
    this.#receiver = receiver;
    this.#concurrency = concurrency;
    this.#parts = parts;
  }

  async send(event: OutgoingEvent, attempt: number, signal: AbortSignal): Promise<Outcome> {
    const { scheduler, faults } = this.#parts;
    const key = `${event.topic} ${keyAtReceiver(event)}`;
    try {
      this.#receiver.sending(event, attempt, scheduler.now);
      require(!this.#keys.has(key), 'G3', () => `two events of ${key} are in flight`);
      this.#keys.add(key);
      require(this.#keys.size <= this.#concurrency, 'G7', () => `${this.#keys.size} are in flight`);
    } catch (error) {
      faults.report(error);
      throw error;
    }
    const alone = this.#keys.size === 1;
    const silentMs = scheduler.now - this.#began;
    this.#began = scheduler.now;
    try {
      return await this.#exchange(event, { attempt, alone, silentMs }, signal);
    } finally {
      this.#keys.delete(key);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #exchange(
    event: OutgoingEvent,
    { attempt, ...before }: { readonly attempt: number } & BeforeAttempt,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { owner, faults, scheduler } = this.#parts;
    const what = `send ${event.id} to ${this.#receiver.name}`;
    return new Promise((resolve, reject) => {
      let arrived = false;
      const arrive = (): Outcome | null => {
        arrived = true;
        owner.requests.delete(cut);
        return outcomeOf(this.#receiver.arrived(event, attempt, before));
      };
      /** The connection breaks: what was sent is there, or is lost. */
      const cut = (): void => {
        owner.requests.delete(cut);
        if (!arrived && this.#parts.dice.chance(0.5)) arrive();
      };
      const end = (outcome: Outcome, ms: number): void => {
        scheduler.after(ms, owner, `${what}: ${outcome.kind}`, () => {
          signal.removeEventListener('abort', onAbort);
          resolve(outcome);
        });
      };
      const onAbort = (): void => {
        cut();
        reject(signal.reason as Error);
      };
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      signal.addEventListener('abort', onAbort, { once: true });
      owner.requests.add(cut);
      scheduler.after(faults.delay(), owner, `${what}, attempt ${attempt}`, () => {
        if (signal.aborted) return;
        if (!this.#receiver.isReachable(scheduler.now)) {
          owner.requests.delete(cut);
          end({ kind: 'unreachable', error: 'refused' }, faults.delay());
          return;
        }
        const outcome = arrive();
        if (outcome === null) end({ kind: 'failed', error: 'time-out' }, TIMEOUT_MS);
        else end(outcome, faults.delay());
      });
    });
  }
}

/** Null: no answer comes. */
function outcomeOf(answer: ReturnType<Receiver['arrived']>): Outcome | null {
  switch (answer) {
    case 'ok':
      return { kind: 'delivered' };
    case 'accepts':
      return { kind: 'accepted' };
    case 'fails':
      return { kind: 'failed', error: 'HTTP 500' };
    case 'throttles':
      return { kind: 'throttled', error: 'HTTP 429', retryAfterMs: 3_000 };
    case 'lost':
      return { kind: 'failed', error: 'connection reset' };
    case 'gone':
      return { kind: 'gone', error: 'HTTP 410' };
    case 'hangs':
      return null;
  }
}
