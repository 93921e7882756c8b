/** The notification service: tells the customer how the order ended. */

import type { PoolConnection } from 'mysql2/promise';
import { createReceiver, mysqlInbox, nodeListener } from 'rowcall/receiver';
import { changedOrder, type OrderRow } from './order.ts';
import { inTransaction, jsonRoute, listen, openPool, ownWork, setting } from './service.ts';

const TEXTS: Readonly<Partial<Record<OrderRow['status'], string>>> = {
  confirmed: 'is paid and on its way',
  'sold-out': 'cannot be filled: we have no more of it',
  'payment-failed': 'is cancelled: your bank declined the payment',
};

/** What the callback's `payload` sends of the row. */
type Ended = Pick<OrderRow, 'id' | 'customer' | 'status'>;

const pool = openPool();
const inbox = mysqlInbox(pool, 'notification_inbox');
await inbox.prepare();

const receive = createReceiver({
  secrets: [setting('NOTIFICATION_SECRET')],
  inbox,
  handle: async (delivery, { transaction }) => {
    await tell(transaction, changedOrder(delivery));
  },
  onError: (error, { id, attempt }) => {
    console.error(`${id}, attempt ${attempt}:`, error);
  },
});

async function tell(transaction: PoolConnection, { id, customer, status }: Ended): Promise<void> {
  await ownWork();
  await transaction.execute('INSERT INTO messages (order_id, customer, text) VALUES (?, ?, ?)', [
    id,
    customer,
    `Your order ${id} ${TEXTS[status] ?? status}.`,
  ]);
}

listen({
  '/hooks/orders': nodeListener(receive),
  '/tell': jsonRoute(async (ended) => {
    await inTransaction(pool, (one) => tell(one, ended as Ended));
    return { status: 200, body: {} };
  }),
});
