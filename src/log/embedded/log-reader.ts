/** The reading side of the embedded log: positioned reads over a connection of its own. */
import type { DatabaseSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import { assert, present } from '../../shared/assert.ts';
import { Reclaim } from '../../shared/reclaim.ts';
import type {
  Fetched,
  LowWaterMark,
  PartitionBounds,
  TopicInfo,
  TopicPartition,
} from '../change-log.ts';
import { CheckpointTable } from './checkpoint-table.ts';
import { CHUNK_BYTES, SpaceUsed } from './database.ts';
import { decodeBatch, RecordSink } from './record-batch.ts';
import type { StoredBatch } from './record-batch.ts';
import type { Row } from '../../shared/sqlite-row.ts';
import { bytesOf, numberOf, textOf } from '../../shared/sqlite-row.ts';

/** SQLite gives each chunk in a buffer of its own: beside a large record they may come to this much before they are let go. */
const CHUNK_GARBAGE_BYTES = 8 * 1024 * 1024;
/** Index entries looked through at a time in the search for a timestamp, some milliseconds of work. */
const SEARCH_STEP = 10_000;

interface Partition extends PartitionBounds {
  readonly id: number;
  readonly place: string;
}

/** A consumer's marks, as the port tells them. */
export interface ConsumerMarks {
  readonly consumer: string;
  readonly stateId: string;
  readonly marks: readonly LowWaterMark[];
}

/** One step of the search for a timestamp: found, or go on from there. */
export type TimestampSearch = { readonly offset: number } | { readonly continueFrom: number };

/**
 * Reads that see one moment of the log each. Invariant: bounds and batches of one answer come from one
 * snapshot, because retention and the writer work beside it, perhaps in other processes.
 */
export class LogReader {
  readonly #db: DatabaseSync;
  readonly #space: SpaceUsed;
  readonly #checkpoints: CheckpointTable;
  readonly #sql;
  readonly #reclaim = new Reclaim(CHUNK_GARBAGE_BYTES);

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#space = new SpaceUsed(db);
    this.#checkpoints = new CheckpointTable(db);
    this.#sql = prepareAll(db);
  }

  checkpoint(name: string): string | null {
    return this.#checkpoints.read(name);
  }

  topics(): TopicInfo[] {
    return this.#sql.topics.all().map((row) => ({
      name: textOf(row, 'name'),
      id: textOf(row, 'id'),
      partitions: numberOf(row, 'partitions'),
    }));
  }

  /** @throws RowcallError TOPIC_UNKNOWN */
  bounds(at: TopicPartition): PartitionBounds {
    const { start, end } = this.#partition(at);
    return { start, end };
  }

  /** @throws RowcallError TOPIC_UNKNOWN, OFFSET_OUT_OF_RANGE, LOG_CORRUPT */
  read(at: TopicPartition, offset: number, maxBytes: number): Fetched {
    return this.#snapshot(() => {
      const partition = this.#partition(at);
      if (offset < partition.start || offset > partition.end) {
        const message = `Offset ${offset} is outside ${partition.start} to ${partition.end}`;
        throw new RowcallError('OFFSET_OUT_OF_RANGE', message, { place: partition.place });
      }
      const sink = new RecordSink(maxBytes);
      let nextOffset = offset;
      while (nextOffset < partition.end && !sink.full) {
        decodeBatch(this.#batchAt(partition, nextOffset), nextOffset, sink);
        nextOffset = offset + sink.records.length;
      }
      return { records: sink.records, nextOffset, bytes: sink.bytes };
    });
  }

  /** Looks through a bounded part of the index, from the batch of offset `from` on. @throws RowcallError TOPIC_UNKNOWN */
  searchTimestamp(at: TopicPartition, timestampMs: number, from: number): TimestampSearch {
    return this.#snapshot(() => {
      const partition = this.#partition(at);
      let last = Math.max(from, partition.start);
      let steps = 0;
      for (const row of this.#sql.timestamps.iterate(partition.id, last)) {
        const base = numberOf(row, 'base');
        last = base + numberOf(row, 'count');
        if (numberOf(row, 'max_ts') >= timestampMs) {
          return { offset: this.#firstAt(partition, base, timestampMs) };
        }
        steps += 1;
        if (steps >= SEARCH_STEP) return { continueFrom: last };
      }
      return { offset: partition.end };
    });
  }

  #firstAt(partition: Partition, base: number, timestampMs: number): number {
    const sink = new RecordSink(Infinity);
    decodeBatch(this.#batchAt(partition, base), base, sink);
    const found = sink.records.find((record) => record.timestampMs >= timestampMs);
    return present(found, 'the record that gave its batch the timestamp').offset;
  }

  lowWater(): ConsumerMarks[] {
    return this.#snapshot(() =>
      this.#sql.consumers.all().map((row) => {
        const consumer = textOf(row, 'name');
        const marks = this.#sql.marks.all(consumer).map(toMark);
        return { consumer, stateId: textOf(row, 'state_id'), marks };
      }),
    );
  }

  usedBytes(): number {
    return this.#snapshot(() => this.#space.bytes());
  }

  /** Another number than before when another connection wrote to the file. */
  dataVersion(): number {
    return numberOf(present(this.#sql.dataVersion.get(), 'the data version'), 'data_version');
  }

  #partition(at: TopicPartition): Partition {
    const row = this.#sql.partition.get(at.topic, at.partition);
    const place = `${at.topic}/${at.partition}`;
    if (row === undefined) {
      throw new RowcallError('TOPIC_UNKNOWN', 'The log has no such partition', { place });
    }
    return {
      id: numberOf(row, 'id'),
      start: numberOf(row, 'start'),
      end: numberOf(row, 'next'),
      place,
    };
  }

  /** The batch that holds `offset`, which is within the bounds. */
  #batchAt({ id, place }: Partition, offset: number): StoredBatch {
    const row = this.#sql.batchAt.get(id, offset);
    if (row === undefined || offset >= numberOf(row, 'base') + numberOf(row, 'count')) {
      throw new RowcallError('LOG_CORRUPT', 'A record is missing', {
        place: `${place}, offset ${offset}`,
      });
    }
    const base = numberOf(row, 'base');
    return { bytes: this.#bytesOf(row), base, count: numberOf(row, 'count'), place };
  }

  #bytesOf(row: Row): Uint8Array {
    const first = bytesOf(row, 'records');
    const length = numberOf(row, 'bytes');
    if (length <= CHUNK_BYTES) return first;
    this.#reclaim.before(length);
    const whole = Buffer.allocUnsafeSlow(length);
    whole.set(first);
    let at = first.byteLength;
    for (const chunk of this.#sql.chunks.iterate(numberOf(row, 'seq'))) {
      const bytes = bytesOf(chunk, 'bytes');
      // Chunks too many or too few make bytes that their checksum does not fit.
      if (at + bytes.byteLength > length) break;
      whole.set(bytes, at);
      at += bytes.byteLength;
      this.#reclaim.released(bytes.byteLength);
    }
    return whole.subarray(0, at);
  }

  #snapshot<T>(work: () => T): T {
    assert(!this.#db.isTransaction, 'reads are not nested');
    this.#db.exec('BEGIN');
    try {
      return work();
    } finally {
      this.#db.exec('COMMIT');
    }
  }
}

