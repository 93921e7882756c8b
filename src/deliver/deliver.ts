/** The delivery leg: records of the log become callbacks, in order per key, until each is done. */

import { RowcallError, toRowcallError } from '../errors.ts';
import type { ChangeLog } from '../log/change-log.ts';
import { abortable } from '../shared/abort.ts';
import type { Clock, Random } from '../shared/clock.ts';
import type { LargeWork } from '../shared/large-work.ts';
import type { Logger } from '../shared/logger.ts';
import type { Service } from '../shared/service.ts';
import type { Cursor, StateStore } from '../state/state-store.ts';
import type { CallbackOptions } from './callback-options.ts';
import type { CallbackSnapshot } from './callback-runner.ts';
import type { CompletionDesk } from './completion/completion-desk.ts';
import { HoldWatch } from './hold-watch.ts';
import { Appended } from './intake/appended.ts';
import { Fetcher } from './intake/fetcher.ts';
import { News } from './intake/news.ts';
import { openCursors } from './intake/open-cursors.ts';
import { Tail } from './intake/tail.ts';
import { HandOvers } from './lane/hand-overs.ts';
import { HandlerTurns } from './lane/handler-turns.ts';
import { SharedEndpoints } from './lane/shared-endpoint.ts';
import { Turns } from './lane/turns.ts';
import { Runners } from './runners.ts';
import { Settler } from './settle/settler.ts';

/** How often the log is told what it may forget; also how soon it is told again where it could not be. */
const LOW_WATER_MS = 5_000;
/** How long a stop waits for the log to hear it. */
const LAST_LOW_WATER_MS = 2_000;

export interface DeliverParts {
  /** Whose checkpoint is in the log. */
  readonly name: string;
  readonly log: ChangeLog;
  readonly state: StateStore;
  readonly callbacks: readonly CallbackOptions[];
  readonly large: LargeWork;
  /** Where receivers tell the ends of events; absent where nothing can be told. */
  readonly desk?: CompletionDesk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Go on from the marks in the log where the state store was lost. */
  readonly acceptLostState: boolean;
  /** How long attempts in flight may go on after a stop. */
  readonly drainTimeoutMs: number;
}

/** By callback. */
type OpenedCursors = ReadonlyMap<string, readonly Cursor[]>;

export interface DeliverSnapshot {
  readonly running: boolean;
  readonly commits: number;
  readonly callbacks: readonly CallbackSnapshot[];
}

/**
 * Invariant: what was read is either settled and durable in the state store, or will be read again from
 * there. Stopping therefore loses nothing: intake ends, attempts in flight end or are abandoned at the drain's
 * deadline, what settled is committed, and the log is told how far we are.
 */
export class Deliver implements Service {
  readonly name = 'deliver';
  readonly #parts: DeliverParts;
  readonly #cursors: OpenedCursors;
  readonly #news = new News();
  readonly #stopping = new AbortController();
  readonly #abandon = new AbortController();
  readonly #tail: Tail;
  /** Resolves when the callbacks work, which may then be changed. */
  readonly #begun = Promise.withResolvers<Runners>();
  #runners: Runners | null = null;
  #working = false;
  readonly #holds: HoldWatch;
  #settler: Settler | null = null;
  #failure: unknown = null;

  /**
   * Proves that state and log belong together, and saves where callbacks begin that are new. Nothing is read or sent
   * before `run`; but capture may begin only afterwards, or it would save its first place into a log that is a new
   * one by mistake.
   *
   * @throws RowcallError as `openCursors`
   */
  static async open(parts: DeliverParts): Promise<Deliver> {
    return new Deliver(parts, await openCursors(parts.callbacks, parts));
  }

  private constructor(parts: DeliverParts, cursors: OpenedCursors) {
    this.#parts = parts;
    this.#cursors = cursors;
    this.#tail = new Tail(parts.log, this.#stopping.signal);
    this.#holds = new HoldWatch(parts.state, parts.clock, () => this.#runners?.all ?? []);
  }

