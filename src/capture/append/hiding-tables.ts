/** The tables of which rules hide columns, as the checkpoint keeps them. */

import type { HidingTable, TableName } from '../../position.ts';

/** Invariant: `all` is the same object for as long as nothing in it changes, so that its text is made once. */
export class HidingTables {
  readonly #tables: Map<string, HidingTable>;
  #all: readonly HidingTable[] | null = null;

  constructor(tables: readonly HidingTable[]) {
    this.#tables = new Map(tables.map((one) => [keyOf(one), one]));
  }

  get all(): readonly HidingTable[] {
    return (this.#all ??= [...this.#tables.values()]);
  }

  of(table: TableName): HidingTable | undefined {
    return this.#tables.get(keyOf(table));
  }

  /** The table as it is now; it is forgotten where nothing of it is hidden. */
  note(table: HidingTable): void {
    const key = keyOf(table);
    const before = this.#tables.get(key);
    if (table.hidden.length === 0) {
      if (before === undefined) return;
      this.#tables.delete(key);
    } else {
      if (JSON.stringify(before) === JSON.stringify(table)) return;
      this.#tables.set(key, table);
    }
    this.#all = null;
  }
}

function keyOf({ schema, table }: TableName): string {
  return JSON.stringify([schema, table]);
}
