/** How far consumers have settled, as committed offsets of Kafka groups: every lag tool shows them. */
import { listGroupsV4, offsetCommitV8, offsetFetchV8 } from '@platformatic/kafka';

import type { LowWaterMark } from '../change-log.ts';
import { checkpointTopic } from './checkpoint-record.ts';
import type { Cluster } from './cluster.ts';
import { BrokerRefusal, KAFKA } from './kafka-error.ts';
import type { Patience } from './patience.ts';

export interface ConsumerMarks {
  readonly consumer: string;
  readonly stateId: string;
  readonly marks: readonly LowWaterMark[];
}

/** A commit that no member of the group makes. */
const NO_GENERATION = -1;
const NO_MEMBER = '';
const ANY_EPOCH = -1;
/** The group coordinator writes a request as one batch of its own topic, which has a limit. */
const COMMIT_PARTITIONS = 1_000;

/** Beside an offset; the broker takes 4,096 bytes (offset.metadata.max.bytes). */
interface MarkNote {
  /** The state store. */
  readonly state: string;
  /** The topic, as its id. */
  readonly topic: string;
  /** Of which writing of all the consumer's marks this is part. */
  readonly set: number;
}

interface Waiting {
  stateId: string;
  marks: readonly LowWaterMark[];
  done: Promise<void>;
}

/**
 * Each consumer is a group `<name>.<consumer>`, and what it has settled are the group's offsets. An offset on the
 * checkpoint topic says that the consumer was seen and which set of marks is the newest. Invariant: it is committed
 * last, and marks of any other set are not told; so a set is there as a whole or not at all. And one writing of a
 * consumer's marks is under way at a time: brokers that were away for long would else take older marks after newer.
 */
export class LowWater {
  readonly #name: string;
  readonly #cluster: Cluster;
  readonly #patience: Patience;
  /** By consumer: what begins once its writing under way has ended. */
  readonly #waiting = new Map<string, Waiting>();
  /** By consumer: settles with its newest writing, and never rejects. */
  readonly #last = new Map<string, Promise<void>>();

  constructor(name: string, cluster: Cluster, patience: Patience) {
    this.#name = name;
    this.#cluster = cluster;
    this.#patience = patience;
  }

