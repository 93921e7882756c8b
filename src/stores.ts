/** The adapters that a configuration asks for: the only place that knows them. */

import type { Config } from './config/schema.ts';
import type { ChangeLog } from './log/change-log.ts';
import { openEmbeddedLog } from './log/embedded/embedded-log.ts';
import type { Clock } from './shared/clock.ts';
import type { Logger } from './shared/logger.ts';
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

/** For the process that delivers: no other may until it is closed. */
export function openDispatcherState(config: Config): Promise<StateStore> {
  return openThreadedState({ path: config.state.path, exclusive: true });
}

/** For commands that look or ask beside a running dispatcher. */
export function openState(config: Config): Promise<StateStore> {
  return openSqliteState({ path: config.state.path, create: false });
}
