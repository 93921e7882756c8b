/** Events at an even pace, each followed from its statement to where it arrives. */

import { createConnection } from 'mysql2/promise';

import { pause } from '../test/support/rowcall-process.ts';
import type { Receiver, Running } from './children.ts';
import type { ProcessCost } from './figures.ts';
import type { ReceiverStats } from './raw-receiver.ts';
import { insertOrders } from './source.ts';
import type { Source } from './source.ts';

export interface Latencies extends ProcessCost {
  /** In ms, per event: from the statement sent, and from its COMMIT acknowledged. */
  readonly fromSent: readonly number[];
  readonly fromCommit: readonly number[];
  readonly perSecond: number;
}

export interface Pace {
  readonly perSecond: number;
  readonly seconds: number;
}

const SESSIONS = 4;
/** Compilers and caches settle in this time; its events are not counted. */
const WARM_UP_SECONDS = 2;

type Sent = Map<number, { readonly sentMs: number; readonly committedMs: number }>;

const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Writes at that pace into the table once its first row has arrived, until the last one has. */
export async function followEvenly(
  to: { readonly source: Source; readonly table: string },
  pace: Pace,
  ends: { readonly sender: Running; readonly receiver: Receiver },
): Promise<Omit<Latencies, keyof ProcessCost>> {
  await writeFirst(to);
  await ends.receiver.until(1, ends.sender);
  const sent = await writeEvenly(to, pace);
  const stats = await ends.receiver.until(1 + sent.size, ends.sender);
  return latenciesOf(sent, stats, pace);
}

/** Who is still starting up takes it whenever it can. */
async function writeFirst({ source, table }: { source: Source; table: string }): Promise<void> {
  const connection = await createConnection(source.url);
  try {
    await insertOrders(connection, table, { from: 0, count: 1 });
  } finally {
    await connection.end();
  }
}

async function writeEvenly(
  { source, table }: { readonly source: Source; readonly table: string },
  { perSecond, seconds }: Pace,
): Promise<Sent> {
  const sent: Sent = new Map();
  const total = perSecond * (WARM_UP_SECONDS + seconds);
  const startMs = monotonicMs() + 200;
  const session = async (index: number): Promise<void> => {
    const connection = await createConnection(source.url);
    try {
      for (let id = 1 + index; id <= total; id += SESSIONS) {
        const dueMs = startMs + (id * 1000) / perSecond;
        const waitMs = dueMs - monotonicMs();
        if (waitMs > 0) await pause(waitMs);
        const sentMs = monotonicMs();
        await insertOrders(connection, table, { from: id, count: 1 });
        sent.set(id, { sentMs, committedMs: monotonicMs() });
      }
    } finally {
      await connection.end();
    }
  };
  await Promise.all(Array.from({ length: SESSIONS }, (_, index) => session(index)));
  return sent;
}

function latenciesOf(
  sent: Sent,
  stats: ReceiverStats,
  pace: Pace,
): Omit<Latencies, keyof ProcessCost> {
  const fromSent: number[] = [];
  const fromCommit: number[] = [];
  let firstMs = Infinity;
  let lastMs = 0;
  for (let n = 0; n < stats.times.length; n += 2) {
    const id = stats.times[n] ?? 0;
    const write = sent.get(id);
    const arrivedMs = stats.times[n + 1];
    if (write === undefined || arrivedMs === undefined) continue;
    if (id <= pace.perSecond * WARM_UP_SECONDS) continue;
    firstMs = Math.min(firstMs, write.sentMs);
    lastMs = Math.max(lastMs, write.sentMs);
    fromSent.push(arrivedMs - write.sentMs);
    // The server sends the binlog before it acknowledges: the event may be there first.
    fromCommit.push(Math.max(0, arrivedMs - write.committedMs));
  }
  return { fromSent, fromCommit, perSecond: (fromSent.length * 1000) / (lastMs - firstMs) };
}
