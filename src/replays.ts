/** The replays of this process: begun, held and ended as the state store says. */

import type { LiveCallback } from './callback-set.ts';
import type { CallbackOptions } from './deliver/callback-options.ts';
import type { DeliverSnapshot } from './deliver/deliver.ts';
import { proveCursors } from './deliver/intake/prove-progress.ts';
import { RowcallError, toRowcallError } from './errors.ts';
import { type ChangeLog, type LowWaterMark, REMOVED_CONSUMER } from './log/change-log.ts';
import { refuseUnreplayable } from './replay-callback.ts';
import type { Clock } from './shared/clock.ts';
import type { Logger } from './shared/logger.ts';
import type { Service } from './shared/service.ts';
import { Wakeup } from './shared/wakeup.ts';
import {
  isReplayName,
  type NewReplay,
  rangeOf,
  type Replay,
  type ReplayAction,
  replayName,
} from './state/replay-store.ts';
import type { Asked, StateStore } from './state/state-store.ts';

/** How soon a change of the callback, or what another process asked for, is seen. */
const LOOK_AGAIN_MS = 500;
/** How often the log is told what it must keep. */
const MARKS_MS = 5_000;

/** The delivery leg, as far as replays are concerned. */
interface Leg {
  change(callback: CallbackOptions | string): Promise<void>;
  snapshot(): DeliverSnapshot;
}

export interface ReplaysParts {
  readonly state: StateStore;
  readonly log: ChangeLog;
  readonly callbacks: { get(name: string): LiveCallback | undefined };
  /** Makes what a replay is called with. @throws RowcallError where that cannot be had */
  readonly build: (live: LiveCallback, replay: Replay) => Promise<CallbackOptions>;
  /** Whether the log keeps what a consumer has yet to read. */
  readonly logKeeps: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Every look compares what is stored with what works here, and does what differs: so a start after a crash, a callback
 * that was changed or removed, and a wish of a person are all the same case. Invariant: of a replay one piece of work is
 * under way at a time, and it is ended in the store only when nobody works for it any more.
 */
export class Replays implements Service {
  readonly name = 'replays';
  readonly #parts: ReplaysParts;
  readonly #wakeup = new Wakeup();
  #leg: Promise<Leg> | null = null;
  /** With which form of the callback each was begun. */
  readonly #begun = new Map<number, LiveCallback>();
  readonly #busy = new Set<number>();
  readonly #marked = new Map<number, number>();
  readonly #failed = new AbortController();

  constructor(parts: ReplaysParts) {
    this.#parts = parts;
  }

  /** Whoever calls back. It may be about to be made, from `options`. */
  attach(leg: Promise<Leg>): void {
    this.#leg = leg;
  }

  /** What those that run are called with, made anew: whoever takes them closes their senders. */
  async options(): Promise<CallbackOptions[]> {
    this.#begun.clear();
    const all: CallbackOptions[] = [];
    for (const replay of await this.#parts.state.openReplays()) {
      const live = this.#parts.callbacks.get(replay.callback);
      if (replay.state !== 'running' || live === undefined) continue;
      const options = await this.#built(replay, live);
      // One that cannot go on is cancelled by the next look, and holds up nobody's start.
      if (typeof options === 'string') continue;
      all.push(options);
      this.#begun.set(replay.id, live);
    }
    return all;
  }

  /** Resolves when it is durable. @throws RowcallError REPLAY_RUNNING */
  async start(next: NewReplay, asked: Asked): Promise<Replay> {
    const replay = await this.#parts.state.startReplay(next, asked);
    this.#wakeup.wake();
    return replay;
  }

  /** Resolves when it is durable. @throws RowcallError REPLAY_UNKNOWN, REPLAY_ENDED */
  async act(id: number, action: ReplayAction, asked: Asked): Promise<Replay> {
    const replay = await this.#parts.state.actOnReplay(id, action, asked);
    this.#wakeup.wake();
    return replay;
  }

  /** Runs until the signal aborts. Rejects when the state store or the log cannot be used any more. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, state } = this.#parts;
    const ended = AbortSignal.any([signal, this.#failed.signal]);
    try {
      await this.#forgetOthers();
      for (;;) {
        for (const replay of await state.openReplays()) this.#look(replay, signal);
        await this.#wakeup.wait(ended, { clock, ms: LOOK_AGAIN_MS });
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #look(replay: Replay, signal: AbortSignal): void {
    if (this.#busy.has(replay.id)) return;
    this.#busy.add(replay.id);
    this.#workOn(replay)
      .catch((error: unknown) => {
        if (!signal.aborted) this.#tolerate(error);
      })
      .finally(() => {
        this.#busy.delete(replay.id);
      });
  }

  /** What may pass is tried again by the next look. */
  #tolerate(error: unknown): void {
    const { code, message, cure, retriable } = toRowcallError(error);
    // A person was there first.
    if (code === 'REPLAY_ENDED') return;
    if (!retriable || code === 'STATE_WRITE_FAILED') this.#failed.abort(error);
    else this.#parts.logger.warn({ code, cure }, `A replay could not be seen to: ${message}`);
  }

