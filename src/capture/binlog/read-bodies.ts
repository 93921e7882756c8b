/** Which bodies of events are read: all to capture or to show, few to find a place. */

import { CODE } from './event-codes.ts';

/** Beside format descriptions, rotates and heartbeats: what tells where transactions begin. */
const READ_IN_SCAN: ReadonlySet<number> = new Set([
  CODE.GTID,
  CODE.ANONYMOUS_GTID,
  CODE.GTID_TAGGED,
  CODE.PREVIOUS_GTIDS,
  CODE.MARIADB_GTID,
  CODE.GTID_LIST,
  CODE.STOP,
]);

/** Beside these: what tells how they end, and whose they are. */
const READ_IN_OUTCOMES: ReadonlySet<number> = new Set([
  ...READ_IN_SCAN,
  CODE.QUERY,
  CODE.QUERY_COMPRESSED,
  CODE.XA_PREPARE,
  CODE.TRANSACTION_PAYLOAD,
]);

/**
 * `all`: every body is read, and a code that must stop the capture does. `scan`: header, checksum and place of
 * every event, and of the bodies those alone that tell where transactions begin; all others are harmless. `outcomes`:
 * also statements and the ends of XA transactions. Both are for finding a place, never for reading rows: the place
 * may be the one behind an event that stops the capture.
 * `show`: every body that can be read is, each event tells its code, and one that must stop the capture is passed on
 * as what it is. For people who look at a binlog, never for capturing it.
 */
export type ReadBodies = 'all' | 'scan' | 'outcomes' | 'show';

/** Whether the body of an event of this code is read. */
export function isRead(code: number, bodies: ReadBodies): boolean {
  if (bodies === 'all' || bodies === 'show') return true;
  return (bodies === 'scan' ? READ_IN_SCAN : READ_IN_OUTCOMES).has(code);
}
