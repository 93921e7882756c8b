/** Metrics in Prometheus' text form, made at each scrape from the parts' own cells. docs/METRICS.md lists them. */

import { Counter, Gauge, Registry } from '@prometheus-io/client';
import type { BinlogLeft, CaptureSnapshot } from '../../capture/capture.ts';
import type { SourceFit } from '../../capture/source-watch.ts';
import type { CallbackSnapshot } from '../../deliver/callback-runner.ts';
import type { MirrorSnapshot } from '../../deliver/dead-letters/mirror.ts';
import type { DeliverSnapshot } from '../../deliver/deliver.ts';
import { LATENCY_BOUNDS_MS } from '../../deliver/lane/callback-counters.ts';
import type { LogUsage } from '../../log/change-log.ts';
import type { Cursor } from '../../state/state-store.ts';
import { lagRecords, type PartitionEnds } from './lag.ts';
import { METRICS, type MetricName } from './metric-names.ts';

export interface MetricsInput {
  readonly capture: CaptureSnapshot | null;
  readonly deliver: DeliverSnapshot | null;
  /** Settings of the source that do not fit; null before the first look, and without capture. */
  readonly source?: SourceFit | null;
  readonly log: LogUsage;
  readonly ends: PartitionEnds;
  /** The books; none where this process does not deliver. */
  readonly cursors?: readonly Pick<Cursor, 'callback' | 'ledger'>[];
  /** Null where dead letters are not mirrored. */
  readonly mirror?: readonly MirrorSnapshot[] | null;
  /** By callback, when its next retry is due, in ms; null where none is planned. Without those that do not run here. */
  readonly nextDueAt?: ReadonlyMap<string, number | null>;
  readonly nowMs: number;
  readonly ready: boolean;
  readonly residentBytes: number;
  /** Processor time used so far. */
  readonly cpuSeconds: number;
}

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [name: MetricName, value: number, labels?: Labels];

/** The text of one scrape, in the format 0.0.4. */
export async function metricsText(input: MetricsInput): Promise<string> {
  const registry = new Registry();
  const samples: Sample[] = [
    ['rowcall_ready', input.ready ? 1 : 0],
    ['rowcall_resident_memory_bytes', input.residentBytes],
    ['rowcall_cpu_seconds_total', input.cpuSeconds],
    ['rowcall_log_bytes', input.log.bytes],
    ...(Number.isFinite(input.log.maxBytes)
      ? [['rowcall_log_max_bytes', input.log.maxBytes] as const]
      : []),
    ...(input.source === null || input.source === undefined ? [] : sourceSamples(input.source)),
    ...(input.capture === null ? [] : captureSamples(input.capture, input.nowMs)),
    ...(input.deliver === null ? [] : deliverSamples(input.deliver, input.ends)),
    ...(input.deliver === null ? [] : bookSamples(input.cursors ?? [])),
    ...(input.deliver === null ? [] : dueSamples(input)),
    ...(input.mirror ?? []).flatMap((one) => mirrorSamples(one, input.nowMs)),
  ];
  register(registry, samples);
  if (input.deliver !== null) registerLatency(registry, input.deliver.callbacks);
  return registry.metrics();
}

function sourceSamples({ errors, warnings }: SourceFit): Sample[] {
  return [
    ['rowcall_source_findings', errors, { severity: 'error' }],
    ['rowcall_source_findings', warnings, { severity: 'warning' }],
  ];
}

