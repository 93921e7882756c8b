/** Which topics are this connector's, and what they are. */
import { isDeadLetterTopic } from '../../dead-letter-topic.ts';
import type { TopicInfo } from '../change-log.ts';
import type { CheckpointRecord } from './checkpoint-record.ts';
import { checkpointTopic } from './checkpoint-record.ts';
import type { Cluster } from './cluster.ts';
import { BrokerRefusal, KAFKA } from './kafka-error.ts';
import type { Patience } from './patience.ts';

export interface TopicListParts {
  readonly name: string;
  readonly cluster: Cluster;
  readonly patience: Patience;
  readonly newest: () => Promise<CheckpointRecord | null>;
}

/** A broker may be late to hear of a topic; one that is not there after this time is gone. */
const SETTLE_MS = 3_000;

/**
 * The newest record of the checkpoint topic names the topics made, whatever they are called. Where there is none,
 * as after its loss, they are those that begin with the connector's name, but for what nobody is called back for. Kept while `watched` says that every
 * change is told of.
 */
export class TopicList {
  readonly #parts: TopicListParts;
  #kept: readonly TopicInfo[] | null = null;
  #version = 0;

  constructor(parts: TopicListParts) {
    this.#parts = parts;
  }

  /** What was kept may have changed. */
  changed(): void {
    this.#kept = null;
    this.#version += 1;
  }

  async get(watched: boolean): Promise<readonly TopicInfo[]> {
    if (watched && this.#kept !== null) return this.#kept;
    const version = this.#version;
    const newest = await this.#parts.newest();
    const topics = newest === null ? await this.#byPrefix() : await this.#named(newest.topics);
    if (version === this.#version) this.#kept = topics;
    return topics;
  }

  async #named(topics: ReadonlyMap<string, number>): Promise<readonly TopicInfo[]> {
    const { cluster, patience } = this.#parts;
    const names = [...topics.keys()];
    const settled = patience.clock.monotonic() + SETTLE_MS;
    const found = await this.#attempt(async () => {
      const there = await cluster.topics(names);
      const missing = names.find((name) => !there.some((topic) => topic.name === name));
      // After that it was deleted, which the readers' own cursors tell of.
      if (missing === undefined || patience.clock.monotonic() > settled) return there;
      throw new BrokerRefusal(KAFKA.UNKNOWN_TOPIC_OR_PARTITION, missing);
    });
    return found.map(({ name, id, leaders }) => {
      return { name, id, partitions: topics.get(name) ?? leaders.length };
    });
  }

  async #byPrefix(): Promise<readonly TopicInfo[]> {
    const { name: connector, cluster } = this.#parts;
    const all = await this.#attempt(() => cluster.allTopics());
    return all
      .filter(({ name }) => name.startsWith(`${connector}.`) && name !== checkpointTopic(connector))
      .filter(({ name }) => !isDeadLetterTopic(connector, name))
      .map(({ name, id, leaders }) => ({ name, id, partitions: leaders.length }));
  }

  #attempt<T>(work: () => Promise<T>): Promise<T> {
    const attempting = { doing: 'Looking for topics', code: 'LOG_UNREACHABLE' } as const;
    return this.#parts.patience.attempt(attempting, work);
  }
}
