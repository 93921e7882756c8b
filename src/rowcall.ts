/** Rowcall as a library: the same daemon inside your own process, with handlers in code. */

import { App } from './app.ts';
import { loadConfig, parseConfig } from './config/load.ts';
import type { Handler, OperationHandlers } from './deliver/callback/handler.ts';
import { systemClock, systemRandom } from './shared/clock.ts';
import { type Logger, silentLogger } from './shared/logger.ts';

export type {
  DeleteEvent,
  Handler,
  HandlerContext,
  InsertEvent,
  OperationHandlers,
  ReadEvent,
  Row,
  RowEvent,
  TruncateEvent,
  UpdateEvent,
} from './deliver/callback/handler.ts';
export type { Metadata } from './deliver/callback-options.ts';
export { NonRetryableError, RetryAfterError } from './handler-errors.ts';
export { RowcallError, type ErrorCode } from './errors.ts';
export type { Logger } from './shared/logger.ts';

export interface CreateRowcallOptions {
  /**
   * By callback name: called instead of `deliver.url` or `deliver.module`. A function for all events, or one for each
   * operation that the callback asks for. They run in this thread: one that blocks it stalls everything.
   */
  readonly handlers?: Readonly<Record<string, Handler | OperationHandlers>>;
  /** A pino logger, or anything with debug, info, warn and error. Default: silent. */
  readonly logger?: Logger;
  /** Environment for `${NAME}` in a configuration file: pass `process.env`. Default: empty, so that none is found. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** See `rowcall run --accept-lost-state`. */
  readonly acceptLostState?: boolean;
}

export interface Rowcall {
  /** Captures and delivers until the signal aborts; rejects with a RowcallError when it cannot go on. */
  run(signal: AbortSignal): Promise<void>;
}

/**
 * Checks the configuration and builds a Rowcall that is not running yet.
 *
 * @param config the path of a YAML file, which takes its `${NAME}` from `options.env` alone (pass
 *   `env: process.env`), or its content as an object with the same names; relative paths in an object are
 *   relative to the working directory
 * @throws RowcallError CONFIG_INVALID with every error at once
 */
export async function createRowcall(
  config: string | object,
  options: CreateRowcallOptions = {},
): Promise<Rowcall> {
  const handlers = options.handlers ?? {};
  const names = { handlers: Object.keys(handlers) };
  const checked =
    typeof config === 'string'
      ? await loadConfig(config, options.env ?? {}, names)
      : parseConfig(config, process.cwd(), names);
  return new App(checked, {
    clock: systemClock,
    random: systemRandom,
    logger: options.logger ?? silentLogger,
    legs: { capture: true, deliver: true },
    acceptLostState: options.acceptLostState ?? false,
    takeOver: false,
    handlers,
  });
}
