/** The head of a Kafka record batch, version 2: https://kafka.apache.org/documentation/#recordbatch */

/** Base offset and length, which the length does not count. */
export const BATCH_PREFIX_BYTES = 12;
export const BATCH_HEAD_BYTES = 61;
const MAGIC_AT = 16;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const LAST_OFFSET_DELTA_AT = 23;
const BASE_TIMESTAMP_AT = 27;
const MAX_TIMESTAMP_AT = 35;
const PRODUCER_ID_AT = 43;
const PRODUCER_EPOCH_AT = 51;
const BASE_SEQUENCE_AT = 53;
const COUNT_AT = 57;
/** What the checksum covers begins here. */
export const CHECKED_AT = ATTRIBUTES_AT;

const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
const COMPRESSION_MASK = 0x07;
const LOG_APPEND_TIME = 0x08;

export interface BatchHead {
  readonly baseOffset: number;
  /** Of the whole batch, its prefix included. */
  readonly size: number;
  readonly magic: number;
  readonly crc: number;
  readonly compression: number;
  readonly transactional: boolean;
  readonly control: boolean;
  readonly logAppendTime: boolean;
  readonly lastOffset: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  readonly producerId: bigint;
  readonly count: number;
}

/** Null where the bytes end before the batch does: a broker cuts its answer at the size asked for. */
export function readBatchHead(bytes: Buffer, at: number): BatchHead | null {
  if (at + BATCH_HEAD_BYTES > bytes.length) return null;
  const size = BATCH_PREFIX_BYTES + bytes.readInt32BE(at + 8);
  if (at + size > bytes.length) return null;
  const baseOffset = Number(bytes.readBigInt64BE(at));
  const attributes = bytes.readInt16BE(at + ATTRIBUTES_AT);
  return {
    baseOffset,
    size,
    magic: bytes.readInt8(at + MAGIC_AT),
    crc: bytes.readUInt32BE(at + CRC_AT),
    compression: attributes & COMPRESSION_MASK,
    transactional: (attributes & TRANSACTIONAL) !== 0,
    control: (attributes & CONTROL) !== 0,
    logAppendTime: (attributes & LOG_APPEND_TIME) !== 0,
    lastOffset: baseOffset + bytes.readInt32BE(at + LAST_OFFSET_DELTA_AT),
    baseTimestamp: Number(bytes.readBigInt64BE(at + BASE_TIMESTAMP_AT)),
    maxTimestamp: Number(bytes.readBigInt64BE(at + MAX_TIMESTAMP_AT)),
    producerId: bytes.readBigInt64BE(at + PRODUCER_ID_AT),
    count: bytes.readInt32BE(at + COUNT_AT),
  };
}

/** All of the head but what `stampProducer` and `sealBatch` write. */
export function writeBatchHead(
  bytes: Buffer,
  head: {
    readonly count: number;
    readonly baseTimestamp: number;
    readonly maxTimestamp: number;
    readonly compression: number;
  },
): void {
  bytes.writeBigInt64BE(0n, 0);
  bytes.writeInt32BE(bytes.length - BATCH_PREFIX_BYTES, 8);
  bytes.writeInt32BE(-1, 12);
  bytes.writeInt8(2, MAGIC_AT);
  bytes.writeInt16BE(head.compression, ATTRIBUTES_AT);
  bytes.writeInt32BE(head.count - 1, LAST_OFFSET_DELTA_AT);
  bytes.writeBigInt64BE(BigInt(head.baseTimestamp), BASE_TIMESTAMP_AT);
  bytes.writeBigInt64BE(BigInt(head.maxTimestamp), MAX_TIMESTAMP_AT);
  bytes.writeInt32BE(head.count, COUNT_AT);
}

export interface BatchProducer {
  readonly id: bigint;
  readonly epoch: number;
  readonly baseSequence: number;
  readonly transactional: boolean;
}

/** Who writes the batch, then its checksum, by `crc32c`: last, since it covers the rest of the head. */
export function sealBatch(
  bytes: Buffer,
  producer: BatchProducer,
  crc32c: (bytes: Buffer) => number,
): void {
  const compression = bytes.readInt16BE(ATTRIBUTES_AT) & COMPRESSION_MASK;
  bytes.writeInt16BE(compression | (producer.transactional ? TRANSACTIONAL : 0), ATTRIBUTES_AT);
  bytes.writeBigInt64BE(producer.id, PRODUCER_ID_AT);
  bytes.writeInt16BE(producer.epoch, PRODUCER_EPOCH_AT);
  bytes.writeInt32BE(producer.baseSequence, BASE_SEQUENCE_AT);
  bytes.writeUInt32BE(crc32c(bytes.subarray(CHECKED_AT)), CRC_AT);
}
