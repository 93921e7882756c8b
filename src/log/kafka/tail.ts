/** Waits with the brokers for what comes at the ends of partitions. */
import type { PartitionBounds, TopicPartition } from '../change-log.ts';
import type { Chunks } from './chunks.ts';
import type { Cluster } from './cluster.ts';
import type { Connections } from './connections.ts';
import { endOf } from './decode-batch.ts';
import type { FetchedBytes } from './decode-batch.ts';
import { fetchApi } from './fetch.ts';
import type { FetchAnswer, FetchedPartition } from './fetch.ts';
import type { Polled } from './fetch-session.ts';
import { FetchSession } from './fetch-session.ts';
import { pause } from '../../shared/abort.ts';
import { BrokerRefusal, isPassing, KAFKA } from './kafka-error.ts';
import { TAIL_WAIT_MS } from './kafka-options.ts';
import type { Patience } from './patience.ts';

export interface TailParts {
  readonly cluster: Cluster;
  /** Its own: a poll stays with the broker, and whatever came behind it would wait. */
  readonly connections: Connections;
  readonly patience: Patience;
  readonly chunks: Chunks;
  /** Something came, or nothing can come any more: whoever reads next is told why. */
  readonly onNews: () => void;
  /** Called with what came of the partition named by `watched`, before `onNews`. */
  readonly onWatched: (fetched: FetchedBytes) => void;
  /** The partition named by `watched` is not polled any more. */
  readonly onWatchLost: () => void;
}

interface Followed {
  readonly at: TopicPartition;
  readonly topicId: string;
  /** What is polled from. */
  next: number;
  start: number;
  /** As it was told last; what is beyond comes with a later answer. */
  end: number;
}

const POLL_BYTES = 2 * 1024 * 1024;
const PARTITION_BYTES = 1024 * 1024;
/** After an error that trying again does not help. */
const PAUSE_MS = 1_000;

const placeOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;

/**
 * One poll per broker over all partitions that somebody has read to their end. Invariants: a partition is polled
 * from where its reader found the end, so nothing between that read and the poll is missed; and it is polled only as
 * long as what comes is read, so that a reader that fell behind is not fetched for twice.
 */
export class Tail {
  readonly #parts: TailParts;
  readonly #followed = new Map<string, Followed>();
  /** Brokers that are polled. */
  readonly #polling = new Map<number, Promise<void>>();
  /** Part of a poll that is with a broker now. */
  readonly #inFlight = new Set<string>();
  #watched: string | null = null;
  #running = false;

  constructor(parts: TailParts) {
    this.#parts = parts;
  }

