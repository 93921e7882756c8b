/**
 * The load, as a process of its own: orders at an even pace, whatever becomes of the ones before (open loop). A response
 * time counts from the moment at which the order was due, so that a stall is in the figures of all that it kept waiting.
 * Its one argument is a Load as JSON; it prints a LoadResult.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { orderOf } from './customers.ts';

export interface Load {
  readonly url: string;
  /** First part of the orders' ids. */
  readonly series: string;
  readonly perSecond: number;
  readonly seconds: number;
  /** Share of the cards that the bank declines. */
  readonly declined: number;
  /** How long a customer waits. */
  readonly timeoutMs: number;
}

export interface LoadResult {
  readonly offered: number;
  /** Numbers of the orders that were answered with 2xx. */
  readonly taken: readonly number[];
  /** Their response times in ms, in the order of `taken`. */
  readonly times: readonly number[];
  /** How many were not taken, by status or error code. */
  readonly failed: Readonly<Record<string, number>>;
  /** What really left: less than was asked for where this process itself had no CPU. */
  readonly offeredPerSecond: number;
}

async function run(load: Load): Promise<LoadResult> {
  const agent = new Agent({
    connections: 8_192,
    keepAliveTimeout: 30_000,
    connectTimeout: load.timeoutMs,
  });
  const taken: number[] = [];
  const times: number[] = [];
  const failed: Record<string, number> = {};
  const startMs = performance.now() + 100;
  const place = async (n: number, dueMs: number): Promise<void> => {
    const answer = await request(load.url, {
      dispatcher: agent,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(orderOf(load.series, n, load.declined)),
      headersTimeout: load.timeoutMs,
      bodyTimeout: load.timeoutMs,
    });
    await answer.body.dump();
    if (answer.statusCode >= 300) throw new Error(String(answer.statusCode));
    taken.push(n);
    times.push(performance.now() - dueMs);
  };
  const placed: Promise<void>[] = [];
  const offered = Math.round(load.perSecond * load.seconds);
  for (let n = 0; n < offered; n += 1) {
    const dueMs = startMs + (n * 1_000) / load.perSecond;
    while (performance.now() < dueMs) await sleep(Math.max(1, dueMs - performance.now()));
    placed.push(
      place(n, dueMs).catch((error: unknown) => {
        const why = nameOf(error);
        failed[why] = (failed[why] ?? 0) + 1;
      }),
    );
    // All that is overdue leaves in one turn otherwise, and no answer is read meanwhile.
    if (n % 16 === 15) await sleep(0);
  }
  const sentMs = Math.max(performance.now() - startMs, load.seconds * 1_000);
  await Promise.all(placed);
  await agent.close();
  return { offered, taken, times, failed, offeredPerSecond: (offered * 1_000) / sentMs };
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return code === 'UND_ERR_HEADERS_TIMEOUT' ? 'no answer in time' : (code ?? error.message);
}

console.log(JSON.stringify(await run(JSON.parse(process.argv[2] ?? '') as Load)));
