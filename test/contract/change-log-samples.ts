/** Records, and the log under test, for the suites of the change log's port. */
import { expect } from 'vitest';

import type { LogRecord } from '../../src/change-event.ts';
import type {
  ChangeLog,
  LowWaterMark,
  PartitionBounds,
  TopicPartition,
} from '../../src/log/change-log.ts';

export interface LogLimits {
  readonly maxBytes?: number;
  readonly retention?: { readonly ageMs: number; readonly sizeBytes: number };
}

/** One log, of which `open` gives a further handle as another process would have. */
export interface LogUnderTest {
  open(limits?: LogLimits): Promise<ChangeLog>;
  destroy(): Promise<void>;
}

export interface LogTraits {
  /** Retention and the size limit are the log's own, not a broker's. */
  readonly ownLimits: boolean;
  /** Every offset holds a record. Kafka's markers of transactions take offsets as well. */
  readonly gapless: boolean;
  /** An older writer's records are refused with its checkpoint. At least once, they may be there as repeats. */
  readonly fencesRecords: boolean;
  /** The largest value that a topic takes as it is made. */
  readonly largeValueBytes: number;
}

export const ORDERS = { topic: 'shop.orders', partition: 0 };
export const BIG = 1024 * 1024;

export function record(n: number, more: Partial<LogRecord> = {}): LogRecord {
  return {
    key: `{"id":${n}}`,
    value: Buffer.from(`{"before":null,"after":{"id":${n}}}`),
    timestampMs: 1_000 + n,
    id: `0b5a6d0e-0000-0000-0000-000000000001:7:shop/orders:${n}`,
    table: 'shop.orders',
    operation: 'c',
    ...more,
  };
}

export function records(from: number, count: number): LogRecord[] {
  return Array.from({ length: count }, (_, index) => record(from + index));
}

/** All records of a partition, read in small steps. */
export async function readAll(
  log: ChangeLog,
  at: TopicPartition,
  maxBytes = 4096,
): Promise<(LogRecord & { offset: number })[]> {
  const { start } = await log.bounds(at);
  return readFrom(log, at, start, maxBytes);
}

/** From `from` to the end of the partition. */
export async function readFrom(
  log: ChangeLog,
  at: TopicPartition,
  from: number,
  maxBytes: number,
): Promise<(LogRecord & { offset: number })[]> {
  const all: (LogRecord & { offset: number })[] = [];
  let offset = from;
  for (;;) {
    const fetched = await log.read(at, offset, maxBytes);
    if (fetched.nextOffset === offset) return all;
    all.push(...fetched.records);
    offset = fetched.nextOffset;
  }
}

export const idsOf = async (log: ChangeLog, at: TopicPartition = ORDERS): Promise<string[]> =>
  (await readAll(log, at)).map(({ id }) => id);

export const code = (name: string): { code: string } =>
  expect.objectContaining({ code: name }) as never;

export const ids = (from: number, count: number): string[] =>
  records(from, count).map(({ id }) => id);

/** A mark of the first topic's partition 0. */
export async function markAt(log: ChangeLog, offset: number): Promise<LowWaterMark> {
  const [topic] = await log.topics();
  return { ...ORDERS, topicId: topic?.id ?? '', offset };
}

/** The bounds of a partition that holds as many records from its beginning on; where offsets have gaps, the end may be later. */
export const boundsOf = (count: number, { gapless }: LogTraits): PartitionBounds =>
  gapless || count === 0
    ? { start: 0, end: count }
    : { start: 0, end: expect.toSatisfy((end: number) => end >= count) as number };
