/**
 * The change log: where the two legs meet. Two adapters (embedded/, kafka/) keep one promise:
 * **an append writes records and the checkpoint together, and only one writer can append.**
 * test/contract/change-log.contract.ts is this text as a test suite.
 */

import type { LogRecord } from '../change-event.ts';

export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
}

export interface TopicInfo extends TopicSpec {
  /** Made with the topic and never again: a topic recreated under the same name has another. */
  readonly id: string;
}

/** Records for one partition, in commit order. */
export interface PartitionBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly LogRecord[];
}

/**
 * The one writer. All calls are made by one owner, one append at a time or several in a row without
 * waiting: they become durable in call order. After any rejection but LOG_FULL, RECORD_TOO_LARGE and
 * TOPIC_UNKNOWN the writer is dead: the outcome is unknown, and the way on is a new writer and its checkpoint.
 */
export interface ChangeLogWriter {
  /** The checkpoint of the newest durable append when this writer was opened; null when there is none. */
  readonly checkpoint: string | null;

  /** Makes the topics that are not there yet; durable when it resolves. Returns all named, in order. An
   *  existing topic keeps its partition count, whatever is asked. */
  createTopics(topics: readonly TopicSpec[]): Promise<readonly TopicInfo[]>;

  /**
   * Writes all batches and the checkpoint, or nothing. Offsets rise in each partition; between two records there
   * may be some that hold none (in Kafka the markers of transactions), which a reader passes by `nextOffset`.
   * `batches` may be empty: only the checkpoint moves. Resolves when durable, and readers then see it. From then on
   * the records' bytes are the caller's again: what is kept of them is a copy.
   *
   * Kafka with `delivery: at-least-once` is weaker: the records come first, the checkpoint after them. After a
   * crash between the two, or from a writer that was fenced between the two, records are there that the next
   * writer writes again; a checkpoint is never there without its records, and a fenced writer's never.
   *
   * @throws RowcallError WRITER_FENCED: a newer writer was opened. LOG_FULL: over the size limit, nothing
   *   written, the same append may be tried again. RECORD_TOO_LARGE, TOPIC_UNKNOWN: nothing written.
   *   LOG_WRITE_FAILED: outcome unknown.
   */
  append(batches: readonly PartitionBatch[], checkpoint: string): Promise<void>;

  /** Waits for appends in flight, then lets go. Idempotent. */
  close(): Promise<void>;
}

/** A record as read. */
export interface StoredRecord extends LogRecord {
  readonly offset: number;
}

/** What a read gives: records of one partition in offset order, perhaps none. */
export interface Fetched {
  readonly records: readonly StoredRecord[];
  /** Where the next read goes on: past the last record, or past offsets that hold no record. */
  readonly nextOffset: number;
  /** Sum of the records' sizes in memory. */
  readonly bytes: number;
}

export interface PartitionBounds {
  /** The first offset still there. */
  readonly start: number;
  /** Past the last record: the next one gets this offset or a later one. */
  readonly end: number;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** How far a consumer has settled a partition: retention keeps everything from `offset` on. */
export interface LowWaterMark extends TopicPartition {
  readonly topicId: string;
  readonly offset: number;
}

/** Stands in the place of a state store's identity where a person removed the consumer: it is as one never seen. */
export const REMOVED_CONSUMER = 'removed';

export interface LogUsage {
  readonly bytes: number;
  /** Infinity where the log has no limit of its own. */
  readonly maxBytes: number;
}

export interface ChangeLog {
  /**
   * Opens the writer of `name` and fences every older one: from here on their appends are refused, and
   * nothing that they left open becomes visible.
   *
   * @throws RowcallError CHECKPOINT_LOST when the log has records but no checkpoint of `name`.
   */
  openWriter(name: string): Promise<ChangeLogWriter>;

  /** The newest durable checkpoint of `name`; null when there is none. Needs no writer. */
  readCheckpoint(name: string): Promise<string | null>;

  /** Writes a checkpoint by hand, fencing a running writer. For `rowcall position set`. */
  setCheckpoint(name: string, checkpoint: string): Promise<void>;

  /** The topics that writers of this log made. `partitions` is what keys are hashed over. */
  topics(): Promise<readonly TopicInfo[]>;

  /**
   * Reads from `offset` on: at least one record or offset without one when there is one, then up to about
   * `maxBytes`. At the end of the partition the result is empty and `nextOffset` is `offset`.
   *
   * @throws RowcallError TOPIC_UNKNOWN; OFFSET_OUT_OF_RANGE when offset < start or > end.
   */
  read(at: TopicPartition, offset: number, maxBytes: number): Promise<Fetched>;

  /** While somebody listens (`onAppend`) the end may be as of the last call of the listeners. */
  bounds(at: TopicPartition): Promise<PartitionBounds>;

  /**
   * Past everything that writers have handed over, asked anew. What a reader sees of an append in one partition
   * is below it in every other one, also where readers there do not see it yet: in Kafka a transaction ends in
   * one partition after another.
   */
  writtenEnd(at: TopicPartition): Promise<number>;

  /** The first offset whose record's timestamp is >= `timestampMs`; the end when there is none. */
  offsetForTimestamp(at: TopicPartition, timestampMs: number): Promise<number>;

  /**
   * Calls `listener` soon after records became readable or topics were made, at least once after the last
   * append. Calls may be merged and may come without news. Returns what ends it.
   */
  onAppend(listener: () => void): () => void;

  /**
   * Remembers in the log how far a consumer of `stateId` (the state store's identity) has settled, and
   * replaces its earlier marks. What that holds: `applyRetention`.
   */
  setLowWater(consumer: string, stateId: string, marks: readonly LowWaterMark[]): Promise<void>;

  /** All consumers ever marked, with the state store that held their progress. */
  lowWater(): Promise<
    readonly { consumer: string; stateId: string; marks: readonly LowWaterMark[] }[]
  >;

  /**
   * Deletes what age and size allow and no consumer holds. A consumer holds each partition from its mark on, and all
   * of a partition for which it has no mark with the topic's id: consumers read every topic, so it has not come
   * there yet. Only those in `consumers` hold, marked or not: the marks of one that was removed would fill the log
   * for ever. Where `consumers` is empty, whoever calls does not know them, and all ever marked hold.
   * Returns the bytes given back: 0 in Kafka, which deletes by the settings of each topic and holds nothing back.
   */
  applyRetention(nowMs: number, consumers: readonly string[]): Promise<number>;

  usage(): Promise<LogUsage>;

  close(): Promise<void>;
}
