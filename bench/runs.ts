/** One measurement each: into the log, out of the log, from end to end, and the base of the ratio. */

import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { createConnection } from 'mysql2/promise';

import { freePort } from '../services/free-port.ts';
import { openEmbeddedLog } from '../src/log/embedded/embedded-log.ts';
import type { ChangeLog } from '../src/log/change-log.ts';
import { RowcallError } from '../src/errors.ts';
import { systemClock } from '../src/shared/clock.ts';
import { silentLogger } from '../src/shared/logger.ts';
import { writeConfig } from '../test/support/rowcall-process-config.ts';
import { RowcallProcess, pause } from '../test/support/rowcall-process.ts';
import { processCost } from './figures.ts';
import type { ProcessCost } from './figures.ts';
import type { ReceiverStats } from './raw-receiver.ts';
import { currentPlace, insertOrders } from './source.ts';
import type { BinlogPlace, Source } from './source.ts';
import type { ZongjiResult } from './zongji-reader.ts';

export interface Rate extends ProcessCost {
  readonly perSecond: number;
}

export interface Latencies extends ProcessCost {
  /** In ms, per event: from the statement sent, and from its COMMIT acknowledged. */
  readonly fromSent: readonly number[];
  readonly fromCommit: readonly number[];
  readonly perSecond: number;
}

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const TIMEOUT_MS = 300_000;