function captureSamples(capture: CaptureSnapshot, nowMs: number): Sample[] {
  const { lastCommitMs, silentMs, file, position, oldestPreparedAt } = capture;
  const { server, serverUuid, binlog } = capture;
  return [
    ['rowcall_capture_streaming', capture.state === 'streaming' ? 1 : 0],
    ['rowcall_capture_events_total', capture.events],
    ['rowcall_capture_bytes_total', capture.bytes],
    ['rowcall_capture_rows_total', capture.rows],
    ['rowcall_capture_filtered_row_events_total', capture.filteredRowEvents],
    ['rowcall_capture_transactions_total', capture.transactions],
    ['rowcall_capture_records_total', capture.recordsAppended],
    ['rowcall_capture_appends_total', capture.appends],
    ['rowcall_capture_reconnects_total', capture.reconnects],
    ['rowcall_capture_log_full', capture.logFull ? 1 : 0],
    ['rowcall_capture_prepared_transactions', capture.prepared],
    ...(oldestPreparedAt === null
      ? []
      : [
          [
            'rowcall_capture_oldest_prepared_age_seconds',
            (nowMs - oldestPreparedAt) / 1000,
          ] as const,
        ]),
    ...(file === null || position === null
      ? []
      : [['rowcall_capture_position_bytes', position, { file }] as const]),
    ...(server === null || serverUuid === null
      ? []
      : [['rowcall_capture_source_info', 1, { server, server_uuid: serverUuid }] as const]),
    ...(binlog === null ? [] : binlogSamples(binlog)),
    ...(silentMs === null ? [] : [['rowcall_capture_silence_seconds', silentMs / 1000] as const]),
    ...(lastCommitMs === 0
      ? []
      : [
          ['rowcall_capture_last_commit_timestamp_seconds', lastCommitMs / 1000] as const,
          ['rowcall_capture_last_commit_age_seconds', (nowMs - lastCommitMs) / 1000] as const,
        ]),
  ];
}

function binlogSamples({ keptMs, leftMs, leftBytes, unreadBytes }: BinlogLeft): Sample[] {
  return [
    ['rowcall_capture_binlog_retention_seconds', keptMs / 1000],
    ['rowcall_capture_unread_bytes', unreadBytes],
    ['rowcall_capture_purge_forecast_seconds', leftMs / 1000],
    ['rowcall_capture_purge_left_bytes', leftBytes],
  ];
}

function deliverSamples(deliver: DeliverSnapshot, ends: PartitionEnds): Sample[] {
  return [
    ['rowcall_deliver_commits_total', deliver.commits],
    ...deliver.callbacks.flatMap((callback) => callbackSamples(callback, ends)),
  ];
}

/** Of the books, since what is awaited or parked outlives the process. */
function bookSamples(cursors: NonNullable<MetricsInput['cursors']>): Sample[] {
  const held = new Map<string, { awaiting: number; parked: number }>();
  for (const { callback, ledger } of cursors) {
    const { awaiting, parked } = held.get(callback) ?? { awaiting: 0, parked: 0 };
    held.set(callback, {
      awaiting: awaiting + ledger.awaiting,
      parked: parked + ledger.parked,
    });
  }
  return [...held].flatMap(([callback, { awaiting, parked }]) => [
    ['rowcall_callback_awaiting', awaiting, { callback }] as const,
    ['rowcall_callback_parked_events', parked, { callback }] as const,
  ]);
}

/** Past due only: a retry that is planned for later is no lag. */
function dueSamples({ nextDueAt = new Map(), nowMs }: MetricsInput): Sample[] {
  return [...nextDueAt].map(([callback, dueAt]) => [
    'rowcall_callback_oldest_due_age_seconds',
    dueAt === null ? 0 : Math.max(0, nowMs - dueAt) / 1000,
    { callback },
  ]);
}

