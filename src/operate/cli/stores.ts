/** The stores as a command reads them, beside a running daemon or without one. */

import { existsSync } from 'node:fs';
import type { Config } from '../../config/schema.ts';
import { loadConfig } from '../../config/load.ts';
import { RowcallError } from '../../errors.ts';
import type { ChangeLog } from '../../log/change-log.ts';
import { silentLogger } from '../../shared/logger.ts';
import { systemClock } from '../../shared/clock.ts';
import type { StateStore } from '../../state/state-store.ts';
import { openLog, openState } from '../../stores.ts';
import type { CliIo } from './io.ts';

export async function withLog<T>(
  file: string,
  io: CliIo,
  use: (log: ChangeLog, config: Config) => Promise<T>,
): Promise<T> {
  const config = await loadConfig(file, io.env);
  if (config.log.type === 'embedded') mustExist(config.log.path, 'LOG_UNUSABLE', 'log');
  const log = await openLog(config, { clock: systemClock, logger: silentLogger, create: false });
  try {
    return await use(log, config);
  } finally {
    await log.close();
  }
}

export async function withState<T>(
  file: string,
  io: CliIo,
  use: (state: StateStore, config: Config) => Promise<T>,
): Promise<T> {
  const config = await loadConfig(file, io.env);
  mustExist(config.state.path, 'STATE_UNUSABLE', 'state store');
  const state = await openState(config);
  try {
    return await use(state, config);
  } finally {
    await state.close();
  }
}

/** A command that looks must not make what it looks at. */
function mustExist(path: string, code: 'LOG_UNUSABLE' | 'STATE_UNUSABLE', what: string): void {
  if (existsSync(path)) return;
  throw new RowcallError(code, `There is no ${what} at ${path} yet`, {
    cure: 'It is made by the first rowcall run (or connect, deliver) with this configuration.',
  });
}