/** One Rowcall with its folder; gone when `work` has ended. */
async function withRowcall<T>(
  source: Source,
  setup: { readonly table: string; readonly start: BinlogPlace; readonly url?: string },
  work: (rowcall: { configFile: string; admin: string; logPath: string }) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'rowcall-bench-'));
  const admin = `127.0.0.1:${await freePort()}`;
  const configFile = writeConfig({
    folder,
    name: 'bench',
    sourceUrl: source.accountUrl,
    admin,
    tables: [`${source.database}.${setup.table}`],
    source: { start: { file: setup.start.file, position: setup.start.position } },
    callbacks:
      setup.url === undefined
        ? []
        : [
            {
              name: 'bench',
              url: setup.url,
              secret: SECRET,
              tables: [`${source.database}.*`],
              options: { concurrency: 64 },
            },
          ],
  });
  try {
    return await work({ configFile, admin, logPath: join(folder, 'data', 'events.db') });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Rows per second from the binlog into the embedded log, durable, from the first rows on. */
export function captureRun(
  source: Source,
  table: string,
  { start, rows }: { readonly start: BinlogPlace; readonly rows: number },
): Promise<Rate> {
  return withRowcall(source, { table, start }, async (rowcall) => {
    const daemon = new RowcallProcess({ ...rowcall, command: 'connect' });
    try {
      const log = await openWhenThere(rowcall.logPath, daemon);
      try {
        return await watchLog(log, daemon, rows);
      } finally {
        await log.close();
      }
    } finally {
      await daemon.kill();
    }
  });
}

async function watchLog(log: ChangeLog, daemon: RowcallProcess, rows: number): Promise<Rate> {
  const deadline = performance.now() + TIMEOUT_MS;
  let first = 0;
  let startedAt = 0;
  while (performance.now() < deadline && daemon.running) {
    const [topic] = await log.topics();
    const end =
      topic === undefined ? 0 : (await log.bounds({ topic: topic.name, partition: 0 })).end;
    const now = performance.now();
    if (end > 0 && startedAt === 0) {
      startedAt = now;
      first = end;
    }
    if (end >= rows) {
      const perSecond = ((rows - first) * 1000) / (now - startedAt);
      return { perSecond, ...processCost(daemon.pid) };
    }
    await pause(5);
  }
  throw new Error(`rowcall did not come to ${rows} rows: ${daemon.stderr.slice(-2000)}`);
}

async function openWhenThere(path: string, daemon: RowcallProcess): Promise<ChangeLog> {
  for (;;) {
    try {
      return await openEmbeddedLog({
        path,
        maxBytes: Infinity,
        retention: { ageMs: Infinity, sizeBytes: Infinity },
        clock: systemClock,
        logger: silentLogger,
        thread: false,
        create: false,
      });
    } catch (error) {
      // Not made yet, or in the making.
      if (!(error instanceof RowcallError) || !daemon.running) throw error;
      await pause(20);
    }
  }
}

/** Callbacks per second out of a log that is full already; signed, in order, progress durable. */
export async function deliverRun(
  source: Source,
  table: string,
  { start, rows }: { readonly start: BinlogPlace; readonly rows: number },
): Promise<Rate> {
  const receiver = await RawReceiver.start([]);
  try {
    return await withRowcall(source, { table, start, url: receiver.url }, async (rowcall) => {
      await fillLog(rowcall, rows);
      const daemon = new RowcallProcess({ ...rowcall, command: 'deliver' });
      try {
        const stats = await receiver.until(rows, daemon);
        const perSecond = ((rows - 1) * 1000) / (stats.lastMs - stats.firstMs);
        return { perSecond, ...processCost(daemon.pid) };
      } finally {
        await daemon.kill();
      }
    });
  } finally {
    receiver.end();
  }
}

async function fillLog(
  rowcall: { configFile: string; admin: string; logPath: string },
  rows: number,
): Promise<void> {
  const daemon = new RowcallProcess({ ...rowcall, command: 'connect' });
  try {
    const log = await openWhenThere(rowcall.logPath, daemon);
    try {
      await watchLog(log, daemon, rows);
    } finally {
      await log.close();
    }
  } finally {
    await daemon.stop();
  }
}

const LATENCY_SESSIONS = 4;

/** One-row transactions at an even pace, each followed to its arrival at the receiver. */
export async function latencyRun(
  source: Source,
  table: string,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<Latencies> {
  const receiver = await RawReceiver.start(['--times']);
  const start = await currentPlace(source);
  try {
    return await withRowcall(source, { table, start, url: receiver.url }, async (rowcall) => {
      const daemon = new RowcallProcess(rowcall);
      try {
        await daemon.ready();
        const sent = await writeEvenly(source, table, { perSecond, seconds });
        const stats = await receiver.until(sent.size, daemon);
        return { ...latenciesOf(sent, stats, seconds), ...processCost(daemon.pid) };
      } finally {
        await daemon.kill();
      }
    });
  } finally {
    receiver.end();
  }
}

type Sent = Map<number, { readonly sentMs: number; readonly committedMs: number }>;

const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

async function writeEvenly(
  source: Source,
  table: string,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<Sent> {
  const sent: Sent = new Map();
  const total = perSecond * seconds;
  const startMs = monotonicMs() + 200;
  const session = async (index: number): Promise<void> => {
    const connection = await createConnection(source.url);
    try {
      for (let id = 1 + index; id <= total; id += LATENCY_SESSIONS) {
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
  await Promise.all(Array.from({ length: LATENCY_SESSIONS }, (_, index) => session(index)));
  return sent;
}

function latenciesOf(
  sent: Sent,
  stats: ReceiverStats,
  seconds: number,
): { fromSent: number[]; fromCommit: number[]; perSecond: number } {
  const fromSent: number[] = [];
  const fromCommit: number[] = [];
  for (let n = 0; n < stats.times.length; n += 2) {
    const write = sent.get(stats.times[n] ?? 0);
    const arrivedMs = stats.times[n + 1];
    if (write === undefined || arrivedMs === undefined) continue;
    fromSent.push(arrivedMs - write.sentMs);
    // The server sends the binlog before it acknowledges: the callback may be there first.
    fromCommit.push(Math.max(0, arrivedMs - write.committedMs));
  }
  return { fromSent, fromCommit, perSecond: sent.size / seconds };
}

export async function zongjiRun(
  source: Source,
  table: string,
  { start, rows }: { readonly start: BinlogPlace; readonly rows: number },
): Promise<Rate> {
  const child = fork(fileURLToPath(new URL('./zongji-reader.ts', import.meta.url)));
  try {
    child.send({ url: source.server.url, database: source.database, table, ...start, rows });
    const result = await answer<ZongjiResult>(child);
    return { perSecond: (result.rows * 1000) / result.ms, ...processCost(child.pid ?? 0) };
  } finally {
    if (child.connected) child.disconnect();
  }
}

/** The child's next message. @throws Error when it ends instead. */
function answer<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: unknown): void => {
      child.removeListener('exit', onExit);
      resolve(message as T);
    };
    const onExit = (code: number | null): void => {
      child.removeListener('message', onMessage);
      reject(new Error(`A child of the benchmark ended with ${code ?? 'a signal'}`));
    };
    child.once('message', onMessage);
    child.once('exit', onExit);
  });
}

/** The receiver's process, seen from here. */
class RawReceiver {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.url = `http://127.0.0.1:${port}/hooks`;
  }

  static async start(args: readonly string[]): Promise<RawReceiver> {
    const child = fork(fileURLToPath(new URL('./raw-receiver.ts', import.meta.url)), [...args]);
    const { port } = await answer<{ port: number }>(child);
    return new RawReceiver(child, port);
  }

  async until(count: number, daemon: RowcallProcess): Promise<ReceiverStats> {
    const deadline = performance.now() + TIMEOUT_MS;
    while (performance.now() < deadline && daemon.running) {
      this.#child.send('stats');
      const stats = await answer<ReceiverStats>(this.#child);
      if (stats.count >= count) return stats;
      await pause(100);
    }
    throw new Error(`the receiver did not get ${count} callbacks: ${daemon.stderr.slice(-2000)}`);
  }

  end(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}
