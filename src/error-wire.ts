/** Errors between threads: structured cloning would make plain Errors of them and lose code, place and cure. */

import { type ErrorCode, RowcallError } from './errors.ts';

export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly place: string | undefined;
  readonly cure: string;
}

export function toWire(error: RowcallError): WireError {
  return { code: error.code, message: error.message, place: error.place, cure: error.cure };
}

export function fromWire(error: WireError): RowcallError {
  return new RowcallError(error.code, error.message, {
    cure: error.cure,
    ...(error.place === undefined ? {} : { place: error.place }),
  });
}
