/** Tells the log of keys that leave the fast path, are parked, or lose an event: the first at once, then a count a minute. */

import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/logger.ts';
import type { DueResend } from '../../state/resend-store.ts';
import type { DueLane } from '../../state/state-store.ts';

const EVERY_MS = 60_000;

/** Invariant: a line a minute at the most, with the count of those that got none of their own. */
class Digest {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #toldAt = -Infinity;
  #untold = 0;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  tell(fields: Readonly<Record<string, unknown>>, text: string): void {
    this.#untold += 1;
    const now = this.#clock.monotonic();
    if (now - this.#toldAt < EVERY_MS) return;
    this.#logger.warn({ ...fields, keys: this.#untold }, text);
    this.#toldAt = now;
    this.#untold = 0;
  }

  /** The next one is told at once. */
  over(): void {
    this.#toldAt = -Infinity;
    this.#untold = 0;
  }
}

/**
 * A receiver that answers 500 to everything would otherwise be silence; a line for each key would be a flood.
 */
export class LaneNews {
  readonly #callback: string;
  readonly #logger: Logger;
  readonly #opened: Digest;
  readonly #parked: Digest;
  readonly #died: Digest;

  constructor(callback: string, clock: Clock, logger: Logger) {
    this.#callback = callback;
    this.#logger = logger;
    this.#opened = new Digest(clock, logger);
    this.#parked = new Digest(clock, logger);
    this.#died = new Digest(clock, logger);
  }

  /** A key failed and waits in a lane from now on. */
  opened(key: string, error: string): void {
    this.#opened.tell(
      { callback: this.#callback, key, error },
      'Keys failed and wait in lanes for their next attempt; rowcall lanes list shows them',
    );
  }

  /** A key's head is exhausted: a person is needed. */
  parked(key: string, error: string): void {
    this.#parked.tell(
      { callback: this.#callback, key, error },
      'Keys are parked: their events are held until somebody acts; see rowcall lanes list',
    );
  }

  /** An event was given up and set aside. */
  died(key: string, error: string): void {
    this.#died.tell(
      { callback: this.#callback, key, error },
      'Events were given up and set aside as dead letters; see rowcall dead-letters list',
    );
  }

  /** The process ended under an attempt of it. */
  crashed({ topic, key, ...left }: DueLane | DueResend): void {
    const event = 'resend' in left ? left.event : left.head;
    this.#logger.error(
      { callback: this.#callback, topic, key, event: event.id },
      'The handler ended the process with this event: the attempt counts as failed',
    );
  }

  /** No key waits any more. */
  drained(): void {
    this.#logger.info({ callback: this.#callback }, 'All lanes are empty again');
    this.#opened.over();
  }
}
