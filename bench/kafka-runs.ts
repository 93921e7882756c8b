/** One measurement over Kafka each: rows per second into it, and from commit to record. */

import { pause } from '../test/support/rowcall-process.ts';
import { Receiver } from './children.ts';
import type { Running } from './children.ts';
import { processCost } from './figures.ts';
import type { ProcessCost, Rate } from './figures.ts';
import type { KafkaPeer } from './kafka-peers.ts';
import type { BenchKafka } from './kafka-topics.ts';
import { followEvenly } from './latency.ts';
import type { Latencies, Pace } from './latency.ts';
import { currentPlace } from './source.ts';
import type { BinlogPlace, Source } from './source.ts';

/** Who brings nothing for so long is stuck. */
const STUCK_MS = 60_000;
const POLL_MS = 10;
/** So long must nothing come before the records are counted. */
const QUIET_MS = 1_500;

export interface Workload {
  readonly tables: readonly string[];
  readonly start: BinlogPlace;
  /** Row changes, and so records. */
  readonly rows: number;
  /** Different keys among them. */
  readonly keys: number;
}

/** What is to stand in the topics at the end. */
interface Expected extends Pick<Workload, 'rows' | 'keys'> {
  readonly name: string;
  readonly topics: readonly string[];
}

interface Place {
  readonly source: Source;
  readonly kafka: BenchKafka;
}

/**
 * Rows per second into Kafka, committed, from the first ones that are seen there to the last; what they
 * cost the peer in that time. @throws Error where not every row stands there once
 */
export async function kafkaRate(place: Place, peer: KafkaPeer, workload: Workload): Promise<Rate> {
  const { source, kafka } = place;
  const prefix = kafka.prefix(peer.id);
  const topics = workload.tables.map((table) => `${prefix}.${source.database}.${table}`);
  await kafka.create(topics);
  try {
    return await peer.during({ ...place, ...workload, prefix, latency: false }, (running) =>
      watchTopics(kafka, { ...workload, topics, name: peer.name }, running),
    );
  } finally {
    await kafka.removeAll(prefix);
  }
}

interface Seen {
  readonly end: number;
  readonly atMs: number;
  readonly cost: ProcessCost;
}

async function watchTopics(kafka: BenchKafka, what: Expected, peer: Running): Promise<Rate> {
  let last: Seen = { end: 0, atMs: performance.now(), cost: processCost(peer.pid) };
  let first = last;
  let counted = 0;
  while (performance.now() - last.atMs < STUCK_MS && peer.running) {
    const end = await kafka.ends(what.topics);
    const atMs = performance.now();
    if (end > last.end) last = { end, atMs, cost: processCost(peer.pid) };
    if (first.end === 0) first = last;
    if (isQuiet(last, atMs, what.rows)) {
      counted = await countRecords(kafka, what);
      if (counted === what.rows) return rateBetween(first, last, what.rows);
    }
    await pause(POLL_MS);
  }
  throw new Error(`${what.name}: ${counted} of ${what.rows} rows came: ${await peer.trouble()}`);
}

/** End offsets alone do not say that all is there: the markers of transactions count in them. */
function isQuiet(last: Seen, nowMs: number, rows: number): boolean {
  return last.end >= rows && nowMs - last.atMs > QUIET_MS;
}

function rateBetween(first: Seen, last: Seen, rows: number): Rate {
  const share = 1 - first.end / last.end;
  return {
    perSecond: (rows * share * 1000) / (last.atMs - first.atMs),
    cpuSeconds: last.cost.cpuSeconds - first.cost.cpuSeconds,
    peakMiB: last.cost.peakMiB,
  };
}

/** By a client that is not ours. @throws Error when some came twice, or others instead of some */
async function countRecords(
  kafka: BenchKafka,
  { topics, rows, keys, name }: Expected,
): Promise<number> {
  const receiver = await Receiver.ofRecords({ brokers: kafka.brokers, topics, times: false });
  try {
    let stats = await receiver.stats();
    let quietSinceMs = performance.now();
    while (performance.now() - quietSinceMs < QUIET_MS) {
      await pause(POLL_MS * 5);
      const now = await receiver.stats();
      if (now.count > stats.count) quietSinceMs = performance.now();
      stats = now;
    }
    const isRight = stats.count < rows || (stats.count === rows && stats.distinct === keys);
    if (isRight) return stats.count;
    throw new Error(
      `${name}: ${stats.count} records, ${stats.distinct} keys; not ${rows}, ${keys}`,
    );
  } finally {
    receiver.end();
  }
}

/** From the insert's commit to its record at a reader of committed records. */
export async function kafkaLatency(
  place: Place,
  peer: KafkaPeer,
  { table, ...pace }: Pace & { readonly table: string },
): Promise<Latencies> {
  const { source, kafka } = place;
  const prefix = kafka.prefix(peer.id);
  const topics = [`${prefix}.${source.database}.${table}`];
  await kafka.create(topics);
  const start = await currentPlace(source);
  try {
    return await peer.during(
      { ...place, tables: [table], start, prefix, latency: true },
      async (running) => {
        const receiver = await Receiver.ofRecords({ brokers: kafka.brokers, topics, times: true });
        try {
          const ends = { sender: running, receiver };
          const latencies = await followEvenly({ source, table }, pace, ends);
          return { ...latencies, ...processCost(running.pid) };
        } finally {
          receiver.end();
        }
      },
    );
  } finally {
    await kafka.removeAll(prefix);
  }
}
