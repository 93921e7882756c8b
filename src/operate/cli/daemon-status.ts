/** Whether daemons work on the stores of a configuration, and what one of them says of its callbacks. */

import { request } from 'undici';
import type { Config } from '../../config/schema.ts';
import { captureRuns, deliveryRuns } from '../../stores.ts';
import { adminUrl } from './api-client.ts';
import type { MetricName } from '../observe/metric-names.ts';

export interface DaemonStatus {
  /** A process captures into the log. */
  readonly capture: boolean;
  /** A process delivers from the state store. */
  readonly delivery: boolean;
  /** Where it is asked; null where nothing runs, or nobody says which port it was given. */
  readonly admin: string | null;
  /** By callback: whether it pauses because its endpoint cannot be reached. Empty where nobody says. */
  readonly paused: ReadonlyMap<string, boolean>;
  /** How long the source will have what is needed; null where nobody says. */
  readonly binlog: BinlogForecast | null;
}

export interface BinlogForecast {
  /** Until what is needed may be purged; null while reading keeps ahead of that. */
  readonly left_ms: number | null;
  /** How long the source keeps a file; null where none expires by itself. */
  readonly kept_ms: number | null;
  readonly unread_bytes: number;
}

const ANSWER_MS = 2_000;
const MAX_METRICS_CHARS = 16 * 1024 * 1024;
const PAUSED: MetricName = 'rowcall_callback_paused';
const LEFT: MetricName = 'rowcall_capture_purge_forecast_seconds';
const KEPT: MetricName = 'rowcall_capture_binlog_retention_seconds';
const UNREAD: MetricName = 'rowcall_capture_unread_bytes';

/** Asks the locks, which the kernel frees with their process, the group of connectors in Kafka, and admin.listen. */
export async function daemonStatus(config: Config): Promise<DaemonStatus> {
  const delivery = deliveryRuns(config);
  const capture = await captureRuns(config);
  const url = capture || delivery ? await adminUrl(config) : null;
  const text = (await readMetrics(url)) ?? '';
  const paused = delivery ? readPaused(text) : new Map<string, boolean>();
  return { capture, delivery, admin: url, paused, binlog: capture ? readForecast(text) : null };
}

/** Null where nobody answers: the daemon may listen elsewhere, or be about to begin. */
async function readMetrics(url: string | null): Promise<string | null> {
  if (url === null) return null;
  try {
    const { statusCode, body } = await request(`${url}/metrics`, {
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const text = await body.text();
    return statusCode === 200 && text.length <= MAX_METRICS_CHARS ? text : null;
  } catch {
    // Refused, slow, or no HTTP: all of it means that it is unknown, and status says so.
    return null;
  }
}

function readForecast(text: string): BinlogForecast | null {
  const [left, kept, unread] = [LEFT, KEPT, UNREAD].map((name) => readNumber(text, name));
  if (left === undefined || kept === undefined || unread === undefined) return null;
  return { left_ms: milliseconds(left), kept_ms: milliseconds(kept), unread_bytes: unread };
}

/** Of a metric without labels; undefined where the text has none. */
function readNumber(text: string, name: MetricName): number | undefined {
  const [, value] = new RegExp(`^${name} (\\S+)$`, 'm').exec(text) ?? [];
  return value === undefined ? undefined : value === '+Inf' ? Infinity : Number(value);
}

/** JSON has no Infinity. */
function milliseconds(seconds: number): number | null {
  return Number.isFinite(seconds) ? Math.round(seconds * 1000) : null;
}

/** Of Prometheus' text form only the one metric of ours, which has a callback's name and nothing to escape. */
function readPaused(text: string): ReadonlyMap<string, boolean> {
  const samples = text.matchAll(
    new RegExp(`^${PAUSED}\\{callback="([a-z0-9-]+)"\\} ([01])$`, 'gm'),
  );
  return new Map(Array.from(samples, ([, name = '', value]) => [name, value === '1']));
}
