/** Whether the process is ready: each of its legs makes progress or has caught up. Being alive is not enough. */

import type { CaptureSnapshot } from '../../capture/capture.ts';
import type { DeliverSnapshot } from '../../deliver/deliver.ts';

/** A source that said nothing for so many heartbeats is lost; the stream notices it at the same time. */
const SILENT_HEARTBEATS = 3;

export interface Readiness {
  readonly ready: boolean;
  /** Why not, for a person; empty when ready. */
  readonly reasons: readonly string[];
}

/** Capture streams and hears its source; no callback has stopped, is paused, or has full lanes. */
export function readiness(
  capture: CaptureSnapshot | null,
  deliver: DeliverSnapshot | null,
): Readiness {
  const reasons = [
    ...(capture === null ? [] : captureReasons(capture)),
    ...(deliver === null ? [] : deliverReasons(deliver)),
  ];
  return { ready: reasons.length === 0, reasons };
}

function captureReasons(capture: CaptureSnapshot): string[] {
  const { state, silentMs, heartbeatMs, logFull } = capture;
  if (state !== 'streaming') return [`capture is ${state}`];
  const reasons: string[] = [];
  if (logFull) reasons.push('capture is held back: the log is full');
  else if (silentMs !== null && silentMs > heartbeatMs * SILENT_HEARTBEATS) {
    reasons.push(`the source has been silent for ${Math.round(silentMs / 1000)} s`);
  }
  return reasons;
}

function deliverReasons(deliver: DeliverSnapshot): string[] {
  if (!deliver.running) return ['delivery is not running'];
  return deliver.callbacks.flatMap(({ name, pause, lanesFull, partitions }) => [
    ...(pause === null ? [] : [`${name} is paused: ${pause.reason}`]),
    ...(lanesFull ? [`${name} has stopped: its lanes are at their limit`] : []),
    ...partitions
      .filter((partition) => partition.stopped !== null)
      .map(({ stopped }) => `${name}: ${stopped ?? ''}`),
  ]);
}
