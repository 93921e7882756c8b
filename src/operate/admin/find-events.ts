/** Events of the log looked for, a bounded part of it at a time. */

import { recordBytes } from '../../change-event.ts';
import type { ChangeLog, StoredRecord, TopicPartition } from '../../log/change-log.ts';
import { RowcallError } from '../../errors.ts';

/** One question looks at no more than this: the log answers others, too. */
const LOOK_BYTES = 16 * 1024 * 1024;
const READ_BYTES = 1024 * 1024;

/** What is looked for; what is absent leaves all in. */
export interface EventQuery {
  readonly id?: string | undefined;
  readonly gtid?: string | undefined;
  readonly topic?: string | undefined;
  readonly table?: string | undefined;
  readonly key?: string | undefined;
  /** Committed then or later, wall time in ms. */
  readonly fromMs?: number | undefined;
  /** Committed before. */
  readonly toMs?: number | undefined;
}

export interface FoundEvent extends TopicPartition {
  readonly record: StoredRecord;
}

/** How far was looked: the next look goes on there; null at the end of the log. */
export interface EventPlace extends TopicPartition {
  readonly offset: number;
}

export interface Look {
  readonly found: readonly FoundEvent[];
  readonly records: number;
  readonly next: EventPlace | null;
}

/**
 * Partition after partition, each in the order of its offsets, from `from` on. Invariant: a look ends behind what it
 * looked at, so that the next one passes over nothing and repeats nothing.
 *
 * @throws RowcallError as the log's `read`
 */
export async function findEvents(
  log: ChangeLog,
  query: EventQuery,
  { limit, from }: { readonly limit: number; readonly from: EventPlace | null },
): Promise<Look> {
  const found: FoundEvent[] = [];
  let records = 0;
  let left = LOOK_BYTES;
  for (const at of await partitionsFrom(log, query, from)) {
    const { end } = await log.bounds(at);
    let offset = await startOf(log, at, query, from);
    while (offset < end) {
      if (left <= 0 || found.length >= limit) return { found, records, next: { ...at, offset } };
      const fetched = await readFrom(log, at, offset);
      offset = fetched.nextOffset;
      for (const record of fetched.records) {
        records += 1;
        left -= recordBytes(record);
        if (!isMeant(record, query)) continue;
        found.push({ ...at, record });
        if (found.length < limit) continue;
        offset = record.offset + 1;
        break;
      }
    }
  }
  return { found, records, next: null };
}

export function placeText({ topic, partition, offset }: EventPlace): string {
  return `${topic} ${partition} ${offset}`;
}

/** Null where it is no place; whoever asks then begins at the beginning. */
export function placeOf(text: string): EventPlace | null {
  const [, topic = '', partition = '', offset = ''] =
    /^(\S+) (\d{1,9}) (\d{1,15})$/.exec(text) ?? [];
  return topic === '' ? null : { topic, partition: Number(partition), offset: Number(offset) };
}

async function partitionsFrom(
  log: ChangeLog,
  { topic }: EventQuery,
  from: EventPlace | null,
): Promise<TopicPartition[]> {
  const topics = await log.topics();
  return topics
    .filter(({ name }) => topic === undefined || name === topic)
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap(({ name, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
    )
    .filter((at) => from === null || !isBefore(at, from));
}

function isBefore(at: TopicPartition, from: EventPlace): boolean {
  return at.topic === from.topic ? at.partition < from.partition : at.topic < from.topic;
}

async function startOf(
  log: ChangeLog,
  at: TopicPartition,
  { fromMs }: EventQuery,
  from: EventPlace | null,
): Promise<number> {
  const { start } = await log.bounds(at);
  if (from?.topic === at.topic && from.partition === at.partition) {
    return Math.max(start, from.offset);
  }
  // By the log's own index, which may lie a little before.
  return fromMs === undefined ? start : Math.max(start, await log.offsetForTimestamp(at, fromMs));
}

/** Retention may take what is looked at: what is left is looked at. */
export async function readFrom(
  log: ChangeLog,
  at: TopicPartition,
  offset: number,
): ReturnType<ChangeLog['read']> {
  try {
    return await log.read(at, offset, READ_BYTES);
  } catch (error) {
    if (!(error instanceof RowcallError) || error.code !== 'OFFSET_OUT_OF_RANGE') throw error;
    const { start } = await log.bounds(at);
    if (start <= offset) throw error;
    return log.read(at, start, READ_BYTES);
  }
}

function isMeant(record: StoredRecord, query: EventQuery): boolean {
  const { id, gtid, table, key, fromMs, toMs } = query;
  return (
    (id === undefined || record.id === id) &&
    (gtid === undefined || record.id.startsWith(`${gtid}:`)) &&
    (table === undefined || record.table === table) &&
    (key === undefined || record.key === key) &&
    (fromMs === undefined || record.timestampMs >= fromMs) &&
    (toMs === undefined || record.timestampMs < toMs)
  );
}
