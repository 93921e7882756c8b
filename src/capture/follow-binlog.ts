/** The loop of capture: events in, records and the place out. */

import { formatCheckpoint } from '../checkpoint.ts';
import type { RowcallError } from '../errors.ts';
import type { ChangeLogWriter } from '../log/change-log.ts';
import type { LargeWork } from '../shared/large-work.ts';
import { Appender } from './append/appender.ts';
import type { BinlogEvent } from './binlog/binlog-event.ts';
import { EventHandler, type EventHandlerParts } from './event-handler.ts';
import { EventWork } from './event-work.ts';
import { locatedError } from './located-error.ts';
import { PreparedWatch } from './xa/prepared-watch.ts';

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

export interface FollowParts extends Omit<EventHandlerParts, 'appender' | 'work' | 'onHeard'> {
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
  readonly #work: EventWork;
  readonly #watch: PreparedWatch;
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
    this.#work = new EventWork(parts.large, this.#appender);
    this.#watch = new PreparedWatch(parts);
    this.#handler = new EventHandler({
      ...parts,
      appender: this.#appender,
      work: this.#work,
      onHeard: () => {
        this.#heardAt = clock.monotonic();
      },
    });
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
        await this.#work.takeAll(events, (event) => this.#take(event));
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

  #take(event: BinlogEvent): Promise<void> | undefined {
    const { place } = this.#parts;
    try {
      return this.#handler.take(event)?.catch((error: unknown) => {
        throw locatedError(error, event, place);
      });
    } catch (error) {
      throw locatedError(error, event, place);
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
      this.#watch.look();
      cancel = clock.timer(quietSaveMs, tick);
    };
    cancel = clock.timer(quietSaveMs, tick);
    return () => {
      cancel();
    };
  }
}
