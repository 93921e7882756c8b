/** Large bytes in memory that threads share: handing them to one costs no copy. */

import { canReclaim } from './reclaim.ts';

/** Below this a copy costs less than the collections that shared memory asks for. */
const SHARED_FROM_BYTES = 4 * 1024 * 1024;

/**
 * A buffer to fill, in shared memory where `bytes` are large. Each thread holds shared memory until its own collector
 * has looked, and V8 does not count it: so there is none where collections cannot be asked for (see reclaim.ts),
 * as in a host of the library.
 */
export function allocateShared(bytes: number): Buffer {
  if (bytes < SHARED_FROM_BYTES || !canReclaim()) return Buffer.allocUnsafe(bytes);
  return Buffer.from(new SharedArrayBuffer(bytes));
}

/** Whether another thread reads these bytes in place. Nobody changes them once they were handed on. */
export function isShared(bytes: Uint8Array): bytes is Uint8Array<SharedArrayBuffer> {
  return bytes.buffer instanceof SharedArrayBuffer;
}
