/** Columns for tests that care for their names alone. */
import type { Column } from '../../src/capture/decode/column.ts';

/** A nullable INT. */
export function intColumn(name: string, index: number): Column {
  return {
    index,
    name,
    type: 3,
    size: 0,
    scale: 0,
    unsigned: false,
    nullable: true,
    collation: null,
    labels: null,
    visible: true,
    hidden: false,
  };
}
