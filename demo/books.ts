/** What the shop committed, and what each callback must therefore get: known without asking Rowcall. */

/** One changed row, as the shop made it. */
export interface RowChange {
  readonly table: 'orders' | 'order_items' | 'inventory' | 'payments';
  readonly operation: 'insert' | 'update' | 'delete';
  /** Of an update: the columns that changed. */
  readonly changed?: readonly string[];
}

export const CALLBACKS = ['orders', 'inventory', 'payments', 'notifications'] as const;

export type CallbackName = (typeof CALLBACKS)[number];

/** What each callback asks for, said once more in code: its YAML stands in setup.ts. */
const WANTS: Readonly<Record<CallbackName, (row: RowChange) => boolean>> = {
  orders: (row) => row.table === 'orders' || row.table === 'order_items',
  inventory: (row) => row.table === 'inventory',
  payments: (row) => row.table === 'payments',
  notifications: (row) =>
    row.table === 'orders' &&
    (row.operation === 'insert' || row.changed?.includes('status') === true),
};

/**
 * The expected side. With every COMMIT the server tells its GTID (session_track_gtids); GTID, table and
 * ordinal are the event id. Invariant: only what the server acknowledged is in these books.
 */
export class Books {
  readonly #database: string;
  readonly #expected = new Map<CallbackName, Map<string, number>>(
    CALLBACKS.map((name) => [name, new Map<string, number>()]),
  );
  readonly #rowIds = new Set<string>();
  #transactions = 0;

  constructor(database: string) {
    this.#database = database;
  }

  get rows(): number {
    return this.#rowIds.size;
  }

  get transactions(): number {
    return this.#transactions;
  }

  /** Event ids that `callback` must get, with the time of the COMMIT's acknowledgement in ms. */
  expected(callback: CallbackName): ReadonlyMap<string, number> {
    return this.#expected.get(callback) ?? new Map();
  }

  /** The event id of every committed row. */
  rowIds(): ReadonlySet<string> {
    return this.#rowIds;
  }

  get callbacksExpected(): number {
    return CALLBACKS.reduce((total, name) => total + this.expected(name).size, 0);
  }

  committed(gtid: string, rows: readonly RowChange[]): void {
    const nowMs = performance.timeOrigin + performance.now();
    const ordinals = new Map<string, number>();
    for (const row of rows) {
      const ordinal = (ordinals.get(row.table) ?? 0) + 1;
      ordinals.set(row.table, ordinal);
      const id = `${gtid}:${this.#database}/${row.table}:${ordinal}`;
      this.#rowIds.add(id);
      for (const name of CALLBACKS) {
        if (WANTS[name](row)) this.#expected.get(name)?.set(id, nowMs);
      }
    }
    this.#transactions += 1;
  }
}
