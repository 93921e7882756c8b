/** The inventory service: reserves the goods of a new order, and gives them back when its payment failed. */

import type { PoolConnection, ResultSetHeader } from 'mysql2/promise';
import { createReceiver, mysqlInbox, nodeListener } from 'rowcall/receiver';
import { changedOrder, type Order } from './order.ts';
import { inTransaction, jsonRoute, listen, openPool, ownWork, setting } from './service.ts';

const pool = openPool();
const inbox = mysqlInbox(pool, 'inventory_inbox');
await inbox.prepare();

const receive = createReceiver({
  secrets: [setting('INVENTORY_SECRET')],
  inbox,
  // All in the inbox's transaction: an event that comes again after a crash finds its effect there, or nothing.
  handle: async (delivery, { transaction }) => {
    const order = changedOrder(delivery);
    if (order.status === 'placed') await reserve(transaction, order);
    else await release(transaction, order);
  },
  onError: (error, { id, attempt }) => {
    console.error(`${id}, attempt ${attempt}:`, error);
  },
});

/** The answer stands in the order's row, whose change is the next service's call. */
async function reserve(transaction: PoolConnection, order: Order): Promise<boolean> {
  await ownWork();
  const [taken] = await transaction.execute<ResultSetHeader>(
    'UPDATE stock SET available = available - ? WHERE sku = ? AND available >= ?',
    [order.quantity, order.sku, order.quantity],
  );
  if (taken.affectedRows === 0) {
    await transaction.execute(
      "UPDATE orders SET status = 'sold-out', settled_at = CURRENT_TIMESTAMP(6) WHERE id = ?",
      [order.id],
    );
    return false;
  }
  await transaction.execute("INSERT INTO reservations VALUES (?, ?, ?, 'reserved')", [
    order.id,
    order.sku,
    order.quantity,
  ]);
  const [noted] = await transaction.execute<ResultSetHeader>(
    "UPDATE orders SET status = 'reserved' WHERE id = ? AND status = 'placed'",
    [order.id],
  );
  if (noted.affectedRows === 0) throw new Error(`${order.id} is not to be reserved any more`);
  return true;
}

/** The compensation. An order without a reservation has nothing to give back. */
async function release(transaction: PoolConnection, order: Order): Promise<void> {
  await ownWork();
  const [released] = await transaction.execute<ResultSetHeader>(
    "UPDATE reservations SET state = 'released' WHERE order_id = ? AND state = 'reserved'",
    [order.id],
  );
  if (released.affectedRows === 0) return;
  await transaction.execute('UPDATE stock SET available = available + ? WHERE sku = ?', [
    order.quantity,
    order.sku,
  ]);
}

listen({
  '/hooks/orders': nodeListener(receive),
  // For orders that are placed with calls of one service after another: see order-service.ts.
  '/reserve': jsonRoute(async (order) => ({
    status: 200,
    body: { reserved: await inTransaction(pool, (one) => reserve(one, order as Order)) },
  })),
  '/release': jsonRoute(async (order) => {
    await inTransaction(pool, (one) => release(one, order as Order));
    return { status: 200, body: {} };
  }),
});
