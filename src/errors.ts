/** The one error class. What may go wrong stands in error-table.ts. */

import { ERRORS } from './error-table.ts';

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorDetails {
  /** GTID, file:position, table, column, file and line: whatever names where. */
  readonly place?: string;
  /** Overrides the table's cure where the place of failure knows a better one. */
  readonly cure?: string;
  readonly cause?: unknown;
}

/** The one error class. `message` says what; `place` where; `cure` what to do. Never holds a secret. */
export class RowcallError extends Error {
  readonly code: ErrorCode;
  readonly place: string | undefined;
  readonly cure: string;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'RowcallError';
    this.code = code;
    this.place = details.place;
    this.cure = details.cure ?? ERRORS[code].cure;
  }

  get retriable(): boolean {
    return ERRORS[this.code].retriable;
  }

  get exitCode(): 1 | 2 | 3 {
    return ERRORS[this.code].exit;
  }
}

/** Wraps what is not ours, so that every error that leaves a part has a code. */
export function toRowcallError(error: unknown, code: ErrorCode = 'INTERNAL'): RowcallError {
  if (error instanceof RowcallError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new RowcallError(code, message, { cause: error });
}
