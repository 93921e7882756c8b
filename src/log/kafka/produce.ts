/** Kafka's Produce request, with record batches of our making. */
import { createAPI, Writer } from '@platformatic/kafka';
import type { API, Reader } from '@platformatic/kafka';

import { BROKER_TIMEOUT_MS } from './kafka-options.ts';
import { ByteReader } from './varint.ts';

export interface PartitionBytes {
  readonly partition: number;
  readonly bytes: Buffer;
}

export interface ProduceTopic {
  readonly topic: string;
  readonly partitions: readonly PartitionBytes[];
}

/** The broker's word on one partition; 0 is good. */
export interface ProduceOutcome {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly message: string | null;
}

/** A follower's word is waited for always: the broker answers once all in sync have it. */
const ALL_IN_SYNC = -1;

/** https://kafka.apache.org/protocol#The_Messages_Produce, version 9 */
export const produceApi: API<
  [transactionalId: string | null, topics: readonly ProduceTopic[]],
  readonly ProduceOutcome[]
> = createAPI(0, 9, createRequest, parseResponse);

function createRequest(transactionalId: string | null, topics: readonly ProduceTopic[]): Writer {
  return Writer.create()
    .appendString(transactionalId)
    .appendInt16(ALL_IN_SYNC)
    .appendInt32(BROKER_TIMEOUT_MS)
    .appendArray([...topics], (writer, { topic, partitions }) => {
      writer.appendString(topic).appendArray([...partitions], (w, { partition, bytes }) => {
        w.appendInt32(partition)
          .appendUnsignedVarInt(bytes.length + 1)
          .append(bytes);
      });
    })
    .appendTaggedFields();
}

function parseResponse(
  _correlation: number,
  _api: number,
  _version: number,
  answer: Reader,
): readonly ProduceOutcome[] {
  const reader = new ByteReader(answer.buffer.buffer, answer.position);
  const outcomes: ProduceOutcome[] = [];
  for (let topics = reader.unsigned() - 1; topics > 0; topics -= 1) {
    const topic = readString(reader) ?? '';
    for (let partitions = reader.unsigned() - 1; partitions > 0; partitions -= 1) {
      outcomes.push(readOutcome(reader, topic));
    }
    skipTags(reader);
  }
  return outcomes;
}

function readOutcome(reader: ByteReader, topic: string): ProduceOutcome {
  const partition = reader.int32();
  const errorCode = reader.int16();
  // Base offset, append time, start of the log.
  reader.at += 24;
  for (let errors = reader.unsigned() - 1; errors > 0; errors -= 1) {
    reader.int32();
    readString(reader);
    skipTags(reader);
  }
  const message = readString(reader);
  skipTags(reader);
  return { topic, partition, errorCode, message };
}

export function readString(reader: ByteReader): string | null {
  const length = reader.unsigned() - 1;
  return length < 0 ? null : reader.take(length).toString();
}

export function skipTags(reader: ByteReader): void {
  for (let tags = reader.unsigned(); tags > 0; tags -= 1) {
    reader.unsigned();
    reader.take(reader.unsigned());
  }
}
