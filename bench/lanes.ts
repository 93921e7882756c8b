/** What failing keys cost the others: the delay of those that are well, beside the same without any that fails. */

import { createConnection } from 'mysql2/promise';

import { pause, RowcallProcess } from '../test/support/rowcall-process.ts';
import { Receiver } from './children.ts';
import { median, percentile, printTable, processCost } from './figures.ts';
import { followEvenly } from './latency.ts';
import type { Latencies, Pace } from './latency.ts';
import type { Measured } from './report.ts';
import { asRunning, withRowcall } from './rowcall-setup.ts';
import type { PreparedRowcall } from './rowcall-setup.ts';
import { currentPlace, insertOrders } from './source.ts';
import type { Source } from './source.ts';

/** Orders from this id on are never taken. */
const FAILING_FROM = 1_000_000_000;
const POISON_EVERY_MS = 100;
const LANES_TIMEOUT_MS = 300_000;
/** Heads are tried again all the time; and so many keys are not taken for an endpoint that is down. */
const CALLBACK = {
  concurrency: 64,
  retry: { initial_interval: '1s', maximum_interval: '10s' },
  breaker: { minimum_keys: 1_000_000 },
};

interface Place {
  readonly source: Source;
  readonly table: string;
  readonly rowcall: PreparedRowcall;
  readonly daemon: RowcallProcess;
}

/** Begins trouble; the returned function ends it. */
export type Trouble = (place: Place) => Promise<() => Promise<void>>;

export const noTrouble: Trouble = () => Promise.resolve(() => Promise.resolve());

/** One key that always fails, and is changed ten times a second. */
export const onePoisonedKey: Trouble = async ({ source, table }) => {
  const connection = await createConnection(source.url);
  await insertOrders(connection, table, { from: FAILING_FROM, count: 1 });
  const stop = new AbortController();
  const change = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await connection.query(
        `UPDATE ${table} SET customer_id = customer_id + 1 WHERE id = ${FAILING_FROM}`,
      );
      await pause(POISON_EVERY_MS);
    }
  };
  const changing = change();
  return async () => {
    stop.abort();
    await changing;
    await connection.end();
  };
};

/** So many keys that always fail, with so many events in their lanes before anything is measured. */
export function failingKeys(keys: number, events: number): Trouble {
  return async ({ source, table, rowcall, daemon }) => {
    const connection = await createConnection(source.url);
    await insertOrders(connection, table, { from: FAILING_FROM, count: keys });
    const changes = Math.ceil(events / keys) - 1;
    for (let change = 0; change < changes; change += 1) {
      await connection.query(
        `UPDATE ${table} SET customer_id = customer_id + 1 WHERE id >= ${FAILING_FROM}`,
      );
    }
    await connection.end();
    await inLanes(rowcall, daemon, keys * (1 + changes));
    return () => Promise.resolve();
  };
}

/** Resolves when the lanes hold so many events. */
async function inLanes(
  { admin }: PreparedRowcall,
  daemon: RowcallProcess,
  events: number,
): Promise<void> {
  const deadline = performance.now() + LANES_TIMEOUT_MS;
  let held = 0;
  while (performance.now() < deadline && daemon.running) {
    const answer = await fetch(`http://${admin}/metrics`);
    const metrics = await answer.text();
    held = Number(/^rowcall_callback_lane_events\{[^}]*\} (\d+)/m.exec(metrics)?.[1] ?? 0);
    if (held >= events) return;
    await pause(100);
  }
  throw new Error(`${held} of ${events} came to lanes: ${daemon.stderr.slice(-2000)}`);
}

/** One-row transactions at an even pace, each another key that is well, beside the trouble. */
export async function lanesRun(
  source: Source,
  { table, ...pace }: Pace & { readonly table: string },
  trouble: Trouble,
): Promise<Latencies> {
  const { receiver, url } = await Receiver.ofCallbacks([
    ...['--times', '--failing-from', String(FAILING_FROM)],
  ]);
  const start = await currentPlace(source);
  try {
    const setup = { tables: [table], start, url, callback: CALLBACK };
    return await withRowcall(source, setup, async (rowcall) => {
      const daemon = new RowcallProcess(rowcall);
      try {
        await daemon.ready(60_000);
        const end = await trouble({ source, table, rowcall, daemon });
        const ends = { sender: asRunning(daemon), receiver };
        const latencies = await followEvenly({ source, table }, pace, ends);
        await end();
        return { ...latencies, ...processCost(daemon.pid) };
      } finally {
        await daemon.kill();
      }
    });
  } finally {
    receiver.end();
  }
}

/** Each one beside the first, which has no trouble. */
export function lanesTable(runs: readonly Measured<Latencies>[]): string {
  const of = (run: Measured<Latencies> | undefined, share: number): number =>
    median((run?.rounds ?? []).map(({ fromCommit }) => percentile(fromCommit, share)));
  const [base] = runs;
  return printTable(
    ['commit to callback', 'p50 ms', 'p99 ms', 'p50 ratio', 'p99 ratio', 'peak MiB'],
    runs.map((run) => [
      run.name,
      of(run, 0.5).toFixed(1),
      of(run, 0.99).toFixed(1),
      ...[0.5, 0.99].map((share) => (of(run, share) / of(base, share)).toFixed(2)),
      median(run.rounds.map(({ peakMiB }) => peakMiB)).toFixed(0),
    ]),
  );
}
