/** The name of a process that can be alive only once, because its lock can be held only once. */

import { createHash } from 'node:crypto';
import { realpathSync, statSync } from 'node:fs';
import { hostname } from 'node:os';

import { RowcallError } from '../errors.ts';
import { ProcessLock } from './process-lock.ts';
import type { FileKind } from './sqlite-file.ts';

const DIGITS = 16;

/**
 * The same for every process that may hold the lock of this file, one after the other, and for no other: it names
 * the machine, the file's place there, and `identity`, since places and machines of one name are many.
 *
 * @param path of a file that is there
 */
export function instanceOf(path: string, identity: string): string {
  const parts = JSON.stringify([hostname(), realpathSync(path), identity]);
  return createHash('sha256').update(parts).digest('hex').slice(0, DIGITS);
}

export interface InstanceLock {
  readonly instance: string;
  release(): void;
}

/**
 * Null where another process holds the lock, or the disk takes none: then nothing is proven, and whoever asks must
 * do without.
 */
export function lockInstance(guarded: string, kind: FileKind): InstanceLock | null {
  try {
    const lock = ProcessLock.take(guarded, kind, { message: 'taken', cure: 'none is needed' });
    const { ino, birthtimeNs } = statSync(lock.path, { bigint: true });
    return {
      instance: instanceOf(lock.path, `${ino} ${birthtimeNs}`),
      release: () => {
        lock.release();
      },
    };
  } catch (error) {
    if (error instanceof RowcallError && error.code === kind.unusable) return null;
    throw error;
  }
}
