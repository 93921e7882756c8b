/** Writes dead letters to the topics in which others read them, beside delivery. */

import type { LogRecord } from '../../change-event.ts';
import { deadLetterTopic } from '../../dead-letter-topic.ts';
import { type RowcallError, toRowcallError } from '../../errors.ts';
import { pause } from '../../shared/abort.ts';
import { Backoff } from '../../shared/backoff.ts';
import type { Clock, Random } from '../../shared/clock.ts';
import { failpoint } from '../../shared/failpoint.ts';
import type { Logger } from '../../shared/logger.ts';
import type { Service } from '../../shared/service.ts';
import type { MirrorStore, UnmirroredCount } from '../../state/mirror-store.ts';
import { letterRecord } from './letter-record.ts';

/** Topics of dead letters, made when they are first written to. */
export interface LetterTopics {
  /**
   * In order within a partition. When it resolves, every copy in sync has them; when it rejects, some, all or none may be
   * there.
   *
   * @throws RowcallError RECORD_TOO_LARGE, TOPIC_COMPACTED, TOPIC_NOT_MADE, LOG_ACCESS_DENIED, LOG_UNREACHABLE and others
   *   of the log; WRITER_FENCED: another process writes them
   */
  write(topic: string, records: readonly LogRecord[]): Promise<void>;

  /** At once: what is on its way is cut off. */
  close(): Promise<void>;
}

export interface MirrorParts {
  readonly name: string;
  readonly state: Pick<MirrorStore, 'countUnmirrored' | 'lettersMirrored' | 'unmirroredLetters'>;
  readonly topics: LetterTopics;
  /** Those that are called now. */
  readonly callbacks: () => readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Of one callback. */
export interface MirrorSnapshot {
  readonly callback: string;
  readonly waiting: number;
  /** Wall time in ms at which the first one that waits was given up; null where none does. */
  readonly oldestAt: number | null;
  /** Since the process began. */
  readonly mirrored: number;
  readonly failures: number;
  /** Why they wait; null while nothing is wrong. */
  readonly failure: string | null;
}

/** Letters written at once. */
const PAGE = 500;
const LOOK_AGAIN_MS = 1_000;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
const JITTER = 0.2;
/** What is being written when the process is to stop may end, so that it is not written again. */
const STOP_WITHIN_MS = 3_000;

/** How one callback fares. */
interface Course {
  mirrored: number;
  failures: number;
  failure: RowcallError | null;
  /** How many letters go at once: one where one among several is too large. */
  atOnce: number;
  /** Monotonic time before which nothing is tried. */
  notBefore: number;
  readonly backoff: Backoff;
}

/**
 * Invariants: a letter leaves the store only after its topic has it, so that none is missing, whenever the process ends;
 * and those of a callback go in the order of their ids, the next ones only after those before, so that what follows an
 * unknown outcome is a repeat from its first one on, never an inversion. Whatever fails here is told and tried again, and
 * delivery does not wait for it: a cluster that takes no dead letters must not be the reason for more of them.
 */
export class DeadLetterMirror implements Service {
  readonly name = 'dead letters';
  readonly #parts: MirrorParts;
  readonly #courses = new Map<string, Course>();
  #waiting: readonly UnmirroredCount[] = [];

  constructor(parts: MirrorParts) {
    this.#parts = parts;
  }

