/** A time-out that a process which stood still does not mistake for silence of the other side. */

import type { Clock } from './clock.ts';

/** So much later than asked is no jitter of a timer: the process was stopped, or its event loop was blocked. */
const STILL_MS = 100;
/** In which what came meanwhile is read. */
const GRACE_MS = 250;

/**
 * Calls `fire` once after `ms`, unless the returned function was called before. Node runs timers that are due before it
 * reads what has come: after a stop of the process, or a minute in which something blocked its event loop, every answer
 * that came meanwhile would count as none, use up an attempt and be asked for again. So a timer that fires late gives
 * what is there a moment to be read.
 */
export function patientTimer(clock: Clock, ms: number, fire: () => void): () => void {
  const due = clock.monotonic() + ms;
  let cancel = clock.timer(ms, () => {
    if (clock.monotonic() - due < STILL_MS) fire();
    else cancel = clock.timer(GRACE_MS, fire);
  });
  return () => {
    cancel();
  };
}
