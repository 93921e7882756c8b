/** The adapters that a configuration asks for: the only place that knows them. */

import type { Config } from './config/schema.ts';
import type { ChangeLog } from './log/change-log.ts';
import { openEmbeddedLog } from './log/embedded/embedded-log.ts';
import type { Clock } from './shared/clock.ts';
import type { Logger } from './shared/logger.ts';
import { openSqliteState } from './state/sqlite/sqlite-state.ts';
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

/** `exclusive`: for the process that delivers. Commands that inspect open it beside that one. */
export function openState(
  config: Config,
  options: { readonly exclusive: boolean },
): Promise<StateStore> {
  return openSqliteState({ path: config.state.path, ...options });
}
