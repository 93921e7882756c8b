/** Where the rows of a prepared transaction are read again: the port. */

import type { FilePosition, PreparedTransaction } from '../../position.ts';
import type { BinlogEvent } from '../binlog/binlog-event.ts';

export interface PreparedStream {
  /** The next events, in order; none at the end of what there is. */
  next(): Promise<readonly BinlogEvent[]>;
  /** Idempotent. */
  close(): Promise<void>;
}

export interface PreparedSource {
  /**
   * The binlog from the transaction's GTID event on: at its place where it has one, else wherever this server has
   * its GTID. What stands there is for the reader to prove.
   *
   * @throws RowcallError XA_PREPARE_MISSING: it is purged, or not there; as a binlog stream does
   */
  open(prepared: PreparedTransaction): Promise<PreparedStream>;

  /**
   * Searches the binlog backwards for the transaction that prepared the xid: the one that is open at the place.
   *
   * @param before where the outcome stands
   * @returns null where none of the server's files has it
   * @throws RowcallError as a binlog stream does
   */
  find(xid: string, before: FilePosition): Promise<PreparedTransaction | null>;
}
