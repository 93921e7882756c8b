import { describe, expect, it } from 'vitest';
import { LATENCY_BOUNDS_MS } from '../../../../src/deliver/lane/callback-counters.ts';
import { METRICS } from '../../../../src/operate/observe/metric-names.ts';
import { type MetricsInput, metricsText } from '../../../../src/operate/observe/metrics.ts';
import { LEDGER_FIELDS } from '../../../../src/state/state-store.ts';
import { CAPTURE, delivering, ENDS } from './snapshots.ts';

const INPUT: MetricsInput = {
  capture: CAPTURE,
  deliver: delivering({}, { name: 'audit', delivered: 1 }),
  source: { errors: 0, warnings: 2 },
  log: { bytes: 1_000_000, maxBytes: 50_000_000 },
  ends: ENDS,
  mirror: [
    {
      ...{ callback: 'audit', waiting: 3, oldestAt: 1_700_000_000_000, mirrored: 40, failures: 2 },
      failure: 'LOG_UNREACHABLE: away',
    },
  ],
  cursors: [awaiting('orders', 2), awaiting('audit', 0), awaiting('orders', 1)],
  nextDueAt: new Map([
    ['orders', 1_699_999_999_000],
    ['audit', 1_700_000_009_000],
    ['mail', null],
  ]),
  nowMs: 1_700_000_004_000,
  ready: true,
  residentBytes: 90_000_000,
  cpuSeconds: 1.5,
};

function awaiting(callback: string, count: number) {
  const none = Object.fromEntries(LEDGER_FIELDS.map((field) => [field, 0])) as Record<
    (typeof LEDGER_FIELDS)[number],
    number
  >;
  return { callback, ledger: { ...none, awaiting: count, parked: 10 * count } };
}

async function lines(change: Partial<MetricsInput> = {}): Promise<string[]> {
  return (await metricsText({ ...INPUT, ...change })).split('\n');
}

describe('the metrics', () => {
  it('hold every name once, with its type and help', async () => {
    const text = await lines();
    for (const [name, { type, help }] of Object.entries(METRICS)) {
      expect(text.filter((line) => line === `# TYPE ${name} ${type}`)).toHaveLength(1);
      expect(text).toContain(`# HELP ${name} ${help}`);
      expect(text.some((line) => line.startsWith(name))).toBe(true);
    }
  });

  it('tell what each leg and each callback did', async () => {
    expect(await lines()).toEqual(
      expect.arrayContaining([
        'rowcall_ready 1',
        'rowcall_callback_awaiting{callback="orders"} 3',
        'rowcall_callback_awaiting{callback="audit"} 0',
        'rowcall_callback_parked_events{callback="orders"} 30',
        'rowcall_callback_oldest_due_age_seconds{callback="orders"} 5',
        'rowcall_callback_oldest_due_age_seconds{callback="audit"} 0',
        'rowcall_callback_oldest_due_age_seconds{callback="mail"} 0',
        'rowcall_callback_overdue_total{callback="orders"} 5',
        'rowcall_callback_dead_letters_unmirrored{callback="audit"} 3',
        'rowcall_callback_dead_letters_unmirrored_age_seconds{callback="audit"} 4',
        'rowcall_callback_dead_letters_mirrored_total{callback="audit"} 40',
        'rowcall_callback_dead_letter_mirror_failures_total{callback="audit"} 2',
        'rowcall_cpu_seconds_total 1.5',
        'rowcall_log_bytes 1000000',
        'rowcall_source_findings{severity="warning"} 2',
        'rowcall_capture_rows_total 700',
        'rowcall_capture_reconnects_total 3',
        'rowcall_capture_position_bytes{file="binlog.000007"} 4711',
        'rowcall_capture_silence_seconds 2.5',
        'rowcall_capture_source_info{server="db1.example.com:3306",server_uuid="3e11fa47-71ca-11e1-9e33-c80aa9429562"} 1',
        'rowcall_capture_binlog_retention_seconds 604800',
        'rowcall_capture_unread_bytes 4096',
        'rowcall_capture_purge_forecast_seconds +Inf',
        'rowcall_capture_last_commit_age_seconds 4',
        'rowcall_callback_delivered_total{callback="orders"} 6',
        'rowcall_callback_delivered_total{callback="audit"} 1',
        'rowcall_callback_failed_attempts_total{callback="orders"} 8',
        'rowcall_callback_lag_records{callback="orders"} 7',
        'rowcall_callback_paused{callback="orders"} 0',
      ]),
    );
  });

  it('hold the latency as a cumulative histogram in seconds', async () => {
    const text = await lines();
    const buckets = text.filter((line) =>
      line.startsWith('rowcall_callback_latency_seconds_bucket{callback="orders"'),
    );
    expect(buckets).toHaveLength(LATENCY_BOUNDS_MS.length + 1);
    expect(buckets[1]).toBe(
      'rowcall_callback_latency_seconds_bucket{callback="orders",le="0.002"} 0',
    );
    expect(buckets[2]).toBe(
      'rowcall_callback_latency_seconds_bucket{callback="orders",le="0.005"} 4',
    );
    expect(buckets.at(-1)).toBe(
      'rowcall_callback_latency_seconds_bucket{callback="orders",le="+Inf"} 6',
    );
    expect(text).toContain('rowcall_callback_latency_seconds_sum{callback="orders"} 9000');
    expect(text).toContain('rowcall_callback_latency_seconds_count{callback="orders"} 6');
  });

  it('leave out a leg that does not run, and a limit that the log does not have', async () => {
    const text = await lines({
      capture: null,
      deliver: null,
      mirror: null,
      log: { bytes: 1, maxBytes: Infinity },
      ready: false,
    });
    expect(text).toContain('rowcall_ready 0');
    expect(text.some((line) => /rowcall_(?:capture|deliver|callback|log_max)/.test(line))).toBe(
      false,
    );
  });

  it('leave out what is not known yet', async () => {
    const capture = { ...CAPTURE, file: null, position: null, silentMs: null, lastCommitMs: 0 };
    const text = await lines({ capture });
    expect(text.some((line) => /position|silence|last_commit/.test(line))).toBe(false);
  });

  it('show no lag where the cursor is already past the end that was asked for', async () => {
    const text = await lines({ ends: new Map([['shop.shop.orders/0', 59]]) });
    expect(text).toContain('rowcall_callback_lag_records{callback="orders"} 0');
  });
});
