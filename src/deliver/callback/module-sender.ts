/** Callbacks in process: a handler given in code, or exported by a module. */

import { inspect } from 'node:util';
import { RowcallError } from '../../errors.ts';
import { abortable } from '../../shared/abort.ts';
import type { Clock } from '../../shared/clock.ts';
import { patientTimer } from '../../shared/patient-timer.ts';
import { boundedError, MAX_RETRY_AFTER_MS } from './classify.ts';
import type { Handler } from './handler.ts';
import { isNonRetryable, retryAfterOf } from '../../handler-errors.ts';
import { rowEvent } from './row-event.ts';
import type { Metadata } from '../callback-options.ts';
import type { Outcome, OutgoingEvent, Sender } from './sender.ts';

export interface ModuleSenderOptions {
  readonly callback: string;
  readonly handler: Handler;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/**
 * Invariant: an attempt ends at its timeout even if the handler never does; what such a handler does later is
 * the same uncertainty as a lost answer over HTTP, and the event comes again under the same id.
 */
export class ModuleSender implements Sender {
  readonly #options: ModuleSenderOptions;

  constructor(options: ModuleSenderOptions) {
    this.#options = options;
  }

  async send(event: OutgoingEvent, attempt: number, signal: AbortSignal): Promise<Outcome> {
    const { callback, handler, timeoutMs, clock } = this.#options;
    signal.throwIfAborted();
    const abort = new AbortController();
    const timeout = new RowcallError(
      'DELIVERY_FAILED',
      `The handler did not end within ${timeoutMs} ms`,
    );
    const onAbort = (): void => {
      abort.abort(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const cancel = patientTimer(clock, timeoutMs, () => {
      abort.abort(timeout);
    });
    try {
      const metadata = JSON.parse(event.metadata ?? '{}') as Metadata;
      const { handedOver, replay } = event;
      const context = {
        ...{ signal: abort.signal, attempt, callback, metadata },
        ...(handedOver === undefined ? {} : { handedOver }),
        ...(replay === undefined ? {} : { replay: replay.id }),
      };
      // A handler that throws before its first await, or an event that cannot be read, is a rejection like any other.
      const handled = (async () => {
        await handler(rowEvent(event), context);
      })();
      await abortable(handled, abort.signal);
      return { kind: 'delivered' };
    } catch (error) {
      // The first to end it tells the outcome: a stop after the time-out changes nothing.
      if (signal.aborted && abort.signal.reason === signal.reason) throw signal.reason;
      return failure(error, clock.now());
    } finally {
      cancel();
      signal.removeEventListener('abort', onAbort);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function failure(thrown: unknown, nowMs: number): Outcome {
  const error = boundedError(textOf(thrown));
  if (isNonRetryable(thrown)) return { kind: 'failed', error, final: true };
  const retryAfterMs = retryAfterOf(thrown, nowMs);
  if (retryAfterMs === null) return { kind: 'failed', error };
  return { kind: 'throttled', error, retryAfterMs: Math.min(retryAfterMs, MAX_RETRY_AFTER_MS) };
}

/** What a handler threw, which may be anything. */
function textOf(error: unknown): string {
  if (error instanceof RowcallError) return `${error.code}: ${error.message}`;
  if (error instanceof Error) return `${error.name}: ${error.message}`;
  return `the handler threw ${inspect(error, { depth: 1 })}`;
}
