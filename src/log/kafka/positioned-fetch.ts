/** One Fetch of one partition from a place of ours, and where partitions begin and end. */
import { listOffsetsV7 } from '@platformatic/kafka';

import { present } from '../../shared/assert.ts';
import type { TopicPartition } from '../change-log.ts';
import type { Cluster } from './cluster.ts';
import type { Connections } from './connections.ts';
import { fetchApi } from './fetch.ts';
import type { FetchedPartition } from './fetch.ts';
import { BrokerRefusal, KAFKA } from './kafka-error.ts';

type ListOffsetsResponse = ReturnType<typeof listOffsetsV7.parseResponse>;

export interface Reading {
  readonly cluster: Cluster;
  readonly connections: Connections;
}

const NO_SESSION = { id: 0, epoch: -1 };
const CONSUMER = -1;
const ANY_EPOCH = -1;

/** `ListOffsets` takes these for a timestamp. */
export const LATEST = -1n;
export const EARLIEST = -2n;
export type Isolation = 'read-committed' | 'read-uncommitted';

/**
 * What is there now, without waiting. OFFSET_OUT_OF_RANGE is in the answer; every other refusal is thrown.
 *
 * @throws BrokerRefusal; RowcallError TOPIC_UNKNOWN
 */
export async function fetchAt(
  { cluster, connections }: Reading,
  at: TopicPartition,
  offset: number,
  maxBytes: number,
): Promise<FetchedPartition> {
  const { broker, topic } = await cluster.leader(at);
  const answer = await cluster.request({ broker, connections }, fetchApi, {
    maxWaitMs: 0,
    maxBytes,
    session: NO_SESSION,
    topics: [{ topicId: topic.id, partitions: [{ partition: at.partition, offset, maxBytes }] }],
    forgotten: [],
  });
  const place = `${at.topic}/${at.partition}`;
  if (answer.errorCode !== KAFKA.NONE) throw new BrokerRefusal(answer.errorCode, place);
  const [fetched] = answer.partitions;
  // What a broker answers to whom a quota slows down: nothing, and then it is silent for a while.
  if (fetched === undefined) throw new BrokerRefusal(KAFKA.THROTTLING_QUOTA_EXCEEDED, place);
  const { errorCode } = fetched;
  if (errorCode !== KAFKA.NONE && errorCode !== KAFKA.OFFSET_OUT_OF_RANGE) {
    throw new BrokerRefusal(errorCode, place);
  }
  return fetched;
}

/** One offset for each partition, in order; all of them must be led by `broker`. -1 where no record is as late. */
export async function listOffsets(
  { cluster, connections }: Reading,
  broker: number,
  partitions: readonly TopicPartition[],
  what: { readonly timestamp: bigint; readonly isolation: Isolation },
): Promise<readonly number[]> {
  const topics = new Map<
    string,
    { partitionIndex: number; currentLeaderEpoch: number; timestamp: bigint }[]
  >();
  for (const { topic, partition } of partitions) {
    const asked = {
      partitionIndex: partition,
      currentLeaderEpoch: ANY_EPOCH,
      timestamp: what.timestamp,
    };
    const those = topics.get(topic);
    if (those === undefined) topics.set(topic, [asked]);
    else those.push(asked);
  }
  const answer: ListOffsetsResponse = await cluster.request(
    { broker, connections },
    listOffsetsV7.api,
    CONSUMER,
    what.isolation === 'read-committed' ? 1 : 0,
    Array.from(topics, ([name, those]) => ({ name, partitions: those })),
  );
  const found = new Map<string, number>();
  for (const { name, partitions: those } of answer.topics) {
    for (const { partitionIndex, offset } of those) {
      found.set(`${name}/${partitionIndex}`, Number(offset));
    }
  }
  return partitions.map(({ topic, partition }) =>
    present(found.get(`${topic}/${partition}`), 'an offset asked for'),
  );
}