  async #workOn(replay: Replay): Promise<void> {
    const { state, clock } = this.#parts;
    const { id } = replay;
    const why = replay.state === 'cancelling' ? null : await this.#goOn(replay);
    if (why !== null) {
      await state.actOnReplay(id, 'cancel', { actor: 'rowcall', reason: why, atMs: clock.now() });
      this.#parts.logger.error({ replay: id, callback: replay.callback, why }, CANCELLED);
    }
    if (why !== null || replay.state === 'cancelling') {
      await this.#retire(replay);
      await state.endReplay(id, clock.now());
      await this.#ended(replay);
    } else if (replay.state === 'running' && (await state.finishReplay(id, clock.now()))) {
      await this.#retire(replay);
      await this.#ended(replay);
    }
  }

  /** Has it work as it is to. Returns why it cannot, or null. */
  async #goOn(replay: Replay): Promise<string | null> {
    const live = this.#parts.callbacks.get(replay.callback);
    if (live === undefined) return `${replay.callback} was removed`;
    await this.#tellMarks(replay);
    if (replay.state === 'paused') {
      await this.#retire(replay);
      return null;
    }
    // Another form of the callback is another object.
    if (this.#begun.get(replay.id) === live) return this.#stopped(replay);
    const options = await this.#built(replay, live);
    if (typeof options === 'string') return options;
    const leg = await this.#leg;
    if (leg === null) return null;
    this.#begun.set(replay.id, live);
    await leg.change(options);
    return null;
  }

  /** Why it is not to be had, or what it is called with. */
  async #built(replay: Replay, live: LiveCallback): Promise<CallbackOptions | string> {
    const { state, log, build } = this.#parts;
    const name = replayName(replay);
    try {
      refuseUnreplayable(live.config, replay.options);
      const cursors = (await state.cursors()).filter(({ callback }) => callback === name);
      await proveCursors(cursors, await log.topics(), log);
      return await build(live, replay);
    } catch (error) {
      if (!(error instanceof RowcallError) || error.retriable) throw error;
      return `${error.code}: ${error.message}`;
    }
  }

  /** Why a partition of it is not read any more: retention was there first. */
  async #stopped(replay: Replay): Promise<string | null> {
    const leg = await this.#leg;
    const name = replayName(replay);
    const running = leg?.snapshot().callbacks.find((one) => one.name === name);
    return running?.partitions.find(({ stopped }) => stopped !== null)?.stopped ?? null;
  }

  /** Resolves when attempts in flight have ended. */
  async #retire(replay: Replay): Promise<void> {
    this.#begun.delete(replay.id);
    const leg = await this.#leg;
    await leg?.change(replayName(replay));
  }

  async #ended(replay: Replay): Promise<void> {
    const { log, logger, logKeeps } = this.#parts;
    this.#marked.delete(replay.id);
    if (logKeeps) await log.setLowWater(replayName(replay), REMOVED_CONSUMER, []);
    logger.info({ replay: replay.id, callback: replay.callback }, 'The replay has ended');
  }

  /** What the log must keep for it: all that it has yet to read, and nothing of what it does not read. */
  async #tellMarks(replay: Replay): Promise<void> {
    const { state, log, clock, logKeeps } = this.#parts;
    const at = this.#marked.get(replay.id);
    if (!logKeeps || (at !== undefined && clock.monotonic() - at < MARKS_MS)) return;
    this.#marked.set(replay.id, clock.monotonic());
    const { books } = await state.replay(replay.id);
    const marks: LowWaterMark[] = [];
    for (const { name: topic, id: topicId, partitions } of await log.topics()) {
      for (let partition = 0; partition < partitions; partition += 1) {
        const range = rangeOf(replay, { topic, partition });
        const book = books.find((one) => one.topic === topic && one.partition === partition);
        const reads = range?.topicId === topicId && book !== undefined && book.next < book.to;
        const offset = reads ? book.next : (await log.bounds({ topic, partition })).end;
        marks.push({ topic, partition, topicId, offset });
      }
    }
    await log.setLowWater(replayName(replay), state.id, marks);
  }

  /** Marks of replays that have ended, or of a state store that is lost, would hold the log for ever. */
  async #forgetOthers(): Promise<void> {
    const { state, log, logKeeps } = this.#parts;
    if (!logKeeps) return;
    const open = new Set((await state.openReplays()).map(replayName));
    for (const { consumer, stateId } of await log.lowWater()) {
      if (!isReplayName(consumer) || stateId === REMOVED_CONSUMER || open.has(consumer)) continue;
      await log.setLowWater(consumer, REMOVED_CONSUMER, []);
    }
  }
}

const CANCELLED = 'A replay cannot go on and is cancelled';
