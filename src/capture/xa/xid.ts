/**
 * The name of an XA transaction, in the two forms in which the binlog has it. Statements are written by the server
 * itself (serialize_xid in sql/xa.h), whatever the client wrote.
 */

import type { EventXid } from '../binlog/binlog-event.ts';

export type XaVerb = 'START' | 'END' | 'PREPARE' | 'COMMIT' | 'ROLLBACK';

export interface XaStatement {
  readonly verb: XaVerb;
  /** `X'6162',X'',1`: equal texts are equal xids. */
  readonly xid: string;
}

const STATEMENT =
  /^XA (START|END|PREPARE|COMMIT|ROLLBACK) X'((?:[0-9a-f]{2}){0,64})',X'((?:[0-9a-f]{2}){0,64})',(\d{1,19})$/;

/** Null for a text that no server writes: whoever meets it must stop, as its meaning is not known. */
export function readXaStatement(sql: string): XaStatement | null {
  const [, verb, gtrid, bqual, formatId] = STATEMENT.exec(sql) ?? [];
  if (gtrid === undefined || bqual === undefined || formatId === undefined) return null;
  return { verb: verb as XaVerb, xid: formatXid(gtrid, bqual, BigInt(formatId)) };
}

/** @param formatId any: the part of an xid that is a number goes to 2^63 - 1 */
export function formatXid(gtrid: string, bqual: string, formatId: bigint): string {
  return `X'${gtrid}',X'${bqual}',${formatId}`;
}

/** With the lowest 32 bits of the format id: the whole xid where MariaDB wrote it, whose GTID events have no more. */
export function xidOf({ gtrid, bqual, formatId }: EventXid): string {
  return formatXid(gtrid, bqual, BigInt(formatId));
}

const NUMBER_BITS = 32;

/** The event cuts the format id to 32 bits, so that only the statements name the whole xid. */
export function isXidOf(event: EventXid, xid: string): boolean {
  const formatId = BigInt(xid.slice(xid.lastIndexOf(',') + 1));
  const parts = xid.slice(0, xid.lastIndexOf(','));
  return (
    parts === `X'${event.gtrid}',X'${event.bqual}'` &&
    BigInt.asUintN(NUMBER_BITS, formatId) === BigInt(event.formatId)
  );
}
