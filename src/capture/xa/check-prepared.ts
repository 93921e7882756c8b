/** At a connect: what is known of prepared transactions, told before one of them stops the capture. */

import { parseGtid } from '../../gtid-set.ts';
import { type Checkpoint, formatPlace, type PreparedTransaction } from '../../position.ts';
import type { Logger } from '../../shared/logger.ts';
import type { SourceConnection } from '../binlog/source-connection.ts';
import { readServerPlace, type ServerPlace } from '../preflight/server-place.ts';

/**
 * Warns of prepared transactions whose rows are gone already. That is no stop: a rollback makes it right, and must be
 * read.
 *
 * @throws RowcallError what a query throws
 */
export async function tellPrepared(
  source: SourceConnection,
  checkpoint: Checkpoint,
  logger: Logger,
): Promise<void> {
  if (checkpoint.prepared.length === 0) return;
  const server = await readServerPlace(source);
  const sameServer = server.uuid === checkpoint.serverUuid;
  for (const prepared of checkpoint.prepared) {
    if (!prepared.captured || !isGone(prepared, server, sameServer)) continue;
    const { xid, gtid, at } = prepared;
    const place = at === null ? gtid : formatPlace(at);
    logger.error(
      { xid, gtid, place },
      `XA transaction ${xid} is prepared, and the source has purged its rows: an XA COMMIT of it will stop the capture, an XA ROLLBACK will not`,
    );
  }
}

/** Whether the rows of a prepared transaction cannot be read any more. */
export function isGone(
  { gtid, at }: PreparedTransaction,
  server: ServerPlace,
  sameServer: boolean,
): boolean {
  if (sameServer && at !== null) return !server.files.some(({ name }) => name === at.file);
  return gtid !== null && server.gtids?.purged.contains(parseGtid(gtid)) === true;
}
