/** The one writer of a Kafka log. */
import { RowcallError, toRowcallError } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';
import { failpoint } from '../../shared/failpoint.ts';
import type { LogRecord } from '../../change-event.ts';
import type { ChangeLogWriter, PartitionBatch, TopicInfo, TopicSpec } from '../change-log.ts';
import type { CheckpointRecord } from './checkpoint-record.ts';
import { checkpointTopic, encodeCheckpoint } from './checkpoint-record.ts';
import type { Compression } from './compression.ts';
import { encodeBatches } from './encode-batch.ts';
import { isFencing } from './kafka-error.ts';
import type { PartitionBatches, Producer } from './producer.ts';
import type { TopicAdmin, TopicConfig } from './topic-admin.ts';
import type { Clock } from '../../shared/clock.ts';

/** Refusals after which the writer lives: nothing was written, and the owner knows. */
const HARMLESS: ReadonlySet<ErrorCode> = new Set(['RECORD_TOO_LARGE', 'TOPIC_UNKNOWN']);

/** What shows before anything is sent. */
const NEVER_WRITTEN: ReadonlySet<ErrorCode> = new Set([...HARMLESS, 'TOPIC_RECREATED']);

/** How long a successor that has fenced us may take to write its first record. */
const CLAIM_MS = 3_000;
const CLAIM_STEP_MS = 50;

export interface KafkaWriterParts {
  readonly name: string;
  /** Of this writer and no other. */
  readonly id: string;
  readonly producer: Producer;
  readonly admin: Pick<TopicAdmin, 'configs' | 'ensure'>;
  readonly exactlyOnce: boolean;
  readonly compression: Compression;
  /** Settings of the topics that it makes. */
  readonly topicConfig: Readonly<Record<string, string>>;
  readonly deliveryTimeoutMs: number;
  readonly clock: Clock;
  /** The newest record before ours. */
  readonly found: CheckpointRecord | null;
  /** The settings of the topics in it, and of the checkpoint topic. */
  readonly configs: ReadonlyMap<string, TopicConfig>;
  /** The newest record now. */
  readonly newest: () => Promise<CheckpointRecord | null>;
  /** Called after an append or new topics became readable. */
  readonly onWritten: () => void;
  /** Gives the producer's connections back. */
  readonly release: () => Promise<void>;
}

interface Topic {
  /** What keys are hashed over; the topic may have more. */
  readonly partitions: number;
  readonly maxBytes: number;
}

/** An append as its owner asked for it, copied, or why it can never be written. */
type Asked = readonly PartitionBatches[] | RowcallError;

/**
 * One append at a time is under way; the others wait for their turn. Records are copied when `append` is called.
 *
 * Invariants: an append and its checkpoint are one transaction (or, at least once, the checkpoint follows what it
 * covers). An append asked for before its owner was told of a refusal is refused as well, for its checkpoint
 * would cover records that are not in the log: `#refusalsTold` grows only in the turn in which the owner is told,
 * and nothing else is told in that turn before it. Once an outcome is unknown nothing is sent any more.
 */
export class KafkaWriter implements ChangeLogWriter {
  readonly checkpoint: string | null;
  readonly #parts: KafkaWriterParts;
  readonly #topics = new Map<string, Topic>();
  /** What each record says: also of a topic that is away now. */
  readonly #partitions: Map<string, number>;
  /** What the newest record says. */
  #written: string | null;
  #last: Promise<unknown> = Promise.resolve();
  #refusal: RowcallError | null = null;
  #refusals = 0;
  #refusalsTold = 0;
  /** Set once the outcome of something is unknown, or another took over. */
  #failure: RowcallError | undefined;
  #closed: Promise<void> | undefined;

  constructor(parts: KafkaWriterParts) {
    this.#parts = parts;
    this.checkpoint = parts.found?.checkpoint ?? null;
    this.#written = this.checkpoint;
    this.#partitions = new Map(parts.found?.topics);
    for (const [name, partitions] of parts.found?.topics ?? []) {
      const maxBytes = parts.configs.get(name)?.maxBytes;
      // One that is not there any more is unknown to appends, and so they say.
      if (maxBytes !== undefined) this.#topics.set(name, { partitions, maxBytes });
    }
  }

  /** Writes a record of its own: from now on the older writer's are refused, and whoever asks sees why. */
  async claim(checkpoint: string | null): Promise<void> {
    this.#written = checkpoint;
    await this.#inTurn(() => this.#write([], checkpoint));
  }

