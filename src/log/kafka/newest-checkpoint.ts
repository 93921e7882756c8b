/** The newest committed record of a checkpoint topic, however long the topic is. */
import type { CheckpointRecord } from './checkpoint-record.ts';
import { checkpointTopic, decodeCheckpoint } from './checkpoint-record.ts';
import type { RawRecord } from './decode-batch.ts';
import { readRecords } from './decode-batch.ts';
import { BrokerRefusal, KAFKA } from './kafka-error.ts';
import type { Patience } from './patience.ts';
import { EARLIEST, fetchAt, LATEST, listOffsets } from './positioned-fetch.ts';
import type { Reading } from './positioned-fetch.ts';

const FETCH_BYTES = 1024 * 1024;
/** Offsets looked back from the end: records of the last transactions with their markers; then eight times as far. */
const FIRST_STEP = 16;
const STEP_FACTOR = 8;
/** A transaction that is being ended is waited for this long; one that its writer left open hides nothing committed. */
const SETTLE_MS = 1_000;
const SETTLE_STEP_MS = 2;

/**
 * Null when there is no such topic, or nothing in it. `decided`: nothing may be open there, for who is about to go
 * on from what is found: it waits until the end of every transaction stands in the topic.
 */
export async function readNewest(
  reading: Reading,
  name: string,
  { patience, decided }: { readonly patience: Patience; readonly decided: boolean },
): Promise<CheckpointRecord | null> {
  const at = { topic: checkpointTopic(name), partition: 0 };
  return patience.attempt(
    {
      doing: `Reading the topic ${at.topic}`,
      code: 'LOG_UNREACHABLE',
      again: () => {
        reading.cluster.forget(at.topic);
      },
    },
    async () => {
      const topic = await reading.cluster.topic(at.topic);
      if (topic === null) return null;
      const { broker } = await reading.cluster.leader(at);
      const list = async (timestamp: bigint, isolation: 'read-committed' | 'read-uncommitted') =>
        (await listOffsets(reading, broker, [at], { timestamp, isolation }))[0] ?? 0;
      const start = await list(EARLIEST, 'read-committed');
      const written = await list(LATEST, 'read-uncommitted');
      const { clock, signal } = patience;
      const until = clock.monotonic() + SETTLE_MS;
      let end = await list(LATEST, 'read-committed');
      while (end < written && clock.monotonic() < until) {
        await clock.sleep(SETTLE_STEP_MS, signal);
        end = await list(LATEST, 'read-committed');
      }
      if (decided && end < written) {
        throw new BrokerRefusal(KAFKA.CONCURRENT_TRANSACTIONS, at.topic);
      }
      return lookBack(reading, at, start, end);
    },
  );
}

async function lookBack(
  reading: Reading,
  at: { readonly topic: string; readonly partition: number },
  start: number,
  end: number,
): Promise<CheckpointRecord | null> {
  let before = end;
  for (let step = FIRST_STEP; before > start; step *= STEP_FACTOR) {
    const from = Math.max(start, end - step);
    const found = await lastBetween(reading, at, from, before);
    if (found !== null) return decodeCheckpoint(found, at.topic);
    before = from;
  }
  return null;
}

async function lastBetween(
  reading: Reading,
  at: { readonly topic: string; readonly partition: number },
  from: number,
  before: number,
): Promise<RawRecord | null> {
  let last: RawRecord | null = null;
  let offset = from;
  while (offset < before) {
    const fetched = await fetchAt(reading, at, offset, FETCH_BYTES);
    // The cleaner took what stood here since: what is newest then stands further on.
    if (fetched.errorCode === KAFKA.OFFSET_OUT_OF_RANGE) return null;
    const { bytes, aborted } = fetched;
    const next = readRecords(
      { place: at.topic, from: offset, bytes, aborted },
      offset,
      (record) => {
        if (record.offset < before) last = record;
        return true;
      },
    );
    // All below the end can be read: a broker that gives nothing of it does not have it at hand yet.
    if (next === offset) throw new BrokerRefusal(KAFKA.OFFSET_NOT_AVAILABLE, at.topic);
    offset = next;
  }
  return last;
}
