/** Reads the log for all callbacks of the process: those at the same place share one read. */

import type { ChangeLog, Fetched, TopicPartition } from '../../log/change-log.ts';
import type { Clock } from '../../shared/clock.ts';
import { Reclaim } from '../../shared/reclaim.ts';

const READ_BYTES = 512 * 1024;
/** Over all partitions; what feeds hold beyond it is bounded by one read each. */
const CACHE_BYTES = 4 * 1024 * 1024;
/** At the log's end a read is a record or two: without this bound there would be tens of thousands of them. */
const CACHE_SEGMENTS = 256;
/** What is handed out before everybody else gets a turn: about 3 ms of matching. */
const TURN_BYTES = 256 * 1024;

interface Segment {
  readonly at: string;
  readonly from: number;
  readonly fetched: Fetched;
}

/**
 * Keeps what was read last, oldest out first. A callback whose place lies inside of a segment gets that segment
 * and passes over what it has: so callbacks that began apart come to share their reads. Records in the log
 * never change, so a segment can be old but never wrong.
 *
 * Invariant: between two turns of the event loop not more than about TURN_BYTES (or one larger segment) are
 * handed out. A log may answer without any input or output, and a callback that passes over millions of records
 * would then keep requests, timers and signals waiting until it has caught up.
 */
export class Fetcher {
  readonly #log: ChangeLog;
  readonly #clock: Clock;
  /** Per partition, oldest first. */
  readonly #segments = new Map<string, Segment[]>();
  readonly #order: Segment[] = [];
  readonly #reading = new Map<string, Promise<Fetched>>();
  readonly #reclaim = new Reclaim();
  #lastBytes = 0;
  #bytes = 0;
  #turnBytes = 0;
  #nextTurn: Promise<void> | null = null;

  constructor(log: ChangeLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Records from `offset` on, perhaps with earlier ones before it; empty at the end. Errors as the log's `read`. */
  async read(at: TopicPartition, offset: number): Promise<Fetched> {
    while (this.#turnBytes >= TURN_BYTES) await this.#turn();
    const fetched = await this.#find(at, offset);
    this.#turnBytes += fetched.bytes;
    return fetched;
  }

  #turn(): Promise<void> {
    this.#nextTurn ??= new Promise((resolve) => {
      this.#clock.soon(() => {
        this.#nextTurn = null;
        this.#turnBytes = 0;
        resolve();
      });
    });
    return this.#nextTurn;
  }

  #find(at: TopicPartition, offset: number): Promise<Fetched> | Fetched {
    const partition = `${at.topic}/${at.partition}`;
    // The newest first: nearly all callbacks are near the end.
    const cached = this.#segments
      .get(partition)
      ?.findLast(({ from, fetched }) => from <= offset && offset < fetched.nextOffset);
    if (cached !== undefined) return cached.fetched;
    const place = `${partition}/${offset}`;
    const underway = this.#reading.get(place);
    if (underway !== undefined) return underway;
    const reading = this.#readLog(at, partition, offset).finally(() => {
      this.#reading.delete(place);
    });
    this.#reading.set(place, reading);
    return reading;
  }

  async #readLog(at: TopicPartition, partition: string, offset: number): Promise<Fetched> {
    // What was read before is on its way out, or is at the latest when this is.
    this.#reclaim.released(this.#lastBytes);
    const fetched = await this.#log.read(at, offset, READ_BYTES);
    this.#lastBytes = fetched.bytes;
    // A larger one would only drive out all the others, and be gone itself.
    if (fetched.records.length > 0 && fetched.bytes <= CACHE_BYTES) {
      this.#keep({ at: partition, from: offset, fetched });
    }
    return fetched;
  }

  #keep(segment: Segment): void {
    const of = this.#segments.get(segment.at);
    if (of === undefined) this.#segments.set(segment.at, [segment]);
    else of.push(segment);
    this.#order.push(segment);
    this.#bytes += segment.fetched.bytes;
    while (this.#bytes > CACHE_BYTES || this.#order.length > CACHE_SEGMENTS) this.#dropOldest();
  }

  /** The oldest of all is the oldest of its partition. */
  #dropOldest(): void {
    const oldest = this.#order.shift();
    if (oldest === undefined) return;
    this.#bytes -= oldest.fetched.bytes;
    const of = this.#segments.get(oldest.at);
    of?.shift();
    if (of?.length === 0) this.#segments.delete(oldest.at);
  }
}