  snapshot(): readonly MirrorSnapshot[] {
    const waiting = new Map(this.#waiting.map((one) => [one.callback, one]));
    const names = [...this.#parts.callbacks(), ...this.#courses.keys(), ...waiting.keys()];
    return [...new Set(names)].map((callback) => {
      const course = this.#courses.get(callback);
      const count = waiting.get(callback);
      return {
        callback,
        waiting: count?.waiting ?? 0,
        oldestAt: count?.oldestAt ?? null,
        mirrored: course?.mirrored ?? 0,
        failures: course?.failures ?? 0,
        failure: shown(course?.failure ?? null),
      };
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, topics } = this.#parts;
    let cancel: (() => void) | undefined;
    const onStop = (): void => {
      cancel = clock.timer(STOP_WITHIN_MS, () => {
        // Closed once more at the end, which tells of a failure.
        topics.close().catch(() => undefined);
      });
    };
    signal.addEventListener('abort', onStop, { once: true });
    try {
      while (!signal.aborted) {
        if (!(await this.#turn(signal))) await pause(clock, LOOK_AGAIN_MS, signal);
      }
    } finally {
      signal.removeEventListener('abort', onStop);
      cancel?.();
      await topics.close();
    }
  }

  /** Each callback in turn. Whether there may be more to do at once. */
  async #turn(signal: AbortSignal): Promise<boolean> {
    const { state, clock } = this.#parts;
    this.#waiting = await state.countUnmirrored();
    let more = false;
    for (const { callback } of this.#waiting) {
      if (signal.aborted) return false;
      const course = this.#courseOf(callback);
      if (course.notBefore > clock.monotonic()) continue;
      if (await this.#page(callback, course, signal)) more = true;
    }
    return more;
  }

  /** Whether there may be more of this callback to do at once. */
  async #page(callback: string, course: Course, signal: AbortSignal): Promise<boolean> {
    const { name, state, topics } = this.#parts;
    const letters = await state.unmirroredLetters(callback, course.atOnce);
    failpoint('before-dead-letter-mirror');
    try {
      await topics.write(deadLetterTopic(name, callback), letters.map(letterRecord));
    } catch (error) {
      if (signal.aborted) return false;
      return this.#failed(callback, course, { error, tried: letters.length });
    }
    failpoint('after-dead-letter-mirror');
    await state.lettersMirrored(letters.map(({ id }) => id));
    this.#succeeded(callback, course, letters.length);
    return true;
  }

  #succeeded(callback: string, course: Course, count: number): void {
    if (course.failure !== null) {
      this.#parts.logger.info({ callback }, 'Dead letters are mirrored again');
    }
    course.backoff.progress();
    course.mirrored += count;
    course.failure = null;
    course.atOnce = PAGE;
  }

  #failed(
    callback: string,
    course: Course,
    { error, tried }: { readonly error: unknown; readonly tried: number },
  ): boolean {
    const { clock, logger } = this.#parts;
    const failure = toRowcallError(error);
    if (failure.code === 'RECORD_TOO_LARGE' && tried > 1) {
      // Those before it can go.
      course.atOnce = 1;
      return true;
    }
    course.failures += 1;
    course.failure = failure;
    // Two processes that fenced each other at every turn would write everything twice.
    const fenced = failure.code === 'WRITER_FENCED' ? LONGEST_WAIT_MS : 0;
    const waitMs = Math.max(course.backoff.failed(), fenced);
    course.notBefore = clock.monotonic() + waitMs;
    const fields = {
      ...{ code: 'LETTER_NOT_MIRRORED', reason: failure.code, callback },
      ...{ topic: deadLetterTopic(this.#parts.name, callback), cure: failure.cure },
      wait_ms: Math.round(waitMs),
    };
    const text = `Dead letters wait to be mirrored, and are tried again: ${failure.message}`;
    logger[failure.retriable ? course.backoff.level : 'error'](fields, text);
    return false;
  }

  #courseOf(callback: string): Course {
    const known = this.#courses.get(callback);
    if (known !== undefined) return known;
    const { clock, random } = this.#parts;
    const times = { initialMs: FIRST_WAIT_MS, maximumMs: LONGEST_WAIT_MS, jitter: JITTER };
    const course = {
      ...{ mirrored: 0, failures: 0, failure: null, atOnce: PAGE, notBefore: 0 },
      backoff: new Backoff({ ...times, clock, random }),
    };
    this.#courses.set(callback, course);
    return course;
  }
}

function shown(failure: RowcallError | null): string | null {
  return failure === null ? null : `${failure.code}: ${failure.message}`;
}
