/** What doctor finds of prepared XA transactions: those that the checkpoint names, as the source knows them. */

import { recoverXids } from '../../capture/preflight/checks/prepared.ts';
import type { Finding } from '../../capture/preflight/check-source.ts';
import { firstReachable } from '../../capture/preflight/first-reachable.ts';
import { readServerPlace, readVersion } from '../../capture/preflight/server-place.ts';
import { judgePrepared } from '../../capture/xa/judge-prepared.ts';
import { parseCheckpoint } from '../../checkpoint.ts';
import type { Config } from '../../config/schema.ts';
import { systemClock } from '../../shared/clock.ts';
import { sourceServers } from '../../source-connection.ts';

/**
 * @param text the checkpoint as the log has it; null where there is none
 * @throws RowcallError CHECKPOINT_UNREADABLE; what a connection or a query throws
 */
export async function examinePrepared(
  config: Config,
  text: string | null,
  signal: AbortSignal,
): Promise<Finding[]> {
  const checkpoint = text === null ? null : parseCheckpoint(text);
  if (checkpoint === null || checkpoint.prepared.length === 0) return [];
  const { source } = await firstReachable(await sourceServers(config.source), signal);
  try {
    // MariaDB keeps no list of GTIDs by which a forgotten one could be told: it is found at its XA COMMIT.
    if ((await readVersion(source)).isMariaDb) return [];
    const server = await readServerPlace(source);
    const recovered = await recoverXids(source);
    return judgePrepared(checkpoint, { server, recovered, nowMs: systemClock.now() });
  } finally {
    await source.close();
  }
}
