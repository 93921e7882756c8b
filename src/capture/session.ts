/** One connection to the source: from the checkpoint that the log holds until the connection is lost. */

import type { ConnectionOptions } from 'mysql2';
import { formatCheckpoint, parseCheckpoint } from '../checkpoint.ts';
import type { ChangeLog, ChangeLogWriter } from '../log/change-log.ts';
import type { Checkpoint } from '../position.ts';
import { present } from '../shared/assert.ts';
import type { Clock, Random } from '../shared/clock.ts';
import { LARGE_EVENT_BYTES, type LargeWork } from '../shared/large-work.ts';
import type { Logger } from '../shared/logger.ts';
import { Reclaim } from '../shared/reclaim.ts';
import { Appender } from './append/appender.ts';
import { Place } from './append/place.ts';
import type { BinlogEvent } from './binlog/binlog-event.ts';
import { type BinlogStream, openBinlogStream } from './binlog/binlog-stream.ts';
import type { ReplicaIdentity } from './binlog/replica-identity.ts';
import { answerLimit, SourceConnection } from './binlog/source-connection.ts';
import { type CaptureCounters, EventHandler } from './event-handler.ts';
import { checkSource, requireFit } from './preflight/check-source.ts';
import { type ProvenPlace, provePlace } from './preflight/prove-place.ts';
import { type Start, startPlace } from './preflight/start-place.ts';
import type { Router } from './route/router.ts';

/** Raw events that may wait between the socket and the decoder. */
const MAX_QUEUE_BYTES = 8 * 1024 * 1024;
/** How often a place that moved without records (filtered, empty, idle) is saved. */
const QUIET_SAVE_MS = 1_000;

export interface CaptureParts {
  /** The configuration's `name`: key of the checkpoint, part of every event. */
  readonly name: string;
  readonly version: string;
  readonly connection: ConnectionOptions;
  readonly serverId: number;
  /** As whom we stand on the source's list of replicas. */
  readonly replica: ReplicaIdentity;
  /** How long the source must keep its binlog, milliseconds. */
  readonly minimumRetentionMs: number;
  readonly heartbeatMs: number;
  /** Where to begin when the log holds nothing of ours. */
  readonly start: Start;
  readonly router: Router;
  readonly routing: string;
  /** Partitions of a topic that is made now. */
  readonly partitions: number;
  readonly log: ChangeLog;
  readonly large: LargeWork;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface SessionParts extends CaptureParts {
  /** The server ended the dump of the session before with an error of its own. */
  readonly cutOff: boolean;
}

export interface SessionSnapshot {
  readonly file: string | null;
  readonly position: number | null;
  readonly gtidSet: string | null;
  readonly recordsAppended: number;
  readonly appends: number;
  readonly logFull: boolean;
  readonly silentMs: number | null;
}

/** Before there is a place. */
export const NO_PLACE: SessionSnapshot = {
  file: null,
  position: null,
  gtidSet: null,
  recordsAppended: 0,
  appends: 0,
  logFull: false,
  silentMs: null,
};

/** What a session tells its owner while it runs. */
export interface SessionListener {
  /** The first events came. */
  onStreaming(): void;
  /** Something that the log did not have is durable: rows, or a place further on. */
  onProgress(): void;
}

/**
 * Invariant: the session opens the log's writer first and takes its checkpoint from it, so that whatever an
 * older connector may still have had in flight is either before that checkpoint or refused.
 */
export class CaptureSession {
  readonly #parts: SessionParts;
  readonly #counters: CaptureCounters;
  readonly #listener: SessionListener;
  #place: Place | null = null;
  #appender: Appender | null = null;
  #heardAt: number | null = null;
  #savedAt = -Infinity;
  readonly #reclaim = new Reclaim();

  constructor(parts: SessionParts, counters: CaptureCounters, listener: SessionListener) {
    this.#parts = parts;
    this.#counters = counters;
    this.#listener = listener;
  }

  /** Rejects with what ended the connection, or with the signal's reason after a last append. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, name } = this.#parts;
    const writer = await log.openWriter(name);
    try {
      const { checkpoint, proven } = await this.#findPlace(writer, signal);
      const place = new Place(checkpoint, {
        uuid: proven.serverUuid,
        routing: this.#parts.routing,
      });
      this.#place = place;
      const { connection, serverId, replica, heartbeatMs, clock, logger } = this.#parts;
      const broken = new AbortController();
      const stream = await openBinlogStream(
        {
          connection,
          serverId,
          replica,
          heartbeatMs,
          clock,
          start: proven.start,
          maxQueueBytes: MAX_QUEUE_BYTES,
        },
        AbortSignal.any([signal, broken.signal]),
      );
      try {
        logger.info(
          { ...place.filePosition, gtidSet: checkpoint.gtidSet, serverUuid: proven.serverUuid },
          'Reading the binlog',
        );
        const appender = new Appender({
          writer: this.#watched(writer, formatCheckpoint(checkpoint)),
          checkpoint: () => formatCheckpoint(place.checkpoint()),
          clock,
          logger,
          signal,
          // A quiet source would let the reader wait, with rows that are in no log, until it has news.
          onFailure: (error) => {
            broken.abort(error);
          },
        });
        this.#appender = appender;
        await this.#read(stream, writer, place, appender);
      } finally {
        await stream.close();
      }
    } finally {
      await writer.close();
    }
  }

  snapshot(): SessionSnapshot {
    const place = this.#place;
    const appender = this.#appender;
    if (place === null || appender === null) return NO_PLACE;
    return {
      ...place.filePosition,
      gtidSet: place.gtidSet?.toString() ?? null,
      recordsAppended: appender.recordsAppended,
      appends: appender.appends,
      logFull: appender.logFull,
      silentMs: this.#heardAt === null ? null : this.#parts.clock.monotonic() - this.#heardAt,
    };
  }

  /**
   * The writer, with an eye on what becomes durable. A transaction that fails at the same row each time is read
   * again from its beginning and appends nothing new: that is no progress.
   *
   * @param saved the checkpoint that the log holds
   */
  #watched(writer: ChangeLogWriter, saved: string): Pick<ChangeLogWriter, 'append'> {
    let last = saved;
    return {
      append: async (batches, checkpoint) => {
        await writer.append(batches, checkpoint);
        this.#savedAt = this.#parts.clock.monotonic();
        if (batches.length > 0 || checkpoint !== last) this.#listener.onProgress();
        last = checkpoint;
      },
    };
  }

