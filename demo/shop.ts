/** The order system: customers who order, pay, change their minds; a warehouse that ships and restocks. */

import { createConnection } from 'mysql2/promise';
import type { Connection, ResultSetHeader } from 'mysql2/promise';

import { pause } from '../test/support/rowcall-process.ts';
import { committedGtid } from '../test/support/workload-expected.ts';
import type { Dice } from '../test/support/workload-random.ts';
import type { Books, RowChange } from './books.ts';

const TABLES = [
  `CREATE TABLE orders (id BIGINT PRIMARY KEY, customer VARCHAR(40) NOT NULL,
     status ENUM('NEW','PAID','SHIPPED','DELIVERED','CANCELLED') NOT NULL, total DECIMAL(10,2) NOT NULL,
     note VARCHAR(200), placed_at DATETIME(6) NOT NULL)`,
  `CREATE TABLE order_items (order_id BIGINT NOT NULL, line INT NOT NULL, sku VARCHAR(12) NOT NULL,
     quantity INT NOT NULL, price DECIMAL(8,2) NOT NULL, PRIMARY KEY (order_id, line))`,
  `CREATE TABLE inventory (sku VARCHAR(12) PRIMARY KEY, name VARCHAR(40) NOT NULL, on_hand INT NOT NULL)`,
  `CREATE TABLE payments (order_id BIGINT PRIMARY KEY, amount DECIMAL(10,2) NOT NULL,
     state ENUM('AUTHORISED','CAPTURED','REFUNDED') NOT NULL, at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))`,
] as const;

const NAMES = ['Ada', 'Grace', 'Linus', 'Margaret', 'Dennis', 'Barbara', 'Ken', 'Радия'] as const;
const GOODS = ['hat', 'scarf', 'boots', 'gloves', 'umbrella', 'raincoat', 'lantern'] as const;
const SKUS = 200;

const sku = (n: number): string => `SKU-${String(n).padStart(3, '0')}`;

/** Makes the tables. Goods come by `stockUp`, in a transaction that is in the books. */
export async function createShop(connection: Connection): Promise<void> {
  for (const table of TABLES) await connection.query(table);
}

interface OpenOrder {
  readonly id: number;
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
  status: 'NEW' | 'PAID' | 'SHIPPED';
}

export interface ShopOptions {
  readonly url: string;
  readonly books: Books;
  readonly dice: Dice;
  /** Number of this till, and how many there are: orders are numbered so that no two tills share one. */
  readonly till: number;
  readonly tills: number;
}

/**
 * One till with a connection of its own. Invariant: a transaction is in the books exactly if the server
 * acknowledged its COMMIT. A refused payment rolls back, and nothing of it may ever be called back.
 */
export class Till {
  readonly #options: ShopOptions;
  readonly #connection: Connection;
  readonly #open: OpenOrder[] = [];
  #orders = 0;

  private constructor(options: ShopOptions, connection: Connection) {
    this.#options = options;
    this.#connection = connection;
  }

  static async open(options: ShopOptions): Promise<Till> {
    // Without FOUND_ROWS an update's affected rows are those that changed, which are those in the binlog.
    const connection = await createConnection({ uri: options.url, flags: ['-FOUND_ROWS'] });
    await connection.query('SET SESSION session_track_gtids = OWN_GTID');
    await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
    return new Till(options, connection);
  }

