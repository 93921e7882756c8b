/** Keeps the log within its age and size, and warns before it is full. */

import { RowcallError } from '../errors.ts';
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/logger.ts';
import type { Service } from '../shared/service.ts';
import type { ChangeLog } from './change-log.ts';

const EVERY_MS = 30_000;
const WARN_SHARE = 0.8;

export interface RetentionKeeperParts {
  readonly log: ChangeLog;
  /** Whose events are kept; empty where nobody knows (`ChangeLog.applyRetention`). Asked at each turn. */
  readonly consumers: () => Promise<readonly string[]>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Runs beside the writer. Without it the file only grows, until it is full and capture pauses. It deletes
 * nothing that one of these callbacks has not settled: that invariant is the log's own (`applyRetention`).
 */
export class RetentionKeeper implements Service {
  readonly name = 'retention';
  readonly #parts: RetentionKeeperParts;

  constructor(parts: RetentionKeeperParts) {
    this.#parts = parts;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    while (!signal.aborted) {
      try {
        await this.#turn();
      } catch (error) {
        this.#tolerate(error);
      }
      try {
        await clock.sleep(EVERY_MS, signal);
      } catch (error) {
        if (error === signal.reason) return;
        throw error;
      }
    }
  }

  /** What may pass is tried again at the next turn: the writer, not the broom, says when a log is of no use. */
  #tolerate(error: unknown): void {
    if (!(error instanceof RowcallError) || !error.retriable) throw error;
    const fields = { code: error.code, cure: error.cure };
    this.#parts.logger.warn(fields, `Old events could not be deleted: ${error.message}`);
  }

  async #turn(): Promise<void> {
    const { log, consumers, clock, logger } = this.#parts;
    const freed = await log.applyRetention(clock.now(), await consumers());
    if (freed > 0) logger.info({ bytes: freed }, 'Old events were deleted from the log');
    const { bytes, maxBytes } = await log.usage();
    if (bytes >= maxBytes * WARN_SHARE) {
      const percent = Math.floor((bytes / maxBytes) * 100);
      logger.warn(
        { bytes, maxBytes, percent },
        'The log is nearly full; at its limit capture pauses',
      );
    }
  }
}
