/** The writing side of the embedded log, synchronous: every change of the file is one transaction here. */
import { statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';

import { RowcallError } from '../../errors.ts';
import { assert, present } from '../../shared/assert.ts';
import type { LowWaterMark, TopicInfo } from '../change-log.ts';
import { toWire, type WireError } from '../../error-wire.ts';
import { CheckpointTable } from './checkpoint-table.ts';
import type { AppendCommand, EncodedBatches, OpenedWriter, Reply } from './commands.ts';
import { CHUNK_BYTES, SpaceUsed } from './database.ts';
import { batchBytes, piecesOf, type RecordBatch } from './record-batch.ts';
import { Refusals } from './refusals.ts';
import { numberOf, textOf } from '../../shared/sqlite-row.ts';

/** Beside a reader that never pauses the WAL cannot be used again from its start; from this size on it is cut by force. */
const WAL_LIMIT_BYTES = 64 * 1024 * 1024;
/** How long cutting the WAL waits for readers; they come back to it later otherwise. */
const WAL_WAIT_MS = 100;
const BUSY_TIMEOUT_MS = 30_000;

/** Room that a batch needs beside its bytes: its row, its index entry, its share of pages. */
const BATCH_OVERHEAD_BYTES = 128;

export interface LogFileOptions {
  readonly path: string;
  /** Infinity: no limit. */
  readonly maxBytes: number;
}

/** Where an append puts batches: found before anything is written, so that a refusal leaves nothing behind. */
interface Target {
  readonly partition: number;
  readonly encoded: EncodedBatches;
}

/**
 * The writer's transactions. Invariant: the epoch in the file is compared inside each transaction of
 * a writer, so that of two writers, in whatever process, only the newest can change records or
 * checkpoint. Without that, a connector that was thought dead could append behind its successor's back.
 *
 * A method that throws leaves the outcome unknown: whoever holds this must open a new one.
 */
export class LogFile {
  readonly #db: DatabaseSync;
  readonly #options: LogFileOptions;
  readonly #space: SpaceUsed;
  readonly #refusals = new Refusals();
  readonly #checkpoints: CheckpointTable;
  readonly #sql;
  #appendedBytes = 0;

  constructor(db: DatabaseSync, options: LogFileOptions) {
    this.#db = db;
    this.#options = options;
    this.#space = new SpaceUsed(db);
    this.#checkpoints = new CheckpointTable(db);
    this.#sql = prepareAll(db);
  }

  /**
   * Takes over as the writer of `name`.
   *
   * @throws RowcallError CHECKPOINT_LOST when records were ever written here, but no checkpoint of `name`.
   */
  openWriter(name: string): OpenedWriter {
    return this.transaction(() => {
      const checkpoint = this.#checkpoints.read(name);
      if (checkpoint === null && this.#sql.anyRecord.get() !== undefined) {
        throw new RowcallError(
          'CHECKPOINT_LOST',
          `The log holds records but no checkpoint of ${name}`,
          { place: this.#options.path },
        );
      }
      this.#sql.bumpEpoch.run();
      return { epoch: this.#epoch(), checkpoint };
    });
  }

  setCheckpoint(name: string, checkpoint: string): void {
    this.transaction(() => {
      this.#checkpoints.save(name, checkpoint);
      this.#sql.bumpEpoch.run();
    });
  }

  /** @throws RowcallError WRITER_FENCED */
  createTopics(epoch: number, topics: readonly TopicInfo[]): TopicInfo[] {
    return this.transaction(() => {
      if (this.#epoch() !== epoch) throw this.#fenced();
      return topics.map((topic) => this.#createTopic(topic));
    });
  }

  #createTopic(topic: TopicInfo): TopicInfo {
    assert(topic.partitions >= 1, 'a topic has at least one partition');
    if (this.#sql.topic.get(topic.name) === undefined) {
      const { lastInsertRowid } = this.#sql.insertTopic.run(topic.name, topic.id, topic.partitions);
      for (let partition = 0; partition < topic.partitions; partition += 1) {
        this.#sql.insertPartition.run(lastInsertRowid, partition);
      }
    }
    const row = present(this.#sql.topic.get(topic.name), `topic ${topic.name}`);
    return { name: topic.name, id: textOf(row, 'id'), partitions: numberOf(row, 'partitions') };
  }

  /** Appends in one transaction. Each is durable, or refused with nothing of it written, or of a fenced writer. */
  append(commands: readonly AppendCommand[]): Reply[] {
    const outcomes = this.transaction(() => {
      const epoch = this.#epoch();
      return commands.map((command): Reply => {
        if (command.epoch !== epoch) return { ok: false, error: toWire(this.#fenced()) };
        const earlier = this.#refusals.earlier(command);
        if (earlier !== null) return { ok: true, value: earlier };
        const error = this.#appendOne(command);
        return { ok: true, value: error === null ? null : this.#refusals.note(command, error) };
      });
    });
    if (this.#appendedBytes > WAL_LIMIT_BYTES) this.#limitWal();
    return outcomes;
  }

  #appendOne(command: AppendCommand): WireError | null {
    if (command.impossible !== null) return command.impossible;
    const targets: Target[] = [];
    for (const encoded of command.encoded) {
      const row = this.#sql.partition.get(encoded.topic, encoded.partition);
      if (row === undefined) {
        const place = `${encoded.topic}/${encoded.partition}`;
        return toWire(
          new RowcallError('TOPIC_UNKNOWN', 'The log has no such partition', { place }),
        );
      }
      targets.push({ partition: numberOf(row, 'id'), encoded });
    }
    const full = this.#full(command);
    if (full !== null) return full;
    for (const target of targets) this.#insert(target);
    this.#checkpoints.save(command.name, command.checkpoint);
    return null;
  }

  #insert({ partition, encoded }: Target): void {
    // Read here and not with the target: two entries of one append may name one partition.
    const row = this.#sql.partition.get(encoded.topic, encoded.partition);
    let next = numberOf(present(row, 'a partition found before'), 'next');
    for (const batch of encoded.batches) {
      const { count, maxTimestampMs } = batch;
      const length = batchBytes(batch);
      const { insertBatch, insertChunk } = this.#sql;
      const [first, ...more] = chunksOf(batch);
      const { lastInsertRowid } = insertBatch.run(
        partition,
        next,
        count,
        maxTimestampMs,
        length,
        present(first, 'the first chunk of a batch'),
      );
      more.forEach((chunk, index) => insertChunk.run(lastInsertRowid, index + 1, chunk));
      next += count;
      this.#appendedBytes += length;
    }
    this.#sql.moveNext.run(next, partition);
  }

  /** A checkpoint alone is always taken: it needs no room, and an idle source must not lose its place. */
  #full(command: AppendCommand): WireError | null {
    let needed = 0;
    for (const { batches } of command.encoded) {
      for (const batch of batches) needed += batchBytes(batch) + BATCH_OVERHEAD_BYTES;
    }
    const { maxBytes, path } = this.#options;
    if (needed === 0 || maxBytes === Infinity) return null;
    const used = this.#space.bytes();
    if (used + needed <= maxBytes) return null;
    const message = `${needed} bytes more would take the log over its limit: ${used} of ${maxBytes} bytes are used`;
    return toWire(new RowcallError('LOG_FULL', message, { place: path }));
  }

  setLowWater(consumer: string, stateId: string, marks: readonly LowWaterMark[]): void {
    this.transaction(() => {
      this.#sql.saveConsumer.run(consumer, stateId);
      this.#sql.deleteMarks.run(consumer);
      for (const { topic, partition, topicId, offset } of marks) {
        this.#sql.insertMark.run(consumer, topic, partition, topicId, offset);
      }
    });
  }

  /** Moves the WAL into the file and cuts it, unless a reader is in the way. */
  shrinkWal(): void {
    this.#appendedBytes = 0;
    this.#db.exec(`PRAGMA busy_timeout = ${WAL_WAIT_MS}; PRAGMA wal_checkpoint(TRUNCATE)`);
    this.#db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  }

  #limitWal(): void {
    this.#appendedBytes = 0;
    const size = statSync(`${this.#options.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    if (size > WAL_LIMIT_BYTES) this.shrinkWal();
  }

  /** BEGIN IMMEDIATE: a transaction that reads first and writes later is refused at once beside another writer. */
  transaction<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } finally {
      // SQLite itself ends the transaction on some errors, not on all.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
    }
  }

  #epoch(): number {
    return numberOf(present(this.#sql.epoch.get(), 'the writer epoch'), 'value');
  }

  #fenced(): RowcallError {
    return new RowcallError('WRITER_FENCED', 'A newer writer of the log was opened', {
      place: this.#options.path,
    });
  }
}

/** Views of the batch's bytes, none over CHUNK_BYTES. */
function chunksOf(batch: RecordBatch): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (const piece of piecesOf(batch)) {
    for (let at = 0; at < piece.byteLength; at += CHUNK_BYTES) {
      chunks.push(piece.subarray(at, at + CHUNK_BYTES));
    }
  }
  return chunks;
}

function prepareAll(db: DatabaseSync) {
  return {
    epoch: db.prepare("SELECT value FROM meta WHERE key = 'epoch'"),
    bumpEpoch: db.prepare("UPDATE meta SET value = value + 1 WHERE key = 'epoch'"),
    // Records that retention deleted count as well: they were ours.
    anyRecord: db.prepare('SELECT 1 FROM partitions WHERE next > 0 LIMIT 1'),
    topic: db.prepare('SELECT id, partitions FROM topics WHERE name = ?'),
    insertTopic: db.prepare('INSERT INTO topics (name, id, partitions) VALUES (?, ?, ?)'),
    insertPartition: db.prepare(
      'INSERT INTO partitions (topic, partition, start, next) VALUES (?, ?, 0, 0)',
    ),
    partition: db.prepare(
      `SELECT p.id, p.next FROM topics t JOIN partitions p ON p.topic = t.seq
       WHERE t.name = ? AND p.partition = ?`,
    ),
    insertBatch: db.prepare(
      'INSERT INTO batches (partition, base, count, max_ts, bytes, records) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    insertChunk: db.prepare('INSERT INTO chunks (batch, n, bytes) VALUES (?, ?, ?)'),
    moveNext: db.prepare('UPDATE partitions SET next = ? WHERE id = ?'),
    saveConsumer: db.prepare('INSERT OR REPLACE INTO consumers (name, state_id) VALUES (?, ?)'),
    deleteMarks: db.prepare('DELETE FROM marks WHERE consumer = ?'),
    insertMark: db.prepare(
      'INSERT INTO marks (consumer, topic, partition, topic_id, next) VALUES (?, ?, ?, ?, ?)',
    ),
  };
}
