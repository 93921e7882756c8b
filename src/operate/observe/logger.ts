/** The program's own log: one wide line per happening, to standard error; JSON, or pretty on a terminal. */

import { type DestinationStream, pino } from 'pino';
import pretty from 'pino-pretty';
import { RowcallError } from '../../errors.ts';
import type { Logger } from '../../shared/logger.ts';

/** Wherever one of these stands in what is logged, it is not printed. Secrets are marked already; this is the second net. */
const REDACTED = ['password', 'secret', 'secrets', 'token', 'authorization', 'headers'].flatMap(
  (name) => [name, `*.${name}`, `*.*.${name}`],
);

export interface LoggerOptions {
  readonly level: string;
  /** Pretty, in colour, for a person. */
  readonly terminal: boolean;
  /** Where lines go; standard error by default. */
  readonly destination?: DestinationStream;
}

export function createLogger({ level, terminal, destination }: LoggerOptions): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: REDACTED, censor: '***' },
    serializers: { err: serializeError },
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const sink =
    destination ??
    (terminal
      ? pretty({ destination: 2, sync: true, colorize: true, ignore: 'pid,hostname' })
      : pino.destination({ fd: 2, sync: true }));
  return pino(options, sink);
}

/** Code, place and cure; a cause by its message and code only, since a library's error may carry its options. */
function serializeError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const cause = error.cause === undefined ? {} : { cause: serializeCause(error.cause) };
  if (error instanceof RowcallError) {
    const { code, message, place, cure } = error;
    const stack = code === 'INTERNAL' ? { stack: error.stack } : {};
    return { code, message, place, cure, ...cause, ...stack };
  }
  return { ...serializeCause(error), ...cause, stack: error.stack };
}

function serializeCause(cause: unknown): object {
  if (!(cause instanceof Error)) return { message: String(cause) };
  const code = 'code' in cause ? { code: String(cause.code) } : {};
  return { name: cause.name, message: cause.message, ...code };
}
