/** The records that must come of a simulated history, made from the model of its tables. */
import type { RowOperation } from '../../src/capture/binlog/binlog-event.ts';
import type { OperationCode } from '../../src/change-event.ts';
import type { SampleRow, SampleTable } from './binlog-events.ts';

export const CONFIG_NAME = 'shop';
/** Its rows have no key. */
export const KEYLESS_TABLE = 'shop.audit.log';
/** In some histories an outbox: `name` is the aggregate type, the type and the payload, `id` all the rest. */
export const OUTBOX_TABLE = 'shop.items';

/** A record that must be in the log once, a truncate once in every partition of its topic. Made from the model of the tables, not by the code under test. */
export interface ExpectedRecord {
  readonly id: string;
  /** Index of its transaction. */
  readonly transaction: number;
  readonly table: string;
  readonly topic: string;
  /** The row's number among its table's in the transaction; 0 of a truncate. */
  readonly ordinal: number;
  readonly key: string | null;
  readonly operation: OperationCode;
  readonly before: SampleRow | null;
  readonly after: SampleRow | null;
}

export interface Change {
  readonly operation: RowOperation;
  readonly before: SampleRow | null;
  readonly after: SampleRow | null;
}

/** A change of a captured table. */
export interface Made {
  readonly shape: SampleTable;
  readonly change: Change;
}

/** The transaction that the records are of. */
interface Of {
  readonly index: number;
  readonly id: string;
  readonly records: ExpectedRecord[];
  /** The table of that name is an outbox. */
  readonly outbox: boolean;
}

/** The records of the changes, as those of the transaction that commits them. */
export function addRecords(open: Of, made: readonly Made[]): void {
  const ordinals = new Map<string, number>();
  for (const { shape, change } of made) {
    const ordinal = (ordinals.get(shape.table) ?? 0) + 1;
    ordinals.set(shape.table, ordinal);
    const isOutbox = open.outbox && `shop.${shape.table}` === OUTBOX_TABLE;
    open.records.push(...(isOutbox ? routed : expected)(shape, change, { ...open, ordinal }));
  }
}

export function truncated(
  { table }: SampleTable,
  { index, id }: Pick<Of, 'index' | 'id'>,
): ExpectedRecord {
  return {
    id: `${id}:shop/${table.replace('.', '%2E')}:0`,
    transaction: index,
    table: `shop.${table}`,
    topic: `${CONFIG_NAME}.shop.${table}`,
    ...{ ordinal: 0, key: null, operation: 't', before: null, after: null },
  };
}

function expected(
  shape: SampleTable,
  { before, after }: Change,
  at: { readonly index: number; readonly id: string; readonly ordinal: number },
): ExpectedRecord[] {
  const id = `${at.id}:shop/${shape.table.replace('.', '%2E')}:${at.ordinal}`;
  const keyOf = (row: SampleRow | null): string | null =>
    shape.keyed && row !== null ? `{"id":${row.id}}` : null;
  const common = {
    transaction: at.index,
    table: `shop.${shape.table}`,
    topic: `${CONFIG_NAME}.shop.${shape.table}`,
    ordinal: at.ordinal,
  };
  if (before === null) return [{ id, ...common, key: keyOf(after), operation: 'c', before, after }];
  if (after === null) return [{ id, ...common, key: keyOf(before), operation: 'd', before, after }];
  if (keyOf(before) === keyOf(after)) {
    return [{ id, ...common, key: keyOf(after), operation: 'u', before, after }];
  }
  return [
    { id: `${id}:d`, ...common, key: keyOf(before), operation: 'd', before, after: null },
    { id: `${id}:c`, ...common, key: keyOf(after), operation: 'c', before: null, after },
  ];
}

/** Of an outbox each insert is an event, of the topic that the row names; nothing else is. */
function routed(
  shape: SampleTable,
  { before, after }: Change,
  at: { readonly index: number; readonly id: string; readonly ordinal: number },
): ExpectedRecord[] {
  if (before !== null || after === null) return [];
  return [
    {
      id: `${at.id}:shop/${shape.table}:${at.ordinal}`,
      ...{ transaction: at.index, table: OUTBOX_TABLE, ordinal: at.ordinal, operation: 'c' },
      topic: `${CONFIG_NAME}.outbox.${after.name}`,
      key: `{"aggregate_id":${after.id}}`,
      ...{ before, after },
    },
  ];
}
