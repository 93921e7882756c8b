/** The one writer of an embedded log, as its owner sees it. */
import type { ErrorCode } from '../../errors.ts';
import { RowcallError, toRowcallError } from '../../errors.ts';
import type { Clock } from '../../shared/clock.ts';
import type { ChangeLogWriter, PartitionBatch, TopicInfo, TopicSpec } from '../change-log.ts';
import type { BatchBuffers } from './batch-buffers.ts';
import { type AppendCommand, type OpenedWriter, type Refusal, sharedBytesOf } from './commands.ts';
import { fromWire, toWire } from '../../error-wire.ts';
import { encodeBatches } from './record-batch.ts';
import type { WriteChannel } from './write-channel.ts';

/** Refusals after which the writer lives: nothing was written, and the owner knows. */
const HARMLESS: ReadonlySet<ErrorCode> = new Set(['LOG_FULL', 'RECORD_TOO_LARGE', 'TOPIC_UNKNOWN']);

export interface WriterDeps {
  readonly name: string;
  readonly channel: WriteChannel;
  readonly clock: Clock;
  readonly newId: () => string;
  /** Called after an append or new topics became readable. */
  readonly onWritten: () => void;
  /** Keeps readers from hearing of anything until the returned function is called. */
  readonly holdNews: () => () => void;
  /** Called when the writer died of anything but a successor. */
  readonly onFailed: () => void;
}

/**
 * Encodes appends in call order and tells their outcome. Records are copied when `append` is called; the
 * owner bounds what it hands over without waiting, for those bytes are held until the answer.
 *
 * Invariant: `#refusalsSeen` grows only in the turn that tells the owner of a refusal, and nothing else is told
 * in that turn before it. So an append that the owner asked for without that knowledge says so, and is
 * refused as well; otherwise its checkpoint would cover records that are not in the log.
 */
export class EmbeddedWriter implements ChangeLogWriter {
  readonly checkpoint: string | null;
  readonly #deps: WriterDeps;
  readonly #epoch: number;
  readonly #inFlight = new Set<Promise<unknown>>();
  #refusalsSeen = 0;
  /** Set once the outcome of something is unknown, or the owner closed: nothing goes out any more. */
  #dead: RowcallError | undefined;

  constructor(opened: OpenedWriter, deps: WriterDeps) {
    this.checkpoint = opened.checkpoint;
    this.#epoch = opened.epoch;
    this.#deps = deps;
  }

  createTopics(topics: readonly TopicSpec[]): Promise<readonly TopicInfo[]> {
    const { channel, newId, onWritten } = this.#deps;
    return this.#alive(async () => {
      const named = topics.map((topic) => ({ ...topic, id: newId() }));
      const command = { type: 'create-topics', epoch: this.#epoch, topics: named } as const;
      const made = await channel.submit(command);
      onWritten();
      return made;
    });
  }

  append(batches: readonly PartitionBatch[], checkpoint: string): Promise<void> {
    const { clock, onWritten } = this.#deps;
    return this.#alive(async () => {
      const refusal = await this.#submit(this.#command(batches, checkpoint));
      if (refusal === null) {
        onWritten();
        return;
      }
      // A turn of its own: who is told of an earlier success in this one must not act as if it knew.
      await new Promise<void>((resolve) => {
        clock.soon(resolve);
      });
      this.#refusalsSeen = Math.max(this.#refusalsSeen, refusal.number);
      throw fromWire(refusal.error);
    });
  }

  async close(): Promise<void> {
    this.#dead ??= new RowcallError('WRITER_FENCED', 'The writer was closed');
    await Promise.allSettled(this.#inFlight);
  }

  /** A reader that came at once would find the record in the log while it is still held here: twice in memory. */
  async #submit(command: AppendCommand): Promise<Refusal | null> {
    const { channel, clock, holdNews } = this.#deps;
    if (sharedBytesOf(command) === 0) return channel.submit(command);
    const release = holdNews();
    try {
      return await channel.submit(command);
    } finally {
      // By then the owner has heard of it and let go.
      clock.soon(release);
    }
  }

  /** Encodes. An impossible append takes its turn too, so that those behind it are refused with it. */
  #command(batches: readonly PartitionBatch[], checkpoint: string): AppendCommand {
    const { encoded, impossible } = encodeAll(batches, this.#deps.channel.buffers);
    return {
      type: 'append',
      name: this.#deps.name,
      epoch: this.#epoch,
      refusalsSeen: this.#refusalsSeen,
      encoded,
      checkpoint,
      impossible,
    };
  }

  /** Whatever the channel itself rejects with ends the writer: its outcome is unknown, or another took over. */
  async #alive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#dead !== undefined) throw this.#dead;
    const working = work();
    this.#inFlight.add(working);
    try {
      return await working;
    } catch (error) {
      if (!(error instanceof RowcallError) || !HARMLESS.has(error.code)) this.#die(error);
      throw error;
    } finally {
      this.#inFlight.delete(working);
    }
  }

  #die(error: unknown): void {
    this.#dead ??= toRowcallError(error);
    if (this.#dead.code !== 'WRITER_FENCED') this.#deps.onFailed();
  }
}

function encodeAll(
  batches: readonly PartitionBatch[],
  buffers: BatchBuffers,
): Pick<AppendCommand, 'encoded' | 'impossible'> {
  try {
    const encoded = batches
      .filter(({ records }) => records.length > 0)
      .map(({ topic, partition, records }) => ({
        topic,
        partition,
        batches: encodeBatches(records, (bytes) => buffers.take(bytes)),
      }));
    return { encoded, impossible: null };
  } catch (error) {
    if (!(error instanceof RowcallError)) throw error;
    return { encoded: [], impossible: toWire(error) };
  }
}
