/** Which of the newest events a callback would get, and in what requests; nothing is sent. */

import type { CallbackConfig } from '../../config/schema.ts';
import { ClaimFiles } from '../../claim-files.ts';
import { countsIn } from '../../deliver/match/counting-partition.ts';
import { explainMatch, type MatchReason } from '../../deliver/match/explain-match.ts';
import { Matcher, type MatchedRecord } from '../../deliver/match/matcher.ts';
import type { ChangeLog, TopicPartition } from '../../log/change-log.ts';
import type { OutgoingEvent } from '../../deliver/callback/sender.ts';
import type { ApiParts } from './api-parts.ts';
import { type FoundEvent, readFrom } from './find-events.ts';
import { type Recording, RequestRecorder } from './recorded-request.ts';

const LOOK_BYTES = 16 * 1024 * 1024;

export interface Previewed {
  readonly found: FoundEvent;
  readonly match: MatchReason;
  readonly recording: Recording;
}

export interface Preview {
  readonly matched: readonly Previewed[];
  /** How many it would not get, by the part of its selection that leaves them out. */
  readonly others: Readonly<Record<string, number>>;
  readonly events: number;
  /** Whether all of the newest events were looked at: else the log's records are too large. */
  readonly complete: boolean;
}

const NO_REQUEST: Recording = {
  request: null,
  error: 'It is called in process: there is no request',
};

/** @throws RowcallError ENVELOPE_INVALID, FORMAT_INCOMPLETE; what reading the log throws */
export async function previewCallback(
  callback: CallbackConfig,
  { log, config, version, clock }: Pick<ApiParts, 'log' | 'config' | 'version' | 'clock'>,
  last: number,
): Promise<Preview> {
  const { newest, complete } = await newestEvents(log, last);
  const { deliver } = callback;
  const recorder =
    deliver.type === 'http'
      ? await RequestRecorder.open(
          { ...callback, deliver },
          {
            ...{ pipeline: config.name, version, clock },
            claims: new ClaimFiles(config.log.claimCheck.path),
          },
        )
      : null;
  const matched: Previewed[] = [];
  const others = new Map<string, number>();
  const signal = new AbortController().signal;
  try {
    const matcher = new Matcher(callback);
    for (const found of newest) {
      const match = explainMatch(callback, found.record);
      const record = matcher.take(found.record);
      if (record === null || !countsIn(found.partition, record)) {
        const by = record === null ? match.by : 'partition';
        others.set(by, (others.get(by) ?? 0) + 1);
        continue;
      }
      const recording = (await recorder?.record(outgoing(found, record), signal)) ?? NO_REQUEST;
      matched.push({ found, match, recording });
    }
  } finally {
    await recorder?.close();
  }
  return { matched, others: Object.fromEntries(others), events: newest.length, complete };
}

function outgoing({ topic, partition }: TopicPartition, record: MatchedRecord): OutgoingEvent {
  const { id, offset, table, operation, key, timestampMs, value, undecided = false } = record;
  return { id, topic, partition, offset, table, operation, key, timestampMs, value, undecided };
}

/** Of each partition the last ones, and of those the newest by commit time. */
async function newestEvents(
  log: ChangeLog,
  last: number,
): Promise<{ readonly newest: readonly FoundEvent[]; readonly complete: boolean }> {
  let newest: FoundEvent[] = [];
  let left = LOOK_BYTES;
  for (const { name: topic, partitions } of await log.topics()) {
    for (let partition = 0; partition < partitions; partition += 1) {
      const at = { topic, partition };
      const { start, end } = await log.bounds(at);
      for (let offset = Math.max(start, end - last); offset < end;) {
        if (left <= 0) return { newest, complete: false };
        const { records, bytes, nextOffset } = await readFrom(log, at, offset);
        if (nextOffset === offset) break;
        newest.push(...records.map((record) => ({ ...at, record })));
        left -= bytes;
        offset = nextOffset;
      }
      newest = newest.sort((one, other) => newer(other, one)).slice(0, last);
    }
  }
  return { newest, complete: true };
}

function newer({ record: one }: FoundEvent, { record: other }: FoundEvent): number {
  return one.timestampMs - other.timestampMs || one.offset - other.offset;
}
