/** Whether what was read and what a server has now are one history, so that their numbers and places compare. */

import { type ErrorCode, RowcallError } from '../../errors.ts';
import { GtidSet } from '../../gtid-set.ts';
import type { Checkpoint } from '../../position.ts';
import type { SourceConnection } from '../binlog/source-connection.ts';
import type { MariadbState } from './mariadb/server-state.ts';
import { MariadbLacksError } from './mariadb/prove-position.ts';
import { provePlace } from './prove-place.ts';
import { ServerLacksError } from './prove-sets.ts';
import type { DumpAccess } from './read-place.ts';
import type { ServerPlace } from './server-place.ts';

/**
 * - `one`: nothing speaks against it.
 * - `lacks`: another server than the one that was read lacks some of it, as after a failover. That the rest is the same
 *   there cannot be proven by the number of our last transaction.
 * - `apart`: this very server lost what it had written, or something else stands where our last transaction was. From
 *   there on it gives numbers that we have read to other transactions.
 */
export type History =
  { readonly kind: 'one' } | { readonly kind: 'lacks' | 'apart'; readonly why: string };

/** @throws what a query or a dump throws; the signal's reason */
export async function historySince(
  now: Checkpoint,
  server: ServerPlace | MariadbState,
  at: { readonly source: SourceConnection; readonly access: DumpAccess },
  signal: AbortSignal,
): Promise<History> {
  // Without GTIDs on both sides places of two servers are never compared.
  const byGtid = now.gtidSet !== null && (!('gtids' in server) || server.gtids !== null);
  const same = now.serverUuid === server.uuid;
  if (!byGtid && !same) return { kind: 'one' };
  try {
    await provePlace(at.source, now, at.access, signal);
    return { kind: 'one' };
  } catch (error) {
    if (!(error instanceof RowcallError)) throw error;
    return judge(error, same || lacksItsOwn(now, server));
  }
}

function judge(error: RowcallError, lostItsOwn: boolean): History {
  const why = error.message;
  if (error.code === 'POSITION_UNPROVEN') return { kind: 'apart', why };
  if (error instanceof ServerLacksError || error instanceof MariadbLacksError) {
    return { kind: lostItsOwn ? 'apart' : 'lacks', why };
  }
  // Purged, cut in a table without a key and the like: the sets still tell what lies between.
  if (!error.retriable || SAYS_NOTHING.has(error.code)) return { kind: 'one' };
  throw error;
}

/** Retriable, and perhaps just what a person moves the place for. */
const SAYS_NOTHING: ReadonlySet<ErrorCode> = new Set(['BINLOG_DUMP_REFUSED', 'SOURCE_BEHIND']);

/** Transactions that the server itself had written. */
function lacksItsOwn(now: Checkpoint, server: ServerPlace | MariadbState): boolean {
  if (!('gtids' in server) || server.gtids === null || now.gtidSet === null) return false;
  const missing = GtidSet.parse(now.gtidSet).subtract(server.gtids.executed);
  return !missing.of(server.uuid).isEmpty;
}