  createTopics(topics: readonly TopicSpec[]): Promise<readonly TopicInfo[]> {
    return this.#inTurn(async () => {
      const { admin, topicConfig } = this.#parts;
      const made = await admin.ensure(topics, topicConfig);
      const configs = await admin.configs(topics.map(({ name }) => name));
      const news = made.some(({ name }) => !this.#topics.has(name));
      const infos = made.map(({ name, id, leaders }) => {
        const partitions = this.#partitions.get(name) ?? leaders.length;
        this.#partitions.set(name, partitions);
        this.#topics.set(name, { partitions, maxBytes: configs.get(name)?.maxBytes ?? 0 });
        return { name, id, partitions };
      });
      if (news) await this.#write([], this.#written);
      return infos;
    });
  }

  append(batches: readonly PartitionBatch[], checkpoint: string): Promise<void> {
    const asked = this.#copy(batches);
    const told = this.#refusalsTold;
    return this.#inTurn(async () => {
      if (told < this.#refusals || asked instanceof RowcallError) await this.#refuse(asked, told);
      else await this.#write(asked, checkpoint);
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#last;
    await this.#parts.release();
  }

  async #write(batches: readonly PartitionBatches[], checkpoint: string | null): Promise<void> {
    const { producer, clock, exactlyOnce, deliveryTimeoutMs, onWritten } = this.#parts;
    const until = clock.monotonic() + deliveryTimeoutMs;
    const own = this.#checkpointBatch(checkpoint);
    if (exactlyOnce) {
      await producer.transaction([...batches, own], until);
    } else {
      await producer.send(batches, until);
      await producer.send([own], until);
    }
    failpoint('after-append-before-ack');
    this.#written = checkpoint;
    onWritten();
  }

  #checkpointBatch(checkpoint: string | null): PartitionBatches {
    const { name, id, clock, configs } = this.#parts;
    const topic = checkpointTopic(name);
    const record = { checkpoint, writer: id, topics: this.#partitions };
    const batch = encodeCheckpoint(record, clock.now());
    const maxBytes = configs.get(topic)?.maxBytes ?? Infinity;
    if (batch.bytes.length > maxBytes) {
      throw new RowcallError(
        'LOG_UNUSABLE',
        `The checkpoint takes ${batch.bytes.length} bytes, over max.message.bytes of its topic, ${maxBytes}`,
        { place: topic, cure: `Raise max.message.bytes of ${topic} above the size named.` },
      );
    }
    return { topic, partition: 0, batches: [batch] };
  }

  #copy(batches: readonly PartitionBatch[]): Asked {
    try {
      return Array.from(byPartition(batches).values(), ({ topic, partition, records }) => {
        const known = this.#topics.get(topic);
        if (known === undefined && this.#parts.found?.topics.has(topic) === true) {
          const message = `The topic ${topic} is not there any more: it was deleted`;
          throw new RowcallError('TOPIC_RECREATED', message, { place: topic });
        }
        if (known === undefined || partition < 0 || partition >= known.partitions) {
          const place = `${topic}/${partition}`;
          throw new RowcallError('TOPIC_UNKNOWN', `No such partition was made: ${place}`, {
            place,
          });
        }
        const limits = { maxBytes: known.maxBytes, compression: this.#parts.compression };
        return { topic, partition, batches: encodeBatches(records, topic, limits) };
      });
    } catch (error) {
      if (error instanceof RowcallError && NEVER_WRITTEN.has(error.code)) return error;
      throw error;
    }
  }

  /** Tells of the refusal in a turn of its own: who is told of an earlier success in this one must not act as if it knew. */
  async #refuse(asked: Asked, told: number): Promise<never> {
    if (told >= this.#refusals && asked instanceof RowcallError) {
      this.#refusals += 1;
      this.#refusal = asked;
    }
    const number = this.#refusals;
    const refusal = this.#refusal;
    await new Promise<void>((resolve) => {
      this.#parts.clock.soon(resolve);
    });
    this.#refusalsTold = Math.max(this.#refusalsTold, number);
    if (refusal === asked || refusal === null) throw asked as RowcallError;
    const message = `An append before this one was refused: ${refusal.message}`;
    throw new RowcallError(refusal.code, message, {
      place: refusal.place ?? '',
      cure: refusal.cure,
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const ended =
      this.#failure ?? (this.#closed && new RowcallError('WRITER_FENCED', 'The writer was closed'));
    if (ended !== undefined) return Promise.reject(ended);
    const turn = this.#last.then(() => this.#alive(work));
    // Whoever asked is told of a failure; what follows must only wait for the end, and finds a dead writer by itself.
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #alive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return await work();
    } catch (error) {
      if (error instanceof RowcallError && HARMLESS.has(error.code)) throw error;
      this.#failure = await this.#causeOfDeath(error);
      throw this.#failure;
    }
  }

  /**
   * A refused epoch is a successor's doing, or the coordinator's, which ends a transaction that took too long. The
   * newest record tells: a writer's first act is a record of its own.
   */
  async #causeOfDeath(error: unknown): Promise<RowcallError> {
    const failure = toRowcallError(error, 'LOG_WRITE_FAILED');
    if (!isFencing(error)) return failure;
    if (!(await this.#isSucceeded())) {
      return new RowcallError('LOG_WRITE_FAILED', failure.message, { cause: error });
    }
    const message = `Another writer of ${this.#parts.name} took over`;
    return new RowcallError('WRITER_FENCED', message, { cause: error });
  }

  /** A successor's record comes a moment after its epoch: who took the one for a timeout would fence it in turn. */
  async #isSucceeded(): Promise<boolean> {
    const { clock, newest, id } = this.#parts;
    const until = clock.monotonic() + CLAIM_MS;
    for (;;) {
      const record = await newest();
      if (record !== null && record.writer !== id) return true;
      if (clock.monotonic() >= until) return false;
      await clock.sleep(CLAIM_STEP_MS);
    }
  }
}

/** Several batches of one partition are one, in their order; empty ones are none. */
function byPartition(
  batches: readonly PartitionBatch[],
): ReadonlyMap<string, { topic: string; partition: number; records: readonly LogRecord[] }> {
  const merged = new Map<
    string,
    { topic: string; partition: number; records: readonly LogRecord[] }
  >();
  for (const { topic, partition, records } of batches) {
    if (records.length === 0) continue;
    const place = `${topic}/${partition}`;
    const before = merged.get(place);
    if (before === undefined) merged.set(place, { topic, partition, records });
    else before.records = before.records.concat(records);
  }
  return merged;
}
