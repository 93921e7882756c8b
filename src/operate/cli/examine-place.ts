/** What doctor finds of the place to read from: the checkpoint on the servers as they are, or where a first start would begin. */

import { replicaUuidOf } from '../../capture/binlog/replica-identity.ts';
import { answerLimit, SourceConnection } from '../../capture/binlog/source-connection.ts';
import { checkSource, type Finding, requireFit } from '../../capture/preflight/check-source.ts';
import { chooseServer } from '../../capture/preflight/choose-server.ts';
import { provePlace } from '../../capture/preflight/prove-place.ts';
import { startPlace } from '../../capture/preflight/start-place.ts';
import { routingHash } from '../../capture/route/table-rule.ts';
import { parseCheckpoint } from '../../checkpoint.ts';
import type { Config } from '../../config/schema.ts';
import { type ErrorCode, RowcallError } from '../../errors.ts';
import { systemClock } from '../../shared/clock.ts';
import { sourceServers } from '../../source-connection.ts';

/**
 * Proves the place as a start does, on the first server that a start would take. Looks at the binlog as nobody's
 * replica, so that a capture that runs goes on; keeps nothing of what it finds.
 *
 * @param text the checkpoint as the log has it; null where there is none
 * @param toldUnfit why a server cannot be read at all is told of already
 * @throws RowcallError INTERNAL; the signal's reason
 */
export async function examinePlace(
  config: Config,
  text: string | null,
  { toldUnfit, signal }: { readonly toldUnfit: boolean; readonly signal: AbortSignal },
): Promise<Finding[]> {
  try {
    await prove(config, text, signal);
    return [];
  } catch (error) {
    if (!(error instanceof RowcallError) || error.code === 'INTERNAL') throw error;
    if (toldUnfit && !OF_THE_PLACE.has(error.code)) return [];
    return [finding(error, text === null)];
  }
}

const OF_THE_PLACE: ReadonlySet<ErrorCode> = new Set([
  'CHECKPOINT_UNREADABLE',
  'GTID_NOT_SUBSET',
  'GTID_SET_INVALID',
  'KEYLESS_TABLE_CUT',
  'POSITION_PURGED',
  'POSITION_UNPROVEN',
  'SERVER_CHANGED',
  'SOURCE_BEHIND',
]);

async function prove(config: Config, text: string | null, signal: AbortSignal): Promise<void> {
  const { serverId, heartbeatMs, start } = config.source;
  const known = text === null ? null : parseCheckpoint(text);
  const tableGlobs = config.tables.flatMap(({ match }) => match);
  const replicaUuid = replicaUuidOf(config.name, serverId);
  const wishes = { ...config.source, replicaUuid, tableGlobs, cutOff: false };
  await chooseServer(await sourceServers(config.source), async ({ connection }) => {
    const source = await SourceConnection.open(connection, signal, answerLimit(heartbeatMs));
    try {
      requireFit(await checkSource(source, wishes));
      const access = { connection, serverId, heartbeatMs, clock: systemClock };
      const at = { source, access };
      const place = known ?? (await startPlace(start, routingHash(config.tables), at, signal));
      await provePlace(source, place, access, signal);
    } finally {
      await source.close();
    }
  });
}

/** A replica that is behind is waited for by a start: that is no error. */
function finding({ code, message, place, cure }: RowcallError, isFirst: boolean): Finding {
  return {
    check: isFirst ? 'source.start' : 'checkpoint',
    value: code,
    want: 'a place that the source can be read from',
    why: place === undefined ? message : `${message} (at ${place})`,
    sql: cure,
    severity: code === 'SOURCE_BEHIND' ? 'warning' : 'error',
  };
}
