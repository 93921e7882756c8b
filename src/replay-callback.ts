/** A replay as a callback of its own: what it has of the callback that it repeats, and what not. */

import type { CallbackConfig } from './config/schema.ts';
import type { CallbackOptions } from './deliver/callback-options.ts';
import type {
  MayGo,
  Outcome,
  OutgoingEvent,
  ReplayMark,
  Sender,
} from './deliver/callback/sender.ts';
import { RowcallError } from './errors.ts';
import { type Replay, replayName, type ReplayOptions } from './state/replay-store.ts';

/** What stands in its lanes when it is cancelled leaves them in one transaction. */
const MAX_LANE_EVENTS = 10_000;
const MAX_LANE_BYTES = 256 * 1024 * 1024;
/** Unless a person says otherwise: live events have most of the endpoint. */
const SHARE_OF_CONCURRENCY = 0.25;
const SHARE_OF_RATE = 0.5;

/** @throws RowcallError REPLAY_REFUSED */
export function refuseUnreplayable(
  { name, deliver, batch }: CallbackConfig,
  { newIds }: Pick<ReplayOptions, 'newIds'>,
): void {
  if (deliver.type === 'http' && deliver.async !== null) {
    throw new RowcallError('REPLAY_REFUSED', `${name} awaits completions (deliver.async)`, {
      cure: 'Take deliver.async away from the callback for as long as the replay lasts; its 202 then counts as delivered.',
    });
  }
  if (newIds && (deliver.type !== 'http' || batch !== undefined)) {
    const what = deliver.type === 'http' ? 'in a batch' : 'in process';
    throw new RowcallError('REPLAY_REFUSED', `Events that ${name} gets ${what} keep their ids`, {
      cure: 'Replay without new ids: the header rowcall-replay, or context.replay, tells that an event comes once more.',
    });
  }
}

/** What of the endpoint a replay takes, as far as a person does not say it. */
export function replayOptionsOf(
  { concurrency, rateLimit }: Pick<CallbackConfig, 'concurrency' | 'rateLimit'>,
  asked: {
    readonly concurrency?: number | undefined;
    readonly rate?: number | undefined;
    readonly newIds: boolean;
  },
): ReplayOptions {
  return {
    concurrency: asked.concurrency ?? Math.max(1, Math.floor(concurrency * SHARE_OF_CONCURRENCY)),
    rate: asked.rate ?? (rateLimit === undefined ? null : rateLimit.perSecond * SHARE_OF_RATE),
    newIds: asked.newIds,
  };
}

/**
 * As the callback is called now. Each matching event is sent: none gives way to a newer one, none is handed over, nothing
 * is written back of it; all of that was done the first time. What fails for good is set aside in the replay's own books,
 * so that it ends.
 */
export function replayConfig(
  config: CallbackConfig,
  { options }: Pick<Replay, 'options'>,
): CallbackConfig {
  const { concurrency, rate } = options;
  const { maxEvents, maxBytes } = config.lanes;
  return {
    ...config,
    ...{ fallback: undefined, compensate: undefined },
    concurrency,
    rateLimit: rate === null ? undefined : { perSecond: rate, burst: Math.max(1, Math.ceil(rate)) },
    priority: 'low',
    onSettled: null,
    onExhausted: 'dead-letter',
    lanes: {
      maxEvents: Math.min(maxEvents, MAX_LANE_EVENTS),
      maxBytes: Math.min(maxBytes, MAX_LANE_BYTES),
    },
  };
}

/** @param built of `replayConfig`; it calls itself by the callback's name, which is the one that receivers know */
export function replayCallback(built: CallbackOptions, replay: Replay): CallbackOptions {
  const { id, options } = replay;
  return {
    ...built,
    name: replayName(replay),
    coalesceMs: undefined,
    sender: new ReplaySender(built.sender, { id, newIds: options.newIds }),
    replay,
  };
}

/** Marks what it sends. */
class ReplaySender implements Sender {
  readonly #sender: Sender;
  readonly #mark: ReplayMark;

  constructor(sender: Sender, mark: ReplayMark) {
    this.#sender = sender;
    this.#mark = mark;
  }

  send(
    event: OutgoingEvent,
    attempt: number,
    signal: AbortSignal,
    mayGo?: MayGo,
  ): Promise<Outcome> {
    return this.#sender.send({ ...event, replay: this.#mark }, attempt, signal, mayGo);
  }

  close(): Promise<void> {
    return this.#sender.close();
  }
}
