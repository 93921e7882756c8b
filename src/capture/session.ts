/** One connection to the source: from the checkpoint that the log holds until the connection is lost. */

import { formatCheckpoint, parseCheckpoint } from '../checkpoint.ts';
import { type RowcallError, toRowcallError } from '../errors.ts';
import type { ChangeLog, ChangeLogWriter } from '../log/change-log.ts';
import type { Checkpoint } from '../position.ts';
import { abortable } from '../shared/abort.ts';
import type { Clock, Random } from '../shared/clock.ts';
import type { LargeWork } from '../shared/large-work.ts';
import type { Logger } from '../shared/logger.ts';
import type { ClaimCheck } from './append/claim-check.ts';
import { Place } from './append/place.ts';
import { type BinlogStream, openBinlogStream } from './binlog/binlog-stream.ts';
import type { ReplicaIdentity } from './binlog/replica-identity.ts';
import { answerLimit, SourceConnection, withSource } from './binlog/source-connection.ts';
import type { SourceServer } from './binlog/source-server.ts';
import type { CaptureCounters } from './capture-counters.ts';
import { ExecutedCheck } from './executed-check.ts';
import { BinlogFollower, type EventStream, type FollowListener } from './follow-binlog.ts';
import { checkSource, requireFit } from './preflight/check-source.ts';
import { type ChosenServer, chooseServer, errantOn } from './preflight/choose-server.ts';
import { AskedColumnTypes } from './preflight/mariadb/column-types.ts';
import { placeOfFirst } from './preflight/gtid-start.ts';
import { type ProvenPlace, provePlace } from './preflight/prove-place.ts';
import type { DumpAccess } from './preflight/read-place.ts';
import { readServerPlace } from './preflight/server-place.ts';
import { type Start, startPlace } from './preflight/start-place.ts';
import { withGtids } from './preflight/take-up-gtids.ts';
import { type ForeseenPurge, PurgeWatch } from './purge-watch.ts';
import type { Router } from './route/router.ts';
import { BinlogPreparedSource } from './xa/read-prepared.ts';
import type { RowEventsParts } from './row-events.ts';

/** Raw events that may wait between the socket and the decoder. */
const MAX_QUEUE_BYTES = 8 * 1024 * 1024;
/** How long the last append may take after a stop. */
const LAST_APPEND_MS = 3_000;

export interface CaptureParts {
  /** The configuration's `name`: key of the checkpoint, part of every event. */
  readonly name: string;
  readonly version: string;
  /** Where the source can be read, best first; never empty. */
  readonly servers: readonly SourceServer[];
  readonly serverId: number;
  /** As whom we stand on the source's list of replicas. */
  readonly replica: ReplicaIdentity;
  /** How long the source must keep its binlog, milliseconds. */
  readonly minimumRetentionMs: number;
  /** A row that lacks columns is an error. Default: false. */
  readonly requireFullImage?: boolean;
  /** DDL and the shapes of tables go to a topic of their own. Default: false. */
  readonly schemaChanges?: boolean;
  readonly heartbeatMs: number;
  /** Every glob of the rules, those behind `!` too. */
  readonly tableGlobs: readonly string[];
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
  /** How rows are read. Default: fast where code may be made at run time. */
  readonly decoder?: NonNullable<RowEventsParts['decoder']>;
  /** How often it is looked how long the source keeps its binlog, milliseconds. Default: a minute. */
  readonly purgeLookMs?: number;
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
  /** The server that is read, as messages name it. */
  readonly server: string | null;
  readonly serverUuid: string | null;
  readonly file: string | null;
  readonly position: number | null;
  readonly gtidSet: string | null;
  readonly recordsAppended: number;
  readonly appends: number;
  readonly logFull: boolean;
  readonly silentMs: number | null;
  /** When the source may purge what is not read yet; null while nothing is known. */
  readonly purge: ForeseenPurge | null;
  /** XA transactions that are prepared and wait for their outcome. */
  readonly prepared: number;
  /** When the oldest of them was prepared, milliseconds since the epoch. */
  readonly oldestPreparedAt: number | null;
}

