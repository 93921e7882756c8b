/** A lock between processes that the kernel gives up when its holder dies, so that none is ever stale. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 100;
/** SQLITE_BUSY, https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

export interface LockOptions {
  /** Called once, when another process holds the lock and we begin to wait. */
  readonly onWait?: () => void;
}

/**
 * Runs `work` while no other process runs work under the same `path`. An empty SQLite file carries
 * the lock (an exclusive transaction), because Node offers no flock: a folder or pid file would
 * outlive a killed holder, and taking over such a one cannot be made free of races.
 */
export async function withFileLock<T>(
  path: string,
  work: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  mkdirSync(dirname(path), { recursive: true });
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    let waiting = false;
    while (!tryLock(database)) {
      if (!waiting) options.onWait?.();
      waiting = true;
      await sleep(POLL_MS);
    }
    return await work();
  } finally {
    database.close();
  }
}

function tryLock(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (isBusy(error)) return false;
    throw error;
  }
}

function isBusy(error: unknown): boolean {
  return (
    error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === SQLITE_BUSY
  );
}