function callbackSamples(callback: CallbackSnapshot, ends: PartitionEnds): Sample[] {
  const labels = { callback: callback.name };
  const stopped = callback.partitions.filter((partition) => partition.stopped !== null).length;
  return [
    ['rowcall_callback_delivered_total', callback.delivered, labels],
    ['rowcall_callback_failed_attempts_total', callback.failedAttempts, labels],
    ['rowcall_callback_shape_failures_total', callback.shapeFailures, labels],
    ['rowcall_callback_dead_letters_total', callback.deadLetters, labels],
    ['rowcall_callback_superseded_total', callback.superseded, labels],
    ['rowcall_callback_overdue_total', callback.overdue, labels],
    ...settlementSamples(callback.settlements, labels),
    ['rowcall_callback_in_flight', callback.inFlight, labels],
    ['rowcall_callback_window_events', callback.windowEvents, labels],
    ['rowcall_callback_lanes', callback.lanes, labels],
    ['rowcall_callback_lane_events', callback.laneEvents, labels],
    ['rowcall_callback_lane_bytes', callback.laneBytes, labels],
    ['rowcall_callback_lanes_full', callback.lanesFull ? 1 : 0, labels],
    ['rowcall_callback_paused', callback.pause === null ? 0 : 1, labels],
    ['rowcall_callback_breaker_open', callback.breakerOpen ? 1 : 0, labels],
    ['rowcall_callback_disabled', callback.disabled === null ? 0 : 1, labels],
    ['rowcall_callback_rate_limited_seconds_total', callback.rateLimitedMs / 1000, labels],
    ['rowcall_callback_stopped_partitions', stopped, labels],
    ['rowcall_callback_lag_records', lagRecords(callback, ends), labels],
  ];
}

function settlementSamples(settlements: CallbackSnapshot['settlements'], labels: Labels): Sample[] {
  if (settlements === null) return [];
  const { pending, failing, written, failed } = settlements;
  return [
    ['rowcall_callback_settlements_pending', pending, labels],
    ['rowcall_callback_settlements_failing', failing, labels],
    ['rowcall_callback_settlements_written_total', written, labels],
    ['rowcall_callback_settlement_failures_total', failed, labels],
  ];
}

function mirrorSamples(mirror: MirrorSnapshot, nowMs: number): Sample[] {
  const labels = { callback: mirror.callback };
  const ageMs = mirror.oldestAt === null ? 0 : Math.max(0, nowMs - mirror.oldestAt);
  return [
    ['rowcall_callback_dead_letters_unmirrored', mirror.waiting, labels],
    ['rowcall_callback_dead_letters_unmirrored_age_seconds', ageMs / 1000, labels],
    ['rowcall_callback_dead_letters_mirrored_total', mirror.mirrored, labels],
    ['rowcall_callback_dead_letter_mirror_failures_total', mirror.failures, labels],
  ];
}

/** One metric per name, with all its samples. */
function register(registry: Registry, samples: readonly Sample[]): void {
  const made = new Map<MetricName, Counter<string> | Gauge<string>>();
  for (const [name, value, labels = {}] of samples) {
    let metric = made.get(name);
    if (metric === undefined) {
      const { type, help } = METRICS[name];
      const configuration = {
        name,
        help,
        labelNames: Object.keys(labels),
        registers: [registry],
      };
      metric = type === 'counter' ? new Counter(configuration) : new Gauge(configuration);
      made.set(name, metric);
    }
    metric.inc(labels, value);
  }
}

/** The histogram's buckets are our own cells already: nothing is observed twice. */
function registerLatency(registry: Registry, callbacks: readonly CallbackSnapshot[]): void {
  const name = 'rowcall_callback_latency_seconds';
  const { help } = METRICS[name];
  const values = callbacks.flatMap(({ name: callback, latencyBuckets, latencySumMs }) => {
    let count = 0;
    const buckets = latencyBuckets.map((bucket, index) => {
      count += bucket;
      const bound = LATENCY_BOUNDS_MS[index];
      const le = bound === undefined ? '+Inf' : String(bound / 1000);
      return { metricName: `${name}_bucket`, labels: { callback, le }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels: { callback }, value: latencySumMs / 1000 },
      { metricName: `${name}_count`, labels: { callback }, value: count },
    ];
  });
  const metric = { name, help, type: 'histogram', aggregator: 'sum', values };
  registry.registerMetric({ ...metric, get: () => Promise.resolve(metric) } as never);
}
