/** Reads the log for all callbacks of the process: those at the same place share one read. */

import { Reclaim } from '../../shared/reclaim.ts';
import type { ChangeLog, Fetched, TopicPartition } from '../../log/change-log.ts';

const READ_BYTES = 512 * 1024;
/** Over all partitions; what feeds hold beyond it is bounded by one read each. */
const CACHE_BYTES = 4 * 1024 * 1024;

interface Segment {
  readonly at: string;
  readonly from: number;
  readonly fetched: Fetched;
}

/**
 * Keeps what was read last, oldest out first. A callback whose place lies inside of a segment gets that segment
 * and passes over what it has: so callbacks that began apart come to share their reads. Records in the log
 * never change, so a segment can be old but never wrong.
 */
export class Fetcher {
  readonly #log: ChangeLog;
  readonly #segments = new Map<string, Segment[]>();
  readonly #order: Segment[] = [];
  readonly #reading = new Map<string, Promise<Fetched>>();
  readonly #reclaim = new Reclaim();
  #bytes = 0;
  #lastBytes = 0;

  constructor(log: ChangeLog) {
    this.#log = log;
  }

  /** Records from `offset` on, perhaps with earlier ones before it; empty at the end. Errors as the log's `read`. */
  read(at: TopicPartition, offset: number): Promise<Fetched> {
    const partition = `${at.topic}/${at.partition}`;
    const cached = this.#segments
      .get(partition)
      ?.find(({ from, fetched }) => from <= offset && offset < fetched.nextOffset);
    if (cached !== undefined) return Promise.resolve(cached.fetched);
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
    const fetched = await this.#log.read(at, offset, READ_BYTES);
    // What was read before is on its way out; the newest is not, and its turn comes with the next.
    this.#reclaim.released(this.#lastBytes);
    this.#lastBytes = fetched.bytes;
    if (fetched.records.length > 0) this.#keep({ at: partition, from: offset, fetched });
    return fetched;
  }

  #keep(segment: Segment): void {
    const of = this.#segments.get(segment.at);
    if (of === undefined) this.#segments.set(segment.at, [segment]);
    else of.push(segment);
    this.#order.push(segment);
    this.#bytes += segment.fetched.bytes;
    while (this.#bytes > CACHE_BYTES) {
      const oldest = this.#order.shift();
      if (oldest === undefined) return;
      this.#bytes -= oldest.fetched.bytes;
      const rest = (this.#segments.get(oldest.at) ?? []).filter((one) => one !== oldest);
      if (rest.length === 0) this.#segments.delete(oldest.at);
      else this.#segments.set(oldest.at, rest);
    }
  }
}
