/** Tells listeners of appends: of this process's own at once, of others as soon as a broker tells. */
import { RowcallError } from '../../errors.ts';
import type { PartitionBounds, TopicPartition } from '../change-log.ts';
import { decodeCheckpoint } from './checkpoint-record.ts';
import type { Cluster } from './cluster.ts';
import type { FetchedBytes } from './decode-batch.ts';
import { readRecords } from './decode-batch.ts';
import type { Patience } from './patience.ts';
import type { Tail } from './tail.ts';
import type { TopicList } from './topic-list.ts';

export interface CheckpointWatchParts {
  /** The topic of the checkpoint: every append writes there. */
  readonly at: TopicPartition;
  readonly cluster: Cluster;
  readonly patience: Patience;
  readonly tail: Tail;
  readonly topics: TopicList;
  readonly bounds: (at: TopicPartition) => Promise<PartitionBounds>;
  readonly onDefect: (error: unknown) => void;
}

/** How often a checkpoint topic that is not made yet is looked for. */
const LOOK_MS = 250;

/**
 * Watches the checkpoint's topic while somebody listens. Invariant: it is watched from an end that was known before
 * the list of topics was last forgotten, so a topic made in between is not missed.
 */
export class CheckpointWatch {
  readonly #parts: CheckpointWatchParts;
  /** One entry per call of listen, so that a function given twice is held twice. */
  readonly #listeners = new Set<{ readonly call: () => void }>();
  /** It is looked for, or watched. */
  #looking = false;
  #watching = false;
  #topics = '';

  constructor(parts: CheckpointWatchParts) {
    this.#parts = parts;
  }

  /** Every change of the topics is told of from here on. */
  get watching(): boolean {
    return this.#watching && this.#listeners.size > 0;
  }

  listen(listener: () => void): () => void {
    const entry = { call: listener };
    this.#listeners.add(entry);
    this.#parts.tail.run();
    if (!this.#looking) this.#beginLooking(0);
    return () => {
      this.#listeners.delete(entry);
      if (this.#listeners.size === 0) this.#pause();
    };
  }

  notify(): void {
    for (const { call } of [...this.#listeners]) call();
  }

  /** What came in the topic. */
  came(fetched: FetchedBytes): void {
    let topics = this.#topics;
    try {
      readRecords(fetched, fetched.from, (record) => {
        const made = decodeCheckpoint(record, fetched.place).topics;
        topics = JSON.stringify([...made]);
        return true;
      });
    } catch (error) {
      if (!(error instanceof RowcallError)) throw error;
      // Whoever asks for the topics or the checkpoint reads the same record, and has somebody to tell.
      this.#parts.topics.changed();
      return;
    }
    if (topics === this.#topics) return;
    this.#topics = topics;
    this.#parts.topics.changed();
  }

  /** The topic is not polled any more: it is looked for anew. */
  lost(): void {
    this.#watching = false;
    this.#beginLooking(LOOK_MS);
  }

  close(): void {
    this.#listeners.clear();
    this.#pause();
  }

  /** What was kept is not looked after any more. */
  #pause(): void {
    this.#parts.tail.pause();
    this.#parts.topics.changed();
  }

  #beginLooking(delayMs: number): void {
    this.#looking = true;
    this.#look(delayMs).catch((error: unknown) => {
      // A defect: the listeners' own reads are told of everything else.
      this.#parts.onDefect(error);
    });
  }

  async #look(delayMs: number): Promise<void> {
    const { at, cluster, patience, tail, topics, bounds } = this.#parts;
    const { signal, clock } = patience;
    try {
      if (delayMs > 0) await clock.sleep(delayMs, signal);
      const attempting = {
        doing: `Looking for the topic ${at.topic}`,
        code: 'LOG_UNREACHABLE',
      } as const;
      let topic = await patience.attempt(attempting, () => cluster.topic(at.topic));
      while (topic === null) {
        await clock.sleep(LOOK_MS, signal);
        topic = await patience.attempt(attempting, () => cluster.topic(at.topic));
      }
      tail.watch(at, topic.id, await bounds(at));
      this.#watching = true;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof RowcallError)) throw error;
      // Nobody to tell here: the listeners' own reads meet the same error. If they outlive it, so does the watch.
      if (this.#listeners.size > 0) this.#beginLooking(LOOK_MS);
      else this.#looking = false;
    }
    topics.changed();
    this.notify();
  }
}