  /** Runs until the signal aborts. Rejects when the state store or the log cannot be used any more. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = (): void => {
      this.#stopping.abort(new Error('Delivery is stopping'));
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    const { log, clock, state } = this.#parts;
    const settler = new Settler(state, clock, this.#fail);
    this.#settler = settler;
    const stopListening = log.onAppend(() => {
      this.#news.announce();
    });
    try {
      await this.#begin(settler);
      await this.#followLog();
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#fail(error);
    } finally {
      signal.removeEventListener('abort', stop);
      stopListening();
    }
    await this.#drain(settler);
    if (this.#failure !== null) throw toRowcallError(this.#failure);
  }

  /** In the place of `run`, where that is not wanted any more: what it holds is closed, and nobody waits for it. */
  async discard(): Promise<void> {
    this.#stopping.abort(new Error('Delivery does not begin'));
    await Promise.all(this.#parts.callbacks.map(({ sender }) => sender.close()));
  }

  snapshot(): DeliverSnapshot {
    return {
      running: this.#working && !this.#stopping.signal.aborted,
      commits: this.#settler?.commits ?? 0,
      callbacks: this.#runners?.all.map((runner) => runner.snapshot()) ?? [],
    };
  }

  /**
   * Begins a callback, goes on with another version of one, or (given a name) ends one. Resolves when that is done:
   * attempts in flight end first, each within its own time. One change of a callback at a time.
   *
   * @throws RowcallError as `open`, and the signal's reason; the leg then ends
   */
  async change(callback: CallbackOptions | string): Promise<void> {
    try {
      const runners = await abortable(this.#begun.promise, this.#stopping.signal);
      await (typeof callback === 'string' ? runners.take(callback) : runners.put(callback));
    } catch (error) {
      if (typeof callback !== 'string') await callback.sender.close();
      if (!this.#stopping.signal.aborted) this.#fail(error);
      throw error;
    }
  }

  /** Resolves when what was stored of callbacks as a whole (disabled, resumed), and of resends, holds here. */
  async lookAtHolds(): Promise<void> {
    const runners = this.#runners?.all ?? [];
    await Promise.all([this.#holds.look(), ...runners.map((runner) => runner.lookAtResends())]);
  }

  readonly #fail = (error: unknown): void => {
    this.#failure ??= error;
    this.#stopping.abort(error);
  };

  async #begin(settler: Settler): Promise<void> {
    const { callbacks, clock, log, name, state } = this.#parts;
    const runners = new Runners({
      ...this.#parts,
      settler,
      handOvers: new HandOvers(state, settler),
      handlers: await HandlerTurns.begin(state),
      fetcher: new Fetcher(log, clock),
      turns: new Turns(clock),
      endpoints: new SharedEndpoints(),
      tail: this.#tail,
      appended: new Appended(log, name, { news: this.#news, signal: this.#stopping.signal }),
      signal: this.#stopping.signal,
      abandon: this.#abandon.signal,
      onFailure: this.#fail,
    });
    this.#runners = runners;
    await runners.begin(callbacks, this.#cursors);
    this.#working = true;
    this.#begun.resolve(runners);
    this.#holds.run(this.#stopping.signal).catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) this.#fail(error);
    });
  }

  /** The leg's own loop: feeds are woken, new topics read from their beginning, and the log hears how far we are. */
  async #followLog(): Promise<never> {
    const { clock } = this.#parts;
    const signal = this.#stopping.signal;
    const cancel = this.#everyLowWater();
    try {
      for (;;) {
        const seen = this.#news.version;
        await abortable(this.#tail.look(), signal);
        await this.#runners?.openNewTopics();
        await this.#news.after(seen, signal);
        // Many appends are one look.
        await new Promise<void>((resolve) => {
          clock.soon(resolve);
        });
      }
    } finally {
      cancel();
    }
  }

  #everyLowWater(): () => void {
    const { clock } = this.#parts;
    let cancel: () => void;
    const tick = (): void => {
      this.#tellLowWater().catch(this.#fail);
      cancel = clock.timer(LOW_WATER_MS, tick);
    };
    cancel = clock.timer(LOW_WATER_MS, tick);
    return () => {
      cancel();
    };
  }

  /**
   * What the log does not hear it keeps: a failure that may pass holds up nothing but retention, and the next turn
   * or the next start says all of it again. To end the leg for it would make receivers take events twice.
   */
  async #tellLowWater(): Promise<void> {
    const { log, state, logger } = this.#parts;
    try {
      for (const runner of this.#runners?.all ?? []) {
        if (!runner.isReplay) await log.setLowWater(runner.name, state.id, runner.marks());
      }
    } catch (error) {
      if (!(error instanceof RowcallError) || !error.retriable) throw error;
      const fields = { code: error.code, place: error.place, cure: error.cure };
      logger.warn(fields, `The log could not be told how far delivery is: ${error.message}`);
    }
  }

  /** The log may be away, and is then not waited for: what it does not hear it keeps. */
  #tellLastLowWater(): Promise<void> {
    const { clock } = this.#parts;
    return new Promise((resolve, reject) => {
      const cancel = clock.timer(LAST_LOW_WATER_MS, resolve);
      this.#tellLowWater().then(resolve, reject).finally(cancel);
    });
  }

  /** Attempts in flight end, or are abandoned at the deadline; what settled is durable afterwards. */
  async #drain(settler: Settler): Promise<void> {
    const { clock, drainTimeoutMs } = this.#parts;
    const cancel = clock.timer(drainTimeoutMs, () => {
      this.#abandon.abort(new Error('The drain deadline has passed'));
    });
    if (this.#failure !== null) this.#abandon.abort(this.#failure);
    try {
      await Promise.all((this.#runners?.all ?? []).map((runner) => runner.stop()));
      if (this.#failure === null) {
        // Also after the deadline: it ends attempts, not what is known of those that had ended before.
        await settler.durable();
        await this.#tellLastLowWater();
      }
    } catch (error) {
      this.#failure ??= error;
    } finally {
      cancel();
    }
  }
}
