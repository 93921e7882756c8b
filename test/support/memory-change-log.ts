/** A change log in memory: the port's promises without a file, for simulations. The contract suite runs on it. */
import { recordBytes } from '../../src/change-event.ts';
import { RowcallError, toRowcallError } from '../../src/errors.ts';
import type {
  ChangeLog,
  ChangeLogWriter,
  Fetched,
  LogUsage,
  LowWaterMark,
  PartitionBatch,
  PartitionBounds,
  StoredRecord,
  TopicInfo,
  TopicPartition,
  TopicSpec,
} from '../../src/log/change-log.ts';
import type { Clock } from '../../src/shared/clock.ts';
import { copyOf } from './packed.ts';

const MAX_RECORD_BYTES = 1_000_000_000;

interface Partition {
  start: number;
  readonly records: StoredRecord[];
}

interface Topic {
  readonly info: TopicInfo;
  readonly partitions: readonly Partition[];
}

/** What outlives a process: all handles of one log share it. */
export class MemoryLogStore {
  readonly topics = new Map<string, Topic>();
  readonly checkpoints = new Map<string, string>();
  readonly marks = new Map<string, { stateId: string; marks: readonly LowWaterMark[] }>();
  readonly listeners = new Set<{ readonly call: () => void }>();
  epoch = 0;

  partition(at: TopicPartition): Partition {
    const partition = this.topics.get(at.topic)?.partitions[at.partition];
    if (partition !== undefined) return partition;
    throw new RowcallError('TOPIC_UNKNOWN', `No ${at.topic}/${at.partition}`);
  }

  get holdsRecords(): boolean {
    return [...this.topics.values()].some(({ partitions }) =>
      partitions.some((partition) => partition.start > 0 || partition.records.length > 0),
    );
  }

  announce(): void {
    for (const { call } of [...this.listeners]) call();
  }
}

/**
 * One handle, as one process has it. Effects happen within the call; listeners are told by the handle's own
 * clock, so that those of a dead process are not.
 */
export class MemoryChangeLog implements ChangeLog {
  readonly #store: MemoryLogStore;
  readonly #clock: Clock;
  readonly #writers = new Set<MemoryWriter>();