  /** What was not yet begun when newer marks of the consumer came is left out. */
  set(consumer: string, stateId: string, marks: readonly LowWaterMark[]): Promise<void> {
    const waiting = this.#waiting.get(consumer);
    if (waiting !== undefined) {
      Object.assign(waiting, { stateId, marks });
      return waiting.done;
    }
    const next: Waiting = { stateId, marks, done: Promise.resolve() };
    next.done = (this.#last.get(consumer) ?? Promise.resolve()).then(() => {
      this.#waiting.delete(consumer);
      return this.#write(consumer, next.stateId, next.marks);
    });
    this.#waiting.set(consumer, next);
    this.#last.set(
      consumer,
      next.done.catch(() => undefined),
    );
    return next.done;
  }

  async #write(consumer: string, stateId: string, marks: readonly LowWaterMark[]): Promise<void> {
    const group = `${this.#name}.${consumer}`;
    const seen = await this.#attempt(`Reading the offsets of ${group}`, () => this.#seen(group));
    const set = (seen?.set ?? 0) + 1;
    for (let from = 0; from < marks.length; from += COMMIT_PARTITIONS) {
      const some = marks.slice(from, from + COMMIT_PARTITIONS).map((mark) => ({
        ...mark,
        note: { state: stateId, topic: mark.topicId, set },
      }));
      await this.#commit(group, some);
    }
    const note = { state: stateId, topic: '', set };
    await this.#commit(group, [{ ...this.#own, offset: 0, note }]);
  }

  async all(): Promise<readonly ConsumerMarks[]> {
    const groups = await this.#attempt('Listing consumer groups', () => this.#groups());
    const all = await Promise.all(
      groups.map((group) =>
        this.#attempt(`Reading the offsets of ${group}`, () => this.#marksOf(group)),
      ),
    );
    return all.filter((one) => one !== null);
  }

  get #own(): { readonly topic: string; readonly partition: number } {
    return { topic: checkpointTopic(this.#name), partition: 0 };
  }

  async #groups(): Promise<readonly string[]> {
    const prefix = `${this.#name}.`;
    const brokers = await this.#cluster.brokers();
    const answers = await Promise.all(
      brokers.map((broker) => this.#cluster.request({ broker }, listGroupsV4.api, [], [])),
    );
    const ids = answers.flatMap(({ groups }) => groups.map(({ groupId }) => groupId));
    return [...new Set(ids)].filter((id) => id.startsWith(prefix));
  }

  async #seen(group: string): Promise<MarkNote | null> {
    const { topic, partition } = this.#own;
    const topics = [{ name: topic, partitionIndexes: [partition] }];
    const [found] = await this.#fetch(group, topics);
    return found?.note ?? null;
  }

  /** Null for a group that is not of a consumer of ours. */
  async #marksOf(group: string): Promise<ConsumerMarks | null> {
    const all = await this.#fetch(group, null);
    const seen = all.find(({ topic }) => topic === this.#own.topic)?.note;
    if (seen === undefined) return null;
    const marks = all
      .filter(({ topic, note }) => topic !== this.#own.topic && note.set === seen.set)
      .map(({ topic, partition, offset, note }) => ({
        topic,
        partition,
        offset,
        topicId: note.topic,
      }));
    const consumer = group.slice(this.#name.length + 1);
    return { consumer, stateId: seen.state, marks };
  }

  /** Committed offsets with a note of ours; `null` asks for all. */
  async #fetch(
    group: string,
    topics: { name: string; partitionIndexes: number[] }[] | null,
  ): Promise<readonly (Omit<LowWaterMark, 'topicId'> & { readonly note: MarkNote })[]> {
    const asked = [{ groupId: group, memberEpoch: NO_GENERATION, topics }];
    const of = { type: 'group', key: group } as const;
    const answer = await this.#cluster.requestCoordinator(of, offsetFetchV8.api, asked, false);
    return answer.groups.flatMap((one) =>
      one.topics.flatMap(({ name, partitions }) =>
        partitions.flatMap(
          ({ partitionIndex: partition, committedOffset, metadata, errorCode }) => {
            const place = `${group}: ${name}/${partition}`;
            if (errorCode !== KAFKA.NONE) throw new BrokerRefusal(errorCode, place);
            if (committedOffset < 0n) return [];
            const note = parseNote(metadata);
            const at = { topic: name, partition, offset: Number(committedOffset) };
            return note === null ? [] : [{ ...at, note }];
          },
        ),
      ),
    );
  }

  async #commit(
    group: string,
    marks: readonly (Omit<LowWaterMark, 'topicId'> & { readonly note: MarkNote })[],
  ): Promise<void> {
    const topics = new Map<string, typeof marks>();
    for (const mark of marks) topics.set(mark.topic, [...(topics.get(mark.topic) ?? []), mark]);
    const asked = Array.from(topics, ([name, those]) => ({
      name,
      partitions: those.map(({ partition, offset, note }) => ({
        partitionIndex: partition,
        committedOffset: BigInt(offset),
        committedLeaderEpoch: ANY_EPOCH,
        committedMetadata: JSON.stringify(note),
      })),
    }));
    await this.#attempt(`Committing the offsets of ${group}`, () =>
      this.#cluster.requestCoordinator(
        { type: 'group', key: group },
        offsetCommitV8.api,
        group,
        NO_GENERATION,
        NO_MEMBER,
        null,
        asked,
      ),
    );
  }

  #attempt<T>(doing: string, work: () => Promise<T>): Promise<T> {
    return this.#patience.attempt({ doing, code: 'LOG_UNREACHABLE' }, work);
  }
}

/** Null where somebody else committed: other programs' groups may begin with our name. */
function parseNote(metadata: string | null | undefined): MarkNote | null {
  try {
    const note = JSON.parse(metadata ?? '') as Partial<MarkNote>;
    const { state, topic, set } = note;
    if (typeof state === 'string' && typeof topic === 'string' && Number.isInteger(set)) {
      return { state, topic, set: Number(set) };
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return null;
}
