/** One connection to the source: from the checkpoint that the log holds until the connection is lost. */

import type { ConnectionOptions } from 'mysql2';
import { formatCheckpoint, parseCheckpoint } from '../checkpoint.ts';
import type { ChangeLog, ChangeLogWriter } from '../log/change-log.ts';
import type { Checkpoint } from '../position.ts';
import { abortable } from '../shared/abort.ts';
import type { Clock, Random } from '../shared/clock.ts';
import type { LargeWork } from '../shared/large-work.ts';
import type { Logger } from '../shared/logger.ts';
import type { ClaimCheck } from './append/claim-check.ts';
import { Place } from './append/place.ts';
import { openBinlogStream } from './binlog/binlog-stream.ts';
import type { ReplicaIdentity } from './binlog/replica-identity.ts';
import { answerLimit, SourceConnection } from './binlog/source-connection.ts';
import type { CaptureCounters } from './event-handler.ts';
import { BinlogFollower, type FollowListener } from './follow-binlog.ts';
import { checkSource, requireFit } from './preflight/check-source.ts';
import { type ProvenPlace, provePlace } from './preflight/prove-place.ts';
import { type Start, startPlace } from './preflight/start-place.ts';
import type { Router } from './route/router.ts';

/** Raw events that may wait between the socket and the decoder. */
const MAX_QUEUE_BYTES = 8 * 1024 * 1024;
/** How long the last append may take after a stop. */
const LAST_APPEND_MS = 3_000;

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
  /** A row that lacks columns is an error. Default: false. */
  readonly requireFullImage?: boolean;
  readonly heartbeatMs: number;
  /** Where to begin when the log holds nothing of ours. */
  readonly start: Start;
  readonly router: Router;
  readonly routing: string;
  /** Partitions of a topic that is made now. */
  readonly partitions: number;
  /** Where transactions begin and end stands in a topic of its own. */
  readonly transactions?: boolean;
  /** Where the values of oversize records go; null: nowhere, the log may refuse them. */
  readonly claimCheck?: ClaimCheck | null;
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

/**
 * Invariant: the session opens the log's writer first and takes its checkpoint from it, so that whatever an
 * older connector may still have had in flight is either before that checkpoint or refused.
 */
export class CaptureSession {
  readonly #parts: SessionParts;
  readonly #counters: CaptureCounters;
  readonly #listener: FollowListener;
  #place: Place | null = null;
  #follower: BinlogFollower | null = null;

  constructor(parts: SessionParts, counters: CaptureCounters, listener: FollowListener) {
    this.#parts = parts;
    this.#counters = counters;
    this.#listener = listener;
  }

  /**
   * Rejects with what ended the connection, or with the signal's reason after a last append. A log that does not take
   * that one is not waited for: the next session begins at the checkpoint, and closing the log ends this one.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const late = new AbortController();
    let cancel = (): void => undefined;
    const onStop = (): void => {
      cancel = clock.timer(LAST_APPEND_MS, () => {
        late.abort(signal.reason);
      });
    };
    if (signal.aborted) onStop();
    else signal.addEventListener('abort', onStop, { once: true });
    try {
      await abortable(this.#run(signal), late.signal);
    } finally {
      signal.removeEventListener('abort', onStop);
      cancel();
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { log, name } = this.#parts;
    // A writer that comes too late is closed with the log.
    const writer = await abortable(log.openWriter(name), signal);
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
        this.#follower = new BinlogFollower({
          ...this.#parts,
          ...{ place, writer, signal },
          counters: this.#counters,
          listener: this.#listener,
          onFailure: (error) => {
            broken.abort(error);
          },
        });
        await this.#follower.run(stream);
      } finally {
        await stream.close();
      }
    } finally {
      await writer.close();
    }
  }

  snapshot(): SessionSnapshot {
    const place = this.#place;
    const follower = this.#follower;
    if (place === null || follower === null) return NO_PLACE;
    const { heardAt } = follower;
    return {
      ...place.filePosition,
      gtidSet: place.gtidSet?.toString() ?? null,
      recordsAppended: follower.recordsAppended,
      appends: follower.appends,
      logFull: follower.logFull,
      silentMs: heardAt === null ? null : this.#parts.clock.monotonic() - heardAt,
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
}
