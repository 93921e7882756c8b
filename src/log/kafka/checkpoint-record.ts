/** What stands in the topic `<name>.checkpoint`: the checkpoint, who wrote it, and the topics made. */
import { RowcallError } from '../../errors.ts';
import type { RawRecord } from './decode-batch.ts';
import { encodeAlone } from './encode-batch.ts';
import type { EncodedBatch } from './encode-batch.ts';

export interface CheckpointRecord {
  /** Null in what a writer writes to say that it is there, while there is none yet. */
  readonly checkpoint: string | null;
  /** Of the writer that wrote it: another for each opening. */
  readonly writer: string;
  /** Topics made, with the number of partitions that keys are hashed over. */
  readonly topics: ReadonlyMap<string, number>;
}

/** One key for all: compaction keeps the newest record. */
const KEY = 'checkpoint';
const WRITER = 'rowcall-writer';
const TOPICS = 'rowcall-topics';
const WRITER_NAME = Buffer.from(WRITER);
const TOPICS_NAME = Buffer.from(TOPICS);

export function checkpointTopic(name: string): string {
  return `${name}.checkpoint`;
}

export function encodeCheckpoint(
  { checkpoint, writer, topics }: CheckpointRecord,
  nowMs: number,
): EncodedBatch {
  return encodeAlone({
    key: KEY,
    // Not null, which would be a deletion to a compacted topic.
    value: Buffer.from(checkpoint ?? ''),
    timestampMs: nowMs,
    headers: [
      [WRITER_NAME, writer],
      [TOPICS_NAME, JSON.stringify(Object.fromEntries(topics))],
    ],
  });
}

/** @throws RowcallError CHECKPOINT_UNREADABLE: not a record of ours */
export function decodeCheckpoint(record: RawRecord, place: string): CheckpointRecord {
  const headers = new Map(record.headers);
  const writer = headers.get(WRITER);
  const topics = parseTopics(headers.get(TOPICS));
  if (writer === undefined || topics === null || record.value === null) {
    throw new RowcallError('CHECKPOINT_UNREADABLE', 'The checkpoint topic holds another record', {
      place: `${place}@${record.offset}`,
    });
  }
  const text = record.value.toString();
  return { checkpoint: text === '' ? null : text, writer, topics };
}

function parseTopics(text: string | undefined): ReadonlyMap<string, number> | null {
  try {
    const entries = Object.entries(JSON.parse(text ?? '') as Record<string, unknown>);
    const counts = entries.filter(
      (entry): entry is [string, number] => Number.isInteger(entry[1]) && Number(entry[1]) > 0,
    );
    return counts.length === entries.length ? new Map(counts) : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