  /** The first goods. */
  async stockUp(): Promise<void> {
    const goods = Array.from({ length: SKUS }, (_, n) => [
      sku(n),
      `${this.#options.dice.pick(GOODS)} no. ${n}`,
      1000,
    ]);
    await this.#transaction(async (rows) => {
      await this.#connection.query('INSERT INTO inventory VALUES ?', [goods]);
      for (let n = 0; n < SKUS; n += 1) rows.push({ table: 'inventory', operation: 'insert' });
    });
  }

  /** Serves until the signal aborts; the transaction in hand is finished. */
  async serve(signal: AbortSignal, pauseMs: number): Promise<void> {
    try {
      while (!signal.aborted) {
        await this.#something();
        await pause(pauseMs);
      }
    } finally {
      await this.#connection.end();
    }
  }

  async #something(): Promise<void> {
    const { dice } = this.#options;
    const draw = dice.below(100);
    const order = this.#open[dice.below(Math.max(1, this.#open.length))];
    if (order === undefined || draw < 35) await this.#placeOrder();
    else if (draw < 85) await this.#advance(order);
    else if (draw < 90) await this.#cancel(order);
    else if (draw < 96) await this.#annotate(order);
    else await this.#restock();
  }

  async #placeOrder(): Promise<void> {
    const { dice, till, tills } = this.#options;
    this.#orders += 1;
    const id = this.#orders * tills + till;
    const wanted = new Set(Array.from({ length: dice.between(1, 3) }, () => dice.below(SKUS)));
    // In the order of the key, so that two tills wait for each other and never deadlock.
    const lines = [...wanted]
      .sort((a, b) => a - b)
      .map((n) => ({ sku: sku(n), quantity: dice.between(1, 4) }));
    const total = lines.length * 19.9;
    const refused = dice.chance(0.08);
    await this.#transaction(
      async (rows) => {
        await this.#connection.query('INSERT INTO orders VALUES (?, ?, ?, ?, NULL, NOW(6))', [
          id,
          dice.pick(NAMES),
          'NEW',
          total.toFixed(2),
        ]);
        rows.push({ table: 'orders', operation: 'insert' });
        await this.#connection.query('INSERT INTO order_items VALUES ?', [
          lines.map((line, n) => [id, n + 1, line.sku, line.quantity, '19.90']),
        ]);
        for (const line of lines) {
          rows.push({ table: 'order_items', operation: 'insert' });
          await this.#move(line.sku, -line.quantity, rows);
        }
        await this.#connection.query(
          'INSERT INTO payments (order_id, amount, state) VALUES (?, ?, ?)',
          [id, total.toFixed(2), 'AUTHORISED'],
        );
        rows.push({ table: 'payments', operation: 'insert' });
      },
      refused ? 'ROLLBACK' : 'COMMIT',
    );
    if (!refused) this.#open.push({ id, lines, status: 'NEW' });
  }

  /** NEW, PAID, SHIPPED, DELIVERED. */
  async #advance(order: OpenOrder): Promise<void> {
    const next = { NEW: 'PAID', PAID: 'SHIPPED', SHIPPED: 'DELIVERED' } as const;
    const status = next[order.status];
    await this.#transaction(async (rows) => {
      await this.#setStatus(order.id, status, rows);
      if (status === 'PAID') await this.#setPayment(order.id, 'CAPTURED', rows);
    });
    if (status === 'DELIVERED') this.#forget(order);
    else order.status = status;
  }

  async #cancel(order: OpenOrder): Promise<void> {
    await this.#transaction(async (rows) => {
      await this.#setStatus(order.id, 'CANCELLED', rows);
      await this.#setPayment(order.id, 'REFUNDED', rows);
      const [deleted] = await this.#connection.query<ResultSetHeader>(
        'DELETE FROM order_items WHERE order_id = ?',
        [order.id],
      );
      for (let n = 0; n < deleted.affectedRows; n += 1) {
        rows.push({ table: 'order_items', operation: 'delete' });
      }
      for (const line of order.lines) await this.#move(line.sku, line.quantity, rows);
    });
    this.#forget(order);
  }

  /** Changes an order and not its status: no notification. */
  async #annotate(order: OpenOrder): Promise<void> {
    await this.#transaction(async (rows) => {
      const note = `please ring twice (${this.#options.dice.below(1e6)})`;
      await this.#update(
        { table: 'orders', operation: 'update', changed: ['note'] },
        ['UPDATE orders SET note = ? WHERE id = ?', [note, order.id]],
        rows,
      );
    });
  }

  async #restock(): Promise<void> {
    const first = this.#options.dice.below(SKUS - 5);
    await this.#transaction(async (rows) => {
      for (let n = first; n < first + 5; n += 1) await this.#move(sku(n), 50, rows);
    });
  }

  #setStatus(id: number, status: string, rows: RowChange[]): Promise<void> {
    return this.#update(
      { table: 'orders', operation: 'update', changed: ['status'] },
      ['UPDATE orders SET status = ? WHERE id = ?', [status, id]],
      rows,
    );
  }

  #setPayment(id: number, state: string, rows: RowChange[]): Promise<void> {
    return this.#update(
      { table: 'payments', operation: 'update', changed: ['state'] },
      ['UPDATE payments SET state = ? WHERE order_id = ?', [state, id]],
      rows,
    );
  }

  #move(item: string, quantity: number, rows: RowChange[]): Promise<void> {
    return this.#update(
      { table: 'inventory', operation: 'update', changed: ['on_hand'] },
      ['UPDATE inventory SET on_hand = on_hand + ? WHERE sku = ?', [quantity, item]],
      rows,
    );
  }

  async #update(
    change: RowChange,
    [sql, values]: readonly [string, readonly unknown[]],
    rows: RowChange[],
  ): Promise<void> {
    const [result] = await this.#connection.query<ResultSetHeader>(sql, [...values]);
    for (let n = 0; n < result.affectedRows; n += 1) rows.push(change);
  }

  async #transaction(
    work: (rows: RowChange[]) => Promise<void>,
    end: 'COMMIT' | 'ROLLBACK' = 'COMMIT',
  ): Promise<void> {
    const rows: RowChange[] = [];
    await this.#connection.query('BEGIN');
    await work(rows);
    const [result] = await this.#connection.query<ResultSetHeader>(end);
    const gtid = committedGtid(result);
    if (gtid !== undefined) this.#options.books.committed(gtid, rows);
  }

  #forget(order: OpenOrder): void {
    this.#open.splice(this.#open.indexOf(order), 1);
  }
}