  constructor(store: MemoryLogStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async openWriter(name: string): Promise<ChangeLogWriter> {
    await Promise.resolve();
    const checkpoint = this.#store.checkpoints.get(name) ?? null;
    if (checkpoint === null && this.#store.holdsRecords) {
      throw new RowcallError(
        'CHECKPOINT_LOST',
        `The log has records, but no checkpoint of ${name}`,
      );
    }
    this.#store.epoch += 1;
    const writer = new MemoryWriter(this.#store, this.#clock, { name, checkpoint });
    this.#writers.add(writer);
    return writer;
  }

  readCheckpoint(name: string): Promise<string | null> {
    return Promise.resolve(this.#store.checkpoints.get(name) ?? null);
  }

  setCheckpoint(name: string, checkpoint: string): Promise<void> {
    this.#store.epoch += 1;
    this.#store.checkpoints.set(name, checkpoint);
    return Promise.resolve();
  }

  topics(): Promise<readonly TopicInfo[]> {
    return Promise.resolve([...this.#store.topics.values()].map(({ info }) => info));
  }

  async read(at: TopicPartition, offset: number, maxBytes: number): Promise<Fetched> {
    const { start, end } = await this.bounds(at);
    if (offset < start || offset > end) {
      throw new RowcallError('OFFSET_OUT_OF_RANGE', `${offset} is not in ${start} to ${end}`);
    }
    const records: StoredRecord[] = [];
    let bytes = 0;
    for (const record of this.#store.partition(at).records.slice(offset - start)) {
      if (records.length > 0 && bytes + recordBytes(record) > maxBytes) break;
      records.push(record);
      bytes += recordBytes(record);
    }
    return { records, nextOffset: offset + records.length, bytes };
  }

  async bounds(at: TopicPartition): Promise<PartitionBounds> {
    await Promise.resolve();
    const { start, records } = this.#store.partition(at);
    return { start, end: start + records.length };
  }

  async writtenEnd(at: TopicPartition): Promise<number> {
    return (await this.bounds(at)).end;
  }

  async offsetForTimestamp(at: TopicPartition, timestampMs: number): Promise<number> {
    const { end } = await this.bounds(at);
    const found = this.#store
      .partition(at)
      .records.find((record) => record.timestampMs >= timestampMs);
    return found?.offset ?? end;
  }

  onAppend(listener: () => void): () => void {
    const entry = {
      call: () => {
        this.#clock.soon(() => {
          if (this.#store.listeners.has(entry)) listener();
        });
      },
    };
    this.#store.listeners.add(entry);
    return () => {
      this.#store.listeners.delete(entry);
    };
  }

  setLowWater(consumer: string, stateId: string, marks: readonly LowWaterMark[]): Promise<void> {
    this.#store.marks.set(consumer, { stateId, marks });
    return Promise.resolve();
  }

  lowWater(): ReturnType<ChangeLog['lowWater']> {
    return Promise.resolve(
      [...this.#store.marks].map(([consumer, marks]) => ({ consumer, ...marks })),
    );
  }

  /** Deletes everything below all marks, however young. */
  applyRetention(_nowMs: number, consumers: readonly string[]): Promise<number> {
    let bytes = 0;
    const holders = consumers.length > 0 ? consumers : [...this.#store.marks.keys()];
    for (const [name, { info, partitions }] of this.#store.topics) {
      for (const [index, partition] of partitions.entries()) {
        const held = holders.map(
          (consumer) =>
            this.#store.marks
              .get(consumer)
              ?.marks.find(
                (mark) =>
                  mark.topic === name && mark.partition === index && mark.topicId === info.id,
              )?.offset ?? 0,
        );
        const gone = partition.records.splice(0, Math.min(...held) - partition.start);
        partition.start += gone.length;
        for (const record of gone) bytes += recordBytes(record);
      }
    }
    return Promise.resolve(bytes);
  }

  usage(): Promise<LogUsage> {
    const all = [...this.#store.topics.values()].flatMap(({ partitions }) => partitions);
    const bytes = all
      .flatMap(({ records }) => records)
      .reduce((sum, record) => sum + recordBytes(record), 0);
    return Promise.resolve({ bytes, maxBytes: Infinity });
  }

  async close(): Promise<void> {
    for (const writer of this.#writers) await writer.close();
  }
}

class MemoryWriter implements ChangeLogWriter {
  readonly checkpoint: string | null;
  readonly #store: MemoryLogStore;
  readonly #clock: Clock;
  readonly #name: string;
  readonly #epoch: number;
  #refusal: RowcallError | null = null;
  #closed = false;

  constructor(
    store: MemoryLogStore,
    clock: Clock,
    { name, checkpoint }: { readonly name: string; readonly checkpoint: string | null },
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#name = name;
    this.#epoch = store.epoch;
    this.checkpoint = checkpoint;
  }

  async createTopics(topics: readonly TopicSpec[]): Promise<readonly TopicInfo[]> {
    await Promise.resolve();
    this.#requireOwnership();
    const made = topics.map((topic) => this.#topic(topic).info);
    this.#store.announce();
    return made;
  }

  append(batches: readonly PartitionBatch[], checkpoint: string): Promise<void> {
    try {
      this.#requireOwnership();
      // What was asked for without knowing of a refusal is refused with it.
      if (this.#refusal !== null) throw this.#refusal;
      this.#check(batches);
    } catch (error) {
      return this.#refuse(error);
    }
    for (const batch of batches) this.#write(batch);
    this.#store.checkpoints.set(this.#name, checkpoint);
    this.#store.announce();
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  #refuse(cause: unknown): Promise<void> {
    const error = toRowcallError(cause);
    const harmless = error.code === 'TOPIC_UNKNOWN' || error.code === 'RECORD_TOO_LARGE';
    if (harmless) this.#refusal = error;
    return new Promise((_resolve, reject) => {
      this.#clock.soon(() => {
        if (harmless) this.#refusal = null;
        reject(error);
      });
    });
  }

  #requireOwnership(): void {
    if (this.#closed || this.#epoch !== this.#store.epoch) {
      throw new RowcallError('WRITER_FENCED', 'The writer was closed, or a newer one was opened');
    }
  }

  #check(batches: readonly PartitionBatch[]): void {
    for (const batch of batches) {
      this.#store.partition(batch);
      for (const record of batch.records) {
        if (recordBytes(record) > MAX_RECORD_BYTES) {
          throw new RowcallError('RECORD_TOO_LARGE', `Record ${record.id} is too large`);
        }
      }
    }
  }

  #write(batch: PartitionBatch): void {
    const partition = this.#store.partition(batch);
    for (const record of batch.records) {
      const offset = partition.start + partition.records.length;
      partition.records.push({ ...copyOf(record), offset });
    }
  }

  #topic(spec: TopicSpec): Topic {
    const known = this.#store.topics.get(spec.name);
    if (known !== undefined) return known;
    const topic: Topic = {
      info: { ...spec, id: `${spec.name}#${this.#store.topics.size}` },
      partitions: Array.from({ length: spec.partitions }, () => ({ start: 0, records: [] })),
    };
    this.#store.topics.set(spec.name, topic);
    return topic;
  }
}
