/** What the source has purged of prepared transactions, told before an XA COMMIT of one stops the capture. */

import { parseGtid } from '../../gtid-set.ts';
import { parseMariadbGtid } from '../../mariadb-gtid.ts';
import { formatPlace, type PreparedTransaction } from '../../position.ts';
import type { Logger } from '../../shared/logger.ts';
import type { MariadbState } from '../preflight/mariadb/server-state.ts';
import type { ServerPlace } from '../preflight/server-place.ts';

/** Tells of each once. Nothing is stopped: a rollback makes it right, and must be read. */
export class PurgedPrepared {
  readonly #logger: Logger;
  #told = new Set<string>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @param prepared with places of this server */
  look(prepared: readonly PreparedTransaction[], server: ServerPlace | MariadbState): void {
    const gone = prepared.filter((each) => each.captured && isGone(each, server, true));
    for (const { xid, gtid, at, timestamp } of gone) {
      if (this.#told.has(`${xid} ${timestamp}`)) continue;
      const place = at === null ? gtid : formatPlace(at);
      this.#logger.error(
        { xid, gtid, place },
        `XA transaction ${xid} is prepared, and the source has purged its rows: an XA COMMIT of it will stop the capture, an XA ROLLBACK will not`,
      );
    }
    this.#told = new Set(gone.map(({ xid, timestamp }) => `${xid} ${timestamp}`));
  }
}

/** Whether the server has purged the transaction. */
export function isPurgedGtid(gtid: string, server: ServerPlace | MariadbState): boolean {
  return 'purged' in server
    ? server.purged.covers(parseMariadbGtid(gtid))
    : server.gtids?.purged.contains(parseGtid(gtid)) === true;
}

/** Whether the rows of a prepared transaction cannot be read any more. */
export function isGone(
  { gtid, at }: PreparedTransaction,
  server: ServerPlace | MariadbState,
  sameServer: boolean,
): boolean {
  if (sameServer && at !== null) return !server.files.some(({ name }) => name === at.file);
  return gtid !== null && isPurgedGtid(gtid, server);
}
