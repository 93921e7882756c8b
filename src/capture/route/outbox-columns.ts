/** The columns of an outbox table that say where a row goes and what it is; no others are read. */

import { RowcallError } from '../../errors.ts';
import { present } from '../../shared/assert.ts';
import type { Column } from '../decode/column.ts';
import type { TableVersion } from '../decode/table-map.ts';
import { eventColumns, folded } from './event-columns.ts';
import type { FullTableRule, OutboxRule } from './table-rule.ts';

/** Index of each in the table. */
export type OutboxColumns = Readonly<Record<keyof OutboxRule, number>>;

/** As the configuration has them. */
const WRITTEN: Readonly<Record<keyof OutboxRule, string>> = {
  id: 'id',
  aggregateType: 'aggregate_type',
  aggregateId: 'aggregate_id',
  type: 'type',
  payload: 'payload',
};

/** @throws RowcallError COLUMN_RULE_UNFIT */
export function outboxColumns(
  table: TableVersion,
  rule: FullTableRule,
  names: OutboxRule,
): { readonly columns: readonly Column[]; readonly outbox: OutboxColumns } {
  const indexOf = (part: keyof OutboxRule): number => {
    const name = names[part];
    const column = table.columns.find((candidate) => folded(candidate.name) === folded(name));
    if (column !== undefined) return column.index;
    throw new RowcallError(
      'COLUMN_RULE_UNFIT',
      `The table has no column ${name}, which outbox names`,
      {
        place: `table ${table.name}`,
        cure: `Name the column of the table in the rule: outbox: { ${WRITTEN[part]}: … }. Where the table is no outbox: give it a rule of its own in front of this one.`,
      },
    );
  };
  const outbox: OutboxColumns = {
    id: indexOf('id'),
    aggregateType: indexOf('aggregateType'),
    aggregateId: indexOf('aggregateId'),
    type: indexOf('type'),
    payload: indexOf('payload'),
  };
  const includeColumns = Object.values(outbox).map(
    (index) => present(table.columns[index], 'a column of the outbox').name,
  );
  const { columns } = eventColumns(table, { ...rule, key: [], includeColumns });
  return { columns, outbox };
}
