/** The callbacks at work: which there are, and how one comes, changes or goes while the others go on. */

import type { TopicInfo } from '../log/change-log.ts';
import { abortable } from '../shared/abort.ts';
import type { Cursor } from '../state/state-store.ts';
import type { CallbackOptions } from './callback-options.ts';
import { CallbackRunner, type RunnerParts } from './callback-runner.ts';
import { fresh, fromZero, openCursors } from './intake/open-cursors.ts';

export interface RunnersParts extends RunnerParts {
  readonly acceptLostState: boolean;
}

/**
 * Invariant: of a callback one runner works at a time. A changed one begins when the one before has retired, from what
 * that made durable; so nothing is sent twice or passed over because of the change, and the events of a key stay in
 * order across it. Cursors are made by one piece of work at a time: a topic that appears while a callback is being
 * added is opened for it once.
 */
export class Runners {
  readonly #parts: RunnersParts;
  readonly #runners = new Map<string, CallbackRunner>();
  /** Topics that every runner reads. */
  readonly #known = new Set<string>();
  #last: Promise<void> = Promise.resolve();
  /** The newest change of each callback that is under way. */
  readonly #changing = new Map<string, Promise<void>>();

  constructor(parts: RunnersParts) {
    this.#parts = parts;
  }

  get all(): readonly CallbackRunner[] {
    return [...this.#runners.values()];
  }

  /** Begins with callbacks whose cursors are open already. */
  async begin(
    callbacks: readonly CallbackOptions[],
    cursors: ReadonlyMap<string, readonly Cursor[]>,
  ): Promise<void> {
    // What capture has made since they were opened is new to every callback, as what it makes from now on.
    for (const { topic } of [...cursors.values()].flat()) this.#known.add(topic);
    for (const callback of callbacks) {
      const given = { cursors: cursors.get(callback.name) ?? [] };
      this.#runners.set(callback.name, await CallbackRunner.open(callback, this.#parts, given));
    }
    await this.#openHandlers();
    for (const runner of this.all) runner.feed(cursors.get(runner.name) ?? []);
  }

  /**
   * Begins a callback, or goes on with another version of one. What was in flight ends under the version before, and
   * is waited for.
   *
   * @throws RowcallError as `openCursors`; then its sender is still the caller's to close
   */
  put(options: CallbackOptions): Promise<void> {
    return this.#inTurn(options.name, () => this.#put(options));
  }

  async #put(options: CallbackOptions): Promise<void> {
    const { signal } = this.#parts;
    const before = this.#runners.get(options.name);
    if (before !== undefined) await abortable(before.retire(), signal);
    await this.#alone(async () => {
      signal.throwIfAborted();
      const opened = await openCursors([options], this.#parts);
      const given = { cursors: opened.get(options.name) ?? [], before };
      const runner = await CallbackRunner.open(options, this.#parts, given);
      if (signal.aborted) {
        // Whoever stops all of them may be done with that already.
        await runner.leave();
        signal.throwIfAborted();
      }
      this.#runners.set(options.name, runner);
      runner.feed(opened.get(options.name) ?? []);
    });
  }

  /** Ends a callback; its cursors and lanes stay as they are. */
  take(name: string): Promise<void> {
    return this.#inTurn(name, async () => {
      const runner = this.#runners.get(name);
      if (runner === undefined) return;
      await abortable(runner.retire(), this.#parts.signal);
      this.#runners.delete(name);
      this.#parts.handOvers.forget(name);
    });
  }

  /** What was cut off is judged; of a callback that is not there any more it is forgotten. */
  async #openHandlers(): Promise<void> {
    const { handlers, settler } = this.#parts;
    const orphan = handlers.takeCutOff();
    if (orphan !== null) {
      settler.change({ type: 'handler-alone', callback: orphan.callback, attempt: null });
    }
    if (handlers.wasAlone) await settler.durable();
    handlers.open();
  }

  /** Topics made since are read from their beginning. */
  openNewTopics(): Promise<void> {
    const { log, signal } = this.#parts;
    return this.#alone(async () => {
      const all = await abortable(log.topics(), signal);
      const topics = all.filter(({ name }) => !this.#known.has(name));
      if (topics.length === 0) return;
      for (const runner of this.#runners.values()) {
        if (!runner.isReplay) await this.#open(runner, topics);
      }
      for (const { name } of topics) this.#known.add(name);
    });
  }

  async #open(runner: CallbackRunner, topics: readonly TopicInfo[]): Promise<void> {
    // One that was put after such a topic was made has its cursors already; one that retires gets them when it is back.
    const missing = topics.filter(({ name }) => !runner.reads(name));
    if (missing.length === 0 || runner.retiring) return;
    const cursors = fromZero(runner.name, missing);
    await this.#parts.state.openCursors(cursors);
    runner.feed(cursors.map(fresh));
  }

  /** One change of a callback after another: two at once would both begin a runner in the place of the same one. */
  #inTurn(name: string, change: () => Promise<void>): Promise<void> {
    const done = (this.#changing.get(name) ?? Promise.resolve()).then(change);
    const ended = settled(done);
    this.#changing.set(name, ended);
    return done.finally(() => {
      if (this.#changing.get(name) === ended) this.#changing.delete(name);
    });
  }

  /** One piece of work after another. */
  #alone(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = settled(done);
    return done;
  }
}

/** When it has ended. That it failed is its caller's to hear: whoever comes next waits for its end alone. */
function settled(work: Promise<void>): Promise<void> {
  return work.catch(() => undefined);
}
