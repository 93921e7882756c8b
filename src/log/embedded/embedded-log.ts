/** The change log in one SQLite file: durable without a broker, shared by the processes of one machine. */
import { randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';

import type { RowcallError } from '../../errors.ts';
import { toRowcallError } from '../../errors.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/logger.ts';
import type {
  ChangeLog,
  ChangeLogWriter,
  Fetched,
  LogUsage,
  LowWaterMark,
  PartitionBounds,
  TopicInfo,
  TopicPartition,
} from '../change-log.ts';
import { AppendWatch } from './append-watch.ts';
import type { Command, Results } from './commands.ts';
import { openDatabase } from './database.ts';
import { EmbeddedWriter } from './embedded-writer.ts';
import type { ConsumerMarks } from './log-reader.ts';
import { LogReader } from './log-reader.ts';
import { readFailure } from './log-error.ts';
import { InlineChannel, ThreadChannel } from './write-channel.ts';
import type { WriteChannel } from './write-channel.ts';

/** Between two deletes, so that a writer in another process gets its turn. */
const RETENTION_PAUSE_MS = 10;
/** Steps of giving free pages back per call, about 160 MiB; the next call goes on. */
const VACUUM_STEPS = 200;

export interface EmbeddedLogOptions {
  readonly path: string;
  /** The limit of the log in bytes, free pages and the WAL not counted; Infinity for none. */
  readonly maxBytes: number;
  /** Infinity keeps for ever. */
  readonly retention: { readonly ageMs: number; readonly sizeBytes: number };
  readonly clock: Clock;
  readonly logger: Logger;
  /** false: write in the calling thread, which a simulation needs. Default true. */
  readonly thread?: boolean;
  /** false: refuse a path where there is no log. Default true. */
  readonly create?: boolean;
  /** How often other processes' appends are looked for while somebody listens. Default 20. */
  readonly pollMs?: number;
  /** Makes topic ids. Default: random UUIDs. */
  readonly newId?: () => string;
}

/** @throws RowcallError LOG_UNUSABLE: not a log of ours, a newer format, or no permission. */
export function openEmbeddedLog(options: EmbeddedLogOptions): Promise<ChangeLog> {
  return new Promise((resolve) => {
    resolve(new EmbeddedLog(options, openDatabase(options.path, options.create ?? true)));
  });
}

/**
 * Reads over one connection in this thread, writes over another through a channel, which is begun at
 * the first write. Invariant: a channel in which a write failed is never written to again, for what it
 * holds of an earlier writer must not come after the new writer's checkpoint was read.
 */
export class EmbeddedLog implements ChangeLog {
  readonly #options: EmbeddedLogOptions;
  readonly #db: DatabaseSync;
  readonly #reader: LogReader;
  readonly #watch: AppendWatch;
  /** Channels being closed. */
  readonly #closing = new Set<Promise<void>>();
  #channel: WriteChannel | undefined;
  #retention: Promise<unknown> = Promise.resolve();
  readonly #stopping = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(options: EmbeddedLogOptions, db: DatabaseSync) {
    this.#options = options;
    this.#db = db;
    this.#reader = new LogReader(db);
    this.#watch = new AppendWatch(this.#reader, options.clock, options.pollMs ?? 20);
  }

  async openWriter(name: string): Promise<ChangeLogWriter> {
    const channel = this.#writing();
    const opened = await this.#submitTo(channel, { type: 'open-writer', name });
    return new EmbeddedWriter(opened, {
      name,
      channel,
      clock: this.#options.clock,
      newId: this.#options.newId ?? randomUUID,
      onWritten: () => {
        this.#watch.notify();
      },
      holdNews: () => this.#watch.hold(),
      onFailed: () => {
        this.#discard(channel);
      },
    });
  }

  readCheckpoint(name: string): Promise<string | null> {
    return this.#read((reader) => reader.checkpoint(name));
  }

  async setCheckpoint(name: string, checkpoint: string): Promise<void> {
    await this.#submitTo(this.#writing(), { type: 'set-checkpoint', name, checkpoint });
  }

  topics(): Promise<readonly TopicInfo[]> {
    return this.#read((reader) => reader.topics());
  }

  read(at: TopicPartition, offset: number, maxBytes: number): Promise<Fetched> {
    return this.#read((reader) => reader.read(at, offset, maxBytes));
  }

  bounds(at: TopicPartition): Promise<PartitionBounds> {
    return this.#read((reader) => reader.bounds(at));
  }

  async writtenEnd(at: TopicPartition): Promise<number> {
    return (await this.bounds(at)).end;
  }

  async offsetForTimestamp(at: TopicPartition, timestampMs: number): Promise<number> {
    let from = 0;
    for (;;) {
      const start = from;
      const found = await this.#read((reader) => reader.searchTimestamp(at, timestampMs, start));
      if ('offset' in found) return found.offset;
      from = found.continueFrom;
      // A long search leaves the thread to others between its steps.
      await new Promise<void>((resolve) => {
        this.#options.clock.soon(resolve);
      });
    }
  }

  onAppend(listener: () => void): () => void {
    return this.#watch.listen(listener);
  }

  async setLowWater(
    consumer: string,
    stateId: string,
    marks: readonly LowWaterMark[],
  ): Promise<void> {
    await this.#submitTo(this.#writing(), { type: 'set-low-water', consumer, stateId, marks });
  }

  lowWater(): Promise<readonly ConsumerMarks[]> {
    return this.#read((reader) => reader.lowWater());
  }

  /** One run at a time: a second call waits for the first. */
  applyRetention(nowMs: number, consumers: readonly string[]): Promise<number> {
    const run = this.#retention.then(() => this.#retain(nowMs, consumers));
    // The caller is told of a failure; the next run only waits for the end of this one.
    this.#retention = run.catch(() => undefined);
    return run;
  }

  async #retain(nowMs: number, consumers: readonly string[]): Promise<number> {
    const { retention } = this.#options;
    const channel = this.#writing();
    const step = {
      type: 'retention-step',
      before: nowMs - retention.ageMs,
      sizeBytes: retention.sizeBytes,
      consumers,
    } as const;
    let bytes = 0;
    let more = true;
    while (more && !this.#stopping.signal.aborted) {
      const done = await this.#submitTo(channel, step);
      bytes += done.bytes;
      more = done.more;
      if (more) await this.#pause();
    }
    await this.#giveBack(channel);
    if (bytes > 0) this.#options.logger.info({ bytes }, 'log: retention deleted records');
    return bytes;
  }

  /** Ends early, without an error, when the log is closed. */
  async #pause(): Promise<void> {
    const { signal } = this.#stopping;
    try {
      await this.#options.clock.sleep(RETENTION_PAUSE_MS, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #giveBack(channel: WriteChannel): Promise<void> {
    for (let steps = 0; steps < VACUUM_STEPS && !this.#stopping.signal.aborted; steps += 1) {
      const more = await this.#submitTo(channel, { type: 'vacuum-step' });
      if (!more) break;
    }
    if (!this.#stopping.signal.aborted) await this.#submitTo(channel, { type: 'shrink-wal' });
  }

  usage(): Promise<LogUsage> {
    const { maxBytes } = this.#options;
    return this.#read((reader) => ({ bytes: reader.usedBytes(), maxBytes }));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#watch.close();
    this.#stopping.abort();
    await this.#retention;
    if (this.#channel !== undefined) this.#discard(this.#channel);
    await Promise.all(this.#closing);
    this.#db.close();
  }

  #read<T>(work: (reader: LogReader) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      try {
        resolve(work(this.#reader));
      } catch (error) {
        reject(readFailure(error, this.#options.path));
      }
    });
  }

  #writing(): WriteChannel {
    const { path, maxBytes, clock, thread } = this.#options;
    this.#channel ??=
      thread === false
        ? new InlineChannel({ path, maxBytes }, clock)
        : new ThreadChannel({ path, maxBytes });
    return this.#channel;
  }

  async #submitTo<K extends Command['type']>(
    channel: WriteChannel,
    command: Extract<Command, { type: K }>,
  ): Promise<Results[K]> {
    try {
      return await channel.submit<K>(command);
    } catch (error) {
      const failure: RowcallError = toRowcallError(error);
      if (failure.code !== 'CHECKPOINT_LOST') this.#discard(channel);
      throw failure;
    }
  }

  #discard(channel: WriteChannel): void {
    if (this.#channel === channel) this.#channel = undefined;
    const closing = channel.close().finally(() => {
      this.#closing.delete(closing);
    });
    this.#closing.add(closing);
  }
}
