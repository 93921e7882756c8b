/** The adapters that a configuration asks for: the only place that knows them. */

import type { Config } from './config/schema.ts';
import type { ChangeLog } from './log/change-log.ts';
import { LOG_FILE } from './log/embedded/database.ts';
import { openEmbeddedLog } from './log/embedded/embedded-log.ts';
import type { Clock } from './shared/clock.ts';
import type { Logger } from './shared/logger.ts';
import { ProcessLock } from './shared/process-lock.ts';
import { STATE_FILE } from './state/sqlite/database.ts';
import { openSqliteState } from './state/sqlite/sqlite-state.ts';
import { openThreadedState } from './state/sqlite/threaded-state.ts';
import type { StateStore } from './state/state-store.ts';

export function openLog(
  config: Config,
  parts: { readonly clock: Clock; readonly logger: Logger; readonly create: boolean },
): Promise<ChangeLog> {
  return openEmbeddedLog({
    path: config.log.path,
    maxBytes: config.log.maxSizeBytes,
    retention: config.log.retention,
    ...parts,
  });
}

/**
 * For a process that captures, and for `position set`: a second connector would fence the first at its first
 * append, and be fenced by it when that is started again. The epoch in the log holds all the same.
 *
 * @throws RowcallError LOG_UNUSABLE: another process captures into this log
 */
export function lockLogForCapture(config: Config): ProcessLock {
  return ProcessLock.take(config.log.path, LOG_FILE, {
    message: 'Another process captures into this log',
    cure: 'Stop the other rowcall run or rowcall connect first, or give this one a log.path of its own.',
  });
}

/** Whether a process captures into the log now. @throws RowcallError LOG_UNUSABLE */
export function captureRuns(config: Config): boolean {
  return ProcessLock.isHeld(config.log.path, LOG_FILE);
}

/** Whether a process delivers from the state store now. @throws RowcallError STATE_UNUSABLE */
export function deliveryRuns(config: Config): boolean {
  return ProcessLock.isHeld(config.state.path, STATE_FILE);
}

/** For the process that delivers: no other may until it is closed. */
export function openDispatcherState(config: Config): Promise<StateStore> {
  return openThreadedState({ path: config.state.path, exclusive: true });
}

/** For commands that look or ask beside a running dispatcher. */
export function openState(config: Config): Promise<StateStore> {
  return openSqliteState({ path: config.state.path, create: false });
}
