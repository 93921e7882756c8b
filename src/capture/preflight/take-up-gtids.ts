/** From a place without GTIDs to one with them, once the source has gtid_mode ON. */

import type { Checkpoint } from '../../position.ts';
import { FIRST_POSITION } from '../binlog/event-parser.ts';
import type { SourceConnection } from '../binlog/source-connection.ts';
import { gtidsBefore } from './gtid-start.ts';
import { readEvents } from './read-place.ts';
import type { DumpAccess } from './read-place.ts';
import { readServerPlace } from './server-place.ts';

/**
 * The checkpoint, with the GTIDs of all that stands before its place where that can be known: without them we could
 * go on at no other server. `checkpoint` is proven on this one.
 *
 * A change of gtid_mode begins a new binlog file. So there is nothing without a GTID in the newest file of a source in
 * mode ON, and once our place is in it, a dump by GTID will not be refused for what is still unread (error 1789).
 *
 * @throws RowcallError what a query or a dump throws.
 * @see https://dev.mysql.com/doc/refman/9.0/en/replication-mode-change-online-enable-gtids.html
 */
export async function withGtids(
  source: SourceConnection,
  checkpoint: Checkpoint,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<Checkpoint> {
  if (checkpoint.gtidSet !== null) return checkpoint;
  const server = await readServerPlace(source);
  const isNewest = server.files.at(-1)?.name === checkpoint.file;
  if (server.gtids === null || !isNewest) return checkpoint;
  const gtids = await gtidsBefore(checkpoint.file, server, access, signal);
  const begin = { file: checkpoint.file, position: FIRST_POSITION };
  for await (const event of readEvents(access, begin, signal)) {
    if (event.type !== 'gtid') continue;
    if (event.endPosition > checkpoint.position || event.file !== checkpoint.file) break;
    if (event.gtid === null) return checkpoint;
    gtids.add(event.gtid);
  }
  return { ...checkpoint, gtidSet: gtids.toString() };
}
