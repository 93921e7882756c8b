/** The oldest binlog file that rows of prepared XA transactions stand in: they are read from there at XA COMMIT. */

import { formatAnyGtid } from '../../executed-gtids.ts';
import { fileNumber, type PreparedTransaction } from '../../position.ts';
import type { MariadbState } from '../preflight/mariadb/server-state.ts';
import { type DumpAccess, readEvents } from '../preflight/read-place.ts';
import type { ServerPlace } from '../preflight/server-place.ts';
import { isGone } from './purged-prepared.ts';
import { startOfPrepared } from './read-prepared.ts';

export interface OldestPrepared {
  readonly xid: string;
  /** Null: the server has purged it already. */
  readonly file: string | null;
}

/**
 * Of those with rows that are captured. One that was read on another server is looked up by its GTID, once; only the
 * first of these, since the servers of a topology have prepared them in the same order. One that has no GTID there
 * cannot be found on this server and is left out.
 */
export class OldestPreparedSearch {
  readonly #access: DumpAccess;
  #looked: { readonly gtid: string; readonly file: string } | null = null;

  constructor(access: DumpAccess) {
    this.#access = access;
  }

  /** @throws RowcallError as a binlog stream does */
  async look(
    prepared: readonly PreparedTransaction[],
    server: ServerPlace | MariadbState,
    signal: AbortSignal,
  ): Promise<OldestPrepared | null> {
    const captured = prepared.filter((each) => each.captured);
    const gone = captured.find((each) => isGone(each, server, true));
    if (gone !== undefined) return { xid: gone.xid, file: null };
    const standing = captured.flatMap(({ xid, at }) => (at === null ? [] : { xid, file: at.file }));
    const elsewhere = captured.find(({ at }) => at === null);
    if (elsewhere !== undefined) {
      const file = await this.#fileOf(elsewhere, server, signal);
      if (file !== null) standing.push({ xid: elsewhere.xid, file });
    }
    standing.sort((one, other) => fileNumber(one.file) - fileNumber(other.file));
    return standing[0] ?? null;
  }

  async #fileOf(
    prepared: PreparedTransaction,
    server: ServerPlace | MariadbState,
    signal: AbortSignal,
  ): Promise<string | null> {
    const { gtid } = prepared;
    if (gtid === null || ('gtids' in server && server.gtids === null)) return null;
    if (this.#looked?.gtid === gtid) return this.#looked.file;
    for await (const event of readEvents(this.#access, startOfPrepared(prepared, server), signal)) {
      if (event.type !== 'gtid' && event.type !== 'mariadb-gtid') continue;
      if (event.gtid === null || formatAnyGtid(event.gtid) !== gtid) continue;
      this.#looked = { gtid, file: event.file };
      return event.file;
    }
    return null;
  }
}
