/** The loop of capture: events in, records and the place out. */

import { formatCheckpoint } from '../checkpoint.ts';
import type { RowcallError } from '../errors.ts';
import type { ChangeLogWriter } from '../log/change-log.ts';
import { present } from '../shared/assert.ts';
import { LARGE_EVENT_BYTES, type LargeWork } from '../shared/large-work.ts';
import { Reclaim } from '../shared/reclaim.ts';
import { Appender } from './append/appender.ts';
import type { BinlogEvent } from './binlog/binlog-event.ts';
import { EventHandler, type EventHandlerParts } from './event-handler.ts';

/** How often a place that moved without records (filtered, empty, idle) is saved, unless said otherwise. */
const QUIET_SAVE_MS = 1_000;

/** Events in binlog order, at least one at a time; waits when there is none, and rejects with what ended it. */
export interface EventStream {
  next(): Promise<readonly BinlogEvent[]>;
}

/** What a follower tells its owner while it runs. */
export interface FollowListener {
  /** The first events came. */
  onStreaming(): void;
  /** Something that the log did not have is durable: rows, or a place further on. */
  onProgress(): void;
}

export interface FollowParts extends Omit<EventHandlerParts, 'appender'> {
  readonly large: LargeWork;
  readonly listener: FollowListener;
  /** Ends the wait for a log that is full. */
  readonly signal: AbortSignal;
  /** An append failed: the stream must end with it, or a quiet source lets the loop wait until it has news. */
  readonly onFailure: (error: RowcallError) => void;
  /** Bytes of records that may wait in memory. Default: the appender's. */
  readonly maxBufferedBytes?: number;
  /** Default: 1 s. */
  readonly quietSaveMs?: number;
}

/**
 * Follows one stream to its end. Invariant: events are taken one after another, each whole before the next,
 * so that whatever is appended lies between two rows. Without that a checkpoint would cover rows that are
 * not in the log.
 */
export class BinlogFollower {
  readonly #parts: FollowParts;
  readonly #appender: Appender;
  readonly #handler: EventHandler;
  readonly #reclaim = new Reclaim();
  #heardAt: number | null = null;
  #savedAt = -Infinity;

  constructor(parts: FollowParts) {
    const { place, clock, logger, signal, onFailure, maxBufferedBytes } = parts;
    this.#parts = parts;
    this.#appender = new Appender({
      writer: this.#watched(parts.writer),
      checkpoint: () => formatCheckpoint(place.checkpoint()),
      clock,
      logger,
      signal,
      onFailure,
      ...(maxBufferedBytes === undefined ? {} : { maxBufferedBytes }),
    });
    this.#handler = new EventHandler({ ...parts, appender: this.#appender });
  }

  get recordsAppended(): number {
    return this.#appender.recordsAppended;
  }

  get appends(): number {
    return this.#appender.appends;
  }

  get logFull(): boolean {
    return this.#appender.logFull;
  }

  /** When events came last, on the monotonic clock; null before the first. */
  get heardAt(): number | null {
    return this.#heardAt;
  }

  /** Rejects with what ended the stream, after a last append where the log still takes one. */
  async run(stream: EventStream): Promise<never> {
    const { clock, place, listener } = this.#parts;
    const appender = this.#appender;
    const stopSaving = this.#saveQuietMoves();
    try {
      for (;;) {
        // Taken from the end of a list of our own: an event that is done with is let go, however large it was.
        const events = (await stream.next()).toReversed();
        if (this.#heardAt === null) listener.onStreaming();
        this.#heardAt = clock.monotonic();
        await this.#takeAll(events);
        // Inside a transaction its end is on the way: waiting for it saves a checkpoint in the middle.
        if (appender.hasRecords && (place.transaction === null || appender.mustFlush)) {
          appender.flushSoon();
        }
      }
    } catch (error) {
      // What was read before a stop or a lost connection is good: it need not be read again.
      if (!appender.failed) await appender.drain();
      throw error;
    } finally {
      stopSaving();
    }
  }

  /**
   * The writer, with an eye on what becomes durable. A transaction that fails at the same row each time is read
   * again from its beginning and appends nothing new: that is no progress.
   */
  #watched(writer: ChangeLogWriter): Pick<ChangeLogWriter, 'append'> {
    const { clock, listener, place } = this.#parts;
    // Not the log's own text: that of an earlier version would differ from it, and pass for progress.
    let last = formatCheckpoint(place.checkpoint());
    return {
      append: async (batches, checkpoint) => {
        await writer.append(batches, checkpoint);
        this.#savedAt = clock.monotonic();
        if (batches.length > 0 || checkpoint !== last) listener.onProgress();
        last = checkpoint;
      },
    };
  }

  async #takeAll(events: BinlogEvent[]): Promise<void> {
    const appender = this.#appender;
    const handler = this.#handler;
    while (events.length > 0) {
      const bytes = events.at(-1)?.bytes ?? 0;
      if (bytes >= LARGE_EVENT_BYTES) {
        await this.#takeLarge(events);
        continue;
      }
      const pending = handler.take(present(events.pop(), 'an event'));
      if (pending !== undefined) await pending;
      this.#reclaim.released(bytes);
      if (appender.mustFlush) await appender.flush();
    }
  }

  /** Alone over both legs, and written before the next one is looked at. */
  async #takeLarge(events: BinlogEvent[]): Promise<void> {
    const leave = await this.#parts.large.enter(LARGE_EVENT_BYTES);
    try {
      this.#reclaim.released(await this.#takeOne(events));
      await this.#appender.drain();
    } finally {
      leave();
    }
  }

  /** Handles the last event of the list. In a frame of its own, so that nothing holds the event afterwards. */
  async #takeOne(events: BinlogEvent[]): Promise<number> {
    const event = present(events.pop(), 'an event');
    this.#reclaim.before(event.bytes);
    const pending = this.#handler.take(event);
    if (pending !== undefined) await pending;
    return event.bytes;
  }

  /**
   * Filtered and empty transactions move the place too, or an idle table would lose it to a purge. Inside a
   * transaction it is saved only when that was long ago: the end of a small one is on the way.
   */
  #saveQuietMoves(): () => void {
    const { clock, place, quietSaveMs = QUIET_SAVE_MS } = this.#parts;
    const appender = this.#appender;
    let cancel: () => void;
    const tick = (): void => {
      const due = place.transaction === null || clock.monotonic() - this.#savedAt > quietSaveMs;
      if (appender.idle && !appender.failed && place.dirty && due) appender.flushSoon();
      cancel = clock.timer(quietSaveMs, tick);
    };
    cancel = clock.timer(quietSaveMs, tick);
    return () => {
      cancel();
    };
  }
}
