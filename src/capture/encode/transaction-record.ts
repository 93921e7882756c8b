/** Where a transaction begins and ends, as records of a topic of their own: Debezium's transaction metadata. */

import type { LogRecord } from '../../change-event.ts';

/** Rows of one table in the transaction. */
export interface TableCount {
  readonly table: string;
  readonly rows: number;
}

interface Boundary {
  /** The GTID's text, or `filePlaceId` without GTIDs. */
  readonly id: string;
  readonly commitUs: number;
}

/** `<name>.transactions`. */
export function transactionsTopic(name: string): string {
  return `${name}.transactions`;
}

/** Stands in front of the transaction's first row. */
export function beginRecord(transaction: Boundary): LogRecord {
  return boundary(transaction, 'BEGIN', '"event_count":null,"data_collections":null');
}

/** Stands behind its last, with what it came to. Tables in the order in which they were first met. */
export function endRecord(transaction: Boundary, tables: readonly TableCount[]): LogRecord {
  const total = tables.reduce((sum, { rows }) => sum + rows, 0);
  const counts = tables.map(
    ({ table, rows }) => `{"data_collection":${JSON.stringify(table)},"event_count":${rows}}`,
  );
  return boundary(
    transaction,
    'END',
    `"event_count":${total},"data_collections":[${counts.join(',')}]`,
  );
}

function boundary({ id, commitUs }: Boundary, status: 'BEGIN' | 'END', counts: string): LogRecord {
  const timestampMs = Math.floor(commitUs / 1000);
  const quoted = JSON.stringify(id);
  return {
    key: `{"id":${quoted}}`,
    value: Buffer.from(`{"status":"${status}","id":${quoted},${counts},"ts_ms":${timestampMs}}`),
    timestampMs,
    id: `${id}:${status}`,
    // Of no table: it matches no callback.
    table: '',
    operation: 'c',
  };
}
