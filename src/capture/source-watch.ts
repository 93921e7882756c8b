/** Looks after the source's settings while we read from it. */

import { RowcallError } from '../errors.ts';
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/logger.ts';
import type { Service } from '../shared/service.ts';
import type { SourceConnection } from './binlog/source-connection.ts';
import {
  checkSettings,
  type Finding,
  readSettings,
  type SourceWishes,
} from './preflight/check-source.ts';
import { checkDurability } from './preflight/checks/durability.ts';
import { checkSurroundings, type SurroundingsWishes } from './preflight/surroundings.ts';

/** How many of the settings do not fit, as of the last look. */
export interface SourceFit {
  readonly errors: number;
  readonly warnings: number;
}

export interface SourceWatchParts {
  readonly open: (signal: AbortSignal) => Promise<SourceConnection>;
  readonly wishes: SurroundingsWishes &
    Pick<SourceWishes, 'minimumRetentionMs' | 'requireFullImage'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: five minutes. */
  readonly everyMs?: number;
  /** Default: five seconds, since a start has questions of its own to ask. */
  readonly firstMs?: number;
}

const FIRST_MS = 5_000;
const EVERY_MS = 5 * 60_000;

/**
 * A setting that is changed to something unfit is told in the log and in a metric; where it makes the binlog
 * unreadable, the events themselves stop the capture. Without this a session whose binlog_format became STATEMENT, or
 * an expiry that became an hour, would be known only once something is lost. Invariant: what was told is told again
 * only after it was different meanwhile, and a source that does not answer ends nothing here: capture tells of that.
 */
export class SourceWatch implements Service {
  readonly name = 'source-watch';
  readonly #parts: SourceWatchParts;
  /** By what was looked at; null before the first look, which a start has made already. */
  #known: ReadonlyMap<string, Finding> | null = null;
  #knowsSurroundings = false;

  constructor(parts: SourceWatchParts) {
    this.#parts = parts;
  }

  snapshot(): SourceFit | null {
    if (this.#known === null) return null;
    const severities = [...this.#known.values()].map(({ severity }) => severity);
    const count = (wanted: Finding['severity']): number =>
      severities.filter((severity) => severity === wanted).length;
    return { errors: count('error'), warnings: count('warning') };
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, everyMs = EVERY_MS, firstMs = FIRST_MS } = this.#parts;
    try {
      await clock.sleep(firstMs, signal);
      for (;;) {
        await this.#look(signal);
        await clock.sleep(everyMs, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { open, logger } = this.#parts;
    let source: SourceConnection | null = null;
    try {
      source = await open(signal);
      await this.#lookAtSettings(source);
      if (!this.#knowsSurroundings) await this.#lookAround(source);
    } catch (error) {
      // Whatever keeps us from looking keeps capture from reading, which has the error and its cure; the next look is due all the same.
      if (signal.aborted || !(error instanceof RowcallError)) throw error;
      logger.debug(
        { code: error.code },
        `The settings of the source were not seen: ${error.message}`,
      );
    } finally {
      await source?.close();
    }
  }

  async #lookAround(source: SourceConnection): Promise<void> {
    for (const finding of await checkSurroundings(source, this.#parts.wishes)) {
      // Among the settings already.
      if (finding.severity === 'note' || this.#known?.has(finding.check) === true) continue;
      this.#parts.logger.warn({ ...finding }, `The source: ${finding.why}`);
    }
    this.#knowsSurroundings = true;
  }

  async #lookAtSettings(source: SourceConnection): Promise<void> {
    const { wishes, logger } = this.#parts;
    const settings = await readSettings(source);
    const durability = checkDurability({ settings });
    const found = new Map(
      [...checkSettings(settings, wishes), ...durability].map((finding) => [
        finding.check,
        finding,
      ]),
    );
    const before = this.#known;
    this.#known = found;
    if (before === null) {
      for (const finding of durability) logger.warn({ ...finding }, `The source: ${finding.why}`);
      return;
    }
    for (const finding of found.values()) {
      if (before.get(finding.check)?.value === finding.value) continue;
      const text = `The source was changed: ${finding.check} is ${finding.value}. ${finding.why}`;
      logger[finding.severity === 'error' ? 'error' : 'warn']({ ...finding }, text);
    }
    for (const check of before.keys()) {
      if (!found.has(check)) logger.info({ check }, `The source was changed: ${check} fits again`);
    }
  }
}
