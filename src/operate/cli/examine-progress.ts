/** What doctor finds of state and log together: whether each is the one that the other was used with. */

import { existsSync } from 'node:fs';
import type { Config } from '../../config/schema.ts';
import {
  type ProvableLog,
  proveProgress,
  type SavedProgress,
} from '../../deliver/intake/prove-progress.ts';
import { openState } from '../../stores.ts';

/**
 * @param log null where there is none yet
 * @throws RowcallError as `proveProgress`, STATE_UNUSABLE
 */
export async function examineProgress(config: Config, log: ProvableLog | null): Promise<void> {
  await proveProgress(log, () => readSaved(config));
}

async function readSaved(config: Config): Promise<SavedProgress> {
  const named = config.callbacks.map(({ name }) => name);
  if (!existsSync(config.state.path)) return { stateId: null, cursors: [], callbacks: named };
  const state = await openState(config);
  try {
    const registered = (await state.registered()).map(({ name }) => name);
    return {
      stateId: state.id,
      cursors: await state.cursors(),
      callbacks: [...new Set([...named, ...registered])],
    };
  } finally {
    await state.close();
  }
}
