/** The log as it grows, for whoever looks on: read once for all of them. */

import { recordBytes } from '../../change-event.ts';
import { News } from '../../deliver/intake/news.ts';
import { RowcallError, toRowcallError } from '../../errors.ts';
import type { ChangeLog, PartitionBounds, TopicPartition } from '../../log/change-log.ts';
import type { Clock } from '../../shared/clock.ts';
import type { FoundEvent } from './find-events.ts';

export interface Onlooker {
  show(found: FoundEvent): void;
  /** So many records came and were not looked at. */
  passed(records: number): void;
  /** Nothing more comes. Null: the process stops. */
  end(why: RowcallError | null): void;
}

/** What each of them costs is bounded; what many would cost is not. */
const MAX_ONLOOKERS = 16;
/** The log is looked at ten times a second at most, and of what came then no more than this is read and shown. */
const ROUND_MS = 100;
const ROUND_BYTES = 1024 * 1024;
const ROUND_WORK_MS = 25;
const READ_BYTES = 64 * 1024;

interface Place {
  readonly at: TopicPartition;
  next: number;
}

/**
 * Reads only while somebody looks on, from the end of the log as it was then. Invariant: what is read and shown is
 * bounded per second, whatever comes, and nobody waits for an onlooker; what is beyond the bound is passed over and
 * counted. Without it a person who looks on would slow down capture and delivery, which share the thread.
 */
export class LiveTail {
  readonly #log: ChangeLog;
  readonly #clock: Clock;
  readonly #onlookers = new Set<Onlooker>();
  readonly #places = new Map<string, Place>();
  /** Those who look on, and those who are about to. */
  #count = 0;
  #opening: Promise<AbortController> | null = null;
  #closed = false;

  constructor({ log, clock }: { readonly log: ChangeLog; readonly clock: Clock }) {
    this.#log = log;
    this.#clock = clock;
  }

  /**
   * @param begin called before the first record is shown, once it is known from where on they are
   * @returns what ends it
   * @throws RowcallError TAIL_FULL, and what the log's `bounds` throws
   */
  async join(begin: () => Onlooker): Promise<() => void> {
    if (this.#count >= MAX_ONLOOKERS) {
      throw new RowcallError('TAIL_FULL', `${MAX_ONLOOKERS} look on already`);
    }
    this.#count += 1;
    let onlooker: Onlooker;
    try {
      this.#opening ??= this.#open();
      await this.#opening;
      onlooker = begin();
    } catch (error) {
      this.#left();
      throw error;
    }
    if (this.#closed) onlooker.end(null);
    else this.#onlookers.add(onlooker);
    let here = true;
    return () => {
      if (!here) return;
      here = false;
      this.#onlookers.delete(onlooker);
      this.#left();
    };
  }

  close(): void {
    this.#closed = true;
    this.#endAll(null);
  }

  #left(): void {
    this.#count -= 1;
    if (this.#count === 0) this.#stop();
  }

  #stop(): void {
    const opening = this.#opening;
    this.#opening = null;
    opening?.then(
      (running) => {
        running.abort(new Error('Nobody looks on'));
      },
      // Whoever joined was told.
      () => undefined,
    );
  }

  #endAll(why: RowcallError | null): void {
    for (const onlooker of this.#onlookers) onlooker.end(why);
    this.#onlookers.clear();
  }

  async #open(): Promise<AbortController> {
    const news = new News();
    const unlisten = this.#log.onAppend(() => {
      news.announce();
    });
    const running = new AbortController();
    try {
      this.#places.clear();
      await this.#follow('end');
    } catch (error) {
      unlisten();
      this.#opening = null;
      throw error;
    }
    this.#run(news, running.signal)
      .catch((error: unknown) => {
        if (running.signal.aborted) return;
        this.#opening = null;
        this.#endAll(toRowcallError(error));
      })
      .finally(unlisten);
    return running;
  }

  async #run(news: News, signal: AbortSignal): Promise<never> {
    for (;;) {
      const { version } = news;
      await this.#follow('start');
      await this.#round(signal);
      await this.#clock.sleep(ROUND_MS, signal);
      await news.after(version, signal);
    }
  }

  /** Partitions that are not known yet: from their end on at first, and those of a topic made since from their start. */
  async #follow(from: keyof PartitionBounds): Promise<void> {
    const topics = await this.#log.topics();
    const unknown = topics
      .flatMap(({ name, partitions }) =>
        Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
      )
      .filter((at) => !this.#places.has(keyOf(at)));
    await Promise.all(
      unknown.map(async (at) => {
        const next = (await this.#log.bounds(at))[from];
        // Over Kafka whoever has read up to the end is told of what comes.
        if (from === 'end') await this.#log.read(at, next, 1);
        this.#places.set(keyOf(at), { at, next });
      }),
    );
  }

  async #round(signal: AbortSignal): Promise<void> {
    const places = await Promise.all(
      [...this.#places.values()].map(async (place) => ({
        place,
        bounds: await this.#log.bounds(place.at),
      })),
    );
    const grown = places.filter(({ place, bounds }) => bounds.end !== place.next);
    const budget = { workMs: ROUND_WORK_MS };
    for (const { place, bounds } of grown) {
      signal.throwIfAborted();
      // Its start is beyond what was read where retention took it; its end is before that in a topic made anew.
      if (place.next < bounds.start) this.#passOver(place, bounds.start);
      if (place.next > bounds.end) place.next = bounds.start;
      await this.#read(place, bounds.end, { budget, bytes: ROUND_BYTES / grown.length });
      if (place.next < bounds.end) this.#passOver(place, bounds.end);
    }
  }

  async #read(
    place: Place,
    end: number,
    { budget, bytes }: { readonly budget: { workMs: number }; readonly bytes: number },
  ): Promise<void> {
    let left = bytes;
    while (place.next < end && left > 0 && budget.workMs > 0) {
      const { records, nextOffset } = await this.#log.read(place.at, place.next, READ_BYTES);
      if (nextOffset === place.next) return;
      const began = this.#clock.monotonic();
      for (const record of records) {
        left -= recordBytes(record);
        for (const onlooker of this.#onlookers) onlooker.show({ ...place.at, record });
      }
      budget.workMs -= this.#clock.monotonic() - began;
      place.next = nextOffset;
      await new Promise<void>((resolve) => {
        this.#clock.soon(resolve);
      });
    }
  }

  #passOver(place: Place, to: number): void {
    for (const onlooker of this.#onlookers) onlooker.passed(to - place.next);
    place.next = to;
  }
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