/** Before there is a place. */
export const NO_PLACE: SessionSnapshot = {
  server: null,
  serverUuid: null,
  file: null,
  position: null,
  gtidSet: null,
  recordsAppended: 0,
  appends: 0,
  logFull: false,
  silentMs: null,
  purge: null,
  prepared: 0,
  oldestPreparedAt: null,
};

/** A server that we may read, and from where. */
interface FoundPlace {
  readonly checkpoint: Checkpoint;
  readonly proven: ProvenPlace;
  /** It compares names of tables without regard to case. */
  readonly foldNames: boolean;
}

/**
 * Invariant: the session opens the log's writer first and takes its checkpoint from it, so that whatever an
 * older connector may still have had in flight is either before that checkpoint or refused.
 */
export class CaptureSession {
  readonly #parts: SessionParts;
  readonly #counters: CaptureCounters;
  readonly #listener: FollowListener;
  #server: SourceServer | null = null;
  #place: Place | null = null;
  #follower: BinlogFollower | null = null;
  #watch: PurgeWatch | null = null;

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
      const chosen = await this.#findPlace(writer, signal);
      this.#tell(chosen);
      const { checkpoint, proven } = chosen.found;
      const { routing, logger } = this.#parts;
      const { serverUuid: uuid, last } = proven;
      const place = new Place(checkpoint, { uuid, routing, last });
      this.#server = chosen.server;
      this.#place = place;
      logger.info(
        {
          server: chosen.server.name,
          serverUuid: uuid,
          ...place.filePosition,
          gtidSet: checkpoint.gtidSet,
        },
        'Reading the binlog',
      );
      await this.#follow(chosen, { place, writer }, signal);
    } finally {
      await writer.close();
    }
  }

  async #follow(
    { server, found }: ChosenServer<FoundPlace>,
    { place, writer }: { readonly place: Place; readonly writer: ChangeLogWriter },
    signal: AbortSignal,
  ): Promise<void> {
    const { connection } = server;
    const { logger } = this.#parts;
    const broken = new AbortController();
    const ended = AbortSignal.any([signal, broken.signal]);
    const onFailure = (error: RowcallError): void => {
      broken.abort(error);
    };
    const stream = await openBinlogStream(
      {
        ...this.#parts,
        connection,
        start: found.proven.start,
        maxQueueBytes: MAX_QUEUE_BYTES,
      },
      ended,
    );
    try {
      this.#follower = new BinlogFollower({
        ...this.#parts,
        ...{ place, writer, signal, onFailure, foldNames: found.foldNames },
        columnTypes: new AskedColumnTypes({ ...this.#parts, connection }, logger, ended),
        prepared: new BinlogPreparedSource({ ...this.#parts, connection }, logger, ended),
        counters: this.#counters,
        listener: this.#listener,
      });
      const watch = this.#watchPurges(server, place, onFailure);
      try {
        await this.#follower.run(this.#checked(stream, place, { server, found, ended }));
      } finally {
        await watch.stop();
      }
    } finally {
      await stream.close();
    }
  }

  /** The stream, with the proof that a dump by GTID leaves out nothing. */
  #checked(
    stream: BinlogStream,
    place: Place,
    at: {
      readonly server: SourceServer;
      readonly found: FoundPlace;
      readonly ended: AbortSignal;
    },
  ): EventStream {
    const { executed, end } = at.found.proven;
    if (executed === null || end === null) return stream;
    const { serverId, heartbeatMs, clock } = this.#parts;
    const { connection } = at.server;
    const access = { connection, serverId, heartbeatMs, clock };
    return new ExecutedCheck({
      ...{ stream, place, executed, end },
      find: (missing, newest) =>
        withSource(connection, at.ended, async (source) => {
          const server = await readServerPlace(source);
          return placeOfFirst(missing, newest, { server, access }, at.ended);
        }),
    });
  }

  /** Looks after the binlog's expiry for as long as the stream is followed. */
  #watchPurges(
    server: SourceServer,
    place: Place,
    onFailure: (error: RowcallError) => void,
  ): { stop(): Promise<void> } {
    const watch = new PurgeWatch({
      ...this.#parts,
      server,
      place: () => ({ ...place.filePosition, committedMs: this.#counters.lastCommitMs }),
      prepared: () => place.prepared.all,
      everyMs: this.#parts.purgeLookMs,
    });
    this.#watch = watch;
    const over = new AbortController();
    const watching = watch.run(over.signal).catch((error: unknown) => {
      onFailure(toRowcallError(error));
    });
    return {
      stop: () => {
        over.abort(new Error('The stream has ended'));
        return watching;
      },
    };
  }

  snapshot(): SessionSnapshot {
    const place = this.#place;
    const follower = this.#follower;
    if (place === null || follower === null) return NO_PLACE;
    const { heardAt } = follower;
    const [oldest] = place.prepared.all;
    return {
      server: this.#server?.name ?? null,
      serverUuid: place.serverUuid,
      ...place.filePosition,
      gtidSet: place.gtidSet?.toString() ?? null,
      recordsAppended: follower.recordsAppended,
      appends: follower.appends,
      logFull: follower.logFull,
      silentMs: heardAt === null ? null : this.#parts.clock.monotonic() - heardAt,
      purge: this.#watch?.foreseen ?? null,
      prepared: place.prepared.size,
      oldestPreparedAt: oldest === undefined ? null : oldest.timestamp * 1000,
    };
  }

  /** The first server, in order of preference, that is fit and on which the log's checkpoint is proven. */
  #findPlace(writer: ChangeLogWriter, signal: AbortSignal): Promise<ChosenServer<FoundPlace>> {
    const { routing, logger } = this.#parts;
    let checkpoint = writer.checkpoint === null ? null : parseCheckpoint(writer.checkpoint);
    if (checkpoint !== null && checkpoint.routing !== routing) {
      logger.warn(
        { openTransactions: checkpoint.open.length },
        'The tables rules changed since the last run',
      );
    }
    return chooseServer(this.#parts.servers, async (server) => {
      const { serverId, heartbeatMs, clock } = this.#parts;
      const { connection } = server;
      const source = await SourceConnection.open(connection, signal, answerLimit(heartbeatMs));
      try {
        const access = { connection, serverId, heartbeatMs, clock };
        await this.#checkFit(server, source);
        checkpoint ??= await this.#begin(writer, { source, access }, signal);
        const proven = await provePlace(source, checkpoint, access, signal);
        const letterCase = await source.value('SELECT @@GLOBAL.lower_case_table_names');
        return {
          checkpoint: await withGtids(source, checkpoint, access, signal),
          ...{ proven, foldNames: letterCase !== '0' },
        };
      } finally {
        await source.close();
      }
    });
  }

  async #checkFit(server: SourceServer, source: SourceConnection): Promise<void> {
    const wishes = { ...this.#parts, replicaUuid: this.#parts.replica.uuid };
    for (const finding of requireFit(await checkSource(source, wishes))) {
      this.#parts.logger.warn({ server: server.name, ...finding }, `The source: ${finding.why}`);
    }
  }

  /** The first time: the place to begin at, saved before anything is read. */
  async #begin(
    writer: ChangeLogWriter,
    at: { readonly source: SourceConnection; readonly access: DumpAccess },
    signal: AbortSignal,
  ): Promise<Checkpoint> {
    const { start, routing, logger } = this.#parts;
    const checkpoint = await startPlace(start, routing, at, signal);
    await writer.append([], formatCheckpoint(checkpoint));
    logger.info({ start, gtidSet: checkpoint.gtidSet }, 'Beginning, and saved where');
    return checkpoint;
  }

  /** Which better servers were passed over, and what is lost with them; whether it is another one than before. */
  #tell({ server, found, passed }: ChosenServer<FoundPlace>): void {
    const { logger } = this.#parts;
    const { checkpoint, proven } = found;
    for (const one of passed) {
      const { code, message } = one.failure;
      logger.warn(
        { server: one.server.name, code },
        `Reading from ${server.name} instead: ${message}`,
      );
      const errant = errantOn(one, proven);
      if (errant === null) continue;
      logger.error(
        { server: one.server.name, errant },
        `${one.server.name} has transactions that ${server.name} has not: they are not captured, unless they get there`,
      );
    }
    if (proven.serverUuid === checkpoint.serverUuid) return;
    logger.warn(
      { server: server.name, serverUuid: proven.serverUuid, before: checkpoint.serverUuid },
      'Going on at another server, by GTID',
    );
  }
}
