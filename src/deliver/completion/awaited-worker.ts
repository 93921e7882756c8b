/** Sees to the lanes of a callback whose head was answered with 202: settles what ended, asks, and knows when it is too late. */

import { Wakeup } from '../../shared/wakeup.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Awaited, Completion } from '../../state/completion.ts';
import type { DueLane, StateStore } from '../../state/state-store.ts';
import { present } from '../../shared/assert.ts';
import { boundedError } from '../callback/classify.ts';
import type { Dispatcher } from '../lane/dispatcher.ts';
import type { LaneIndex } from '../lane/lane-index.ts';

/** Also how soon it is seen what another process asked for. */
const LOOK_AGAIN_MS = 1_000;
/** Heads come with their values. */
const MAX_IN_HAND = 64;

/** Asks a status URL how an event fares. */
export interface StatusPoller {
  /** How many may be asked at once. */
  readonly concurrency: number;
  /** Never rejects, but with the signal's reason. */
  ask(lane: DueLane, signal: AbortSignal): Promise<Completion>;
  /** Why asking has told no end, for a person; null where that is not known. Forgets it. */
  lastWords(lane: DueLane): string | null;
}

export interface AwaitedWorkerParts {
  readonly callback: string;
  readonly state: Pick<StateStore, 'awaitedLanes' | 'complete'>;
  readonly dispatcher: Pick<Dispatcher, 'busyLanes' | 'settleAwaited'>;
  readonly lanes: LaneIndex;
  readonly clock: Clock;
  readonly poller: StatusPoller | null;
}

/**
 * The clocks are the store's: nothing of them is remembered here, so that a restart changes none. Invariant: that an event
 * is overdue is told to the store as its end, which takes it only where no other end came first; so an end that was
 * taken always counts. No slot of the callback is held meanwhile.
 */
export class AwaitedWorker {
  readonly #parts: AwaitedWorkerParts;
  readonly #wakeup = new Wakeup();
  #inHand = 0;
  #asking = 0;

  constructor(parts: AwaitedWorkerParts) {
    this.#parts = parts;
  }

  /** Something ended, is awaited now, or may be. */
  wake(): void {
    this.#wakeup.wake();
  }

  /** Rejects with the signal's reason, or with what cannot be gone on from. */
  async run(signal: AbortSignal): Promise<never> {
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    const onError = (error: unknown): void => {
      if (!signal.aborted) failed.abort(error);
    };
    for (;;) {
      const nextAt = await this.#look(either, onError);
      either.throwIfAborted();
      await this.#rest(nextAt, either);
    }
  }

  /** When to look again, in ms; null where nothing is known. */
  async #look(signal: AbortSignal, onError: (error: unknown) => void): Promise<number | null> {
    const { callback, state, dispatcher, lanes, clock, poller } = this.#parts;
    if (lanes.lanes === 0) return null;
    const room = MAX_IN_HAND - this.#inHand;
    if (room === 0) return null;
    const now = clock.now();
    const found = await state.awaitedLanes(callback, now, room, dispatcher.busyLanes);
    for (const lane of found.lanes) {
      // The other worker asked before, and had its answer first.
      if (dispatcher.busyLanes.has(lane.id)) continue;
      // Those that are asked now wake us when they have answered.
      if (this.#mustAsk(lane, now) && this.#asking >= (poller?.concurrency ?? 0)) continue;
      dispatcher.busyLanes.add(lane.id);
      this.#inHand += 1;
      this.#see(lane, now, signal)
        .catch(onError)
        .finally(() => {
          this.#inHand -= 1;
          this.wake();
        });
    }
    return found.nextAt;
  }

  async #rest(nextAt: number | null, signal: AbortSignal): Promise<void> {
    const { lanes, clock } = this.#parts;
    if (lanes.lanes === 0) {
      await this.#wakeup.wait(signal);
      return;
    }
    const until = nextAt === null ? LOOK_AGAIN_MS : nextAt - clock.now();
    await this.#wakeup.wait(signal, { clock, ms: Math.min(Math.max(until, 1), LOOK_AGAIN_MS) });
  }

  async #see(lane: DueLane, now: number, signal: AbortSignal): Promise<void> {
    const { dispatcher } = this.#parts;
    if (hasEnded(lane)) {
      await dispatcher.settleAwaited(lane);
      return;
    }
    try {
      await this.#tell(lane, await this.#completionOf(lane, now, signal));
    } finally {
      dispatcher.busyLanes.delete(lane.id);
    }
  }

  #mustAsk(lane: DueLane, now: number): boolean {
    const { statusUrl, deadlineAt } = awaitedOf(lane);
    const asks = this.#parts.poller !== null && statusUrl !== null && now < deadlineAt;
    return asks && !hasEnded(lane);
  }

  async #completionOf(lane: DueLane, now: number, signal: AbortSignal): Promise<Completion> {
    const { poller } = this.#parts;
    const { statusUrl, deadlineAt } = awaitedOf(lane);
    if (statusUrl === null || now >= deadlineAt) {
      return overdue(lane, now, poller?.lastWords(lane) ?? null);
    }
    // Nobody asks any more, so that nobody can know before the deadline.
    if (poller === null) return { status: 'progress' };
    this.#asking += 1;
    try {
      return await poller.ask(lane, signal);
    } finally {
      this.#asking -= 1;
    }
  }

  async #tell(lane: DueLane, completion: Completion): Promise<void> {
    const { state, clock } = this.#parts;
    const { callback, topic, head } = lane;
    const { attempt } = awaitedOf(lane);
    const { partition, offset, id: eventId } = head;
    const key = { callback, topic, partition, offset, eventId, attempt };
    await state.complete(key, completion, { nowMs: clock.now(), early: false });
  }
}

function awaitedOf({ awaiting }: DueLane): Awaited {
  return present(awaiting, 'what is awaited of a lane');
}

/** Or is to be skipped. */
function hasEnded(lane: DueLane): boolean {
  return lane.skipAsked || awaitedOf(lane).ending !== null;
}

function overdue(lane: DueLane, now: number, lastWords: string | null): Completion {
  const { attempt, deadlineAt } = awaitedOf(lane);
  const told =
    now >= deadlineAt
      ? `attempt ${attempt} was answered with 202 and not completed by its deadline`
      : `attempt ${attempt} was answered with 202 and gave no sign within its heartbeat`;
  const reason = lastWords === null ? told : boundedError(`${told}; its status URL: ${lastWords}`);
  return { status: 'overdue', reason, retryable: true, result: null };
}