function toMark(row: Row): LowWaterMark {
  return {
    topic: textOf(row, 'topic'),
    partition: numberOf(row, 'partition'),
    topicId: textOf(row, 'topic_id'),
    offset: numberOf(row, 'next'),
  };
}

function prepareAll(db: DatabaseSync) {
  return {
    topics: db.prepare('SELECT name, id, partitions FROM topics ORDER BY seq'),
    partition: db.prepare(
      `SELECT p.id, p.start, p.next FROM topics t JOIN partitions p ON p.topic = t.seq
       WHERE t.name = ? AND p.partition = ?`,
    ),
    batchAt: db.prepare(
      `SELECT seq, base, count, bytes, records FROM batches
       WHERE partition = ? AND base <= ? ORDER BY base DESC LIMIT 1`,
    ),
    chunks: db.prepare('SELECT bytes FROM chunks WHERE batch = ? ORDER BY n'),
    timestamps: db.prepare(
      `SELECT base, count, max_ts FROM batches INDEXED BY batches_by_offset
       WHERE partition = ? AND base >= ? ORDER BY base`,
    ),
    consumers: db.prepare('SELECT name, state_id FROM consumers ORDER BY name'),
    marks: db.prepare(
      `SELECT topic, partition, topic_id, next FROM marks WHERE consumer = ? ORDER BY topic, partition`,
    ),
    dataVersion: db.prepare('PRAGMA data_version'),
  };
}
