/** Whether the process is ready: each of its legs makes progress or has caught up. Being alive is not enough. */

import type { CaptureSnapshot } from '../../capture/capture.ts';
import type { CallbackSnapshot } from '../../deliver/callback-runner.ts';
import type { MirrorSnapshot } from '../../deliver/dead-letters/mirror.ts';
import type { DeliverSnapshot } from '../../deliver/deliver.ts';
import { lagRecords, type PartitionEnds } from './lag.ts';

/** A source that said nothing for so many heartbeats is lost; the stream notices it at the same time. */
const SILENT_HEARTBEATS = 3;
/** A callback with records ahead and nothing in flight moves within milliseconds; this long means that it stands. */
const STALLED_MS = 60_000;

export interface Readiness {
  readonly ready: boolean;
  /** Why not, for a person; empty when ready. */
  readonly reasons: readonly string[];
  /** What will be in the way if nobody looks after it. */
  readonly warnings: readonly string[];
}

export interface Observation {
  readonly capture: CaptureSnapshot | null;
  readonly deliver: DeliverSnapshot | null;
  readonly ends: PartitionEnds;
  /** Null where dead letters are not mirrored. */
  readonly mirror?: readonly MirrorSnapshot[] | null;
  /** Milliseconds that never run backwards. */
  readonly monotonicMs: number;
}

/**
 * Ready is: capture streams, hears its source (events or heartbeats) and is not held back by a full log; and no
 * callback has stopped, is paused, has full lanes, or stands: records ahead of it, nothing in flight, and nothing read,
 * delivered or failed for a minute. A slow endpoint and failing keys are progress. It keeps what it saw last of each
 * callback, because standing shows only between two looks; a look nobody takes judges nothing.
 */
export class ReadinessWatch {
  readonly #moved = new Map<string, { readonly mark: number; readonly atMs: number }>();

  look({ capture, deliver, ends, mirror, monotonicMs }: Observation): Readiness {
    const reasons = capture === null ? [] : captureReasons(capture);
    if (deliver !== null) reasons.push(...this.#deliverReasons(deliver, ends, monotonicMs));
    const warnings = [
      ...captureWarnings(capture),
      ...disabledWarnings(deliver),
      ...mirrorWarnings(mirror ?? []),
    ];
    return { ready: reasons.length === 0, reasons, warnings };
  }

  #deliverReasons(deliver: DeliverSnapshot, ends: PartitionEnds, nowMs: number): string[] {
    if (!deliver.running) return ['delivery is not running'];
    // A disabled one stands because somebody wants it to: taking the process out of service would help nobody.
    const enabled = deliver.callbacks.filter(({ disabled }) => disabled === null);
    return enabled.flatMap((callback) => {
      const standsMs = this.#standsMs(callback, lagRecords(callback, ends), nowMs);
      const stopped = callback.partitions.flatMap((partition) => partition.stopped ?? []);
      return [
        ...(callback.pause === null ? [] : [`is paused: ${callback.pause.reason}`]),
        ...(callback.lanesFull ? ['has stopped: its lanes are at their limit'] : []),
        ...stopped,
        ...(standsMs > STALLED_MS ? [`has not moved for ${Math.round(standsMs / 1000)} s`] : []),
      ].map((reason) => `${callback.name}: ${reason}`);
    });
  }

  /** For how long the callback has had something to do and done nothing, milliseconds. */
  #standsMs(callback: CallbackSnapshot, lag: number, nowMs: number): number {
    const { name, delivered, failedAttempts, shapeFailures, inFlight, partitions } = callback;
    // Each of these only grows, so their sum changes when one of them does.
    const read = partitions.reduce((sum, { next }) => sum + next, 0);
    const mark = read + delivered + failedAttempts + shapeFailures;
    const before = this.#moved.get(name);
    if (before?.mark !== mark || lag === 0 || inFlight > 0) {
      this.#moved.set(name, { mark, atMs: nowMs });
      return 0;
    }
    return nowMs - before.atMs;
  }
}

function disabledWarnings(deliver: DeliverSnapshot | null): string[] {
  return (deliver?.callbacks ?? []).flatMap(({ name, disabled }) =>
    disabled === null ? [] : [`${name}: is disabled by ${disabled.actor}: ${disabled.reason}`],
  );
}

/** Delivery does not wait for it. */
function mirrorWarnings(mirror: readonly MirrorSnapshot[]): string[] {
  return mirror.flatMap(({ callback, waiting, failure }) =>
    failure === null ? [] : [`${callback}: ${waiting} dead letters are not mirrored: ${failure}`],
  );
}

/** The place can still be read, so that it is no reason to be taken out of service. */
function captureWarnings(capture: CaptureSnapshot | null): string[] {
  const left = capture?.binlog;
  if (left?.urgent !== true) return [];
  const what =
    left.preparedXid === null
      ? 'binlog that is not read yet'
      : `the rows of XA transaction ${left.preparedXid}, which is prepared,`;
  return [`the source may purge ${what} in ${Math.round(left.leftMs / 1000)} s`];
}

function captureReasons(capture: CaptureSnapshot): string[] {
  const { state, failure, silentMs, heartbeatMs, logFull } = capture;
  const why = failure === null ? '' : `: ${failure}`;
  if (state !== 'streaming') return [`capture is ${state}${why}`];
  // A full log stops the reading too: the silence is then ours, not the source's.
  if (logFull) return ['capture is held back: the log is full'];
  if (silentMs === null || silentMs <= heartbeatMs * SILENT_HEARTBEATS) return [];
  return [`the source has been silent for ${Math.round(silentMs / 1000)} s`];
}