  /** Polls from here on; without it partitions are only remembered. */
  run(): void {
    this.#running = true;
    for (const { at } of this.#followed.values()) this.#pollLeaderOf(at);
  }

  /** The polls with the brokers are the last ones. */
  pause(): void {
    this.#running = false;
  }

  /** Resolves when the last poll has ended; the signal of its patience ends them. */
  async ended(): Promise<void> {
    this.#running = false;
    await Promise.allSettled(this.#polling.values());
  }

  /** Somebody read up to `end` and there was no more. */
  follow(at: TopicPartition, topicId: string, { start, end }: PartitionBounds): void {
    const place = placeOf(at);
    const before = this.#followed.get(place);
    if (before?.topicId === topicId && before.next >= end) return;
    const { topic, partition } = at;
    this.#followed.set(place, { at: { topic, partition }, topicId, next: end, start, end });
    if (this.#running) this.#pollLeaderOf(at);
  }

  /** This partition's news are handed over as they come. */
  watch(at: TopicPartition, topicId: string, bounds: PartitionBounds): void {
    this.#watched = placeOf(at);
    this.follow(at, topicId, bounds);
  }

  /** What came was not read in time. Another reader may be at the end already and wait: it asks anew. */
  readonly unfollow = (place: string): void => {
    if (place !== this.#watched && this.#followed.delete(place)) this.#parts.onNews();
  };

  /** The end is told to somebody, who then reads up to there. */
  learn(at: TopicPartition, { end }: PartitionBounds): void {
    const followed = this.#followed.get(placeOf(at));
    if (followed !== undefined) followed.end = Math.max(followed.end, end);
  }

  /** What the poll that is under way is known to see; undefined where there is none. */
  known(at: TopicPartition): (PartitionBounds & { readonly polledFrom: number }) | undefined {
    const place = placeOf(at);
    const followed = this.#followed.get(place);
    if (followed === undefined || !this.#inFlight.has(place)) return undefined;
    return { start: followed.start, end: followed.end, polledFrom: followed.next };
  }

  #pollLeaderOf(at: TopicPartition): void {
    this.#parts.cluster.leader(at).then(
      ({ broker }) => {
        if (this.#polling.has(broker) || !this.#running) return;
        const polling = this.#poll(broker).finally(() => {
          this.#polling.delete(broker);
          // One that was followed in the moment of the end.
          if (this.#running) for (const one of this.#followed.values()) this.#pollLeaderOf(one.at);
        });
        this.#polling.set(broker, polling);
      },
      () => {
        // Gone, or without a leader for now: a reader's next read meets the same and has somebody to tell.
        this.#giveUp([at]);
      },
    );
  }

  /** Ends with the running, or when the broker leads nothing of what is followed. */
  async #poll(broker: number): Promise<void> {
    const { signal, clock } = this.#parts.patience;
    const session = new FetchSession();
    while (this.#goesOn()) {
      const those = await this.#ledBy(broker);
      if (those.length === 0) return;
      try {
        await this.#pollOnce(broker, session, those);
      } catch (error) {
        if (!this.#goesOn()) return;
        session.reset();
        if (await this.#recovered(error, those)) continue;
        this.#giveUp(those.map(({ at }) => at));
        await pause(clock, PAUSE_MS, signal);
      }
    }
  }

  #goesOn(): boolean {
    return this.#running && !this.#parts.patience.signal.aborted;
  }

  /** Waits until every one has a leader again; false where waiting does not help. */
  async #recovered(error: unknown, those: readonly Followed[]): Promise<boolean> {
    const { cluster, patience } = this.#parts;
    if (!isPassing(error)) return false;
    const attempting = { doing: 'Waiting for records', code: 'LOG_UNREACHABLE' } as const;
    let cause: unknown = error;
    try {
      await patience.attempt(attempting, async () => {
        const first = cause;
        cause = null;
        for (const { at } of those) cluster.forget(at.topic);
        // It counts as the first try, so that a broker that stays away is told of.
        if (first !== null) throw first as Error;
        for (const { at } of those) await cluster.leader(at);
      });
      return true;
    } catch {
      // The readers' own reads meet it, and have somebody to tell.
      return false;
    }
  }

  /** Nothing more is known of these: whoever reads them finds out why. */
  #giveUp(those: readonly TopicPartition[]): void {
    for (const at of those) {
      const place = placeOf(at);
      this.#followed.delete(place);
      if (place === this.#watched) this.#parts.onWatchLost();
    }
    this.#parts.onNews();
  }

  /** Those whose leader it is; the others are given to theirs. */
  async #ledBy(broker: number): Promise<readonly Followed[]> {
    const those: Followed[] = [];
    for (const followed of [...this.#followed.values()]) {
      const topic = await this.#parts.cluster.topic(followed.at.topic).catch(() => null);
      const leader = topic?.leaders[followed.at.partition] ?? null;
      if (leader === broker) those.push(followed);
      else if (leader === null || !this.#polling.has(leader)) this.#pollLeaderOf(followed.at);
    }
    return those;
  }

  async #pollOnce(
    broker: number,
    session: FetchSession,
    those: readonly Followed[],
  ): Promise<void> {
    const { cluster, connections } = this.#parts;
    const places = those.map(({ at }) => placeOf(at));
    for (const place of places) this.#inFlight.add(place);
    let answer: FetchAnswer;
    try {
      answer = await cluster.request({ broker, connections }, fetchApi, {
        maxWaitMs: TAIL_WAIT_MS,
        maxBytes: POLL_BYTES,
        ...session.next(those.map(polled)),
      });
    } finally {
      for (const place of places) this.#inFlight.delete(place);
    }
    if (SESSION_ERRORS.has(answer.errorCode)) {
      session.reset();
      return;
    }
    if (answer.errorCode !== KAFKA.NONE) {
      throw new BrokerRefusal(answer.errorCode, `broker ${broker}`);
    }
    session.answered(answer.sessionId);
    this.#take(those, answer.partitions);
  }

  #take(those: readonly Followed[], partitions: readonly FetchedPartition[]): void {
    const byKey = new Map(those.map((one) => [`${one.topicId}/${one.at.partition}`, one]));
    let news = false;
    for (const fetched of partitions) {
      const followed = byKey.get(`${fetched.topicId}/${fetched.partition}`);
      if (followed === undefined) continue;
      news = this.#takePartition(followed, fetched) || news;
    }
    if (news) this.#parts.onNews();
  }

  #takePartition(followed: Followed, fetched: FetchedPartition): boolean {
    const { chunks, cluster, onWatched } = this.#parts;
    const place = placeOf(followed.at);
    if (fetched.errorCode !== KAFKA.NONE) {
      cluster.forget(followed.at.topic);
      // Out of range, or a topic made anew: for a reader to find out.
      if (!LEADER_MOVED.has(fetched.errorCode)) this.#giveUp([followed.at]);
      return false;
    }
    const { bytes, aborted } = fetched;
    followed.start = fetched.logStartOffset;
    followed.end = Math.max(followed.end, fetched.lastStableOffset);
    if (bytes.length === 0) return false;
    const came = { place, from: followed.next, bytes, aborted };
    const end = endOf(came);
    if (end <= came.from) {
      // A batch that did not fit beside other partitions' records: alone it comes whole, whatever its size.
      this.#giveUp([followed.at]);
      return false;
    }
    followed.next = end;
    if (place === this.#watched) onWatched(came);
    else chunks.keep({ fetched: came, end });
    return true;
  }
}

const SESSION_ERRORS: ReadonlySet<number> = new Set([
  KAFKA.FETCH_SESSION_ID_NOT_FOUND,
  KAFKA.INVALID_FETCH_SESSION_EPOCH,
  KAFKA.FETCH_SESSION_TOPIC_ID_ERROR,
]);

/** LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, OFFSET_NOT_AVAILABLE, storage error. */
const LEADER_MOVED: ReadonlySet<number> = new Set([5, 6, 56, 74, 75, 78]);

function polled({ at, topicId, next }: Followed): Polled {
  return { topicId, partition: at.partition, offset: next, maxBytes: PARTITION_BYTES };
}
