/** What an event says beside its rows, by its type. */

import type { BinlogEvent } from '../../../capture/binlog/binlog-event.ts';
import { type EventCode, eventCode, EVENT_CODES } from '../../../capture/binlog/event-codes.ts';
import { xidOf } from '../../../capture/xa/xid.ts';
import { formatAnyGtid } from '../../../executed-gtids.ts';
import type { PlacedEvent } from './place-events.ts';

/** Names as they stand in JSON; a text is shown as it is. */
export type Details = Readonly<
  Record<string, string | number | boolean | null | readonly string[]>
>;

type Describe<T extends BinlogEvent['type']> = (
  event: Extract<BinlogEvent, { type: T }>,
  placed: PlacedEvent,
) => Details;

/** A type that has no entry says nothing beside its header. */
const DESCRIPTIONS: { readonly [T in BinlogEvent['type']]?: Describe<T> } = {
  'format-description': ({ serverVersion, created, checksum }) => {
    return { server_version: serverVersion, created: isoTime(created * 1000), checksum };
  },
  rotate: ({ nextFile, nextPosition }) => {
    return { next_file: nextFile, next_position: nextPosition };
  },
  'previous-gtids': ({ set }) => ({ gtids: set }),
  'gtid-list': ({ list }) => ({ gtids: list }),
  'mariadb-gtid': ({ standalone, xa, thread }) => ({
    standalone,
    ...(xa === null ? {} : { xa: xa.part, xid: xidOf(xa.xid) }),
    ...(thread === null ? {} : { thread }),
  }),
  gtid: ({ commitUs }) => {
    const known = commitUs !== null && commitUs > 0;
    return { committed: known ? isoTime(Math.floor(commitUs / 1000)) : null };
  },
  query: ({ schema, sql, threadId }) => ({ schema, statement: sql, thread: threadId }),
  'rows-query': ({ sql }) => ({ statement: sql }),
  xid: ({ xid }) => ({ xid: xid.toString() }),
  'xa-prepare': ({ xid, onePhase }) => ({ xid: xidOf(xid), one_phase: onePhase }),
  'table-map': ({ tableId }, { table }) => {
    const columns = table?.columns.filter(({ hidden }) => !hidden).map(({ name }) => name) ?? [];
    return { table_id: tableId, columns: columns.some((name) => name === '') ? null : columns };
  },
  rows: ({ tableId, operation, endOfStatement }) => {
    return { table_id: tableId, operation, end_of_statement: endOfStatement };
  },
  harmless: (event) => {
    const { class: how, reason } = codeOf(event);
    const unread = how === 'stop' ? { unread: reason } : {};
    return event.detail === undefined || event.detail === ''
      ? unread
      : { ...unread, detail: event.detail };
  },
};

export function describeEvent(placed: PlacedEvent): Details {
  const { event } = placed;
  const describe = DESCRIPTIONS[event.type] as Describe<BinlogEvent['type']> | undefined;
  return describe?.(event, placed) ?? {};
}

/** The row of its code: the name under which docs/BINLOG.md lists it. */
export function codeOf(event: BinlogEvent): EventCode {
  if (event.shown !== undefined) return eventCode(event.shown.code, 0);
  const named = event.type === 'harmless' ? event.name : '';
  return EVENT_CODES.find(({ name }) => name === named) ?? eventCode(0, 0);
}

export function gtidText({ gtid }: PlacedEvent): string | null {
  return gtid === null ? null : formatAnyGtid(gtid);
}

/** To the second where there is no fraction. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}
