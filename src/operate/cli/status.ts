/** `rowcall status`: the stores' word on where capture and each callback stand, and whether a daemon works on them. */

import { existsSync } from 'node:fs';
import { parseCheckpoint } from '../../checkpoint.ts';
import type { Checkpoint } from '../../position.ts';
import { formatHostAndPort } from '../../config/scalars.ts';
import type { Config, LogConfig } from '../../config/schema.ts';
import type { ChangeLog, LogUsage, TopicInfo } from '../../log/change-log.ts';
import { withoutReplays } from '../../state/replay-store.ts';
import type { Cursor } from '../../state/state-store.ts';
import { activeConnector, openState } from '../../stores.ts';
import { systemClock } from '../../shared/clock.ts';
import { waitingSettlements } from '../admin/routes/status.ts';
import { binlogStatus, describeBinlog, span } from './binlog-needed.ts';
import { type DaemonStatus, daemonStatus } from './daemon-status.ts';
import type { CliIo } from './io.ts';
import { inCell } from './listing.ts';
import { withLog } from './stores.ts';
import { formatTable } from './table.ts';

interface PartitionStatus {
  readonly callback: string;
  readonly topic: string;
  readonly partition: number;
  readonly next: number;
  readonly end: number;
  /** Records behind the end of the log; settled ones beyond `next` do not count. */
  readonly lag: number;
  /** The endpoint cannot be reached; null where no daemon says. */
  readonly paused: boolean | null;
  readonly delivered: number;
  readonly retrying: number;
  /** Answered with 202: their ends have yet to be told. */
  readonly awaiting: number;
  readonly pending: number;
}

export async function printStatus(
  options: { readonly config: string; readonly json?: boolean },
  io: CliIo,
): Promise<void> {
  await withLog(options.config, io, async (log, config) => {
    const text = await log.readCheckpoint(config.name);
    const checkpoint = text === null ? null : parseCheckpoint(text);
    const usage = await log.usage();
    const topics = await log.topics();
    const connector = await activeConnector(config);
    const daemon = await daemonStatus(config);
    const { callbacks, settlements } = await deliveryStatus(log, config, topics, daemon);
    if (options.json === true) {
      const capture =
        checkpoint === null
          ? null
          : { checkpoint, binlog: binlogStatus(checkpoint, daemon.binlog) };
      const running = { capture: daemon.capture, delivery: daemon.delivery, admin: daemon.admin };
      const { type } = config.log;
      const logged = {
        type,
        bytes: usage.bytes,
        max_bytes: usage.maxBytes,
        topics,
        connector: connector?.client ?? null,
      };
      const status = { name: config.name, running, capture, log: logged, callbacks, settlements };
      io.out(`${JSON.stringify(status, null, 2)}\n`);
      return;
    }
    io.out(`${config.name}\n  running  ${running(daemon)}\n  capture  ${placeOf(checkpoint)}\n`);
    if (daemon.admin !== null) io.out(`  admin    ${daemon.admin}\n`);
    io.out(`  log      ${describeLog(config.log, usage)}, ${count(topics.length, 'topic')}\n`);
    if (checkpoint !== null) io.out(`  binlog   ${describeBinlog(checkpoint, daemon.binlog)}\n`);
    if (config.log.type === 'kafka') io.out(`  active   ${connector?.client ?? 'no connector'}\n`);
    io.out('\n');
    io.out(callbackTable(callbacks));
    if (settlements.length > 0) io.out(`\n${settlementTable(settlements)}`);
  });
}

function placeOf(checkpoint: Checkpoint | null): string {
  if (checkpoint === null) return 'nothing captured yet';
  const { file, position, gtidSet } = checkpoint;
  return `${file}:${position}${gtidSet === null ? '' : `  ${gtidSet}`}`;
}

function callbackTable(callbacks: readonly PartitionStatus[]): string {
  return formatTable(
    [
      ...['callback', 'topic', 'partition', 'next', 'end', 'lag', 'delivered', 'in lanes'],
      ...['awaiting', 'paused'],
    ],
    callbacks.map((row) => [
      row.callback,
      row.topic,
      row.partition,
      row.next,
      row.end,
      row.lag,
      row.delivered,
      row.retrying + row.pending,
      row.awaiting,
      row.paused === null ? 'unknown' : row.paused ? 'yes' : 'no',
    ]),
  );
}

type WaitingSettlements = ReturnType<typeof waitingSettlements>;

function settlementTable(settlements: readonly WaitingSettlements[]): string {
  return formatTable(
    ['on_settled of', 'waiting', 'failing', 'oldest', 'last error'],
    settlements.map(({ callback, waiting, failing, oldest_age_ms, last_error }) => [
      ...[callback, waiting, failing, span(oldest_age_ms), inCell(last_error)],
    ]),
  );
}

async function deliveryStatus(
  log: ChangeLog,
  config: Config,
  topics: readonly TopicInfo[],
  daemon: DaemonStatus,
): Promise<{ callbacks: PartitionStatus[]; settlements: WaitingSettlements[] }> {
  if (!existsSync(config.state.path)) return { callbacks: [], settlements: [] };
  const state = await openState(config);
  try {
    const rows: PartitionStatus[] = [];
    const names = new Set(topics.map((topic) => topic.name));
    for (const cursor of withoutReplays(await state.cursors())) {
      const end = names.has(cursor.topic) ? (await log.bounds(cursor)).end : cursor.next;
      const paused = daemon.delivery ? (daemon.paused.get(cursor.callback) ?? null) : false;
      rows.push(partitionStatus(cursor, end, paused));
    }
    const now = systemClock.now();
    const settlements = await state.settlementSummaries();
    return {
      callbacks: rows,
      settlements: settlements.map((one) => waitingSettlements(one, now)),
    };
  } finally {
    await state.close();
  }
}

function running({ capture, delivery }: DaemonStatus): string {
  if (capture && delivery) return 'capture and delivery';
  if (capture) return 'capture only: no process delivers';
  return delivery
    ? 'delivery only: no process captures'
    : 'nothing: no process works on log or state';
}

function partitionStatus(cursor: Cursor, end: number, paused: boolean | null): PartitionStatus {
  const beyond = cursor.beyond.reduce((sum, [from, to]) => sum + to - from, 0);
  return {
    callback: cursor.callback,
    topic: cursor.topic,
    partition: cursor.partition,
    next: cursor.next,
    end,
    lag: Math.max(0, end - cursor.next - beyond),
    paused,
    delivered: cursor.ledger.delivered,
    retrying: cursor.ledger.retrying,
    awaiting: cursor.ledger.awaiting,
    pending: cursor.ledger.pending,
  };
}

/** Kafka's disks are not ours to measure; that the brokers answer is shown by there being an answer. */
function describeLog(log: LogConfig, usage: LogUsage): string {
  return log.type === 'kafka'
    ? `kafka at ${log.brokers.map(formatHostAndPort).join(', ')}`
    : `${size(usage.bytes)} of ${size(usage.maxBytes)}`;
}

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

function size(bytes: number): string {
  if (!Number.isFinite(bytes)) return 'no limit';
  return bytes < 1024 ** 3
    ? `${(bytes / 1024 ** 2).toFixed(1)} MiB`
    : `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
