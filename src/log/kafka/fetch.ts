/** Kafka's Fetch request, read_committed, whose record batches are left as they are until somebody reads them. */
import { createAPI, Writer } from '@platformatic/kafka';
import type { API, Reader } from '@platformatic/kafka';

import type { AbortedTransaction } from './decode-batch.ts';
import { skipTags } from './produce.ts';
import { ByteReader } from './varint.ts';

export interface FetchPartition {
  readonly partition: number;
  readonly offset: number;
  readonly maxBytes: number;
}

export interface FetchTopic<Partition> {
  readonly topicId: string;
  readonly partitions: readonly Partition[];
}

export interface FetchRequest {
  readonly maxWaitMs: number;
  readonly maxBytes: number;
  /** Session 0, epoch 0 begins a session; session 0, epoch -1 is without one. */
  readonly session: { readonly id: number; readonly epoch: number };
  readonly topics: readonly FetchTopic<FetchPartition>[];
  readonly forgotten: readonly FetchTopic<number>[];
}

export interface FetchedPartition {
  readonly topicId: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  readonly bytes: Buffer;
}

export interface FetchAnswer {
  readonly errorCode: number;
  readonly sessionId: number;
  readonly partitions: readonly FetchedPartition[];
}

const CONSUMER = -1;
const MIN_BYTES = 1;
const READ_COMMITTED = 1;
const NO_EPOCH = -1;
const EMPTY = Buffer.alloc(0);

/** https://kafka.apache.org/protocol#The_Messages_Fetch, version 13: topics are named by their ids. */
export const fetchApi: API<[request: FetchRequest], FetchAnswer> = createAPI(
  1,
  13,
  createRequest,
  parseResponse,
);

function createRequest(request: FetchRequest): Writer {
  return Writer.create()
    .appendInt32(CONSUMER)
    .appendInt32(request.maxWaitMs)
    .appendInt32(MIN_BYTES)
    .appendInt32(request.maxBytes)
    .appendInt8(READ_COMMITTED)
    .appendInt32(request.session.id)
    .appendInt32(request.session.epoch)
    .appendArray([...request.topics], (writer, { topicId, partitions }) => {
      writer.appendUUID(topicId).appendArray([...partitions], (w, at) => {
        w.appendInt32(at.partition)
          .appendInt32(NO_EPOCH)
          .appendInt64(BigInt(at.offset))
          .appendInt32(NO_EPOCH)
          .appendInt64(-1n)
          .appendInt32(at.maxBytes);
      });
    })
    .appendArray([...request.forgotten], (writer, { topicId, partitions }) => {
      const each = (w: Writer, partition: number): void => {
        w.appendInt32(partition);
      };
      writer.appendUUID(topicId).appendArray([...partitions], each, true, false);
    })
    .appendString('')
    .appendTaggedFields();
}

function parseResponse(
  _correlation: number,
  _api: number,
  _version: number,
  answer: Reader,
): FetchAnswer {
  const reader = new ByteReader(answer.buffer.buffer, answer.position);
  reader.int32();
  const errorCode = reader.int16();
  const sessionId = reader.int32();
  const partitions: FetchedPartition[] = [];
  for (let topics = reader.unsigned() - 1; topics > 0; topics -= 1) {
    const topicId = formatUuid(reader.take(16).toString('hex'));
    for (let count = reader.unsigned() - 1; count > 0; count -= 1) {
      partitions.push(readPartition(reader, topicId));
    }
    skipTags(reader);
  }
  return { errorCode, sessionId, partitions };
}

function readPartition(reader: ByteReader, topicId: string): FetchedPartition {
  const partition = reader.int32();
  const errorCode = reader.int16();
  const highWatermark = reader.int64();
  const lastStableOffset = reader.int64();
  const logStartOffset = reader.int64();
  const aborted: AbortedTransaction[] = [];
  for (let count = reader.unsigned() - 1; count > 0; count -= 1) {
    const producerId = reader.bytes.readBigInt64BE(reader.at);
    reader.at += 8;
    aborted.push({ producerId, firstOffset: reader.int64() });
    skipTags(reader);
  }
  // The preferred replica to read from: we name no rack, so it is none.
  reader.int32();
  const length = reader.unsigned() - 1;
  const bytes = length > 0 ? reader.take(length) : EMPTY;
  skipTags(reader);
  return {
    topicId,
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    aborted,
    bytes,
  };
}

function formatUuid(hex: string): string {
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  return `${parts.join('-')}-${hex.slice(20)}`;
}
