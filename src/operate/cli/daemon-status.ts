/** Whether daemons work on the stores of a configuration, and what one of them says of its callbacks. */

import { request } from 'undici';
import type { Config } from '../../config/schema.ts';
import { captureRuns, deliveryRuns } from '../../stores.ts';
import type { MetricName } from '../observe/metric-names.ts';

export interface DaemonStatus {
  /** A process captures into the log. */
  readonly capture: boolean;
  /** A process delivers from the state store. */
  readonly delivery: boolean;
  /** By callback: whether it pauses because its endpoint cannot be reached. Empty where nobody says. */
  readonly paused: ReadonlyMap<string, boolean>;
}

const ANSWER_MS = 2_000;
const MAX_METRICS_CHARS = 16 * 1024 * 1024;
const PAUSED: MetricName = 'rowcall_callback_paused';

/** Asks the locks, which the kernel frees with their process, the group of connectors in Kafka, and admin.listen. */
export async function daemonStatus(config: Config): Promise<DaemonStatus> {
  const delivery = deliveryRuns(config);
  const text = delivery ? await readMetrics(config) : null;
  return { capture: await captureRuns(config), delivery, paused: readPaused(text ?? '') };
}

/** Null where nobody answers: the daemon may listen elsewhere, on port 0, or be about to begin. */
async function readMetrics(config: Config): Promise<string | null> {
  const { host, port } = config.admin.listen;
  if (port === 0) return null;
  // Who listens on every address is asked on this machine's own.
  const own = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host;
  const url = `http://${own.includes(':') ? `[${own}]` : own}:${port}/metrics`;
  try {
    const { statusCode, body } = await request(url, { signal: AbortSignal.timeout(ANSWER_MS) });
    const text = await body.text();
    return statusCode === 200 && text.length <= MAX_METRICS_CHARS ? text : null;
  } catch {
    // Refused, slow, or no HTTP: all of it means that it is unknown, and status says so.
    return null;
  }
}

/** Of Prometheus' text form only the one metric of ours, which has a callback's name and nothing to escape. */
function readPaused(text: string): ReadonlyMap<string, boolean> {
  const samples = text.matchAll(
    new RegExp(`^${PAUSED}\\{callback="([a-z0-9-]+)"\\} ([01])$`, 'gm'),
  );
  return new Map(Array.from(samples, ([, name = '', value]) => [name, value === '1']));
}
