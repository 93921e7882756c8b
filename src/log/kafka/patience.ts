/** Waiting for brokers: again and again, louder the longer it takes. */
import { ERRORS } from '../../error-table.ts';
import { RowcallError } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';
import { abortable } from '../../shared/abort.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/logger.ts';
import { isPassing, kafkaCodes, KAFKA, toLogError } from './kafka-error.ts';

const FIRST_DELAY_MS = 20;
const LAST_DELAY_MS = 1_000;
/** The broker is writing the end of our last transaction: a matter of a millisecond or two. */
const BUSY_DELAY_MS = 1;
const BUSY_LAST_DELAY_MS = 50;
const WARN_AFTER_MS = 3_000;
const ERROR_AFTER_MS = 30_000;
const SAY_EVERY_MS = 30_000;

export interface Attempting {
  /** What is being done, for the log line and the error. */
  readonly doing: string;
  /** When to give up, on the clock's `monotonic`. Default: when patience ends. */
  readonly until?: number;
  /** What giving up, or an error that stays, is called. */
  readonly code: ErrorCode;
  /** Called before a further try, with what went wrong. */
  readonly again?: (error: unknown) => void;
}

interface Alarm {
  readonly began: number;
  readonly failed: (error: unknown) => void;
  readonly over: (tries: number) => void;
  readonly cancel: () => void;
}

/**
 * Tries until it works, until an error shows that trying again cannot help, or until its time is over. Invariant:
 * it ends with the signal, so that closing the log never waits for a broker.
 */
export class Patience {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #patienceMs: number;
  readonly #signal: AbortSignal;

  constructor(clock: Clock, logger: Logger, patienceMs: number, signal: AbortSignal) {
    this.#clock = clock;
    this.#logger = logger;
    this.#patienceMs = patienceMs;
    this.#signal = signal;
  }

  get signal(): AbortSignal {
    return this.#signal;
  }

  get clock(): Clock {
    return this.#clock;
  }

  async attempt<T>(attempting: Attempting, work: () => Promise<T>): Promise<T> {
    const alarm = this.#alarm(attempting.doing);
    const until = attempting.until ?? alarm.began + this.#patienceMs;
    try {
      for (let tries = 1; ; tries += 1) {
        this.#throwIfClosed();
        try {
          // A broker that holds its answer back holds nobody up who leaves.
          const result = await abortable(work(), this.#signal);
          alarm.over(tries);
          return result;
        } catch (error) {
          this.#throwIfClosed();
          const delay = delayOf(error, tries);
          if (!isPassing(error) || this.#clock.monotonic() + delay >= until) {
            throw toLogError(error, attempting.doing, attempting.code);
          }
          alarm.failed(error);
          attempting.again?.(error);
          await this.#sleep(delay);
        }
      }
    } finally {
      alarm.cancel();
    }
  }

  /** Tells of what takes long, whether it fails again and again or gets no answer at all. */
  #alarm(doing: string): Alarm {
    const began = this.#clock.monotonic();
    let reason = 'no answer yet';
    let cure: string = ERRORS.LOG_UNREACHABLE.cure;
    let told = false;
    const tell = (): void => {
      told = true;
      const waited = Math.round(this.#clock.monotonic() - began);
      const level = waited >= ERROR_AFTER_MS ? 'error' : 'warn';
      const fields = { doing, waited_ms: waited, reason, cure };
      this.#logger[level](fields, 'Kafka is being waited for');
      cancel = this.#clock.timer(SAY_EVERY_MS, tell);
    };
    let cancel = this.#clock.timer(WARN_AFTER_MS, tell);
    return {
      began,
      failed: (error) => {
        ({ message: reason, cure } = toLogError(error, doing, 'LOG_UNREACHABLE'));
      },
      over: (tries) => {
        if (told) this.#logger.info({ doing, tries }, 'Kafka answers again');
      },
      cancel: () => {
        cancel();
      },
    };
  }

  async #sleep(ms: number): Promise<void> {
    try {
      await this.#clock.sleep(ms, this.#signal);
    } catch (error) {
      this.#throwIfClosed();
      throw error;
    }
  }

  #throwIfClosed(): void {
    if (this.#signal.aborted) throw new RowcallError('LOG_UNREACHABLE', 'The log was closed');
  }
}

function delayOf(error: unknown, tries: number): number {
  return kafkaCodes(error).includes(KAFKA.CONCURRENT_TRANSACTIONS)
    ? Math.min(BUSY_DELAY_MS * tries, BUSY_LAST_DELAY_MS)
    : Math.min(FIRST_DELAY_MS * 2 ** (tries - 1), LAST_DELAY_MS);
}
