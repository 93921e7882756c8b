/** What a handler in process throws to say more than that it failed. */

/**
 * Known by a registered symbol, not by their class: a handler's module may have been installed with another copy of
 * this package than the one that runs it.
 */
const NON_RETRYABLE = Symbol.for('rowcall.non-retryable');
const RETRY_AFTER = Symbol.for('rowcall.retry-after');

/** No further attempt can succeed: the event is exhausted at once. */
export class NonRetryableError extends Error {
  readonly [NON_RETRYABLE] = true;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'NonRetryableError';
  }
}

/** Tried again at a time, and not earlier. */
export class RetryAfterError extends Error {
  readonly [RETRY_AFTER]: number | Date;

  /**
   * @param after milliseconds from now on, or when
   * @throws RangeError for a time that is none
   */
  constructor(message: string, after: number | Date, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RetryAfterError';
    const ms = typeof after === 'number' ? after : after.getTime();
    if (!Number.isFinite(ms) || (typeof after === 'number' && ms < 0)) {
      throw new RangeError(`${String(after)} is no time to try again after`);
    }
    this[RETRY_AFTER] = after;
  }
}

export function isNonRetryable(error: unknown): boolean {
  return typeof error === 'object' && error !== null && Reflect.get(error, NON_RETRYABLE) === true;
}

/** Milliseconds, not below 0; null where the error does not say. */
export function retryAfterOf(error: unknown, nowMs: number): number | null {
  if (typeof error !== 'object' || error === null) return null;
  const after: unknown = Reflect.get(error, RETRY_AFTER);
  if (typeof after === 'number') return after;
  return after instanceof Date ? Math.max(0, after.getTime() - nowMs) : null;
}
