/** What an event becomes by the plain decoder and by the fast one, to be compared. */
import { Buffer } from 'node:buffer';

import type { LogRecord } from '../../src/change-event.ts';
import { RecordBlocks } from '../../src/capture/append/record-blocks.ts';
import { decodeRows } from '../../src/capture/decode/rows.ts';
import type { RowsEvent } from '../../src/capture/decode/rows.ts';
import type { TableVersion } from '../../src/capture/decode/table-map.ts';
import { encodeRow } from '../../src/capture/encode/encode-row.ts';
import type { EventContext } from '../../src/capture/encode/encode-row.ts';
import { FastRows } from '../../src/capture/fast/fast-rows.ts';
import { createRouter, type Route } from '../../src/capture/route/router.ts';
import type { TableRule } from '../../src/capture/route/table-rule.ts';
import { RowcallError } from '../../src/errors.ts';
import { present } from '../../src/shared/assert.ts';

/** A record as plain data, its bytes as text. */
export interface SeenRecord extends Omit<LogRecord, 'value' | 'headers'> {
  /** Null for a tombstone. */
  readonly value: string | null;
  readonly headers: LogRecord['headers'] | null;
}

/** What came of an event: the records, and how it ended. */
export interface Outcome {
  readonly records: readonly SeenRecord[];
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly place: string | undefined;
    readonly cure: string | undefined;
  } | null;
}

const NOW_MS = 1_790_000_000_200;

export function contextOf(event: RowsEvent, route: Route): EventContext {
  return {
    name: 'shöp "1"',
    version: '0.1.0',
    transaction: `3e11fa47-71ca-11e1-9e33-c80aa9429562:${route.table.columns.length}`,
    gtid: null,
    file: event.file,
    pos: event.position,
    serverId: event.serverId,
    thread: 17,
    commitUs: 1_790_000_000_123_456,
  };
}

/** A route of all columns but hidden ones, unless the rule says otherwise. */
export function routeOfTable(table: TableVersion, rule: Partial<TableRule> = {}): Route {
  const all = { match: ['*'], topic: 'shop.orders', key: null, excludeColumns: [], ...rule };
  return present(createRouter({ name: 'shop', rules: [all] }).route(table), 'a route');
}

export function seen(record: LogRecord): SeenRecord {
  const { key, value, timestampMs, id, table, operation, headers = null } = record;
  const text = value === null ? null : Buffer.from(value).toString('utf8');
  return { key, value: text, timestampMs, id, table, operation, headers };
}

function outcomeOf(work: (add: (record: LogRecord) => void) => void): Outcome {
  const records: SeenRecord[] = [];
  try {
    work((record) => records.push(seen(record)));
    return { records, error: null };
  } catch (error) {
    if (!(error instanceof RowcallError)) throw error;
    const { code, message, place, cure } = error;
    return { records, error: { code, message, place, cure } };
  }
}

function plainFrom(
  event: RowsEvent,
  route: Route,
  { first, add }: { readonly first: number; readonly add: (record: LogRecord) => void },
): void {
  const context = contextOf(event, route);
  let row = 0;
  for (const change of decodeRows(event, route.table, route.columns)) {
    const ordinal = 10 + row;
    const numbers = { row, nowMs: NOW_MS, ordinal, totalOrder: 2 * ordinal };
    if (row >= first) encodeRow({ ...context, ...numbers }, route, change).forEach(add);
    row += 1;
  }
}

export function plainOutcome(event: RowsEvent, route: Route): Outcome {
  return outcomeOf((add) => {
    plainFrom(event, route, { first: 0, add });
  });
}

/** `fastRows`: how many rows the plain decoder had nothing to do with. */
export function fastOutcome(
  event: RowsEvent,
  route: Route,
  blocks = new RecordBlocks(),
): Outcome & { readonly fastRows: number } {
  const fast = new FastRows(blocks, { warmBytes: 0 });
  let fastRows = 0;
  const outcome = outcomeOf((add) => {
    let first: number | null = 0;
    if (fast.begin(event, route, contextOf(event, route))) {
      first = null;
      while (first === null && !fast.atEnd) {
        const ordinal = 10 + fast.row;
        const records = fast.next({ ordinal, total: 2 * ordinal, nowMs: NOW_MS });
        if (records === null) first = fast.row;
        else records.forEach(add);
      }
      fastRows = fast.row;
    }
    fast.end();
    if (first !== null) plainFrom(event, route, { first, add });
  });
  return { ...outcome, fastRows };
}
