/** Looks now and then how long the source will still have what is not read yet, and warns before it has not. */

import { RowcallError } from '../errors.ts';
import { fileNumber, type PreparedTransaction } from '../position.ts';
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/logger.ts';
import { FIRST_POSITION } from './binlog/event-parser.ts';
import { answerLimit, withSource } from './binlog/source-connection.ts';
import type { SourceServer } from './binlog/source-server.ts';
import { retentionSeconds } from './preflight/check-retention.ts';
import { forecastPurge, type PurgeForecast, ReadingPace } from './preflight/purge-forecast.ts';
import { readPlace } from './preflight/read-place.ts';
import { readAnyServer } from './preflight/any-server.ts';
import { PurgedPrepared } from './xa/purged-prepared.ts';

const LOOK_EVERY_MS = 60_000;
/** The pace is that of the last ten minutes. */
const LOOKS_OF_PACE = 11;
/** From here on a person must know: parts of what the server keeps. */
const WARN_BELOW = 0.25;
const ERROR_BELOW = 0.1;
/** How often it is said again. */
const SAY_EVERY_MS = 600_000;

export interface PurgeWatchParts {
  readonly server: SourceServer;
  readonly serverId: number;
  readonly heartbeatMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where a new connection would go on, and the commit time of the newest transaction read. */
  readonly place: () => {
    readonly file: string;
    readonly position: number;
    readonly committedMs: number;
  };
  /** Those whose rows will be read again. */
  readonly prepared: () => readonly PreparedTransaction[];
  /** Default: a minute. */
  readonly everyMs?: number | undefined;
}

/** What was foreseen, with the time of it on the monotonic clock: it is counted down from there. */
export interface ForeseenPurge extends PurgeForecast {
  readonly atMs: number;
}

/** Whether a person should look at it: the lesser part of what the server keeps is left. */
export function isUrgent(leftMs: number, keptMs: number): boolean {
  return leftMs < keptMs * WARN_BELOW;
}

/**
 * Runs beside the stream, over a connection of its own for each look. Invariant: it never ends the stream; a look
 * that fails leaves what was foreseen before, which is counted down, and the stream finds out for itself what is
 * wrong with the source.
 */
export class PurgeWatch {
  readonly #parts: PurgeWatchParts;
  readonly #pace = new ReadingPace(LOOKS_OF_PACE);
  readonly #begun = new Map<string, number>();
  readonly #purged: PurgedPrepared;
  #foreseen: ForeseenPurge | null = null;
  #saidAt = -Infinity;

  constructor(parts: PurgeWatchParts) {
    this.#parts = parts;
    this.#purged = new PurgedPrepared(parts.logger);
  }

  get foreseen(): ForeseenPurge | null {
    return this.#foreseen;
  }

  /** Resolves when the signal aborts; rejects with what no look should raise. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, everyMs = LOOK_EVERY_MS } = this.#parts;
    try {
      for (;;) {
        await this.#tryLook(signal);
        await clock.sleep(everyMs, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #tryLook(signal: AbortSignal): Promise<void> {
    try {
      const forecast = await this.#look(signal);
      this.#foreseen = { ...forecast, atMs: this.#parts.clock.monotonic() };
      this.#warn(forecast);
    } catch (error) {
      if (signal.aborted || !(error instanceof RowcallError) || error.code === 'INTERNAL') {
        throw error;
      }
      // The fallback is the last forecast, which goes on being counted down.
      const { code, message } = error;
      this.#parts.logger.debug({ code }, `How long the binlog is kept cannot be seen: ${message}`);
    }
  }

  async #look(signal: AbortSignal): Promise<PurgeForecast> {
    const { server, heartbeatMs, place, prepared } = this.#parts;
    return withSource(
      server.connection,
      signal,
      async (source) => {
        // Asked first: what is prepared meanwhile is in a file that is not listed.
        const open = prepared();
        const seen = await readAnyServer(source);
        const { files } = seen;
        this.#purged.look(open, seen);
        const settings = await source.query(
          "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('binlog_expire_logs_seconds'," +
            " 'binlog_expire_logs_auto_purge', 'expire_logs_days')",
        );
        const kept = retentionSeconds(
          new Map(settings.map((row) => [row['Variable_name'] ?? '', row['Value'] ?? ''])),
        );
        const nowMs = Number(await source.value('SELECT UNIX_TIMESTAMP(NOW(6))')) * 1000;
        // Asked last: what is read meanwhile is not unread.
        const at = place();
        const next = files.find(({ name }) => fileNumber(name) > fileNumber(at.file))?.name ?? null;
        const nextBegunMs = next === null ? null : await this.#begunMs(next, signal);
        const pace = this.#pace.seen(nowMs, at.committedMs);
        return forecastPurge({ nowMs, keptMs: kept * 1000, files, ...at, nextBegunMs, pace });
      },
      answerLimit(heartbeatMs),
    );
  }

  /** When the file was begun: the same for good, so it is asked once. */
  async #begunMs(file: string, signal: AbortSignal): Promise<number> {
    const known = this.#begun.get(file);
    if (known !== undefined) return known;
    const { server, serverId, heartbeatMs, clock } = this.#parts;
    const access = { connection: server.connection, serverId, heartbeatMs, clock };
    const { fileCreated } = await readPlace(access, { file, position: FIRST_POSITION }, signal);
    // Only the one behind ours is ever asked for.
    this.#begun.clear();
    this.#begun.set(file, fileCreated * 1000);
    return fileCreated * 1000;
  }

  #warn({ leftMs, keptMs, unreadBytes }: PurgeForecast): void {
    const { clock, logger, server, place } = this.#parts;
    if (!isUrgent(leftMs, keptMs)) {
      this.#saidAt = -Infinity;
      return;
    }
    if (clock.monotonic() - this.#saidAt < SAY_EVERY_MS) return;
    this.#saidAt = clock.monotonic();
    const { file, position } = place();
    const level = leftMs < keptMs * ERROR_BELOW ? 'error' : 'warn';
    const left = Math.round(leftMs / 1000);
    logger[level](
      { server: server.name, file, position, leftSeconds: left, unreadBytes },
      `The source may purge binlog that is not read yet in ${left} s: let reading catch up, or SET PERSIST binlog_expire_logs_seconds to more than ${Math.round(keptMs / 1000)}`,
    );
  }
}
