/** The capture leg: binlog events become records in the log, from the checkpoint on, for ever. */

import { type ErrorCode, type RowcallError, toRowcallError } from '../errors.ts';
import { Backoff } from '../shared/backoff.ts';
import type { Service } from '../shared/service.ts';
import type { CaptureCounters } from './capture-counters.ts';
import { canCompile } from './fast/compile-image.ts';
import { type ForeseenPurge, isUrgent } from './purge-watch.ts';
import { type CaptureParts, CaptureSession, NO_PLACE, type SessionSnapshot } from './session.ts';

/** A damaged event is read again, in case the network bent it; after so many times it is the file. */
const CHECKSUM_TRIES = 3;

export type CaptureState = 'connecting' | 'streaming' | 'waiting' | 'stopped';

/** What capture says of itself, for metrics and readiness. */
export interface CaptureSnapshot extends Readonly<CaptureCounters>, Omit<SessionSnapshot, 'purge'> {
  readonly state: CaptureState;
  /** Why the last connection ended or could not be made; null while events come. */
  readonly failure: ErrorCode | null;
  readonly reconnects: number;
  readonly heartbeatMs: number;
  /** How long the source will have what is needed; null while nothing is known. */
  readonly binlog: BinlogLeft | null;
}

export interface BinlogLeft {
  /** How long the server keeps a file, by age or size; Infinity where nothing expires by itself. */
  readonly keptMs: number;
  /** Until what is needed may be purged; Infinity while reading keeps ahead of that. */
  readonly leftMs: number;
  /** What the source can write until a limit of its size has it purge that; Infinity without a limit. */
  readonly leftBytes: number;
  /** The oldest file that is needed: that of the place, or of an XA transaction that is prepared; null: it is purged. */
  readonly oldestFile: string | null;
  /** The prepared XA transaction that would lose its rows first; null where none would. */
  readonly preparedXid: string | null;
  /** As of the last look. */
  readonly unreadBytes: number;
  /** A person should look after it. */
  readonly urgent: boolean;
}

/**
 * Invariant: one session at a time, and each begins at the checkpoint that the log holds, never at what
 * an earlier session remembered. Retriable failures (a lost source, a failed write) begin a new session after
 * a wait that doubles until something new is durable, since a connection alone proves nothing; every other one
 * ends the leg, with the place and the cure.
 */
export class Capture implements Service {
  readonly name = 'capture';
  readonly #parts: CaptureParts;
  readonly #backoff: Backoff;
  readonly #counters: CaptureCounters = {
    events: 0,
    bytes: 0,
    rows: 0,
    filteredRowEvents: 0,
    transactions: 0,
    lastCommitMs: 0,
  };
  #session: CaptureSession | null = null;
  #state: CaptureState = 'connecting';
  #failure: ErrorCode | null = null;
  #reconnects = 0;
  #recordsBefore = 0;
  #appendsBefore = 0;
  #purgeBefore: ForeseenPurge | null = null;
  #checksumFailures = 0;
  #cutOff = false;

  constructor(parts: CaptureParts) {
    this.#parts = parts;
    this.#backoff = new Backoff({
      initialMs: 250,
      maximumMs: 30_000,
      jitter: 0.2,
      clock: parts.clock,
      random: parts.random,
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    if (!canCompile()) {
      const message = 'This process may not make code at run time: rows are read the slow way';
      this.#parts.logger.warn({ option: '--disallow-code-generation-from-strings' }, message);
    }
    try {
      while (!signal.aborted) {
        const failure = await this.#runSession(signal);
        if (failure === null) return;
        await this.#recover(failure, signal);
      }
    } catch (error) {
      if (signal.aborted && error === signal.reason) return;
      throw error;
    } finally {
      this.#state = 'stopped';
    }
  }

  snapshot(): CaptureSnapshot {
    const session = this.#session?.snapshot() ?? NO_PLACE;
    return {
      ...this.#counters,
      ...session,
      state: this.#state,
      failure: this.#failure,
      recordsAppended: this.#recordsBefore + session.recordsAppended,
      appends: this.#appendsBefore + session.appends,
      reconnects: this.#reconnects,
      heartbeatMs: this.#parts.heartbeatMs,
      binlog: this.#binlogLeft(session.purge ?? this.#purgeBefore),
    };
  }

  /** Counted down from the last look: by the pace of reading, or as for one who stands where nothing is read. */
  #binlogLeft(foreseen: ForeseenPurge | null): BinlogLeft | null {
    if (foreseen === null) return null;
    const { leftMs, standingMs, atMs, ...seen } = foreseen;
    const from = this.#state === 'streaming' ? leftMs : standingMs;
    const left = Math.max(0, from - (this.#parts.clock.monotonic() - atMs));
    return { ...seen, leftMs: left, urgent: isUrgent(left, seen.keptMs) };
  }

  /** One connection from checkpoint to loss. Null when it ended because it was told to. */
  async #runSession(signal: AbortSignal): Promise<RowcallError | null> {
    this.#state = 'connecting';
    const parts = { ...this.#parts, cutOff: this.#cutOff };
    const session = new CaptureSession(parts, this.#counters, {
      onStreaming: () => {
        this.#state = 'streaming';
        this.#failure = null;
      },
      onProgress: () => {
        this.#backoff.progress();
        this.#checksumFailures = 0;
      },
    });
    this.#session = session;
    try {
      await session.run(signal);
      return null;
    } catch (error) {
      if (signal.aborted) return null;
      return toRowcallError(error);
    } finally {
      const last = session.snapshot();
      this.#recordsBefore += last.recordsAppended;
      this.#appendsBefore += last.appends;
      this.#purgeBefore = last.purge ?? this.#purgeBefore;
      this.#session = null;
    }
  }

  async #recover(failure: RowcallError, signal: AbortSignal): Promise<void> {
    const { logger, clock } = this.#parts;
    this.#cutOff = failure.code === 'BINLOG_DUMP_REFUSED';
    if (failure.code === 'BINLOG_CHECKSUM') this.#checksumFailures += 1;
    if (!failure.retriable || this.#checksumFailures >= CHECKSUM_TRIES) throw failure;
    const waitMs = Math.round(this.#backoff.failed());
    this.#state = 'waiting';
    this.#failure = failure.code;
    this.#reconnects += 1;
    const fields = {
      code: failure.code,
      place: failure.place,
      attempt: this.#backoff.failures,
      waitMs,
    };
    logger[this.#backoff.level](fields, `Capture lost its source: ${failure.message}`);
    await clock.sleep(waitMs, signal);
  }
}
