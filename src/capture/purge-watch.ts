/** Looks now and then how long the source will still have what is not read yet, and warns before it has not. */

import { RowcallError } from '../errors.ts';
import { fileNumber, type PreparedTransaction } from '../position.ts';
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/logger.ts';
import { FIRST_POSITION } from './binlog/event-parser.ts';
import { answerLimit, type SourceConnection, withSource } from './binlog/source-connection.ts';
import type { SourceServer } from './binlog/source-server.ts';
import { retentionSeconds } from './preflight/check-retention.ts';
import { SIZE_LIMITS, sizeLimit, WritingPace } from './preflight/purge-by-size.ts';
import {
  forecastPurge,
  type PurgeForecast,
  ReadingPace,
  unreadOf,
} from './preflight/purge-forecast.ts';
import { type DumpAccess, readPlace } from './preflight/read-place.ts';
import { readAnyServer } from './preflight/any-server.ts';
import type { BinlogFile } from './preflight/server-place.ts';
import { OldestPreparedSearch } from './xa/oldest-prepared.ts';
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
  readonly #writing = new WritingPace(LOOKS_OF_PACE);
  readonly #oldest: OldestPreparedSearch;
  #begun = new Map<string, number>();
  readonly #purged: PurgedPrepared;
  #foreseen: ForeseenPurge | null = null;
  #saidAt = -Infinity;

  constructor(parts: PurgeWatchParts) {
    this.#parts = parts;
    this.#purged = new PurgedPrepared(parts.logger);
    this.#oldest = new OldestPreparedSearch(this.#access);
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
    const { server, heartbeatMs, place } = this.#parts;
    return withSource(
      server.connection,
      signal,
      async (source) => {
        // Asked first: what is prepared meanwhile is in a file that is not listed.
        const open = this.#parts.prepared();
        const seen = await readAnyServer(source);
        const { files } = seen;
        this.#purged.look(open, seen);
        const settings = await readSettings(source);
        const nowMs = Number(await source.value('SELECT UNIX_TIMESTAMP(NOW(6))')) * 1000;
        const oldest = await this.#oldest.look(open, seen, signal);
        // Asked last: what is read meanwhile is not unread.
        const at = place();
        const next = nextFile(at.file, files);
        const behind = nextFile(oldest?.file ?? null, files);
        const begun = await this.#begunMs([next, behind], signal);
        const prepared = oldest === null ? null : { ...oldest, nextBegunMs: begun(behind) };
        const pace = this.#pace.seen(nowMs, at.committedMs);
        const kept = retentionSeconds(settings) * 1000;
        const ages = { nowMs, keptMs: kept, nextBegunMs: begun(next), prepared };
        const paces = this.#writing.seen(nowMs, files, unreadOf({ files, ...at }));
        const space = { limitBytes: sizeLimit(settings), ...paces };
        return forecastPurge({ ...ages, files, ...at, pace, space });
      },
      answerLimit(heartbeatMs),
    );
  }

  /** When files were begun: the same for good, so that each is asked for once; null of null. */
  async #begunMs(
    files: readonly (string | null)[],
    signal: AbortSignal,
  ): Promise<(file: string | null) => number | null> {
    const begun = new Map<string, number>();
    for (const file of files) {
      if (file === null || begun.has(file)) continue;
      const known = this.#begun.get(file) ?? (await this.#createdMs(file, signal));
      begun.set(file, known);
    }
    // Those of before are not asked for again.
    this.#begun = begun;
    return (file) => (file === null ? null : (begun.get(file) ?? null));
  }

  async #createdMs(file: string, signal: AbortSignal): Promise<number> {
    const place = { file, position: FIRST_POSITION };
    return (await readPlace(this.#access, place, signal)).fileCreated * 1000;
  }

  get #access(): DumpAccess {
    const { server, serverId, heartbeatMs, clock } = this.#parts;
    return { connection: server.connection, serverId, heartbeatMs, clock };
  }

  #warn({ leftMs, keptMs, unreadBytes, oldestFile, preparedXid, bySize }: PurgeForecast): void {
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
    const fields = { server: server.name, file, position, oldestFile, leftSeconds: left };
    const longer = bySize
      ? `raise ${SIZE_LIMITS.join(' or ')}, by which the server purges`
      : `set binlog_expire_logs_seconds to more than ${Math.round(keptMs / 1000)}`;
    if (preparedXid === null) {
      logger[level](
        { ...fields, unreadBytes },
        `The source may purge binlog that is not read yet in ${left} s: let reading catch up, or ${longer}`,
      );
      return;
    }
    const rows =
      oldestFile === null
        ? 'Purged are'
        : `The source may purge ${oldestFile} in ${left} s, and with it`;
    logger[level](
      { ...fields, xid: preparedXid },
      `${rows} the rows of XA transaction ${preparedXid}, which is prepared: end it with XA COMMIT or XA ROLLBACK, or ${longer}`,
    );
  }
}

async function readSettings(source: SourceConnection): Promise<ReadonlyMap<string, string>> {
  const rows = await source.query(
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('binlog_expire_logs_seconds'," +
      ` 'binlog_expire_logs_auto_purge', 'expire_logs_days', '${SIZE_LIMITS.join("', '")}')`,
  );
  return new Map(rows.map((row) => [row['Variable_name'] ?? '', row['Value'] ?? '']));
}

function nextFile(file: string | null, files: readonly BinlogFile[]): string | null {
  if (file === null) return null;
  return files.find(({ name }) => fileNumber(name) > fileNumber(file))?.name ?? null;
}
