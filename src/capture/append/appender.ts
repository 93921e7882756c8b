/** Batches and the checkpoint, into the log: pipelined, bounded, and never one without the other. */

import type { LogRecord } from '../../change-event.ts';
import { recordBytes } from '../../change-event.ts';
import { RowcallError, toRowcallError } from '../../errors.ts';
import type { ChangeLogWriter, PartitionBatch } from '../../log/change-log.ts';
import { partitionOfRecord } from '../../log/partition.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/logger.ts';
import { Reclaim } from '../../shared/reclaim.ts';
import { PackedRecord } from '../../packed-record.ts';
import { RecordBlocks } from './record-blocks.ts';

/** Records wait in memory up to this many bytes unless said otherwise; then the reader of the binlog waits. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;
/** How often a full log is tried again. */
const FULL_RETRY_MS = 1_000;

/** A topic, and the count that its keys are hashed over. */
export interface Target {
  readonly topic: string;
  readonly partitions: number;
}

export interface AppenderParts {
  readonly writer: Pick<ChangeLogWriter, 'append'>;
  /** The checkpoint of everything added so far, as text. */
  readonly checkpoint: () => string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Bytes that may wait in memory, so also about the size of an append inside a large transaction. Default 4 MiB. */
  readonly maxBufferedBytes?: number;
  /** Told of the first failure at once: while the source is quiet nobody calls, so nobody else would hear of it. */
  readonly onFailure: (error: RowcallError) => void;
}

/**
 * Collects records and appends them together with the checkpoint that describes them. Under load an append
 * carries what came while the one before was written; when idle it goes at once. One append at a time: a
 * second one could be taken where a full log refused the first, and its checkpoint would cover records that
 * are not there. Invariant: an append is begun only between two row groups (its owner awaits nothing between
 * counting a row and adding its records), so that checkpoint and records say the same. After the first failure
 * nothing is appended any more, since what stands in the log is unknown until the writer is opened anew.
 */
export class Appender {
  /** Where packed records are written before they are added. */
  readonly blocks = new RecordBlocks();
  readonly #parts: AppenderParts;
  /** By topic, then by partition. */
  readonly #batches = new Map<string, (LogRecord[] | undefined)[]>();
  readonly #reclaim = new Reclaim();
  #bufferedBytes = 0;
  /** Of them in buffers of their own, which are garbage after the append. */
  #ownBytes = 0;
  #largestBytes = 0;
  #writing = false;
  /** What waits shall go as soon as the append in flight has ended. */
  #wanted = false;
  #failure: RowcallError | null = null;
  #waiters: (() => void)[] = [];
  #recordsAppended = 0;
  #appends = 0;
  #full = false;

  constructor(parts: AppenderParts) {
    this.#parts = parts;
  }

  get recordsAppended(): number {
    return this.#recordsAppended;
  }

  get appends(): number {
    return this.#appends;
  }

  /** The log is at its limit: capture is held back. */
  get logFull(): boolean {
    return this.#full;
  }

  /** The buffer is at its bound: `flush` before more rows are read. */
  get mustFlush(): boolean {
    return this.#bufferedBytes >= (this.#parts.maxBufferedBytes ?? MAX_BUFFERED_BYTES);
  }

  get hasRecords(): boolean {
    return this.#batches.size > 0;
  }

  get idle(): boolean {
    return !this.#writing;
  }

  /** An append failed: nothing is appended any more. */
  get failed(): boolean {
    return this.#failure !== null;
  }

  add(topic: string, partition: number, record: LogRecord): void {
    let partitions = this.#batches.get(topic);
    if (partitions === undefined) this.#batches.set(topic, (partitions = []));
    const records = partitions[partition];
    if (records === undefined) partitions[partition] = [record];
    else records.push(record);
    const bytes = recordBytes(record);
    this.#bufferedBytes += bytes;
    if (record instanceof PackedRecord) return;
    this.#ownBytes += bytes;
    this.#largestBytes = Math.max(this.#largestBytes, bytes);
  }

  /** Each record to the partition of its key. */
  addTo({ topic, partitions }: Target, records: readonly LogRecord[]): void {
    for (const record of records) this.add(topic, partitionOfRecord(record, partitions), record);
  }

  /** Appends all that was added: now, or as soon as the append in flight has ended. Never waits. */
  flushSoon(): void {
    this.#throwFailure();
    if (this.#writing) this.#wanted = true;
    else this.#begin();
  }

  /** Begins an append of all that was added, after the one in flight. */
  async flush(): Promise<void> {
    while (this.#writing) await this.#settled();
    this.#throwFailure();
    this.#begin();
  }

  /** Everything added before is durable when it resolves. */
  async drain(): Promise<void> {
    await this.flush();
    while (this.#writing) await this.#settled();
    this.#throwFailure();
  }

  #begin(): void {
    const batches = this.#takeBatches();
    const full = this.blocks.takeFull();
    const bytes = this.#ownBytes;
    const largest = this.#largestBytes;
    const records = batches.reduce((sum, batch) => sum + batch.records.length, 0);
    this.#bufferedBytes = 0;
    this.#ownBytes = 0;
    this.#largestBytes = 0;
    this.#wanted = false;
    this.#writing = true;
    this.#append(batches, this.#parts.checkpoint()).then(
      () => {
        this.#recordsAppended += records;
        this.#appends += 1;
        this.blocks.release(full);
        this.#leave();
        this.#reclaim.released(bytes, largest);
      },
      (error: unknown) => {
        this.#failure = toRowcallError(error, 'LOG_WRITE_FAILED');
        this.#leave();
        this.#parts.onFailure(this.#failure);
      },
    );
  }

  #takeBatches(): PartitionBatch[] {
    const batches: PartitionBatch[] = [];
    for (const [topic, partitions] of this.#batches) {
      partitions.forEach((records, partition) => {
        if (records !== undefined) batches.push({ topic, partition, records });
      });
    }
    this.#batches.clear();
    return batches;
  }

  /** A full log is waited for: nothing was written, and the socket to MySQL is held back meanwhile. */
  async #append(batches: readonly PartitionBatch[], checkpoint: string): Promise<void> {
    const { writer, clock, logger, signal } = this.#parts;
    for (let waits = 0; ; waits += 1) {
      try {
        await writer.append(batches, checkpoint);
        this.#full = false;
        return;
      } catch (error) {
        if (!(error instanceof RowcallError) || error.code !== 'LOG_FULL') throw error;
        this.#full = true;
        const fields = { code: error.code, cure: error.cure, waits };
        if (waits % 60 === 0) logger.error(fields, 'The log is full: capture is paused');
        await clock.sleep(FULL_RETRY_MS, signal);
      }
    }
  }

  #leave(): void {
    this.#writing = false;
    if (this.#wanted && this.#failure === null) this.#begin();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  #settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }
}
