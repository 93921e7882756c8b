/** Several services as one: started in order, stopped in reverse order, ended together. */

import { abortable } from './abort.ts';
import type { Clock } from './clock.ts';
import type { Service } from './service.ts';

export interface SuperviseOptions {
  readonly clock: Clock;
  /** How long stopping may take in all. */
  readonly deadlineMs: number;
  /** Made when the deadline passes with services still running; `names` are theirs. */
  readonly onDeadline: (names: readonly string[]) => Error;
}

/**
 * Runs until the signal aborts or one service ends or fails; then each is told to stop, the last one
 * first, and the next only when the one before has ended. Rejects with the first failure.
 */
export async function supervise(
  services: readonly Service[],
  signal: AbortSignal,
  options: SuperviseOptions,
): Promise<void> {
  const stopping = new AbortController();
  const failures: unknown[] = [];
  const running = services.map((service) => {
    const own = new AbortController();
    const state = { service, own, ended: false, done: Promise.resolve() };
    state.done = service.run(own.signal).then(
      () => {
        state.ended = true;
        stopping.abort();
      },
      (error: unknown) => {
        state.ended = true;
        if (!own.signal.aborted || error !== own.signal.reason) failures.push(error);
        stopping.abort();
      },
    );
    return state;
  });
  const onStop = (): void => {
    stopping.abort();
  };
  if (signal.aborted) onStop();
  else signal.addEventListener('abort', onStop, { once: true });
  await new Promise<void>((resolve) => {
    if (stopping.signal.aborted || running.length === 0) resolve();
    else {
      stopping.signal.addEventListener('abort', () => {
        resolve();
      });
    }
  });
  signal.removeEventListener('abort', onStop);

  const deadline = new AbortController();
  const cancel = options.clock.timer(options.deadlineMs, () => {
    deadline.abort(
      options.onDeadline(running.filter((one) => !one.ended).map((one) => one.service.name)),
    );
  });
  try {
    for (const one of running.toReversed()) {
      one.own.abort(new Error('Stopping'));
      await abortable(one.done, deadline.signal);
    }
  } catch (error) {
    // Whoever made us stop is the reason; the deadline is one only where nobody failed before.
    failures.push(error);
    for (const one of running) one.own.abort(new Error('Stopping'));
  } finally {
    cancel();
  }
  if (failures.length > 0) throw failures[0];
}
