/** One measurement each: into the log, out of the log, from end to end, and the base of the ratio. */

import { openEmbeddedLog } from '../src/log/embedded/embedded-log.ts';
import type { ChangeLog } from '../src/log/change-log.ts';
import { RowcallError } from '../src/errors.ts';
import { systemClock } from '../src/shared/clock.ts';
import { silentLogger } from '../src/shared/logger.ts';
import { RowcallProcess, pause } from '../test/support/rowcall-process.ts';
import { answer, forkFile, Receiver } from './children.ts';
import { processCost } from './figures.ts';
import type { Rate } from './figures.ts';
import { followEvenly } from './latency.ts';
import type { Latencies, Pace } from './latency.ts';
import { asRunning, withRowcall } from './rowcall-setup.ts';
import type { PreparedRowcall, RowcallSetup } from './rowcall-setup.ts';
import { currentPlace } from './source.ts';
import type { BinlogPlace, Source } from './source.ts';
import type { ZongjiResult } from './zongji-reader.ts';

const TIMEOUT_MS = 300_000;

/** Rows per second from the binlog into the embedded log, durable, from the first rows on. */
export function captureRun(
  source: Source,
  table: string,
  { start, rows }: { readonly start: BinlogPlace; readonly rows: number },
): Promise<Rate> {
  return withRowcall(source, { tables: [table], start }, async (rowcall) => {
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
  const { receiver, url } = await Receiver.ofCallbacks([]);
  try {
    return await withRowcall(source, { tables: [table], start, url }, async (rowcall) => {
      await fillLog(rowcall, rows);
      const daemon = new RowcallProcess({ ...rowcall, command: 'deliver' });
      try {
        const stats = await receiver.until(rows, asRunning(daemon));
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

async function fillLog(rowcall: PreparedRowcall, rows: number): Promise<void> {
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

/** One-row transactions at an even pace, each followed to its callback; over the embedded log unless `log` is another. */
export async function latencyRun(
  source: Source,
  { table, ...pace }: Pace & { readonly table: string },
  log: Pick<RowcallSetup, 'name' | 'log'> = {},
): Promise<Latencies> {
  const { receiver, url } = await Receiver.ofCallbacks(['--times']);
  const start = await currentPlace(source);
  try {
    return await withRowcall(source, { ...log, tables: [table], start, url }, async (rowcall) => {
      const daemon = new RowcallProcess(rowcall);
      try {
        await daemon.ready();
        const ends = { sender: asRunning(daemon), receiver };
        const latencies = await followEvenly({ source, table }, pace, ends);
        return { ...latencies, ...processCost(daemon.pid) };
      } finally {
        await daemon.kill();
      }
    });
  } finally {
    receiver.end();
  }
}

export async function zongjiRun(
  source: Source,
  table: string,
  { start, rows }: { readonly start: BinlogPlace; readonly rows: number },
): Promise<Rate> {
  const child = forkFile('./zongji-reader.ts');
  try {
    child.send({ url: source.server.url, database: source.database, table, ...start, rows });
    const result = await answer<ZongjiResult>(child);
    return { perSecond: (result.rows * 1000) / result.ms, ...processCost(child.pid ?? 0) };
  } finally {
    if (child.connected) child.disconnect();
  }
}
