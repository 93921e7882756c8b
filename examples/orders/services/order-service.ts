/**
 * The order service. `POST /orders` places an order by one local transaction, and that is all of it: the row is the
 * message. `POST /orders/inline` does the same work with calls of one service after another, to compare.
 */

import type { ResultSetHeader } from 'mysql2/promise';
import type { Order } from './order.ts';
import { type Answer, call, jsonRoute, listen, openPool, setting } from './service.ts';

const pool = openPool();
const inventory = setting('INVENTORY_URL');
const payment = setting('PAYMENT_URL');
const notification = setting('NOTIFICATION_URL');

/** @returns false where the order is there already: the customer's side asked twice */
async function insert(order: Order): Promise<boolean> {
  const [result] = await pool.execute<ResultSetHeader>(
    "INSERT INTO orders (id, customer, sku, quantity, cents, card, status) VALUES (?, ?, ?, ?, ?, ?, 'placed') " +
      'ON DUPLICATE KEY UPDATE id = orders.id',
    [order.id, order.customer, order.sku, order.quantity, order.cents, order.card],
  );
  return result.affectedRows === 1;
}

/** 202: it is ours now, and will be confirmed or cancelled. */
async function place(order: Order): Promise<Answer> {
  await insert(order);
  return { status: 202, body: { id: order.id } };
}

/** The customer waits for all of them, and each has to be there. */
async function placeInline(order: Order): Promise<Answer> {
  await insert(order);
  try {
    const reservation = (await call(`${inventory}/reserve`, order)) as { reserved: boolean };
    if (!reservation.reserved) return await ended(order, 'sold-out');
    const { paid } = (await call(`${payment}/charge`, order)) as { paid: boolean };
    if (!paid) await call(`${inventory}/release`, order);
    return await ended(order, paid ? 'confirmed' : 'payment-failed');
  } catch (error) {
    return abandon(order, error);
  }
}

async function ended({ id, customer }: Order, status: string): Promise<Answer> {
  await call(`${notification}/tell`, { id, customer, status }).catch((error: unknown) => {
    console.error(`Nobody tells the customer of ${id}:`, error);
  });
  return { status: 200, body: { id, status } };
}

/** What was reserved is given back, if inventory is there to take it; if not, somebody has to find it by hand. */
async function abandon(order: Order, cause: unknown): Promise<Answer> {
  console.error(`${order.id} is abandoned:`, cause instanceof Error ? cause.message : cause);
  await call(`${inventory}/release`, order).catch((error: unknown) => {
    console.error(`${order.id} keeps its goods:`, error);
  });
  await pool.execute(
    "UPDATE orders SET status = 'abandoned', settled_at = CURRENT_TIMESTAMP(6) WHERE id = ?",
    [order.id],
  );
  return { status: 503, body: { id: order.id } };
}

listen({
  '/orders': jsonRoute((order) => place(order as Order)),
  '/orders/inline': jsonRoute((order) => placeInline(order as Order)),
});
