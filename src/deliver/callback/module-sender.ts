/** Callbacks in process: a handler given in code, or exported by a module. */

import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { RowcallError } from '../../errors.ts';
import { abortable } from '../../shared/abort.ts';
import type { Clock } from '../../shared/clock.ts';
import { boundedError } from './classify.ts';
import type { Handler } from './handler.ts';
import { rowEvent } from './row-event.ts';
import type { Metadata } from '../callback-options.ts';
import type { Outcome, OutgoingEvent, Sender } from './sender.ts';

/** @throws RowcallError HANDLER_INVALID */
export async function loadHandler(path: string): Promise<Handler> {
  let module: unknown;
  try {
    module = await import(pathToFileURL(path).href);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new RowcallError('HANDLER_INVALID', `The module cannot be loaded: ${message}`, {
      place: path,
      cure: loadCure(path, error),
      cause: error,
    });
  }
  const handle: unknown =
    typeof module === 'object' && module !== null ? Reflect.get(module, 'handle') : undefined;
  if (typeof handle !== 'function') {
    throw new RowcallError('HANDLER_INVALID', 'The module does not export a function `handle`', {
      place: path,
    });
  }
  return handle as Handler;
}

/** An import that the module makes fails with the same code as a module that is not there: only the file tells. */
function loadCure(path: string, error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  if (code === 'ERR_MODULE_NOT_FOUND') {
    return existsSync(path)
      ? 'The module imports another one that is not there: see the message, and install it.'
      : 'There is no such file: correct deliver.module, which is relative to the configuration file.';
  }
  if (error instanceof SyntaxError) {
    return 'It cannot be parsed as an ES module: name it .mjs or set "type": "module" in its package.json, and correct what the message names.';
  }
  return 'Loading it threw the error named: correct the module.';
}

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
    const cancel = clock.timer(timeoutMs, () => {
      abort.abort(timeout);
    });
    try {
      const metadata = JSON.parse(event.metadata ?? '{}') as Metadata;
      const context = { signal: abort.signal, attempt, callback, metadata };
      // A handler that throws before its first await, or an event that cannot be read, is a rejection like any other.
      const handled = (async () => {
        await handler(rowEvent(event), context);
      })();
      await abortable(handled, abort.signal);
      return { kind: 'delivered' };
    } catch (error) {
      // The first to end it tells the outcome: a stop after the time-out changes nothing.
      if (signal.aborted && abort.signal.reason === signal.reason) throw signal.reason;
      return { kind: 'failed', error: boundedError(textOf(error)) };
    } finally {
      cancel();
      signal.removeEventListener('abort', onAbort);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** What a handler threw, which may be anything. */
function textOf(error: unknown): string {
  if (error instanceof RowcallError) return `${error.code}: ${error.message}`;
  if (error instanceof Error) return `${error.name}: ${error.message}`;
  return `the handler threw ${inspect(error, { depth: 1 })}`;
}
