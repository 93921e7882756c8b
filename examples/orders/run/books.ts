/** The books of the shop: what must hold of its tables and of the bank once every order has ended, asked by SELECT. */

import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Bank } from './bank.ts';

/** Each counts what must not be there. */
const RULES: readonly (readonly [wrong: string, sql: string])[] = [
  [
    'orders have not ended',
    "SELECT COUNT(*) AS n FROM orders WHERE status IN ('placed', 'reserved') AND id LIKE ?",
  ],
  [
    'confirmed orders do not have their goods reserved',
    `SELECT COUNT(*) AS n FROM orders o LEFT JOIN reservations r ON r.order_id = o.id AND r.sku = o.sku
       AND r.quantity = o.quantity AND r.state = 'reserved'
     WHERE o.status = 'confirmed' AND r.order_id IS NULL AND o.id LIKE ?`,
  ],
  [
    'confirmed orders are not paid, with their price',
    `SELECT COUNT(*) AS n FROM orders o LEFT JOIN payments p ON p.order_id = o.id AND p.cents = o.cents
       AND p.state = 'paid'
     WHERE o.status = 'confirmed' AND p.order_id IS NULL AND o.id LIKE ?`,
  ],
  [
    'orders that are not confirmed hold goods',
    `SELECT COUNT(*) AS n FROM orders o JOIN reservations r ON r.order_id = o.id AND r.state = 'reserved'
     WHERE o.status <> 'confirmed' AND o.id LIKE ?`,
  ],
  [
    'orders that are not confirmed are paid',
    `SELECT COUNT(*) AS n FROM orders o JOIN payments p ON p.order_id = o.id AND p.state = 'paid'
     WHERE o.status <> 'confirmed' AND o.id LIKE ?`,
  ],
  [
    'orders have not been told of exactly once',
    `SELECT COUNT(*) AS n FROM (SELECT o.id FROM orders o LEFT JOIN messages m ON m.order_id = o.id
     WHERE o.id LIKE ? AND o.status <> 'abandoned' GROUP BY o.id HAVING COUNT(m.id) <> 1) AS untold`,
  ],
];

const STOCK = `SELECT COUNT(*) AS n FROM (SELECT s.sku FROM stock s LEFT JOIN reservations r
  ON r.sku = s.sku AND r.state = 'reserved' GROUP BY s.sku, s.stocked, s.available
  HAVING s.available + COALESCE(SUM(r.quantity), 0) <> s.stocked) AS wrong`;

export interface Finding {
  /** So many of what must not be there. */
  readonly n: number;
  readonly wrong: string;
}

/** What does not hold for the orders whose id begins so, and for the stock; nothing: the books balance. */
export async function wrongIn(admin: Connection, series: string): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for (const [wrong, sql] of RULES) {
    found.push({ wrong, n: await count(admin, sql, [`${series}-%`]) });
  }
  const n = await count(admin, STOCK, []);
  found.push({ n, wrong: 'goods are not available or reserved as often as stocked' });
  return found.filter((one) => one.n > 0);
}

/** The bank's books against ours, and the orders that customers were told are taken against those that are there. */
export async function wrongOutside(
  admin: Connection,
  { bank, taken }: { readonly bank: Bank; readonly taken: readonly string[] },
): Promise<readonly Finding[]> {
  const [rows] = await admin.query<RowDataPacket[]>(
    `SELECT o.id, p.state, p.cents FROM orders o LEFT JOIN payments p ON p.order_id = o.id`,
  );
  const paid = new Map(
    rows.map((row) => [String(row['id']), row['state'] === 'paid' ? Number(row['cents']) : 0]),
  );
  const lost = taken.filter((id) => !paid.has(id)).length;
  const differing = taken.filter((id) => (paid.get(id) ?? 0) !== (bank.taken.get(id) ?? 0)).length;
  return [
    { n: lost, wrong: 'orders were taken and are not there' },
    { n: differing, wrong: 'payments are not what the bank took' },
  ].filter((one) => one.n > 0);
}

export interface Totals {
  readonly status: string;
  readonly orders: number;
  readonly cents: number;
}

export async function totals(admin: Connection, series: string): Promise<readonly Totals[]> {
  const [rows] = await admin.query<RowDataPacket[]>(
    `SELECT status, COUNT(*) AS orders, SUM(cents) AS cents FROM orders WHERE id LIKE ?
     GROUP BY status ORDER BY status`,
    [`${series}-%`],
  );
  return rows.map((row) => ({
    status: String(row['status']),
    orders: Number(row['orders']),
    cents: Number(row['cents']),
  }));
}

export async function count(
  admin: Connection,
  sql: string,
  values: readonly unknown[],
): Promise<number> {
  const [rows] = await admin.query<RowDataPacket[]>(sql, [...values]);
  return Number(rows[0]?.['n']);
}