  /** Checks the source, and proves the log's checkpoint against it; the first time makes one and saves it. */
  async #findPlace(
    writer: ChangeLogWriter,
    signal: AbortSignal,
  ): Promise<{ checkpoint: Checkpoint; proven: ProvenPlace }> {
    const { connection, serverId, heartbeatMs, clock, logger, start, routing } = this.#parts;
    const access = { connection, serverId, heartbeatMs, clock };
    const source = await SourceConnection.open(connection, signal, answerLimit(heartbeatMs));
    try {
      const wishes = { ...this.#parts, replicaUuid: this.#parts.replica.uuid };
      for (const finding of requireFit(await checkSource(source, wishes))) {
        logger.warn({ ...finding }, `The source: ${finding.why}`);
      }
      let checkpoint = writer.checkpoint === null ? null : parseCheckpoint(writer.checkpoint);
      if (checkpoint === null) {
        checkpoint = await startPlace(start, routing, { source, access }, signal);
        await writer.append([], formatCheckpoint(checkpoint));
        logger.info({ start, gtidSet: checkpoint.gtidSet }, 'Beginning, and saved where');
      } else if (checkpoint.routing !== routing) {
        logger.warn(
          { openTransactions: checkpoint.open.length },
          'The tables rules changed since the last run',
        );
      }
      return { checkpoint, proven: await provePlace(source, checkpoint, access, signal) };
    } finally {
      await source.close();
    }
  }

  /** The loop: events in, records and the place out, until the stream ends with an error. */
  async #read(
    stream: BinlogStream,
    writer: ChangeLogWriter,
    place: Place,
    appender: Appender,
  ): Promise<void> {
    const { clock } = this.#parts;
    const handler = new EventHandler({
      ...this.#parts,
      place,
      appender,
      writer,
      counters: this.#counters,
    });
    const stopSaving = this.#saveQuietMoves(appender, place);
    try {
      for (;;) {
        // Taken from the end of a list of our own: an event that is done with is let go, however large it was.
        const events = (await stream.next()).toReversed();
        if (this.#heardAt === null) this.#listener.onStreaming();
        this.#heardAt = clock.monotonic();
        await this.#takeAll(events, handler, appender);
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

  async #takeAll(events: BinlogEvent[], handler: EventHandler, appender: Appender): Promise<void> {
    while (events.length > 0) {
      const bytes = events.at(-1)?.bytes ?? 0;
      if (bytes >= LARGE_EVENT_BYTES) {
        await this.#takeLarge(events, handler, appender);
        continue;
      }
      const pending = handler.take(present(events.pop(), 'an event'));
      if (pending !== undefined) await pending;
      this.#reclaim.released(bytes);
      if (appender.mustFlush) await appender.flush();
    }
  }

  /** Alone over both legs, and written before the next one is looked at. */
  async #takeLarge(
    events: BinlogEvent[],
    handler: EventHandler,
    appender: Appender,
  ): Promise<void> {
    const leave = await this.#parts.large.enter(LARGE_EVENT_BYTES);
    try {
      this.#reclaim.released(await this.#takeOne(events, handler));
      await appender.drain();
    } finally {
      leave();
    }
  }

  /** Handles the last event of the list. In a frame of its own, so that nothing holds the event afterwards. */
  async #takeOne(events: BinlogEvent[], handler: EventHandler): Promise<number> {
    const event = present(events.pop(), 'an event');
    this.#reclaim.before(event.bytes);
    const pending = handler.take(event);
    if (pending !== undefined) await pending;
    return event.bytes;
  }

  /**
   * Filtered and empty transactions move the place too, or an idle table would lose it to a purge. Inside a
   * transaction it is saved only when that was long ago: the end of a small one is on the way.
   */
  #saveQuietMoves(appender: Appender, place: Place): () => void {
    const { clock } = this.#parts;
    let cancel: () => void;
    const tick = (): void => {
      const due = place.transaction === null || clock.monotonic() - this.#savedAt > QUIET_SAVE_MS;
      if (appender.idle && !appender.failed && place.dirty && due) appender.flushSoon();
      cancel = clock.timer(QUIET_SAVE_MS, tick);
    };
    cancel = clock.timer(QUIET_SAVE_MS, tick);
    return () => {
      cancel();
    };
  }
}
