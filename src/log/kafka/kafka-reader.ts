/** Reads partitions from any place: from what was fetched already, else from the broker. */
import type { LogRecord } from '../../change-event.ts';
import { recordBytes } from '../../change-event.ts';
import { RowcallError } from '../../errors.ts';
import type { Fetched, PartitionBounds, StoredRecord, TopicPartition } from '../change-log.ts';
import { Bounds } from './bounds.ts';
import type { Chunk, Chunks } from './chunks.ts';
import type { FetchedBytes, RawRecord } from './decode-batch.ts';
import { endOf, findTimestamp, readRecords } from './decode-batch.ts';
import { BrokerRefusal, KAFKA } from './kafka-error.ts';
import type { Patience } from './patience.ts';
import { fetchAt, listOffsets } from './positioned-fetch.ts';
import type { Reading } from './positioned-fetch.ts';
import { fromHeaders } from './record-headers.ts';
import type { Tail } from './tail.ts';

export interface ReaderParts extends Reading {
  readonly patience: Patience;
  readonly chunks: Chunks;
  readonly tail: Tail;
}

/** A leader that was just elected may not know yet how far its log is committed. */
const SETTLE_MS = 5_000;
const SEARCH_BYTES = 1024 * 1024;

const placeOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;

export class KafkaReader {
  readonly #parts: ReaderParts;
  readonly #bounds: Bounds;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
    this.#bounds = new Bounds(parts, parts.patience);
  }

  async read(at: TopicPartition, offset: number, maxBytes: number): Promise<Fetched> {
    const { chunks, tail } = this.#parts;
    const chunk = chunks.find(placeOf(at), offset);
    if (chunk !== undefined) return this.#readChunk(chunk, offset, maxBytes);
    const known = tail.known(at);
    // The poll under way begins here, so whatever comes is told. Not where more was told of already: who knows that
    // would ask again and again, and never let the poll's answer in.
    if (known?.polledFrom === offset && known.end <= offset) {
      return { records: [], nextOffset: offset, bytes: 0 };
    }
    return this.#fetch(at, offset, maxBytes);
  }

  async bounds(at: TopicPartition): Promise<PartitionBounds> {
    const { tail } = this.#parts;
    const known = tail.known(at);
    if (known !== undefined) return { start: known.start, end: known.end };
    const bounds = await this.#bounds.of(at);
    tail.learn(at, bounds);
    return bounds;
  }

  writtenEnd(at: TopicPartition): Promise<number> {
    return this.#bounds.writtenEnd(at);
  }

  /**
   * The broker looks at batches, and markers of transactions are batches of the time at which they were written. So
   * its answer may be early, never late, and the rest of the way is read.
   */
  async offsetForTimestamp(at: TopicPartition, timestampMs: number): Promise<number> {
    const { patience, cluster } = this.#parts;
    const attempting = {
      doing: `Looking for a time in ${placeOf(at)}`,
      code: 'LOG_UNREACHABLE',
      again: this.#forget(at),
    } as const;
    const what = {
      timestamp: BigInt(Math.max(0, timestampMs)),
      isolation: 'read-committed',
    } as const;
    let [offset = -1] = await patience.attempt(attempting, async () => {
      const { broker } = await cluster.leader(at);
      return listOffsets(this.#parts, broker, [at], what);
    });
    const { end } = await this.#bounds.of(at);
    while (offset >= 0 && offset < end) {
      const from = offset;
      const fetched = await patience.attempt(attempting, () =>
        fetchAt(this.#parts, at, from, SEARCH_BYTES),
      );
      if (fetched.errorCode !== KAFKA.NONE) throw await this.#outOfRange(at, from);
      const { bytes, aborted } = fetched;
      const came = { place: placeOf(at), from, bytes, aborted };
      const found = findTimestamp(came, from, timestampMs);
      if (found !== null) return found;
      offset = endOf(came);
      if (offset === from) break;
    }
    return end;
  }

  #forget(at: TopicPartition): () => void {
    return () => {
      this.#parts.cluster.forget(at.topic);
    };
  }

  async #fetch(at: TopicPartition, offset: number, maxBytes: number): Promise<Fetched> {
    const { patience, tail, chunks, cluster } = this.#parts;
    const settled = patience.clock.monotonic() + SETTLE_MS;
    const fetched = await patience.attempt(
      { doing: `Reading ${placeOf(at)}`, code: 'LOG_UNREACHABLE', again: this.#forget(at) },
      async () => {
        if (offset < 0) throw await this.#outOfRange(at, offset);
        const answer = await fetchAt(this.#parts, at, offset, maxBytes);
        const beyond = answer.errorCode !== KAFKA.NONE || offset > answer.lastStableOffset;
        if (!beyond) return answer;
        const { start, end } = await this.#bounds.of(at);
        const late = patience.clock.monotonic() >= settled || answer.errorCode !== KAFKA.NONE;
        if ((offset < start || offset > end) && late) throw await this.#outOfRange(at, offset);
        throw new BrokerRefusal(OFFSET_NOT_AVAILABLE, placeOf(at));
      },
    );
    const { bytes, aborted, topicId, logStartOffset: start, lastStableOffset } = fetched;
    if (bytes.length === 0) {
      tail.follow(at, topicId, { start, end: offset });
      return { records: [], nextOffset: offset, bytes: 0 };
    }
    const came: FetchedBytes = { place: placeOf(at), from: offset, bytes, aborted };
    const end = endOf(came);
    if (end <= offset) {
      cluster.forget(at.topic);
      const message = `Kafka gave ${bytes.length} bytes without a whole batch, and ends at ${lastStableOffset}`;
      throw new RowcallError('LOG_CORRUPT', message, { place: `${placeOf(at)}@${offset}` });
    }
    const chunk: Chunk = { fetched: came, end };
    const result = read(came, offset, maxBytes);
    if (result.nextOffset < end) chunks.keep(chunk);
    return result;
  }

  #readChunk(chunk: Chunk, offset: number, maxBytes: number): Fetched {
    const result = read(chunk.fetched, offset, maxBytes);
    if (result.nextOffset >= chunk.end) this.#parts.chunks.drop(chunk);
    return result;
  }

  async #outOfRange(at: TopicPartition, offset: number): Promise<RowcallError> {
    const { start, end } = await this.#bounds.of(at);
    const message = `There is no offset ${offset} in ${placeOf(at)}: it begins at ${start} and ends at ${end}`;
    return new RowcallError('OFFSET_OUT_OF_RANGE', message, { place: placeOf(at) });
  }
}

const OFFSET_NOT_AVAILABLE = 78;

function read(fetched: FetchedBytes, offset: number, maxBytes: number): Fetched {
  const records: StoredRecord[] = [];
  let bytes = 0;
  const nextOffset = readRecords(fetched, offset, (raw) => {
    const record = toRecord(raw, fetched.place);
    records.push({ ...record, offset: raw.offset });
    bytes += recordBytes(record);
    return bytes < maxBytes;
  });
  return { records, nextOffset, bytes };
}

function toRecord(raw: RawRecord, place: string): LogRecord {
  return {
    key: raw.key === null ? null : raw.key.toString(),
    value: raw.value,
    timestampMs: raw.timestampMs,
    ...fromHeaders(raw.headers, `${place}@${raw.offset}`),
  };
}
